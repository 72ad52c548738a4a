package transcript

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	about    = regexp.MustCompile(`^(.*\(integer\) )~(-?[0-9]+)$`)
	anyOrder = regexp.MustCompile(`^\(any order(?: by ([1-9]))?\)$`)
	header   = regexp.MustCompile(`^ *[0-9]+[)#~|] `)
)

// matches tells whether a reply is what was written for it.
func matches(want, got []string) bool {
	if len(want) == 0 {
		return false
	}
	m := anyOrder.FindStringSubmatch(want[0])
	if m == nil {
		return matchLines(want, got)
	}
	by := 1
	if m[1] != "" {
		by, _ = strconv.Atoi(m[1])
	}
	return matchUnordered(want[1:], got, by)
}

func matchLines(want, got []string) bool {
	for i, w := range want {
		if w == "**" {
			for n := range len(got) - i + 1 {
				if matchLines(want[i+1:], got[i+n:]) {
					return true
				}
			}
			return false
		}
		if i >= len(got) || !matchLine(w, got[i]) {
			return false
		}
	}
	return len(want) == len(got)
}

func matchLine(want, got string) bool {
	if want == got {
		return true
	}
	if pattern, ok := strings.CutPrefix(want, "~ "); ok {
		return matchStars(strings.Split(pattern, "*"), got)
	}
	if m := about.FindStringSubmatch(want); m != nil {
		n, ok := strings.CutPrefix(got, m[1])
		return ok && near(m[2], n)
	}
	start, ok := strings.CutSuffix(want, "*")
	return ok && strings.HasPrefix(got, start)
}

// matchStars tells whether s consists of the parts in order, with anything
// between them.
func matchStars(parts []string, s string) bool {
	first, last := parts[0], parts[len(parts)-1]
	if len(parts) == 1 {
		return s == first
	}
	s, ok := strings.CutPrefix(s, first)
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		if _, s, ok = strings.Cut(s, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(s, last)
}

// near tells whether got is the integer want to within 2 % or 2.
func near(want, got string) bool {
	w, err := strconv.ParseInt(want, 10, 64)
	if err != nil {
		return false
	}
	g, err := strconv.ParseInt(got, 10, 64)
	if err != nil {
		return false
	}
	diff, most := float64(g)-float64(w), max(2, 0.02*float64(w), -0.02*float64(w))
	return -most <= diff && diff <= most
}

// matchUnordered compares the elements of two replies, by at a time, regardless
// of their order: each that is wanted takes one that was got, exact ones first.
func matchUnordered(want, got []string, by int) bool {
	w, g := elements(want, by), elements(got, by)
	if len(w) != len(g) {
		return false
	}
	taken := make([]bool, len(g))
	take := func(fits func(e []string) bool) bool {
		for i, e := range g {
			if !taken[i] && fits(e) {
				taken[i] = true
				return true
			}
		}
		return false
	}
	var open [][]string
	for _, e := range w {
		if !take(func(x []string) bool { return slices.Equal(e, x) }) {
			open = append(open, e)
		}
	}
	for _, e := range open {
		if !take(func(x []string) bool { return matchLines(e, x) }) {
			return false
		}
	}
	return true
}

// elements cuts a printed array into its elements, without their numbers and
// indentation, and brings what is within each into one order.
func elements(lines []string, by int) [][]string {
	var out [][]string
	width := 0
	for i, line := range lines {
		h := header.FindString(line)
		switch {
		case h != "" && (i == 0 || len(h) == width):
			width = len(h)
			out = append(out, []string{line[width:]})
		case len(out) > 0 && len(line) >= width:
			out[len(out)-1] = append(out[len(out)-1], line[width:])
		default:
			return [][]string{lines} // no array: one element, as it is
		}
	}
	for i, e := range out {
		out[i] = inOrder(e)
	}
	var groups [][]string
	for g := range slices.Chunk(out, by) {
		groups = append(groups, slices.Concat(g...))
	}
	return groups
}

// inOrder sorts the elements of a printed array at every level.
func inOrder(lines []string) []string {
	if header.FindString(lines[0]) == "" {
		return lines
	}
	parts := elements(lines, 1)
	slices.SortFunc(parts, slices.Compare)
	return slices.Concat(parts...)
}
