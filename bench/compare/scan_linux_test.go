package compare

import (
	"bytes"
	"fmt"
	"math/bits"
	"strconv"
	"time"
)

// A scanner counts replies, in whatever pieces they come.
type scanner struct {
	left int    // replies that are missing
	skip int    // bytes of a bulk string that are missing, its line end included
	head []byte // of a line whose end is missing
}

const (
	longestLine = 4 << 10
	longestBulk = 512 << 20
)

// scan takes what has come. An error reply is an error: what fails is not worth measuring.
func (s *scanner) scan(b []byte) error {
	for len(b) > 0 {
		if s.skip > 0 {
			n := min(s.skip, len(b))
			b = b[n:]
			if s.skip -= n; s.skip == 0 {
				s.left--
			}
			continue
		}
		end := bytes.IndexByte(b, '\n') + 1
		if end == 0 {
			s.head = append(s.head, b...)
			if len(s.head) > longestLine {
				return fmt.Errorf("a line of more than %d bytes", longestLine)
			}
			return nil
		}
		line := b[:end]
		b = b[end:]
		if len(s.head) > 0 {
			s.head = append(s.head, line...)
			line = s.head
		}
		if err := s.line(line); err != nil {
			return err
		}
		s.head = s.head[:0]
	}
	if s.left < 0 {
		return fmt.Errorf("%d replies too many", -s.left)
	}
	return nil
}

func (s *scanner) line(line []byte) error {
	switch line[0] {
	case '+', ':':
		s.left--
		return nil
	case '-':
		return fmt.Errorf("replied %q", line)
	case '$':
		n, err := strconv.Atoi(string(bytes.TrimRight(line[1:], "\r\n")))
		switch {
		case err != nil || n < -1 || n > longestBulk:
			return fmt.Errorf("replied %q", line)
		case n < 0:
			s.left--
		default:
			s.skip = n + len("\r\n")
		}
		return nil
	}
	return fmt.Errorf("replied %q", line)
}

// A histogram counts durations in 32 steps for each power of two.
type histogram struct {
	n     int
	steps [64 * 32]int
}

func (h *histogram) add(d time.Duration) {
	h.n++
	h.steps[step(d)]++
}

func step(d time.Duration) int {
	ns := uint64(max(d, 0))
	if ns < 32 {
		return int(ns)
	}
	e := bits.Len64(ns) - 6 // ns>>e is at least 32 and below 64
	return (e+1)*32 + int(ns>>e) - 32
}

// quantile is the least duration of the step in which the q-th part of all ends.
func (h *histogram) quantile(q float64) time.Duration {
	seen, want := 0, int(q*float64(h.n))
	for i, n := range h.steps {
		if seen += n; seen > want {
			if i < 32 {
				return time.Duration(i)
			}
			return time.Duration(32+i%32) << (i/32 - 1)
		}
	}
	return 0
}
