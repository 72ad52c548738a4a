package resp

import "math"

// minRead is the least room for one read from the socket.
const minRead = 512

// An input is what has been received and not yet run. It belongs to the
// connection's goroutine, and to the watch while that goroutine is parked.
type input struct {
	guard  guard
	buf    *buffer // nil while nothing is kept
	pos    int     // buf.b[pos:] is not parsed yet
	pinned bool    // a batch points into buf: its bytes stay where they are
	hint   sizeHint
}

// unread is the number of bytes received and not parsed.
func (in *input) unread() int {
	if in.buf == nil {
		return 0
	}
	return len(in.buf.b) - in.pos
}

// parse moves whole commands to b, as many as fit. broken is a protocol error in
// what follows them; the next call looks at it again, with the limits of then.
func (in *input) parse(b *Batch) (broken string) {
	if in.buf == nil {
		return ""
	}
	g := &in.guard
	for len(b.cmds) < maxBatch && len(b.args) < batchArgs {
		mark := len(b.args)
		fresh := g.left == 0
		var v verdict
		var n int
		rest := in.buf.b[in.pos:]
		if fresh {
			v, n = g.scan(rest, &b.args)
		} else {
			v, n = g.scan(rest, nil)
		}
		switch v {
		case vMore:
			b.args = b.args[:mark]
			return ""
		case vBroken:
			b.args = b.args[:mark]
			return g.text
		case vCommand:
			if !fresh { // it came in pieces: take its arguments now that it is whole
				whole := guard{bulk: -1, maxBulk: math.MaxInt64}
				whole.scan(rest[:n], &b.args)
			}
		case vInline:
			var ok bool
			if b.args, ok = splitInline(rest[:n], b.args); !ok {
				b.args = b.args[:mark]
				g.text = "Protocol error: unbalanced quotes in request"
				return g.text
			}
		}
		in.pos += n
		if argc := len(b.args) - mark; argc > 0 {
			b.cmds = append(b.cmds, cmd{first: mark, argc: argc, size: n})
		}
	}
	return ""
}

// room returns where to read to. A command that is announced is given room as
// its bytes arrive, twice what is there at most, never what it merely claims.
func (in *input) room() []byte {
	if in.buf == nil {
		in.buf, in.pos = getBuffer(int(in.hint.n)), 0
	}
	b := in.buf.b
	if in.pos == len(b) && cap(b) < int(in.hint.n) && !in.pinned {
		in.buf.free()
		in.buf, in.pos = getBuffer(int(in.hint.n)), 0
		b = in.buf.b
	}
	if in.pos > 0 && !in.pinned && (in.pos == len(b) || cap(b)-len(b) < minRead && in.pos >= cap(b)/2) {
		b = b[:copy(b, b[in.pos:])]
		in.buf.b, in.pos = b, 0
	}
	if cap(b)-len(b) < minRead {
		in.grow()
		b = in.buf.b
	}
	return b[len(b):cap(b)]
}

func (in *input) grow() {
	unread := in.unread()
	size := max(2*unread, int(in.hint.n))
	if in.guard.need > unread {
		size = min(size, in.guard.need)
	}
	p := getBuffer(max(size, unread+minRead))
	p.b = append(p.b, in.buf.b[in.pos:]...)
	if !in.pinned {
		in.buf.free()
	}
	in.buf, in.pos = p, 0
}

// got takes n bytes that were read to room.
func (in *input) got(n int) {
	b := in.buf.b
	if n == cap(b)-len(b) {
		in.hint.used(4 * cap(b)) // there may be more: ask for it in one piece next time
	} else {
		in.hint.used(n)
	}
	in.buf.b = b[:len(b)+n]
}

// idle gives the buffer back, or what of it is not needed for what it holds.
func (in *input) idle() {
	if in.buf == nil || in.pinned {
		return
	}
	unread := in.buf.b[in.pos:]
	switch {
	case len(unread) == 0:
		in.buf.free()
		in.buf = nil
	case cap(in.buf.b) > 4*len(unread)+minRead:
		small := &buffer{append([]byte(nil), unread...)}
		in.buf.free()
		in.buf = small
	default:
		return
	}
	in.pos = 0
}
