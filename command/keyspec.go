package command

import (
	"errors"
	"strconv"
)

// Access says what a command does with a key, in the words of COMMAND's key
// specifications.
type Access uint16

const (
	RO            Access = 1 << iota // reads the value or tells about it
	RW                               // reads and then writes: read-modify-write
	OW                               // overwrites without looking
	RM                               // removes without looking
	Reads                            // the value reaches the client or another key
	Updates                          // the value is changed depending on its old one
	Inserts                          // something is added
	Deletes                          // something is taken away
	NotKey                           // not a key, though it decides routing
	Incomplete                       // some keys are not covered
	VariableFlags                    // options decide what is done
)

// A KeySpec says where keys stand in a command: where the search begins, and
// how keys are found from there.
type KeySpec struct {
	Access  Access
	index   int    // begins at this argument …
	keyword string // … or after this word
	from    int    // where the search for keyword starts; negative: from the end
	counted bool   // the number of keys stands first
	last    int    // range: last key relative to the first; negative: from the end
	step    int
	limit   int      // range up to the end: only the first 1/limit of it
	find    KeysFunc // neither of the above
	exact   KeysFunc // finds what the pattern only finds in common calls
	vary    AccessFunc
	Notes   string
}

// An AccessFunc tells what a call with these arguments does with its key, where
// that depends on options.
type AccessFunc func(args [][]byte) Access

// A KeysFunc finds the positions of keys that follow no pattern.
type KeysFunc func(args [][]byte) []int

// Key is one key at argument i.
func Key(i int, a Access) KeySpec { return KeySpec{Access: a, index: i, step: 1} }

// Keys is a range of keys: first and last argument (negative: from the end) and
// the step from one key to the next.
func Keys(first, last, step int, a Access) KeySpec {
	if last >= 0 {
		last -= first
	}
	return KeySpec{Access: a, index: first, last: last, step: step}
}

// CountedKeys is a number of keys at argument i, with the keys after it.
func CountedKeys(i int, a Access) KeySpec {
	return KeySpec{Access: a, index: i, counted: true, step: 1}
}

// After is a spec that starts behind a keyword, looked for from argument 1; the
// first position of s is relative to the keyword.
func After(keyword string, s KeySpec) KeySpec {
	s.keyword, s.from = keyword, 1
	return s
}

// From sets where the search for the keyword starts; negative: from the end.
func (s KeySpec) From(i int) KeySpec { s.from = i; return s }

// Half limits a range to the first half of what it covers.
func (s KeySpec) Half() KeySpec { s.limit = 2; return s }

// Unknown is a spec that clients cannot evaluate; find does.
func Unknown(a Access, find KeysFunc) KeySpec { return KeySpec{Access: a, find: find} }

func (s *KeySpec) accessBy(args [][]byte) Access {
	if s.vary != nil {
		return s.vary(args)
	}
	return s.Access
}

// Varies lets fn say what a call does with its keys.
func (s KeySpec) Varies(fn AccessFunc) KeySpec {
	s.Access |= VariableFlags
	s.vary = fn
	return s
}

// By lets find look for the keys, where the pattern that clients are told does not
// find them in every call.
func (s KeySpec) By(find KeysFunc) KeySpec { s.exact = find; return s }

var errBadKeys = errors.New("command: keys cannot be found in these arguments")

// each calls fn with the position of every key of s in args.
func (s *KeySpec) each(args [][]byte, fn func(i int)) error {
	find := s.find
	if s.exact != nil {
		find = s.exact
	}
	if find != nil {
		for _, i := range find(args) {
			fn(i)
		}
		return nil
	}
	first := s.index
	if s.keyword != "" {
		at := findWord(args, s.keyword, s.from)
		if at < 0 {
			return nil
		}
		first = at + s.index
	}
	if s.counted {
		return s.eachCounted(args, first, fn)
	}
	last := first + s.last
	if s.last < 0 {
		last = len(args) + s.last
		if s.limit > 1 {
			last = first + (len(args)-first)/s.limit + s.last
		}
	}
	if first >= len(args) && (s.last >= 0 || s.keyword != "") { // up to the end there may be none
		return errBadKeys
	}
	for i := first; i <= last && i < len(args); i += s.step {
		fn(i)
	}
	return nil
}

func (s *KeySpec) eachCounted(args [][]byte, at int, fn func(i int)) error {
	if at >= len(args) {
		return errBadKeys
	}
	n, err := strconv.Atoi(string(args[at]))
	if err != nil || n < 0 || n > (len(args)-at-1)/s.step {
		return errBadKeys
	}
	for i := range n {
		fn(at + 1 + i*s.step)
	}
	return nil
}

// findWord looks for keyword in args, forward from position from, or backward
// when from is negative.
func findWord(args [][]byte, keyword string, from int) int {
	if from >= 0 {
		for i := from; i < len(args); i++ {
			if foldEqual(args[i], keyword) {
				return i
			}
		}
		return -1
	}
	for i := len(args) + from; i > 0; i-- {
		if foldEqual(args[i], keyword) {
			return i
		}
	}
	return -1
}

// EachKey calls fn with the position of every key in args and the access that
// its spec declares for such a call. Args that hold no valid count of keys are an error: the
// handler will refuse them, and nothing needs a latch.
func (s *Spec) EachKey(args [][]byte, fn func(i int, a Access)) error {
	for k := range s.Keys {
		ks := &s.Keys[k]
		if ks.Access&NotKey != 0 {
			continue
		}
		access := ks.accessBy(args)
		if err := ks.each(args, func(i int) { fn(i, access) }); err != nil {
			return err
		}
	}
	return nil
}
