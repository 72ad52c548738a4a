package command

import (
	"math"
)

// Places are kept in a sorted set as scores of 52 bits: longitude and latitude,
// each a fraction of its range in 26 bits, bit by bit in turn. The first bits of a
// score name a cell of the grid of which the rest say where in it; so the places
// of a cell, of whatever size, have scores in one range.

// A lonLat is a place in degrees.
type lonLat struct{ lon, lat float64 }

// The ends of the ranges. There is no place nearer to the poles in the projection
// that this comes from.
const (
	lonMost     = 180
	latMost     = 85.05112878
	latGeohash  = 90 // as GEOHASH has it
	cellStepMax = 26
)

func (p lonLat) inRange() bool {
	return p.lon >= -lonMost && p.lon <= lonMost && p.lat >= -latMost && p.lat <= latMost
}

// A geoCell is a square of the grid of 2^step by 2^step.
type geoCell struct {
	bits uint64
	step uint8
}

// geoCellOf is the cell that p is in, where latitudes go up to latMax.
func geoCellOf(p lonLat, latMax float64, step uint8) geoCell {
	scale := float64(uint64(1) << step)
	lon := (p.lon + lonMost) / (2 * lonMost) * scale
	lat := (p.lat + latMax) / (2 * latMax) * scale
	return geoCell{interleave(uint32(int64(lat))) | interleave(uint32(int64(lon)))<<1, step}
}

// interleave puts a zero before each bit.
func interleave(x uint32) uint64 {
	v := uint64(x)
	v = (v | v<<16) & 0x0000ffff0000ffff
	v = (v | v<<8) & 0x00ff00ff00ff00ff
	v = (v | v<<4) & 0x0f0f0f0f0f0f0f0f
	v = (v | v<<2) & 0x3333333333333333
	return (v | v<<1) & 0x5555555555555555
}

// gather is the opposite of interleave: it drops every other bit.
func gather(v uint64) uint32 {
	v &= 0x5555555555555555
	v = (v | v>>1) & 0x3333333333333333
	v = (v | v>>2) & 0x0f0f0f0f0f0f0f0f
	v = (v | v>>4) & 0x00ff00ff00ff00ff
	v = (v | v>>8) & 0x0000ffff0000ffff
	return uint32(v | v>>16)
}

// bounds are the corners of the cell.
func (c geoCell) bounds() (lo, hi lonLat) {
	edge := func(n uint64, most float64) float64 {
		return -most + float64(float64(n)/float64(uint64(1)<<c.step)*(2*most))
	}
	lat, lon := uint64(gather(c.bits)), uint64(gather(c.bits>>1))
	return lonLat{edge(lon, lonMost), edge(lat, latMost)}, lonLat{edge(lon+1, lonMost), edge(lat+1, latMost)}
}

// scores is the range of the scores of places in the cell, the end excluded.
func (c geoCell) scores() (from, to float64) {
	shift := 2 * (cellStepMax - c.step)
	return float64(c.bits << shift), float64((c.bits + 1) << shift)
}

// beside is the cell so many to the east and to the north. At the edges of the
// grid it goes on at the other side. Places on the northern and on the eastern edge
// itself are in a cell behind it, which has neighbours but no places: so it is in
// Redis, too.
func (c geoCell) beside(east, north int) geoCell {
	mask := uint32(1)<<c.step - 1
	lat, lon := gather(c.bits), gather(c.bits>>1)
	if north != 0 {
		lat = (lat + uint32(north)) & mask
	}
	if east != 0 {
		lon = (lon + uint32(east)) & mask
	}
	return geoCell{interleave(lat) | interleave(lon)<<1, c.step}
}

// placeScore is the score that stands for a place.
func placeScore(p lonLat) float64 { return float64(geoCellOf(p, latMost, cellStepMax).bits) }

// scorePlace is the place that a score stands for: the middle of the smallest
// cell.
func scorePlace(score float64) lonLat {
	lo, hi := geoCell{uint64(score), cellStepMax}.bounds()
	middle := func(a, b, most float64) float64 { return max(min((a+b)/2, most), -most) }
	return lonLat{middle(lo.lon, hi.lon, lonMost), middle(lo.lat, hi.lat, latMost)}
}

const geohashAlphabet = "0123456789bcdefghjkmnpqrstuvwxyz"

// geohash is the standard geohash of a place, of 11 letters, of which the last
// has no bits left and is always the first of the alphabet.
func geohash(p lonLat) (text [11]byte) {
	bits := geoCellOf(p, latGeohash, cellStepMax).bits
	for i := range text {
		text[i] = geohashAlphabet[0]
		if i < 10 {
			text[i] = geohashAlphabet[bits>>(52-5*(i+1))&31]
		}
	}
	return text
}

const earthRadius = 6372797.560856 // meters

// radian is what C makes of pi/180: two roundings, where a constant has one.
var radian = func(pi float64) float64 { return pi / 180 }(math.Pi)

func radians(degrees float64) float64 { return degrees * radian }
func degrees(radians float64) float64 { return radians / radian }

// meters is the distance of two places along a great circle. The conversions keep
// compilers from joining multiplications and additions, whose results differ.
func meters(a, b lonLat) float64 {
	aLat, bLat := radians(a.lat), radians(b.lat)
	u := math.Sin((bLat - aLat) / 2)
	v := math.Sin((radians(b.lon) - radians(a.lon)) / 2)
	return 2 * earthRadius * math.Asin(math.Sqrt(float64(u*u)+float64(math.Cos(aLat)*math.Cos(bLat)*v*v)))
}

// A geoShape is what a search looks in: a circle or a box around a place, with
// measures in meters.
type geoShape struct {
	center        lonLat
	box           bool
	radius        float64 // of a circle
	width, height float64 // of a box
}

// distance is how far a place is from the center, if it is in the shape.
func (s *geoShape) distance(p lonLat) (m float64, inside bool) {
	if !s.box {
		m = meters(s.center, p)
		return m, m <= s.radius
	}
	if meters(p, lonLat{s.center.lon, p.lat}) > s.width/2 || meters(p, lonLat{p.lon, s.center.lat}) > s.height/2 {
		return 0, false
	}
	return meters(s.center, p), true
}

// reach is how far the shape's outermost point is from its center.
func (s *geoShape) reach() float64 {
	if s.box {
		return math.Sqrt(s.width/2*(s.width/2) + s.height/2*(s.height/2))
	}
	return s.radius
}

// corners are those of a box in degrees that holds the shape.
func (s *geoShape) corners() (lo, hi lonLat) {
	width, height := s.radius, s.radius
	if s.box {
		width, height = s.width/2, s.height/2
	}
	lat := degrees(height / earthRadius)
	side := s.center.lat + lat // where a degree of longitude is shortest
	if s.center.lat < 0 {
		side = s.center.lat - lat
	}
	lon := degrees(width / earthRadius / math.Cos(radians(side)))
	return lonLat{s.center.lon - lon, s.center.lat - lat}, lonLat{s.center.lon + lon, s.center.lat + lat}
}

// step is which grid has cells about as large as the shape.
func (s *geoShape) step() uint8 {
	const half = 20037726.37 // of the projection's width in meters
	reach := s.reach()
	if reach == 0 {
		return cellStepMax
	}
	step := -1
	for ; reach < half; reach *= 2 {
		step++
	}
	switch lat := math.Abs(s.center.lat); {
	case lat > 80:
		step -= 2
	case lat > 66:
		step--
	}
	return uint8(min(max(step, 1), cellStepMax))
}

// cells are those that cover the shape, in the order in which Redis looks at
// them: its own, then those beside it that the shape reaches.
func (s *geoShape) cells() []geoCell {
	lo, hi := s.corners()
	step := s.step()
	own := geoCellOf(s.center, latMost, step)
	if step > 1 && !own.cover(lo, hi) {
		step--
		own = geoCellOf(s.center, latMost, step)
	}
	ownLo, ownHi := own.bounds()
	cells := []geoCell{own}
	for _, d := range [...]struct{ east, north int }{{0, 1}, {0, -1}, {1, 0}, {-1, 0}, {1, 1}, {-1, 1}, {1, -1}, {-1, -1}} {
		reached := d.north >= 0 || ownLo.lat >= lo.lat
		reached = reached && (d.north <= 0 || ownHi.lat <= hi.lat)
		reached = reached && (d.east >= 0 || ownLo.lon >= lo.lon)
		reached = reached && (d.east <= 0 || ownHi.lon <= hi.lon)
		c := own.beside(d.east, d.north)
		// Where cells are huge, those on two sides may be one.
		if (reached || step < 2) && (len(cells) == 1 || c != cells[len(cells)-1]) {
			cells = append(cells, c)
		}
	}
	return cells
}

// cover tells whether the cell and those beside it reach as far as these corners.
func (c geoCell) cover(lo, hi lonLat) bool {
	_, north := c.beside(0, 1).bounds()
	south, _ := c.beside(0, -1).bounds()
	_, east := c.beside(1, 0).bounds()
	west, _ := c.beside(-1, 0).bounds()
	return north.lat >= hi.lat && south.lat <= lo.lat && east.lon >= hi.lon && west.lon <= lo.lon
}
