package store

// Visit tells c what o consists of. Fields of a hash that have expired by now are
// left out; with 0 none has.
//
// It changes nothing. The caller sees to it that nobody else does: it holds the
// object's mutex, for reading at least, or is the only one who knows o.
func Visit(o Object, now int64, c Contents) {
	v := visitor{Contents: c}
	switch o := o.(type) {
	case *Buffer:
		c.String(o.View())
	case *List:
		v.list(o)
	case *Set:
		v.set(o)
	case *ZSet:
		v.zset(o)
	case *Hash:
		v.hash(o, now)
	case *Stream:
		v.stream(o)
	}
}

// Visit tells c what the value at key consists of, and whether there is one. It
// counts as an access. After ErrRetry c has been told nothing.
func (tx *Tx) Visit(key []byte, c Contents) (ok bool, err error) {
	t := tx.Type(key)
	if t == None {
		return false, nil
	}
	if t == StringType {
		text, ok, err := tx.String(key)
		if ok && err == nil {
			c.String(text)
		}
		return ok, err
	}
	o, err := tx.Object(key, t)
	if o == nil || err != nil {
		return false, err
	}
	Visit(o, tx.now, c)
	return true, nil
}

// A visitor has the room in which integers become text, two at a time.
type visitor struct {
	Contents
	a, b [intText]byte
}

func (v *visitor) list(l *List) {
	v.List(l.Len())
	l.Each(0, false, func(_ int, e Elem) bool {
		v.Element(e.text(&v.a))
		return true
	})
}

func (v *visitor) set(s *Set) {
	v.Set(s.Len())
	s.Each(func(e Elem) bool {
		v.Member(e.text(&v.a))
		return true
	})
}

func (v *visitor) zset(z *ZSet) {
	v.ZSet(z.Len())
	z.Each(0, false, func(e Elem, score float64) bool {
		v.Scored(e.text(&v.a), score)
		return true
	})
}

func (v *visitor) hash(h *Hash, now int64) {
	timed := h.Due() != 0
	v.Hash(h.Live(now), timed)
	h.Each(now, func(f, val Elem) bool {
		name, at := f.text(&v.a), int64(0)
		if timed {
			at, _ = h.more.times.get(name)
		}
		v.Field(name, val.text(&v.b), at)
		return true
	})
}

func (v *visitor) stream(s *Stream) {
	v.Stream(s.Len())
	var fields [][]byte
	var digits []byte // what fields has of integers
	text := func(e Elem) []byte {
		if !e.IsInt() {
			return e.Str
		}
		from := len(digits)
		digits = e.Append(digits)
		return digits[from:len(digits):len(digits)]
	}
	s.Each(StreamID{}, MaxStreamID, func(e *StreamEntry) bool {
		fields, digits = fields[:0], digits[:0]
		e.Each(func(f, val Elem) { fields = append(fields, text(f), text(val)) })
		v.Entry(e.ID, fields)
		return true
	})
	v.State(StreamState{Last: s.last, MaxDeleted: s.maxDeleted, Added: s.added, Groups: len(s.groups)})
	for _, g := range s.groups {
		v.group(g)
	}
}

func (v *visitor) group(g *Group) {
	v.Group(GroupHead{
		Name: []byte(g.name), Last: g.last, Read: g.read,
		Consumers: len(g.consumers), Pending: g.Pending(),
	})
	names := make(map[*Consumer][]byte, len(g.consumers))
	for _, c := range g.consumers {
		names[c] = []byte(c.name)
		v.Consumer(ConsumerHead{Name: names[c], Seen: c.Seen()})
	}
	g.Each(StreamID{}, func(p *Pending) bool {
		v.Pending(PendingEntry{ID: p.ID, Consumer: names[p.Consumer], At: p.At, Count: p.Count})
		return true
	})
}
