package command

import (
	"bytes"
	"math"

	"github.com/ferricd/ferricd/store"
)

// An option is one of the words behind key and value; several are a set.
type option uint32

const (
	optNX option = 1 << iota
	optXX
	optIfEq
	optIfNe
	optIfDEq
	optIfDNe
	optGet
	optKeepTTL
	optPersist
	optEX
	optPX
	optEXAT
	optPXAT
	optENX
	optByInt
	optByFloat
	optLBound
	optUBound
	optSaturate
)

const (
	optConditions = optNX | optXX | optIfEq | optIfNe | optIfDEq | optIfDNe
	optTimes      = optEX | optPX | optEXAT | optPXAT
	optExpiries   = optTimes | optKeepTTL | optPersist
	optIncrements = optByInt | optByFloat
)

// optionWords are all options: the word, what may not stand beside it, and
// whether a value follows it.
var optionWords = [...]struct {
	word   string
	option option
	bars   option
	value  bool
}{
	{"NX", optNX, optConditions, false},
	{"XX", optXX, optConditions, false},
	{"IFEQ", optIfEq, optConditions, true},
	{"IFNE", optIfNe, optConditions, true},
	{"IFDEQ", optIfDEq, optConditions, true},
	{"IFDNE", optIfDNe, optConditions, true},
	{"GET", optGet, 0, false},
	{"KEEPTTL", optKeepTTL, optExpiries, false},
	{"PERSIST", optPersist, optExpiries | optENX, false},
	{"EX", optEX, optExpiries, true},
	{"PX", optPX, optExpiries, true},
	{"EXAT", optEXAT, optExpiries, true},
	{"PXAT", optPXAT, optExpiries, true},
	{"ENX", optENX, optPersist, false},
	{"BYINT", optByInt, optIncrements, true},
	{"BYFLOAT", optByFloat, optIncrements, true},
	{"LBOUND", optLBound, 0, true},
	{"UBOUND", optUBound, 0, true},
	{"SATURATE", optSaturate, 0, false},
}

// options are the options of one call.
type options struct {
	seen      option
	time      int // argument with the expiry; the others likewise, 0: not given
	match     int
	increment int
	lower     int
	upper     int
}

func (o *options) has(any option) bool { return o.seen&any != 0 }

// options reads the arguments from i on, which may be those allowed. Redis lets
// an option be repeated, the last one counting, except where once is set.
func (c *Context) options(i int, allowed option, once bool) (o options, err error) {
	for ; i < len(c.Args); i++ {
		row := -1
		for r := range optionWords {
			if optionWords[r].option&allowed != 0 && foldEqual(c.Args[i], optionWords[r].word) {
				row = r
				break
			}
		}
		if row < 0 {
			return o, ErrSyntax
		}
		w := &optionWords[row]
		if o.has(w.bars&^w.option) || once && o.has(w.option) {
			return o, ErrSyntax
		}
		o.seen |= w.option
		if !w.value {
			continue
		}
		if i++; i == len(c.Args) {
			return o, ErrSyntax
		}
		*o.place(w.option) = i
	}
	return o, nil
}

// place is where the position of the option's value is kept.
func (o *options) place(of option) *int {
	switch {
	case of&optTimes != 0:
		return &o.time
	case of&optConditions != 0:
		return &o.match
	case of&optIncrements != 0:
		return &o.increment
	case of == optLBound:
		return &o.lower
	default:
		return &o.upper
	}
}

// expiry is what the options say about the key's expiry: NoExpiry, KeepExpiry or
// a time in Unix milliseconds.
func (o *options) expiry(c *Context) (int64, error) {
	unit, base := int64(1), int64(0)
	switch {
	case o.has(optKeepTTL):
		return store.KeepExpiry, nil
	case !o.has(optTimes):
		return store.NoExpiry, nil
	}
	if o.has(optEX | optEXAT) {
		unit = 1000
	}
	if o.has(optEX | optPX) {
		base = c.Now
	}
	return c.expiryAt(o.time, unit, base)
}

// expiryAt reads argument i as a time in units of so many milliseconds after
// base.
func (c *Context) expiryAt(i int, unit, base int64) (int64, error) {
	n, err := c.Int64(i)
	if err != nil {
		return 0, err
	}
	if n <= 0 || n > math.MaxInt64/unit || n*unit > math.MaxInt64-base {
		return 0, ErrExpireTime(c.Spec)
	}
	return n*unit + base, nil
}

// met tells whether the condition among the options holds for key. The four that
// compare want a string.
func (o *options) met(c *Context, key []byte) (bool, error) {
	switch {
	case !o.has(optConditions):
		return true, nil
	case o.has(optNX):
		return !c.Tx.Exists(key), nil
	case o.has(optXX):
		return c.Tx.Exists(key), nil
	}
	val, ok, err := c.Tx.String(key)
	if err != nil {
		return false, err
	}
	if !ok {
		return o.has(optIfNe | optIfDNe), nil
	}
	return o.compare(val, c.Args[o.match])
}

// compare is met for a key that holds val.
func (o *options) compare(val, with []byte) (bool, error) {
	switch {
	case o.has(optIfEq):
		return bytes.Equal(val, with), nil
	case o.has(optIfNe):
		return !bytes.Equal(val, with), nil
	}
	if len(with) != digestLen {
		return false, ErrDigestLength
	}
	return digestOf(val).is(with) == o.has(optIfDEq), nil
}
