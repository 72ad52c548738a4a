package store

import "math/rand/v2"

// sample chooses n of all things, all alike likely, without knowing them: pick is
// asked of each in turn.
type sample struct{ n, all int }

func (s *sample) pick() bool {
	if s.n == 0 || rand.IntN(s.all) >= s.n {
		s.all--
		return false
	}
	s.all--
	s.n--
	return true
}

// sparseSample is how many times as many cells as are wanted make it worth while
// to draw them one by one.
const sparseSample = 4

// sample calls fn for n different cells by chance, of those that ok lets pass,
// which are all in number, and at least n.
func (d *dict) sample(n, all int, ok func(*cell) bool, fn func(*cell)) {
	if n*sparseSample > all || all*sparseSample < d.live {
		s := sample{n, all}
		d.each(func(c *cell) bool {
			if ok(c) && s.pick() {
				fn(c)
			}
			return s.n > 0
		})
		return
	}
	drawn := make(map[*cell]struct{}, n)
	for len(drawn) < n {
		c := d.random()
		if _, again := drawn[c]; !again && ok(c) {
			drawn[c] = struct{}{}
			fn(c)
		}
	}
}
