package differ

import (
	"slices"
	"strconv"
)

// contents are the calls that tell all of a value, by its type.
var contents = map[string][]string{
	"string": {"GET"}, "list": {"LRANGE", "0", "-1"}, "set": {"SMEMBERS"}, "hash": {"HGETALL"},
	"zset": {"ZRANGE", "0", "-1", "WITHSCORES"}, "stream": {"XINFO", "STREAM", "FULL"},
}

// walk compares the two keyspaces: of each key type, encoding and end of life,
// and contents if the digests are not the same.
func (r *round) walk() (*Difference, error) {
	if r.multi {
		if err := r.must([]string{"DISCARD"}); err != nil {
			return nil, err
		}
		r.multi = false
	}
	if d, err := r.walkAll(false); d != nil || err != nil {
		return d, err
	}
	// What had expired is gone by now, so that only what is there counts.
	digest, err := r.exchange([][]string{{"DEBUG", "DIGEST"}})
	if digest == nil || err != nil {
		return nil, err
	}
	if d, err := r.walkAll(true); d != nil || err != nil {
		return d, err
	}
	return digest, nil
}

// walked are the databases that calls can reach, but for some that nobody draws.
var walked = []int{0, 1, 2, 15}

func (r *round) walkAll(whole bool) (*Difference, error) {
	var calls [][]string
	for _, db := range walked {
		// SCAN deletes what has expired; KEYS only passes over it.
		calls = append(calls, []string{"SELECT", strconv.Itoa(db)}, []string{"SCAN", "0", "COUNT", "100000"}, []string{"KEYS", "*"})
	}
	if d, err := r.exchange(calls); d != nil || err != nil {
		return d, err
	}
	lists, err := Ask(r.theirs, calls)
	if err != nil {
		return nil, err
	}
	var keys [][]string
	for i, argv := range calls {
		switch argv[0] {
		case "SELECT":
			keys = append(keys, argv)
		case "KEYS":
			for _, k := range lists[i].Elems {
				keys = append(keys, []string{"TYPE", k.Str}, []string{"PEXPIRETIME", k.Str}, []string{"OBJECT", "ENCODING", k.Str})
			}
		}
	}
	if d, err := r.exchange(keys); d != nil || err != nil || !whole {
		return d, err
	}
	return r.compareContents(keys)
}

// compareContents compares the values of keys, given by the calls for their
// types.
func (r *round) compareContents(keys [][]string) (*Difference, error) {
	for _, argv := range keys {
		if argv[0] == "SELECT" {
			if err := r.must(argv); err != nil {
				return nil, err
			}
		}
		if argv[0] != "TYPE" {
			continue
		}
		t, err := r.theirs.Do(argv...)
		if err != nil {
			return nil, err
		}
		calls := [][]string{{"DEBUG", "DIGEST-VALUE", argv[1]}}
		if c := contents[t.Str]; t.Str == "stream" {
			calls = append([][]string{{"XRANGE", argv[1], "-", "+"}, {c[0], c[1], argv[1], c[2]}}, calls...)
		} else if len(c) > 0 {
			calls = append([][]string{slices.Insert(slices.Clone(c), 1, argv[1])}, calls...)
		}
		if d, err := r.exchange(calls); d != nil || err != nil {
			return d, err
		}
	}
	return nil, nil
}
