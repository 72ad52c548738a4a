package command

import (
	"cmp"
	"math"
	"slices"

	"github.com/ferricd/ferricd/resp"
	"github.com/ferricd/ferricd/store"
)

// A geoQuery is a search for places with all that it asks for.
type geoQuery struct {
	kind  geoKind
	z     *store.ZSet // nil: there is none
	shape geoShape
	unit  float64 // in meters

	coord, dist, hash bool
	any, asc, desc    bool
	count             int64

	fromMember, fromPlace, byRadius, byBox bool

	storeAt   []byte // nil: the places go to the client
	storeDist bool
}

type geoKind uint8

const (
	geoRadius geoKind = iota
	geoRadiusByMember
	geoSearch
	geoSearchStore
)

// A geoPlace is a place that was found, with its distance from the center in meters.
type geoPlace struct {
	name   []byte
	score  float64
	at     lonLat
	meters float64
}

func georadius(c *Context) error           { return geoQueried(c, geoRadius, true) }
func georadiusRO(c *Context) error         { return geoQueried(c, geoRadius, false) }
func georadiusByMember(c *Context) error   { return geoQueried(c, geoRadiusByMember, true) }
func georadiusByMemberRO(c *Context) error { return geoQueried(c, geoRadiusByMember, false) }
func geosearch(c *Context) error           { return geoQueried(c, geoSearch, false) }
func geosearchstore(c *Context) error      { return geoQueried(c, geoSearchStore, false) }

// geoQueried runs a query; mayStore allows the options STORE and STOREDIST.
func geoQueried(c *Context, kind geoKind, mayStore bool) error {
	q, err := c.geoQuery(kind, mayStore)
	if err != nil {
		return err
	}
	var places []geoPlace
	if q.z != nil {
		if err := c.yield(q.z.Len()); err != nil {
			return err
		}
		places = q.search()
	}
	if q.storeAt != nil {
		q.store(c, places)
		return nil
	}
	q.reply(c, places)
	return nil
}

func (c *Context) geoQuery(kind geoKind, mayStore bool) (q geoQuery, err error) {
	q.kind, q.unit = kind, 1
	src, options := 1, 2
	if kind == geoSearchStore {
		src, options, q.storeAt = 2, 3, c.Args[1]
	}
	if q.z, err = c.Tx.ZSet(c.Args[src]); err != nil {
		return q, err
	}
	switch {
	case kind == geoRadius:
		options = 6
		if q.shape.center, err = c.lonLat(2); err == nil {
			err = q.radius(c, 4)
		}
	case kind == geoRadiusByMember:
		options = 5
		if q.z != nil {
			if err = q.member(c.Args[2]); err == nil {
				err = q.radius(c, 3)
			}
		}
	}
	if err == nil {
		err = q.options(c, options, mayStore)
	}
	if err == nil {
		err = q.check(c)
	}
	return q, err
}

// options reads what stands from argument i on.
func (q *geoQuery) options(c *Context, i int, mayStore bool) (err error) {
	search := q.kind >= geoSearch
	for ; i < len(c.Args) && err == nil; i++ {
		left := len(c.Args) - i - 1
		switch {
		case c.Is(i, "WITHDIST"):
			q.dist = true
		case c.Is(i, "WITHHASH"):
			q.hash = true
		case c.Is(i, "WITHCOORD"):
			q.coord = true
		case c.Is(i, "ANY"):
			q.any = true
		case c.Is(i, "ASC"):
			q.asc, q.desc = true, false
		case c.Is(i, "DESC"):
			q.asc, q.desc = false, true
		case c.Is(i, "COUNT") && left > 0:
			i++
			if q.count, err = c.Int64(i); err == nil && q.count <= 0 {
				err = ErrGeoCount
			}
		case mayStore && left > 0 && (c.Is(i, "STORE") || c.Is(i, "STOREDIST")):
			q.storeDist = c.Is(i, "STOREDIST")
			i++
			q.storeAt = c.Args[i]
		case q.kind == geoSearchStore && c.Is(i, "STOREDIST"):
			q.storeDist = true
		case search:
			i, err = q.where(c, i, left)
		default:
			err = ErrSyntax
		}
	}
	return err
}

// where reads one of the words of GEOSEARCH that say where to look, at argument i
// with so many behind it, and returns the argument it ends with.
func (q *geoQuery) where(c *Context, i, left int) (last int, err error) {
	switch {
	case left > 0 && !q.fromPlace && c.Is(i, "FROMMEMBER"):
		q.fromMember = true
		if q.z != nil {
			err = q.member(c.Args[i+1])
		}
		return i + 1, err
	case left > 1 && !q.fromMember && c.Is(i, "FROMLONLAT"):
		q.fromPlace = true
		q.shape.center, err = c.lonLat(i + 1)
		return i + 2, err
	case left > 1 && !q.byBox && c.Is(i, "BYRADIUS"):
		q.byRadius = true
		return i + 2, q.radius(c, i+1)
	case left > 2 && !q.byRadius && c.Is(i, "BYBOX"):
		q.byBox = true
		return i + 3, q.box(c, i+1)
	}
	return i, ErrSyntax
}

// member lets the center be where a member is.
func (q *geoQuery) member(name []byte) error {
	p, ok := placeIn(q.z, name)
	if !ok {
		return ErrGeoMember
	}
	q.shape.center = p
	return nil
}

// radius reads a radius at argument i, and its unit.
func (q *geoQuery) radius(c *Context, i int) (err error) {
	r, ok := ParseFloat(c.Args[i])
	switch {
	case !ok:
		return ErrGeoRadius
	case r < 0:
		return ErrGeoNegative
	}
	q.unit, err = c.unit(i + 1)
	q.shape.box, q.shape.radius = false, r*q.unit
	return err
}

// box reads width and height from argument i on, and their unit.
func (q *geoQuery) box(c *Context, i int) (err error) {
	w, ok := ParseFloat(c.Args[i])
	if !ok {
		return ErrGeoWidth
	}
	h, ok := ParseFloat(c.Args[i+1])
	switch {
	case !ok:
		return ErrGeoHeight
	case w < 0 || h < 0:
		return ErrGeoBox
	}
	q.unit, err = c.unit(i + 2)
	q.shape.box, q.shape.width, q.shape.height = true, w*q.unit, h*q.unit
	return err
}

// check says which options are missing or do not go together.
func (q *geoQuery) check(c *Context) error {
	search := q.kind >= geoSearch
	switch {
	case q.storeAt != nil && (q.dist || q.hash || q.coord):
		who := "STORE option in GEORADIUS"
		if q.kind == geoSearchStore {
			who = "GEOSEARCHSTORE"
		}
		return Errorf("ERR %s is not compatible with WITHDIST, WITHHASH and WITHCOORD options", who)
	case search && !q.fromMember && !q.fromPlace:
		return Errorf("ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for %.128s", c.Args[0])
	case search && !q.byRadius && !q.byBox:
		return Errorf("ERR exactly one of BYRADIUS and BYBOX can be specified for %.128s", c.Args[0])
	case q.any && q.count == 0:
		return ErrGeoAny
	}
	return nil
}

// search finds the places in the shape, in the order asked for. With COUNT they
// are the nearest, unless ANY lets them be those that were met first.
func (q *geoQuery) search() []geoPlace {
	most := math.MaxInt
	if q.any {
		most = int(q.count)
	}
	var places []geoPlace
	for _, cell := range q.shape.cells() {
		from, to := cell.scores()
		rank := q.z.CountBelow(from, false)
		q.z.Each(rank, false, func(e store.Elem, score float64) bool {
			if score >= to || len(places) >= most {
				return false
			}
			at := scorePlace(score)
			if m, inside := q.shape.distance(at); inside {
				places = append(places, geoPlace{e.Append(nil), score, at, m})
			}
			return true
		})
	}
	if q.asc || q.count != 0 && !q.any && !q.desc {
		slices.SortStableFunc(places, func(a, b geoPlace) int { return cmp.Compare(a.meters, b.meters) })
	} else if q.desc {
		slices.SortStableFunc(places, func(a, b geoPlace) int { return cmp.Compare(b.meters, a.meters) })
	}
	if q.count != 0 && q.count < int64(len(places)) {
		places = places[:q.count]
	}
	return places
}

func (q *geoQuery) reply(c *Context, places []geoPlace) {
	parts := 1
	for _, with := range []bool{q.dist, q.hash, q.coord} {
		if with {
			parts++
		}
	}
	c.Reply.Array(len(places))
	for i := range places {
		p := &places[i]
		if parts > 1 {
			c.Reply.Array(parts)
		}
		c.Reply.Bulk(p.name)
		if q.dist {
			c.replyMeters(p.meters, q.unit)
		}
		if q.hash {
			c.Reply.Int(int64(p.score))
		}
		if q.coord {
			c.replyPlace(p.at)
		}
	}
}

// store stores places with their scores, or with their distances for scores.
func (q *geoQuery) store(c *Context, places []geoPlace) {
	z := store.NewZSet(store.ZSetLimits{})
	for i := range places {
		score := places[i].score
		if q.storeDist {
			score = places[i].meters / q.unit
		}
		z.Set(places[i].name, score)
	}
	event := "georadiusstore"
	if q.kind == geoSearchStore {
		event = "geosearchstore"
	}
	c.effectZSet(q.storeAt, z)
	c.storeZSet(q.storeAt, z, event)
}

var argvZAdd = []byte("ZADD")

// effectZSet logs that key is to hold z and nothing else. Which places a search
// finds depends on sines, of which not all machines compute the same last bit.
func (c *Context) effectZSet(key []byte, z *store.ZSet) {
	const most = 512 // members in a record
	if z.Len() == 0 && !c.Tx.Exists(key) {
		return
	}
	c.Effect(argvDel, key)
	for rank := 0; rank < z.Len(); rank += most {
		argv := [][]byte{argvZAdd, key}
		z.Each(rank, false, func(e store.Elem, score float64) bool {
			argv = append(argv, resp.AppendDouble(nil, score), e.Append(nil))
			return len(argv) < 2*most+2
		})
		c.Effect(argv...)
	}
}

// storesAt finds the keys behind one of the words STORE and STOREDIST, of which
// each takes the word behind it whatever it is, among the options, which begin
// with argument first.
func storesAt(word string, first int) KeysFunc {
	return func(args [][]byte) (keys []int) {
		for i := first; i+1 < len(args); i++ {
			if foldEqual(args[i], "STORE") || foldEqual(args[i], "STOREDIST") {
				if i++; foldEqual(args[i-1], word) {
					keys = append(keys, i)
				}
			}
		}
		return keys
	}
}

// radiusKeys are the keys of GEORADIUS and its like, whose options begin with the
// i-th argument.
func radiusKeys(i int) []KeySpec {
	keys := []KeySpec{Key(1, RO|Reads)}
	for _, word := range []string{"STORE", "STOREDIST"} {
		keys = append(keys, After(word, Key(1, OW|Updates)).From(i).By(storesAt(word, i)))
	}
	return keys
}

const (
	costRadius   = "O(N+log(M)) where N is the number of places in the cells around the circle and M that of the result"
	costSearch   = "O(N+log(M)) where N is the number of places in the cells around the shape and M that of the result"
	radiusShows  = " [WITHCOORD] [WITHDIST] [WITHHASH]"
	radiusLimit  = " [COUNT count [ANY]]:count [ASC | DESC]:order"
	radiusStores = " [STORE key] [STOREDIST key]"
	searchShape  = "<FROMMEMBER member | FROMLONLAT longitude latitude>:from <{{BYRADIUS radius} " + unitUsage + "}:circle | {{BYBOX width} height " +
		unitUsage + "}:box>:by [ASC | DESC]:order [COUNT count [ANY]]:count"
)

var geoSearchCommands = []Spec{
	{
		Name: "GEORADIUS", Usage: "key longitude latitude radius " + unitUsage + radiusShows + radiusLimit + radiusStores, Arity: -6,
		Group: Geo, Since: "3.2.0", Complexity: costRadius,
		Flags: Write | DenyOOM, Keys: radiusKeys(6), Run: georadius,
		Deprecated: "6.2.0", ReplacedBy: "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
		History: []Change{{"6.2.0", "Added `ANY`."}},
		Summary: "Finds the places in a circle, and may store them.",
	},
	{
		Name: "GEORADIUS_RO", Usage: "key longitude latitude radius " + unitUsage + radiusShows + radiusLimit, Arity: -6,
		Group: Geo, Since: "3.2.10", Complexity: costRadius,
		Flags: Readonly, Keys: readsZSet, Run: georadiusRO,
		Deprecated: "6.2.0", ReplacedBy: "`GEOSEARCH` with the `BYRADIUS` argument",
		Summary: "Finds the places in a circle.",
	},
	{
		Name: "GEORADIUSBYMEMBER", Usage: "key member radius " + unitUsage + radiusShows + radiusLimit + radiusStores, Arity: -5,
		Group: Geo, Since: "3.2.0", Complexity: costRadius,
		Flags: Write | DenyOOM, Keys: radiusKeys(5), Run: georadiusByMember,
		Deprecated: "6.2.0", ReplacedBy: "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
		Summary: "Finds the places in a circle around one of them, and may store them.",
	},
	{
		Name: "GEORADIUSBYMEMBER_RO", Usage: "key member radius " + unitUsage + radiusShows + radiusLimit, Arity: -5,
		Group: Geo, Since: "3.2.10", Complexity: costRadius,
		Flags: Readonly, Keys: readsZSet, Run: georadiusByMemberRO,
		Deprecated: "6.2.0", ReplacedBy: "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments",
		Summary: "Finds the places in a circle around one of them.",
	},
	{
		Name: "GEOSEARCH", Usage: "key " + searchShape + radiusShows, Arity: -7,
		Group: Geo, Since: "6.2.0", Complexity: costSearch,
		Flags: Readonly, Keys: readsZSet, Run: geosearch,
		Summary: "Finds the places in a circle or a box.",
	},
	{
		Name: "GEOSEARCHSTORE", Usage: "destination source " + searchShape + " [STOREDIST]", Arity: -8,
		Group: Geo, Since: "6.2.0", Complexity: costSearch,
		Flags: Write | DenyOOM, Keys: []KeySpec{Key(1, OW|Updates), Key(2, RO|Reads)}, Run: geosearchstore,
		Summary: "Stores the places in a circle or a box in another key.",
	},
}
