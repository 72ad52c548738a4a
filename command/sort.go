package command

import (
	"bytes"
	"errors"
	"math/bits"
	"slices"

	"github.com/ferricd/ferricd/store"
)

// A sortItem is an element that is being sorted.
type sortItem struct {
	elem   []byte
	weight []byte // what is compared; nil: there is none
}

func sortCommand(c *Context) error   { return c.sort(false) }
func sortROCommand(c *Context) error { return c.sort(true) }

func (c *Context) sort(readonly bool) error {
	o, err := parseSort(c.Args, readonly)
	if err != nil {
		return err
	}
	src, isSet, err := c.sortSource(c.Args[1], &o)
	if err != nil {
		return err
	}
	if isSet && o.nosort && o.store > 0 { // what is stored may not depend on where members lie
		o.nosort, o.alpha, o.by = false, true, nil
	}
	from, to := o.window(src.n)
	items := src.items(&o, from, to)
	switch {
	case !o.nosort:
		if items, err = c.sorted(items, &o, from, to); err != nil {
			return err
		}
	case !src.ordered:
		items = items[from:to]
	}
	if o.store > 0 {
		return c.storeSorted(items, &o)
	}
	return c.replySorted(items, &o)
}

// A sortSource is the collection that SORT reads.
type sortSource struct {
	n       int
	ordered bool // has an order of its own, which stays when nothing is sorted
	each    func(first int, reverse bool, fn func(e store.Elem) bool)
}

// sortSource opens the list, set or sorted set at key; a missing one is empty.
func (c *Context) sortSource(key []byte, o *sortArgs) (src sortSource, isSet bool, err error) {
	switch c.Tx.Type(key) {
	case store.None:
		return sortSource{ordered: true, each: func(int, bool, func(store.Elem) bool) {}}, false, nil
	case store.ListType:
		l, err := c.Tx.List(key)
		if err != nil {
			return src, false, err
		}
		return sortSource{l.Len(), true, func(first int, reverse bool, fn func(store.Elem) bool) {
			if reverse {
				first = l.Len() - 1 - first
			}
			l.Each(first, reverse, func(_ int, e store.Elem) bool { return fn(e) })
		}}, false, nil
	case store.SetType:
		s, err := c.Tx.Set(key)
		if err != nil {
			return src, true, err
		}
		return sortSource{s.Len(), false, func(_ int, _ bool, fn func(store.Elem) bool) { s.Each(fn) }}, true, nil
	case store.ZSetType:
		z, err := c.Tx.ZSet(key)
		if err != nil {
			return src, false, err
		}
		return sortSource{z.Len(), true, func(first int, reverse bool, fn func(store.Elem) bool) {
			if reverse {
				first = z.Len() - 1 - first
			}
			z.Each(first, reverse, func(e store.Elem, _ float64) bool { return fn(e) })
		}}, false, nil
	}
	return src, false, store.ErrWrongType
}

// items reads the elements: those of the window if they have their order, all
// otherwise. They stay as they are until the end of the call.
func (src *sortSource) items(o *sortArgs, from, to int) []sortItem {
	n, reverse := src.n, false
	if o.nosort && src.ordered {
		n, reverse = to-from, o.desc
	} else {
		from = 0
	}
	if n == 0 {
		return nil
	}
	items := make([]sortItem, 0, n)
	var digits []byte
	src.each(from, reverse, func(e store.Elem) bool {
		elem := e.Str
		if e.IsInt() {
			start := len(digits)
			digits = e.Append(digits)
			elem = digits[start:len(digits):len(digits)]
		}
		items = append(items, sortItem{elem: elem})
		return len(items) < n
	})
	return items
}

// A sortKey stands for an item while it is being sorted.
type sortKey struct {
	score float64
	at    int // in items
}

// sorted returns a part of the items as it is when all are sorted.
func (c *Context) sorted(items []sortItem, o *sortArgs, from, to int) ([]sortItem, error) {
	keys := make([]sortKey, len(items))
	numbers := true
	for i := range items {
		it, ok := &items[i], true
		it.weight = it.elem
		if o.by != nil {
			var err error
			if it.weight, ok, err = c.byPattern(o.by, it.elem); err != nil {
				return nil, err
			}
		}
		keys[i].at = i
		if ok && !o.alpha {
			keys[i].score, ok = sortNumber(it.weight)
			numbers = numbers && ok
		}
	}
	if !numbers {
		return nil, ErrSortScores
	}
	sortPart(keys, from, to, o.order(items))
	out := make([]sortItem, to-from)
	for i := range out {
		out[i] = items[keys[from+i].at]
	}
	return out, nil
}

// order is how items are compared. Items that are equal stay as they were.
func (o *sortArgs) order(items []sortItem) func(a, b sortKey) int {
	text := collate
	if o.store > 0 {
		text = bytes.Compare
	}
	return func(a, b sortKey) (d int) {
		switch {
		case o.alpha:
			d = compareWeights(items[a.at].weight, items[b.at].weight, text)
		case a.score < b.score:
			d = -1
		case a.score > b.score:
			d = 1
		default:
			d = bytes.Compare(items[a.at].elem, items[b.at].elem)
		}
		if o.desc {
			d = -d
		}
		if d == 0 {
			d = a.at - b.at
		}
		return d
	}
}

// sortPart sorts keys, all of which differ, so far that those from one place up to
// another are where they belong: what lies wholly beside them stays unsorted.
// Where it makes no good progress it sorts all.
func sortPart(keys []sortKey, from, to int, compare func(a, b sortKey) int) {
	for tries := 2 * bits.Len(uint(len(keys))); tries > 0 && len(keys) > 64 && to-from < len(keys)/4; tries-- {
		// Three parts around the middle one of three.
		a, b, c := keys[0], keys[len(keys)/2], keys[len(keys)-1]
		if compare(a, b) > 0 {
			a, b = b, a
		}
		if compare(b, c) > 0 {
			b = c
			if compare(a, b) > 0 {
				b = a
			}
		}
		less := 0
		for i := range keys {
			if compare(keys[i], b) < 0 {
				keys[i], keys[less] = keys[less], keys[i]
				less++
			}
		}
		switch {
		case to <= less:
			keys = keys[:less]
		case from >= less:
			keys, from, to = keys[less:], from-less, to-less
		default:
			sortPart(keys[:less], from, less, compare)
			sortPart(keys[less:], 0, to-less, compare)
			return
		}
	}
	if from < to {
		slices.SortFunc(keys, compare)
	}
}

// compareWeights puts what has no weight first.
func compareWeights(a, b []byte, text func(a, b []byte) int) int {
	switch {
	case a != nil && b != nil:
		return text(a, b)
	case a != nil:
		return 1
	case b != nil:
		return -1
	}
	return 0
}

// collate compares as Redis does what is only shown: up to the first NUL.
func collate(a, b []byte) int { return bytes.Compare(cut0(a), cut0(b)) }

func cut0(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}

var arrow = []byte("->")

// byPattern is what a pattern of BY or GET names for an element: the element
// itself (#), the string at a key, or a field of the hash there.
func (c *Context) byPattern(pattern, elem []byte) (val []byte, ok bool, err error) {
	if len(pattern) == 1 && pattern[0] == '#' {
		return elem, true, nil
	}
	at := star(pattern)
	if at < 0 {
		return nil, false, nil
	}
	head, tail := pattern[:at], pattern[at+1:]
	var field []byte
	if i := bytes.Index(cut0(tail), arrow); i >= 0 && i+2 < len(cut0(tail)) {
		tail, field = tail[:i], tail[i+2:]
	}
	key := slices.Concat(head, elem, tail) // the Tx keeps it
	if field == nil {
		val, ok, err = c.Tx.String(key)
	} else {
		val, ok, err = c.hashField(key, field)
	}
	if errors.Is(err, store.ErrWrongType) {
		return nil, false, nil
	}
	if ok && val == nil {
		val = []byte{}
	}
	return val, ok, err
}

func (c *Context) hashField(key, field []byte) (val []byte, ok bool, err error) {
	h, err := c.Tx.Hash(key)
	if h == nil {
		return nil, false, err
	}
	e, ok := h.Get(field, c.Now)
	if !ok {
		return nil, false, nil
	}
	return e.Append(nil), true, nil
}

// eachSorted calls fn with everything that SORT answers, in order.
func (c *Context) eachSorted(items []sortItem, o *sortArgs, fn func(val []byte, ok bool)) error {
	for i := range items {
		if len(o.get) == 0 {
			fn(items[i].elem, true)
		}
		for _, pattern := range o.get {
			val, ok, err := c.byPattern(pattern, items[i].elem)
			if err != nil {
				return err
			}
			fn(val, ok)
		}
	}
	return nil
}

func (c *Context) replySorted(items []sortItem, o *sortArgs) error {
	c.Reply.Array(len(items) * max(len(o.get), 1))
	return c.eachSorted(items, o, func(val []byte, ok bool) { c.Reply.BulkOrNull(val, ok) })
}

var argvRPush = []byte("RPUSH")

// storeSorted is logged as the list that it makes: what it read may be other keys
// by the time of a replay, and equal weights have no order.
func (c *Context) storeSorted(items []sortItem, o *sortArgs) error {
	key := c.Args[o.store]
	record := make([][]byte, 0, 2+len(items)*max(len(o.get), 1))
	record = append(record, argvRPush, key)
	err := c.eachSorted(items, o, func(val []byte, _ bool) { record = append(record, val) })
	if err != nil {
		return err
	}
	vals := record[2:]
	if len(vals) == 0 {
		c.drop(key)
		c.Reply.Int(0)
		return nil
	}
	if c.Tx.Delete(key) {
		c.Effect(argvDel, key)
	}
	l, err := c.Tx.EditList(key, true)
	if err != nil {
		return err
	}
	for _, v := range vals {
		l.PushBack(v)
	}
	c.Effect(record...)
	c.Notify(NotifyList, "sortstore", key)
	c.Reply.Int(int64(len(vals)))
	return nil
}

const (
	costSort = "O(N+M*log(M)) where N is the number of elements and M the number of those that are sorted; " +
		"O(N) where nothing is sorted"
	usageSort = "key [BY pattern] [LIMIT offset count] [GET pattern]... [ASC | DESC]:order [ALPHA]:sorting"
	notesBy   = "the keys of BY and GET follow from the elements"
)

var sortCommands = []Spec{
	{
		Name: "SORT", Usage: usageSort + " [STORE destination]", Arity: -2, Group: Generic, Since: "1.0.0",
		Complexity: costSort, Categories: CatNotGroup | CatSet | CatSortedSet | CatList | CatDangerous,
		Flags: Write | DenyOOM, Gate: sortGate, Run: sortCommand,
		Keys: []KeySpec{
			Key(1, RO|Reads),
			{Access: RO | Reads, find: noKeys, Notes: notesBy},
			{Access: OW | Updates, find: sortStoreKey, Notes: "STORE may stand anywhere among the options"},
		},
		Summary: "Sorts a list, a set or a sorted set, by other keys if asked to, and answers with it or stores it.",
	},
	{
		Name: "SORT_RO", Usage: usageSort, Arity: -2, Group: Generic, Since: "7.0.0",
		Complexity: costSort, Categories: CatNotGroup | CatSet | CatSortedSet | CatList | CatDangerous,
		Flags: Readonly, Gate: sortGate, Run: sortROCommand,
		Keys:    []KeySpec{Key(1, RO|Reads), {Access: RO | Reads, find: noKeys, Notes: notesBy}},
		Summary: "Sorts a list, a set or a sorted set, by other keys if asked to, and answers with it.",
	},
}
