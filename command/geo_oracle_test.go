package command_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/internal/transcript"
)

var geoCalls = strings.Split(strings.TrimSpace(`
GEOADD <key> <place> a <place> b <place> c <place> d
GEOADD <key> <place> e <place> f <place> g <place> h
GEOADD <key> <add> <place> <member>
GEOADD <key> <add> <add> <place> <member> <place> <member>
GEOADD <key> <number> <number> a
GEOADD <key> <number> <number> <member> <number>
GEODIST <key> <member> <member>
GEODIST <key> <member> <member> <unit>
GEODIST <key> <member> <member> <unit> <unit>
GEOHASH <key> <member> <member>
GEOPOS <key> <member> <member> <member>
GEORADIUS <key> <place> <radius> <unit> <show> <show> <show> <count> <order>
GEORADIUS <key> <place> <radius> <unit> <store>
GEORADIUS <key> <number> <number> <number> <unit> <show>
GEORADIUS_RO <key> <place> <radius> <unit> <show> <count> <order>
GEORADIUS_RO <key> <place> <radius> <unit> <store>
GEORADIUSBYMEMBER <key> <member> <radius> <unit> <show> <show> <order> <count>
GEORADIUSBYMEMBER <key> <member> <number> <unit> <store> <show>
GEORADIUSBYMEMBER_RO <key> <member> <radius> <unit> <show> <count> <order>
GEOSEARCH <key> FROMMEMBER <member> BYRADIUS <radius> <unit> <show> <show> <order>
GEOSEARCH <key> FROMLONLAT <place> BYRADIUS <radius> <unit> <show> <show> <count>
GEOSEARCH <key> FROMLONLAT <place> BYBOX <radius> <radius> <unit> <show> <show> <count>
GEOSEARCH <key> BYBOX <radius> <radius> <unit> <order> FROMMEMBER <member> <show>
GEOSEARCH <key> <from> <by> <show> <from> <by>
GEOSEARCH <key> <from> <by> <count> <order>
GEOSEARCHSTORE <key> <key> <from> <by> <order> <count> <dist>
GEOSEARCHSTORE <key> <key> FROMLONLAT <place> BYRADIUS <radius> <unit> <dist> <show>
ZADD <key> <score> b
ZREM <key> <member> <member>
OBJECT ENCODING <key>
SET text 1
`), "\n")

var geoWords = map[string]string{
	"<key>":    "a|b|a|b|a|text|none",
	"<member>": "a|b|c|d|e|f|g|h|none",
	"<unit>":   "m|km|ft|mi|KM|M|parsec|",
	"<add>":    "NX|XX|CH|nx|GT",
	"<number>": "0|180|-180|180.0001|85.05112878|-85.05112878|85.06|-0|nan|inf|x|1e-300|13.361389|-1",
	"<show>":   "|WITHDIST|WITHCOORD|WITHHASH|withdist|ANY",
	"<count>":  "||COUNT 1|COUNT 3|COUNT 2 ANY|ANY COUNT 1|COUNT 0|COUNT -1|COUNT x|COUNT|ANY",
	"<order>":  "|ASC|DESC|ASC DESC|desc",
	"<store>":  "STORE a|STORE b|STOREDIST b|STOREDIST text|STORE a STOREDIST b|STORE|STORE STOREDIST|STORE STORE b",
	"<dist>":   "|STOREDIST|STOREDIST ASC|STORE b",
	"<from>":   "|FROMMEMBER a|FROMMEMBER none|FROMLONLAT 0 0|FROMLONLAT 190 0|FROMMEMBER|FROMLONLAT 1",
	"<by>":     "|BYRADIUS 5000 km|BYRADIUS -1 m|BYBOX 9000 9000 km|BYBOX 1 -1 km|BYBOX 1 1|BYRADIUS x km|BYBOX 1 x m|BYBOX x 1 m",
	"<score>":  "0|1|1.5|-1|4503599627370495|1e15|3479099956230698",
}

// A geoDrawer draws calls; places and radii are drawn near each other, at poles
// and where east meets west as well, but no place twice: those that are as far
// from the center come in any order.
type geoDrawer struct{ places int }

func (d *geoDrawer) draw(t *rapid.T) []string {
	near := rapid.SampledFrom([]float64{1e-4, 0.1, 5, 180}).Draw(t, "near")
	lon := rapid.SampledFrom([]float64{0, 13, 179, -179.9, -60}).Draw(t, "lon")
	lat := rapid.SampledFrom([]float64{0, 38, 67, 84, -84, -70, -1}).Draw(t, "lat")
	number := func(middle, most float64) string {
		f := max(min(middle+rapid.Float64Range(-near, near).Draw(t, "by"), most), -most)
		return fmt.Sprint(f - math.Copysign(3e-5*float64(d.places), f))
	}
	var argv []string
	for _, w := range strings.Split(rapid.SampledFrom(geoCalls).Draw(t, "call"), " ") {
		switch w {
		case "<place>":
			argv = append(argv, number(lon, 180), number(lat, 85.05112878))
			d.places++
			continue
		case "<radius>":
			r := rapid.Float64Range(0, 2).Draw(t, "radius") * math.Pow(10, float64(rapid.IntRange(0, 7).Draw(t, "digits")))
			argv = append(argv, fmt.Sprint(r))
			continue
		}
		from, ok := geoWords[w]
		if !ok {
			argv = append(argv, w)
			continue
		}
		if v := rapid.SampledFrom(strings.Split(from, "|")).Draw(t, w); v != "" {
			argv = append(argv, strings.Split(v, " ")...)
		}
	}
	return argv
}

// scores compares sorted sets. STOREDIST stores distances with all their digits, of
// which the last ones depend on who computes sines.
func (p *pair) scores(t *rapid.T, key string) {
	read := func(c *transcript.Client) (pairs []string) {
		v, err := c.Do("ZRANGE", key, "0", "-1")
		require.NoError(t, err)
		for _, e := range v.Elems {
			score, err := c.Do("ZSCORE", key, e.Str)
			require.NoError(t, err)
			f, err := strconv.ParseFloat(score.Str, 64)
			require.NoError(t, err)
			pairs = append(pairs, fmt.Sprintf("%s %.13g", e.Str, f))
		}
		return pairs
	}
	require.Equal(t, read(p.redis), read(p.ours), "the scores of %s", key)
}

// Searches find the same places at the same distances in the same order as
// redis-server's.
func TestGeoAgreesWithRedis(t *testing.T) {
	both := newPair(t, transcript.StartRedis(t))
	rapid.Check(t, func(t *rapid.T) {
		both.begin(t)
		var d geoDrawer
		for range rapid.IntRange(1, 40).Draw(t, "length") {
			both.do(t, d.draw(t)...)
		}
		for _, k := range []string{"a", "b"} {
			both.scores(t, k)
		}
	})
}

// The same with many places, of which each search finds some.
func TestGeoSearchAgreesWithRedis(t *testing.T) {
	both := newPair(t, transcript.StartRedis(t))
	rapid.Check(t, func(t *rapid.T) {
		both.begin(t)
		// Not rapid's numbers, which are often the same: places in one cell, or as
		// far from the center, come in any order.
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		spread := rapid.SampledFrom([]float64{0.05, 1, 30, 180}).Draw(t, "spread")
		lon, lat := 360*r.Float64()-180, 170*r.Float64()-85
		place := func() [2]int {
			const snap = 2e-5 // degrees, some cells
			x, y := lon+spread*(2*r.Float64()-1), lat+spread*(r.Float64()-0.5)
			return [2]int{int(max(min(x, 179.9), -179.9) / snap), int(max(min(y, 85), -85) / snap)}
		}
		argv := []string{"GEOADD", "g"}
		seen := map[[2]int]bool{}
		for i := range 50 + r.IntN(250) {
			if p := place(); !seen[p] {
				seen[p] = true
				argv = append(argv, fmt.Sprint(float64(p[0])*2e-5), fmt.Sprint(float64(p[1])*2e-5), fmt.Sprint("p", i))
			}
		}
		both.do(t, argv...)
		for range 20 {
			size := func() string { return fmt.Sprint(2 * spread * 111 * r.Float64()) }
			p := place()
			from := []string{"GEOSEARCH", "g", "FROMLONLAT", fmt.Sprint(float64(p[0])*2e-5 + 1e-6), fmt.Sprint(float64(p[1]) * 2e-5)}
			both.do(t, append(slices.Clone(from), "BYRADIUS", size(), "km", "WITHDIST")...)
			both.do(t, append(slices.Clone(from), "BYBOX", size(), size(), "km", "WITHDIST")...)
			both.do(t, append(slices.Clone(from), "BYRADIUS", size(), "km", "COUNT", "10", "ANY")...)
			both.do(t, append(slices.Clone(from), "BYBOX", size(), size(), "km", "DESC", "COUNT", "10", "WITHDIST")...)
		}
	})
}

// A score that no place has made is read like any other.
func TestGeoForeignScores(t *testing.T) {
	both := newPair(t, transcript.StartRedis(t))
	rapid.Check(t, func(t *rapid.T) {
		both.begin(t)
		score := rapid.Float64Range(0, 1<<53).Draw(t, "score")
		both.do(t, "ZADD", "g", fmt.Sprint(score), "m")
		both.do(t, "GEOPOS", "g", "m")
		both.do(t, "GEOHASH", "g", "m")
		both.do(t, "GEOSEARCH", "g", "FROMMEMBER", "m", "BYRADIUS", "10", "m")
	})
}
