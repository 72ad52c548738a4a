package command

import (
	"bytes"
	"math"

	"github.com/ferricd/ferricd/store"
)

// streamNumber reads half of a stream ID. Redis takes what C's strtoull takes:
// spaces and a sign in front, and zeros.
func streamNumber(b []byte) (uint64, bool) {
	if n, ok := ParseInt(b); ok {
		return uint64(n), n >= 0
	}
	b = bytes.TrimLeft(b, " \t\n\v\f\r")
	neg := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		neg = b[0] == '-'
		b = b[1:]
	}
	var n uint64
	for _, c := range b {
		d := uint64(c - '0')
		if d > 9 || n > (math.MaxUint64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	if neg {
		n = -n
	}
	return n, len(b) > 0
}

// longestStreamID is the most that may stand for an ID.
const longestStreamID = 127

// splitStreamID parts an ID at its dash.
func splitStreamID(b []byte) (ms, seq []byte, both bool) {
	if len(b) > longestStreamID {
		return nil, nil, false
	}
	if end := bytes.IndexByte(b, 0); end >= 0 {
		b = b[:end]
	}
	return bytes.Cut(b, []byte{'-'})
}

// parseStreamID reads an ID, which may leave out its second half.
func parseStreamID(b []byte, missing uint64) (id store.StreamID, ok bool) {
	ms, seq, both := splitStreamID(b)
	if id.Ms, ok = streamNumber(ms); !ok {
		return id, false
	}
	id.Seq = missing
	if both {
		id.Seq, ok = streamNumber(seq)
	}
	return id, ok
}

// streamID reads argument i as an ID.
func (c *Context) streamID(i int) (store.StreamID, error) {
	id, ok := parseStreamID(c.Args[i], 0)
	if !ok {
		return id, ErrStreamID
	}
	return id, nil
}

// streamIDs reads the arguments from i on as IDs; there may not be any other.
func (c *Context) streamIDs(i int) error {
	for ; i < len(c.Args); i++ {
		if _, err := c.streamID(i); err != nil {
			return err
		}
	}
	return nil
}

// rangeID reads a limit of a range: an ID, that is left out if a "(" stands
// before it, or one of "-" and "+".
func rangeID(b []byte, missing uint64) (id store.StreamID, open bool, err error) {
	switch {
	case len(b) > 1 && b[0] == '(':
		id, ok := parseStreamID(b[1:], missing)
		if !ok {
			return id, true, ErrStreamID
		}
		return id, true, nil
	case string(b) == "-":
		return store.StreamID{}, false, nil
	case string(b) == "+":
		return store.MaxStreamID, false, nil
	}
	id, ok := parseStreamID(b, missing)
	if !ok {
		return id, false, ErrStreamID
	}
	return id, false, nil
}

// rangeStart reads argument i as the first ID of a range.
func (c *Context) rangeStart(i int) (store.StreamID, error) {
	id, open, err := rangeID(c.Args[i], 0)
	if err == nil && open {
		next, ok := id.Next()
		if !ok {
			return id, ErrRangeStart
		}
		id = next
	}
	return id, err
}

// rangeEnd reads argument i as the last ID of a range.
func (c *Context) rangeEnd(i int) (store.StreamID, error) {
	id, open, err := rangeID(c.Args[i], math.MaxUint64)
	if err == nil && open {
		prev, ok := id.Prev()
		if !ok {
			return id, ErrRangeEnd
		}
		id = prev
	}
	return id, err
}

// trimArgs are the options of XADD and XTRIM.
type trimArgs struct {
	store.StreamTrim
	trims      bool
	noMake     bool
	limitGiven bool
}

// trimOptions reads the options of XADD and XTRIM from argument i on and returns
// where the first argument stands that is none, which XTRIM refuses.
func (c *Context) trimOptions(i int) (t trimArgs, next int, err error) {
	adds := c.Spec.Name == "XADD"
options:
	for ; i < len(c.Args); i++ {
		more := i+1 < len(c.Args)
		switch {
		case more && c.Is(i, "MAXLEN"), more && c.Is(i, "MINID"):
			i, err = c.trimStrategy(&t, i)
		case more && c.Is(i, "LIMIT"):
			i++
			t.limitGiven = true
			t.Limit, err = c.Int64(i)
			if err == nil && t.Limit < 0 {
				err = ErrTrimLimit
			}
		case adds && c.Is(i, "NOMKSTREAM"):
			t.noMake = true
		case adds:
			break options
		default:
			err = ErrSyntax
		}
		if err != nil {
			return t, i, err
		}
	}
	return t, i, c.checkTrim(&t, adds, i)
}

// trimStrategy reads MAXLEN or MINID, what stands at i, and returns the position
// of its last word.
func (c *Context) trimStrategy(t *trimArgs, i int) (last int, err error) {
	if t.trims {
		return i, ErrTrimTwice
	}
	t.trims, t.ByID, t.Approx = true, c.Is(i, "MINID"), false
	i++
	if i+1 < len(c.Args) && len(c.Args[i]) == 1 && (c.Args[i][0] == '~' || c.Args[i][0] == '=') {
		t.Approx = c.Args[i][0] == '~'
		i++
	}
	if t.ByID {
		t.MinID, err = c.streamID(i)
		return i, err
	}
	t.MaxLen, err = c.Int64(i)
	if err == nil && t.MaxLen < 0 {
		err = ErrMaxLenTrim
	}
	return i, err
}

// checkTrim refuses options that do not go together, and sets the limit where
// none is given. XADD has to say an ID at argument i before that.
func (c *Context) checkTrim(t *trimArgs, adds bool, i int) error {
	if adds && i < len(c.Args) && !t.auto(c.Args[i]) {
		if _, _, ok := newStreamID(c.Args[i]); !ok {
			return ErrStreamID
		}
	}
	switch {
	case t.Limit != 0 && !t.trims:
		return ErrLimitAlone
	case !adds && !t.trims:
		return ErrTrimHow
	case t.limitGiven && !t.Approx:
		return ErrLimitExact
	case !t.limitGiven && t.Approx:
		t.Limit = 100 * c.Tx.StreamLimits().NodeEntries
		if t.Limit <= 0 {
			t.Limit = 10_000
		}
		t.Limit = min(t.Limit, 1_000_000)
	}
	return nil
}

func (t *trimArgs) auto(id []byte) bool { return len(id) == 1 && id[0] == '*' }

// newStreamID reads the ID of an entry that XADD is to add; whole tells whether
// its second half is given, too.
func newStreamID(b []byte) (id store.StreamID, whole, ok bool) {
	ms, seq, both := splitStreamID(b)
	if both && string(seq) == "*" {
		id.Ms, ok = streamNumber(ms)
		return id, false, ok
	}
	id, ok = parseStreamID(b, 0)
	return id, true, ok
}

// word prints an ID as a word of an effect.
func (c *Context) idWord(id store.StreamID) []byte {
	start := len(c.digits)
	c.digits = id.Append(c.digits)
	return c.digits[start:len(c.digits):len(c.digits)]
}

// replyID replies with an ID.
func (c *Context) replyID(id store.StreamID) {
	var room [41]byte
	c.Reply.Bulk(id.Append(room[:0]))
}

// replyCounted replies with an array of as many elements as fill says that it
// has written.
func (c *Context) replyCounted(fill func() int) {
	mark := c.Reply.Len()
	n := fill()
	c.putBefore(mark, func() { c.Reply.Array(n) })
}

// putBefore writes a header, of 64 bytes at most, before what the reply holds
// from mark on.
func (c *Context) putBefore(mark int, header func()) {
	end := c.Reply.Len()
	header()
	b := c.Reply.Bytes()[mark:]
	var head [64]byte
	h := copy(head[:], b[end-mark:])
	copy(b[h:], b[:end-mark])
	copy(b, head[:h])
}

// replyEntry replies with an entry: its ID, and names and values in turn.
func (c *Context) replyEntry(e *store.StreamEntry) {
	c.Reply.Array(2)
	c.replyID(e.ID)
	c.Reply.Array(2 * e.Len())
	e.Each(func(field, value store.Elem) {
		c.elem(field)
		c.elem(value)
	})
}
