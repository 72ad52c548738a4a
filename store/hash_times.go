package store

import (
	"encoding/binary"
	"slices"
	"unsafe"
)

// fieldTimes are the expiries of those fields of a hash that have one, in a heap
// with the earliest first. A cell's rest says where in the heap its field stands.
type fieldTimes struct {
	fields dict
	heap   []fieldTime
}

type fieldTime struct {
	at int64 // Unix ms
	c  *cell
}

const fieldTimeRest = 4

var (
	fieldTimesOverhead = sizeClass(int(unsafe.Sizeof(fieldTimes{})))
	fieldTimeSize      = int(unsafe.Sizeof(fieldTime{}))
)

func newFieldTimes() *fieldTimes {
	t := new(fieldTimes)
	t.fields.init(0)
	return t
}

func (t *fieldTimes) bytes() int64 {
	return fieldTimesOverhead + t.fields.bytes() + sizeClass(cap(t.heap)*fieldTimeSize)
}

func (t *fieldTimes) index(c *cell) int {
	return int(binary.LittleEndian.Uint32(c.rest(fieldTimeRest)))
}

// place puts a time at the i-th place of the heap.
func (t *fieldTimes) place(i int, x fieldTime) {
	t.heap[i] = x
	binary.LittleEndian.PutUint32(x.c.rest(fieldTimeRest), uint32(i))
}

func (t *fieldTimes) get(field []byte) (at int64, ok bool) {
	c := t.fields.get(field)
	if c == nil {
		return 0, false
	}
	return t.heap[t.index(c)].at, true
}

func (t *fieldTimes) set(field []byte, at int64) {
	hash := t.fields.hash(field)
	if p := t.fields.find(hash, field); p.c != nil {
		i := t.index(p.c)
		t.heap[i].at = at
		t.settle(i)
		return
	}
	c := newCell(field, fieldTimeRest)
	t.fields.add(hash, c, cellSize(len(field), fieldTimeRest))
	t.heap = append(t.heap, fieldTime{at, c})
	t.settle(len(t.heap) - 1)
}

func (t *fieldTimes) drop(field []byte) (at int64, ok bool) {
	hash := t.fields.hash(field)
	p := t.fields.find(hash, field)
	if p.c == nil {
		return 0, false
	}
	i := t.index(p.c)
	at = t.heap[i].at
	t.fields.remove(hash, p, cellSize(len(field), fieldTimeRest))
	last := len(t.heap) - 1
	x := t.heap[last]
	t.heap[last] = fieldTime{}
	t.heap = t.heap[:last]
	if i < last {
		t.heap[i] = x
		t.settle(i)
	}
	if cap(t.heap) > 64 && len(t.heap) < cap(t.heap)/4 {
		t.heap = slices.Clip(slices.Clone(t.heap))
	}
	return at, true
}

// settle moves the i-th time up or down to where it belongs.
func (t *fieldTimes) settle(i int) {
	x := t.heap[i]
	for i > 0 && x.at < t.heap[(i-1)/2].at {
		t.place(i, t.heap[(i-1)/2])
		i = (i - 1) / 2
	}
	for {
		child := 2*i + 1
		if child+1 < len(t.heap) && t.heap[child+1].at < t.heap[child].at {
			child++
		}
		if child >= len(t.heap) || x.at <= t.heap[child].at {
			break
		}
		t.place(i, t.heap[child])
		i = child
	}
	t.place(i, x)
}

// due counts the times that are over.
func (t *fieldTimes) due(now int64) int { return t.dueBelow(0, now) }

func (t *fieldTimes) dueBelow(i int, now int64) int {
	if i >= len(t.heap) || now <= t.heap[i].at {
		return 0
	}
	return 1 + t.dueBelow(2*i+1, now) + t.dueBelow(2*i+2, now)
}

func (t *fieldTimes) clone() *fieldTimes {
	n := &fieldTimes{heap: slices.Clone(t.heap)}
	n.fields = t.fields.clone(func(c *cell) *cell {
		x := newCell(c.key(), fieldTimeRest)
		i := t.index(c)
		n.place(i, fieldTime{t.heap[i].at, x})
		return x
	})
	return n
}

// Due is when the next field expires or the first one has expired, 0 if none has
// an expiry.
func (h *Hash) Due() int64 {
	if h.more == nil || h.more.times == nil || len(h.more.times.heap) == 0 {
		return 0
	}
	return h.more.times.heap[0].at
}

// ExpireAt is when a field expires; at 0: never. ok tells whether there is such a
// field.
func (h *Hash) ExpireAt(field []byte, now int64) (at int64, ok bool) {
	if _, ok = h.Get(field, now); ok && h.Due() != 0 {
		at, _ = h.more.times.get(field)
	}
	return at, ok
}

// SetExpiry lets a field, which is there, expire at a time, or never if that is
// 0.
func (h *Hash) SetExpiry(field []byte, at int64) {
	if at == 0 {
		if h.more != nil && h.more.times != nil {
			h.more.times.drop(field)
		}
		return
	}
	if h.more == nil {
		h.more = new(hashMore)
	}
	if h.more.times == nil {
		h.more.times = newFieldTimes()
	}
	h.more.times.set(field, at)
}

// TakeExpired takes out up to limit fields that have expired and returns them.
func (h *Hash) TakeExpired(now int64, limit int) (fields [][]byte) {
	for h.due(now) && len(fields) < limit {
		t := h.more.times
		field := slices.Clone(t.heap[0].c.key())
		t.drop(field)
		h.remove(field)
		fields = append(fields, field)
	}
	return fields
}
