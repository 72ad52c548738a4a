package rdb

import (
	"math"
	"strconv"

	"github.com/ferricd/ferricd/store"
)

// A decoder reads values and tells c what they consist of.
type decoder struct {
	input
	c     store.Contents
	plain []byte // the last text that was uncompressed
	first []byte // a text that is kept while another one is read
	room  digits
}

// text reads a text. It is valid until the next read.
func (d *decoder) text() []byte {
	n, coded := d.length()
	if d.err != nil {
		return nil
	}
	if !coded {
		return d.take(n)
	}
	switch n {
	case codeInt8:
		return d.integer(1)
	case codeInt16:
		return d.integer(2)
	case codeInt32:
		return d.integer(4)
	case codeLZF:
		return d.compressed()
	}
	d.fail(bad("a text is coded as %d", n))
	return nil
}

func (d *decoder) integer(width uint64) []byte {
	b := d.take(width)
	if b == nil {
		return nil
	}
	return part{num: little(b)}.in(&d.room)
}

func (d *decoder) compressed() []byte {
	size := d.number()
	n := d.number()
	src := d.take(size)
	if d.err != nil {
		return nil
	}
	plain, err := lzf(d.plain, src, n)
	if err != nil {
		d.fail(err)
		return nil
	}
	d.plain = plain
	return plain
}

// keep copies a text, so that another one may be read.
func (d *decoder) keep(v []byte) []byte {
	if cap(d.first) > inputKeep {
		d.first = nil
	}
	d.first = append(d.first[:0], v...)
	return d.first
}

// value reads a value of this type.
func (d *decoder) value(kind byte) error {
	switch kind {
	case typeString:
		if v := d.text(); d.err == nil {
			d.c.String(v)
		}
	case typeList:
		d.parts(d.c.List, func() { d.one(d.c.Element) })
	case typeSet:
		d.parts(d.c.Set, func() { d.one(d.c.Member) })
	case typeHash:
		d.parts(func(n int) { d.c.Hash(n, false) }, func() { d.field(0) })
	case typeZSet, typeZSetText:
		d.parts(d.c.ZSet, func() { d.scored(kind == typeZSetText) })
	case typeQuicklist, typeQuicklist2:
		d.quicklist(kind == typeQuicklist2)
	case typeHashTimes:
		d.hashTimes()
	case typeStream, typeStream2, typeStream3:
		d.stream(kind)
	case typeModuleOld, typeModule:
		d.fail(ErrModule)
	default:
		d.compact(kind)
	}
	return d.err
}

// parts reads a value that is its number of parts and they.
func (d *decoder) parts(begin func(n int), read func()) {
	n := d.count()
	if d.err != nil {
		return
	}
	begin(n)
	for ; n > 0 && d.err == nil; n-- {
		read()
	}
}

func (d *decoder) one(tell func(v []byte)) {
	if v := d.text(); d.err == nil {
		tell(v)
	}
}

func (d *decoder) field(expireAt int64) {
	name := d.keep(d.text())
	if value := d.text(); d.err == nil {
		d.c.Field(name, value, expireAt)
	}
}

func (d *decoder) scored(asText bool) {
	member := d.keep(d.text())
	var score float64
	if asText {
		score = d.scoreText()
	} else {
		score = math.Float64frombits(d.uint64())
	}
	if d.err == nil {
		d.tellScored(member, score)
	}
}

func (d *decoder) tellScored(member []byte, score float64) {
	if math.IsNaN(score) {
		d.fail(bad("a score is not a number"))
		return
	}
	d.c.Scored(member, score)
}

// scoreText reads a score in its oldest form: the length of its text, or what has
// none.
func (d *decoder) scoreText() float64 {
	switch n := d.byte(); n {
	case 253:
		return math.NaN()
	case 254:
		return math.Inf(1)
	case 255:
		return math.Inf(-1)
	default:
		return d.score(d.take(uint64(n)))
	}
}

func (d *decoder) score(text []byte) float64 {
	if d.err != nil {
		return 0
	}
	score, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		d.fail(bad("a score is not a number"))
	}
	return score
}

// hashTimes reads a hash of which fields expire: the first of their times, the
// number of fields, and for each its time less the first one and one more, or 0 if
// it has none.
func (d *decoder) hashTimes() {
	first := d.uint64()
	d.parts(func(n int) { d.c.Hash(n, true) }, func() {
		at := d.number()
		if at != 0 {
			at += first - 1
		}
		if at > math.MaxInt64 || first > math.MaxInt64 {
			d.fail(bad("a field expires at %d", at))
			return
		}
		d.field(int64(at))
	})
}

// quicklist reads a list in nodes, each one a ziplist or, in the newer form, a
// listpack or one element.
func (d *decoder) quicklist(newer bool) {
	n := d.count()
	if d.err != nil {
		return
	}
	d.c.List(-1)
	for ; n > 0 && d.err == nil; n-- {
		form := uint64(nodePacked)
		if newer {
			form = d.number()
		}
		v := d.text()
		switch {
		case d.err != nil:
		case form == nodePlain:
			d.c.Element(v)
		case form != nodePacked:
			d.fail(bad("a node of a list has the form %d", form))
		case newer:
			d.check(newListpack(v).each(d.c.Element))
		default:
			d.check(newZiplist(v).each(d.c.Element))
		}
	}
}

func (d *decoder) check(err error) {
	if err != nil {
		d.fail(err)
	}
}

// compact reads a value that is one text.
func (d *decoder) compact(kind byte) {
	var first uint64
	switch kind {
	case typeHashTimesPack:
		first = d.uint64()
	case typeListZiplist, typeSetInts, typeSetListpack, typeHashZipmap,
		typeZSetZiplist, typeZSetListpack, typeHashZiplist, typeHashListpack:
	default:
		d.fail(bad("a value of the unknown type %d", kind))
	}
	v := d.text()
	if d.err != nil {
		return
	}
	switch kind {
	case typeListZiplist:
		d.c.List(-1)
		d.check(newZiplist(v).each(d.c.Element))
	case typeSetInts:
		d.c.Set(-1)
		d.check(eachInt(v, d.c.Member))
	case typeSetListpack:
		d.c.Set(-1)
		d.check(newListpack(v).each(d.c.Member))
	case typeZSetZiplist:
		d.packedZSet(newZiplist(v))
	case typeZSetListpack:
		d.packedZSet(newListpack(v))
	case typeHashTimesPack:
		d.packedTimes(newListpack(v), first)
	default:
		d.packedHash(kind, v)
	}
}

func (d *decoder) packedZSet(p *pack) {
	d.c.ZSet(-1)
	d.check(p.pairs(func(member, score []byte) {
		if s := d.score(score); d.err == nil {
			d.tellScored(member, s)
		}
	}))
}

func (d *decoder) packedHash(kind byte, v []byte) {
	tell := func(name, value []byte) { d.c.Field(name, value, 0) }
	d.c.Hash(-1, false)
	switch kind {
	case typeHashZiplist:
		d.check(newZiplist(v).pairs(tell))
	case typeHashListpack:
		d.check(newListpack(v).pairs(tell))
	case typeHashZipmap:
		d.check(zipmapPairs(v, tell))
	}
}

// packedTimes reads a small hash of which fields expire: name, value and time in
// turn, 0 if it has none.
func (d *decoder) packedTimes(p *pack, first uint64) {
	if first > math.MaxInt64 {
		d.fail(bad("a field expires at %d", first))
		return
	}
	d.c.Hash(-1, true)
	var rooms [2]digits
	for d.err == nil {
		name, ok := p.next()
		if !ok {
			break
		}
		value, at := p.must(), p.mustInt()
		if p.err == nil && at < 0 {
			p.fail("a field expires before all time")
		}
		if p.err == nil {
			d.c.Field(name.in(&rooms[0]), value.in(&rooms[1]), at)
		}
	}
	d.check(p.err)
}
