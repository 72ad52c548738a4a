package resp

// A spare holds what a loop's connections borrow while they are served, so that one after
// the other takes the same without asking the pools. It is the driver's. What is of
// another size than most goes by the pools, and so does all of it when the loop parks.
type spare struct {
	batches []*Batch
	buffers []*buffer // of minBuffer
}

// mostSpare is as many connections as a turn serves.
const mostSpare = 128

func (s *spare) batch() *Batch {
	n := len(s.batches) - 1
	if n < 0 {
		return batchPool.Get().(*Batch)
	}
	b := s.batches[n]
	s.batches = s.batches[:n]
	return b
}

// buffer is getBuffer.
func (s *spare) buffer(size int32) *buffer {
	n := len(s.buffers) - 1
	if n < 0 || size > minBuffer {
		return getBuffer(int(size))
	}
	p := s.buffers[n]
	s.buffers = s.buffers[:n]
	return p
}

// keep takes back what a connection needs no longer, as far as it has room for it.
func (s *spare) keep(c *Conn) {
	if b := c.batch; b != nil && cap(b.args) == freshArgs && len(s.batches) < mostSpare {
		b.reset()
		s.batches = append(s.batches, b)
		c.batch = nil
	}
	if p := c.replies; p != nil && s.fits(c.Reply.buf) {
		p.b = c.Reply.buf
		s.keepBuffer(p)
		c.replies, c.Reply.buf = nil, nil
	}
	if in := &c.in; in.buf != nil && !in.pinned && in.unread() == 0 && s.fits(in.buf.b) {
		s.keepBuffer(in.buf)
		in.buf, in.pos = nil, 0
	}
}

func (s *spare) fits(b []byte) bool { return cap(b) == minBuffer && len(s.buffers) < mostSpare }

func (s *spare) keepBuffer(p *buffer) {
	p.clear()
	s.buffers = append(s.buffers, p)
}

// letGo gives everything to the pools.
func (s *spare) letGo() {
	for i, b := range s.batches {
		s.batches[i] = nil
		b.free()
	}
	for i, p := range s.buffers {
		s.buffers[i] = nil
		p.free()
	}
	s.batches, s.buffers = s.batches[:0], s.buffers[:0]
}
