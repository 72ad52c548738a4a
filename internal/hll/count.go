package hll

import "math"

// Count estimates how many different elements were added.
func Count(b []byte) (uint64, error) {
	if Dense(b) {
		var r Ranks
		r.mergeDense(b[header:denseSize])
		return r.Count(), nil
	}
	var h histogram
	at := 0
	for p := header; p < len(b); {
		run := runAt(b, p)
		h[run.rank] += run.len
		at += run.len
		p += run.size
	}
	if at != registers {
		return 0, ErrCorrupt
	}
	return h.estimate(), nil
}

// Count estimates how many different elements were added to all that was merged.
func (r *Ranks) Count() uint64 {
	// Two in turn: neighbours are often equal, and would wait for each other.
	var h, g histogram
	for i := 0; i < registers; i += 2 {
		h[r[i]&63]++
		g[r[i+1]&63]++
	}
	for rank, n := range g {
		h[rank] += n
	}
	return h.estimate()
}

// A histogram says how many registers have each rank.
type histogram [64]int

// alpha is the constant of the estimate for very many registers, 1/(2 ln 2).
const alpha = 0.721347520444481703680

// estimate is Otmar Ertl's improved raw estimator ("New cardinality estimation
// algorithms for HyperLogLog sketches", 2017), which needs no correction for
// small and large numbers. The conversions keep the compiler from joining
// multiplications with additions: all machines count the same.
func (h *histogram) estimate() uint64 {
	const m = float64(registers)
	z := m * tau((m-float64(h[ranks+1]))/m)
	for k := ranks; k >= 1; k-- {
		z += float64(h[k])
		z *= 0.5
	}
	z += float64(m * sigma(float64(h[0])/m))
	e := math.Round(alpha * m * m / z)
	if !(e < 1<<63) { // every register is beyond the highest rank: nothing that was added makes that
		return 1 << 63
	}
	return uint64(e)
}

func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	y, z := 1.0, x
	for before := math.NaN(); z != before; {
		before = z
		x *= x
		z += float64(x * y)
		y += y
	}
	return z
}

func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	y, z := 1.0, 1-x
	for before := math.NaN(); z != before; {
		before = z
		x = math.Sqrt(x)
		y *= 0.5
		z -= float64(float64((1-x)*(1-x)) * y)
	}
	return z / 3
}
