package config

// unknown is the error for a name that is not in the table. It suggests the
// nearest one, when there is one near enough.
func unknown(name string) error {
	best, nearest := max(2, len(name)/3)+1, ""
	for _, p := range table {
		for _, known := range []string{p.name, p.alias} {
			if known == "" || p.has(hidden) {
				continue
			}
			if d := distance(dashed(name), known, best); d < best {
				best, nearest = d, known
			}
		}
	}
	if nearest == "" {
		return textError("Unknown option '" + quoteWord(name) + "'")
	}
	return textError("Unknown option '" + quoteWord(name) + "'; did you mean '" + nearest + "'?")
}

// distance counts the letters to insert, delete, replace or swap to make b of a.
// Where the lengths alone make it limit or more, it says limit.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
