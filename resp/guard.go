package resp

import (
	"bytes"
	"strconv"
)

// Bounds of Redis that no parameter changes.
const (
	maxLine       = 64 << 10 // an inline command, or a header without its end
	maxArgs       = 1 << 20  // arguments of one command; Redis has 2^31-1 after AUTH
	maxArgsUnauth = 10
	maxBulkUnauth = 16 << 10
)

// What the guard says of the bytes it was shown.
type verdict uint8

const (
	vMore    verdict = iota // not a whole command yet
	vEmpty                  // whole, and nothing to run
	vInline                 // a whole inline command
	vCommand                // a whole command as an array of bulk strings
	vBroken                 // the protocol is broken, see guard.text
)

// A guard finds where commands end. It sees each header as it arrives, never
// looks again at what it has passed, and allocates nothing but the text of an
// error. It answers like redis-server's own reader, oddities included: the end
// of a header is CR and whatever follows it, and a NUL hides what is behind it.
type guard struct {
	pos    int    // bytes of the command passed
	looked int    // bytes behind pos known to hold no end of line
	left   int    // arguments to come; 0: the first header is to come
	bulk   int    // length of the argument at pos, -1: its header is to come
	need   int    // after vMore: the least length of the whole command, as far as is known
	text   string // after vBroken
	// limits, set by the owner
	maxBulk int64
	unauth  bool
}

func (g *guard) reset() { g.pos, g.looked, g.left, g.bulk, g.need = 0, 0, 0, -1, 0 }

// scan goes on in b, which begins where the command begins and holds all that
// was shown before and more. For a whole command n is its length and the guard
// is ready for the next one. If args is given, the arguments of an array
// command are appended to it; that is for a guard that begins at b's start.
func (g *guard) scan(b []byte, args *[][]byte) (v verdict, n int) {
	if g.left == 0 {
		if len(b) == 0 {
			return vMore, 0
		}
		if b[0] != '*' {
			return g.inline(b)
		}
		if v, n = g.count(b); v != vCommand {
			return v, n
		}
	}
	for g.left > 0 {
		if g.bulk < 0 {
			if v := g.bulkLen(b); v != vCommand {
				return v, 0
			}
		}
		end := g.pos + g.bulk + 2
		if len(b) < end {
			g.need = end + 6*(g.left-1)
			return vMore, 0
		}
		if args != nil {
			*args = append(*args, b[g.pos:end-2:end-2])
		}
		g.pos, g.bulk = end, -1
		g.left--
	}
	n = g.pos
	g.reset()
	return vCommand, n
}

// inline looks for the end of a line.
func (g *guard) inline(b []byte) (verdict, int) {
	i := g.find(b, '\n')
	if i > maxLine || i < 0 && len(b) > maxLine {
		return g.broken("Protocol error: too big inline request")
	}
	if i < 0 {
		return vMore, 0
	}
	g.reset()
	return vInline, i + 1
}

// count reads the header of an array: *3 CR LF.
func (g *guard) count(b []byte) (verdict, int) {
	n, size, ok := shortHeader(b)
	if !ok {
		i := g.find(b, '\r')
		if i > maxLine || i < 0 && len(b) > maxLine {
			return g.broken("Protocol error: too big mbulk count string")
		}
		if i < 0 || i+2 > len(b) {
			return vMore, 0
		}
		n, ok = parseInt(b[1:i])
		if !ok || n > maxArgs {
			return g.broken("Protocol error: invalid multibulk length")
		}
		size = i + 2
	}
	if n <= 0 {
		g.reset()
		return vEmpty, size
	}
	if g.unauth && n > maxArgsUnauth {
		return g.broken("Protocol error: unauthenticated multibulk length")
	}
	g.pos, g.looked, g.left, g.bulk = size, 0, int(n), -1
	return vCommand, 0
}

// bulkLen reads the header of an argument: $5 CR LF.
func (g *guard) bulkLen(b []byte) verdict {
	h := b[g.pos:]
	n, size, ok := shortHeader(h)
	if !ok || h[0] != '$' {
		i := g.find(b, '\r')
		if i > maxLine || i < 0 && len(h) > maxLine {
			v, _ := g.broken("Protocol error: too big bulk count string")
			return v
		}
		if i < 0 || i+2 > len(h) {
			g.need = g.pos + 6*g.left
			return vMore
		}
		if h[0] != '$' {
			v, _ := g.broken("Protocol error: expected '$', got '" + string(h[:1]) + "'")
			return v
		}
		if n, ok = parseInt(h[1:i]); !ok {
			n = -1
		}
		size = i + 2
	}
	if n < 0 || n > g.maxBulk {
		v, _ := g.broken("Protocol error: invalid bulk length")
		return v
	}
	if g.unauth && n > maxBulkUnauth {
		v, _ := g.broken("Protocol error: unauthenticated bulk length")
		return v
	}
	g.pos, g.looked, g.bulk = g.pos+size, 0, int(n)
	return vCommand
}

func (g *guard) broken(text string) (verdict, int) {
	g.text = text
	return vBroken, 0
}

// find returns where c is, counted from g.pos, or -1. A NUL before it hides it.
func (g *guard) find(b []byte, c byte) int {
	h := b[g.pos:]
	if len(h) > maxLine+1 {
		h = h[:maxLine+1]
	}
	from := h[min(g.looked, len(h)):]
	i := bytes.IndexByte(from, c)
	if i >= 0 {
		from = from[:i]
	}
	if z := bytes.IndexByte(from, 0); z >= 0 {
		g.looked += z
		return -1
	}
	if i < 0 {
		g.looked += len(from)
		return -1
	}
	return g.looked + i
}

// shortHeader reads the headers that nearly all commands have: one to three
// digits, the first not 0, and CR LF. What it does not take is not wrong.
func shortHeader(h []byte) (n int64, size int, ok bool) {
	if len(h) < 6 {
		return 0, 0, false
	}
	d := h[1] - '1'
	if d > 8 {
		return 0, 0, false
	}
	n = int64(d) + 1
	if h[2] == '\r' {
		return n, 4, h[3] == '\n'
	}
	if d = h[2] - '0'; d > 9 {
		return 0, 0, false
	}
	n = n*10 + int64(d)
	if h[3] == '\r' {
		return n, 5, h[4] == '\n'
	}
	if d = h[3] - '0'; d > 9 {
		return 0, 0, false
	}
	return n*10 + int64(d), 6, h[4] == '\r' && h[5] == '\n'
}

// parseInt reads a number as Redis writes one: no sign but a minus, no leading
// zero, within 64 bits.
func parseInt(s []byte) (n int64, ok bool) {
	digits := s
	if len(s) > 1 && s[0] == '-' {
		digits = s[1:]
	} else if len(s) == 1 && s[0] == '0' {
		return 0, true
	}
	if len(digits) == 0 || len(digits) > 19 || digits[0] < '1' {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(string(s), 10, 64)
	return n, err == nil
}
