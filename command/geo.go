package command

import (
	"math"
	"strconv"

	"github.com/ferricd/ferricd/resp"
	"github.com/ferricd/ferricd/store"
)

// lonLat reads arguments i and i+1 as a place.
func (c *Context) lonLat(i int) (p lonLat, err error) {
	var ok1, ok2 bool
	p.lon, ok1 = ParseFloat(c.Args[i])
	p.lat, ok2 = ParseFloat(c.Args[i+1])
	switch {
	case !ok1 || !ok2:
		return p, ErrNotFloat
	case !p.inRange():
		return p, Errorf("ERR invalid longitude,latitude pair %s,%s", sixDecimals(p.lon), sixDecimals(p.lat))
	}
	return p, nil
}

// sixDecimals prints as C's %f does.
func sixDecimals(f float64) string {
	if math.IsInf(f, 0) {
		return string(resp.AppendDouble(nil, f))
	}
	return strconv.FormatFloat(f, 'f', 6, 64)
}

// unit reads argument i as a unit of length, in meters.
func (c *Context) unit(i int) (float64, error) {
	switch {
	case c.Is(i, "M"):
		return 1, nil
	case c.Is(i, "KM"):
		return 1000, nil
	case c.Is(i, "FT"):
		return 0.3048, nil
	case c.Is(i, "MI"):
		return 1609.34, nil
	}
	return 0, ErrUnit
}

// replyMeters replies with a distance in a unit, with four decimals.
func (c *Context) replyMeters(m, unit float64) {
	var room [64]byte
	c.Reply.Bulk(strconv.AppendFloat(room[:0], m/unit, 'f', 4, 64))
}

// replyPlace replies with longitude and latitude.
func (c *Context) replyPlace(p lonLat) {
	c.Reply.Array(2)
	c.coordinate(p.lon)
	c.coordinate(p.lat)
}

// coordinate replies with a number of up to 17 decimals.
func (c *Context) coordinate(f float64) {
	var room [64]byte
	text := strconv.AppendFloat(room[:0], f, 'f', 17, 64)
	for text[len(text)-1] == '0' {
		text = text[:len(text)-1]
	}
	if text[len(text)-1] == '.' {
		text = text[:len(text)-1]
	}
	if string(text) == "-0" {
		text = text[1:]
	}
	if c.Reply.Proto() == 2 {
		c.Reply.Bulk(text)
		return
	}
	c.Reply.RawString(",")
	c.Reply.Raw(text)
	c.Reply.RawString("\r\n")
}

// geoadd is ZADD with places for scores.
func geoadd(c *Context) error {
	var o zaddOptions
	for o.pairs = 2; o.pairs < len(c.Args); o.pairs++ {
		if c.Is(o.pairs, "NX") {
			o.nx = true
		} else if c.Is(o.pairs, "XX") {
			o.xx = true
		} else if c.Is(o.pairs, "CH") {
			o.ch = true
		} else {
			break
		}
	}
	n := (len(c.Args) - o.pairs) / 3
	if n == 0 || (len(c.Args)-o.pairs)%3 != 0 || o.nx && o.xx {
		return ErrSyntax
	}
	for i := range n {
		if _, err := c.lonLat(o.pairs + 3*i); err != nil {
			return err
		}
	}
	if err := c.yield(n); err != nil {
		return err
	}
	z, err := c.Tx.EditZSet(c.Args[1], !o.xx)
	if err != nil {
		return err
	}
	c.zaddPairs(z, o, n, func(i int) (float64, []byte) {
		p, _ := c.lonLat(o.pairs + 3*i)
		return placeScore(p), c.Args[o.pairs+3*i+2]
	})
	return nil
}

// placeIn is where a member of z is; z may be nil.
func placeIn(z *store.ZSet, name []byte) (p lonLat, ok bool) {
	if z == nil {
		return p, false
	}
	score, ok := z.Score(name)
	return scorePlace(score), ok
}

func geodist(c *Context) error {
	unit := 1.0
	switch {
	case len(c.Args) > 5:
		return ErrSyntax
	case len(c.Args) == 5:
		var err error
		if unit, err = c.unit(4); err != nil {
			return err
		}
	}
	z, err := c.Tx.ZSet(c.Args[1])
	if err != nil {
		return err
	}
	a, ok1 := placeIn(z, c.Args[2])
	b, ok2 := placeIn(z, c.Args[3])
	if !ok1 || !ok2 {
		c.Reply.Null()
		return nil
	}
	c.replyMeters(meters(a, b), unit)
	return nil
}

func geohashes(c *Context) error {
	z, err := c.Tx.ZSet(c.Args[1])
	if err != nil {
		return err
	}
	c.Reply.Array(len(c.Args) - 2)
	for _, name := range c.Args[2:] {
		p, ok := placeIn(z, name)
		text := geohash(p)
		c.Reply.BulkOrNull(text[:], ok)
	}
	return nil
}

func geopos(c *Context) error {
	z, err := c.Tx.ZSet(c.Args[1])
	if err != nil {
		return err
	}
	c.Reply.Array(len(c.Args) - 2)
	for _, name := range c.Args[2:] {
		if p, ok := placeIn(z, name); ok {
			c.replyPlace(p)
		} else {
			c.Reply.NullArray()
		}
	}
	return nil
}

const unitUsage = "<M | KM | FT | MI>:unit"

var geoCommands = []Spec{
	{
		Name: "GEOADD", Usage: "key [NX | XX]:condition [CH]:change {longitude latitude member}...", Arity: -5,
		Group: Geo, Since: "3.2.0", Complexity: "O(log(N)) for each place, where N is the number of members",
		Flags: Write | DenyOOM, Keys: []KeySpec{Key(1, RW|Updates)}, Run: geoadd,
		History: []Change{{"6.2.0", "Added `CH`, `NX` and `XX`."}},
		Summary: "Adds places to a sorted set, or moves them.",
	},
	{
		Name: "GEODIST", Usage: "key member1 member2 [" + unitUsage + "]", Arity: -4, Group: Geo, Since: "3.2.0", Complexity: "O(1)",
		Flags: Readonly, Keys: readsZSet, Run: geodist,
		Summary: "Tells how far two places are from each other.",
	},
	{
		Name: "GEOHASH", Usage: "key [member...]", Arity: -2, Group: Geo, Since: "3.2.0", Complexity: "O(1) for each member",
		Flags: Readonly, Keys: readsZSet, Run: geohashes,
		Summary: "Gets the geohashes of places.",
	},
	{
		Name: "GEOPOS", Usage: "key [member...]", Arity: -2, Group: Geo, Since: "3.2.0", Complexity: "O(1) for each member",
		Flags: Readonly, Keys: readsZSet, Run: geopos,
		Summary: "Gets the longitudes and latitudes of places.",
	},
}
