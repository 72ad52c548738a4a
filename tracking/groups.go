package tracking

import (
	"maps"
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/puzpuzpuz/xsync/v3"
)

// A Group is the clients that want to hear of all keys with a prefix. It is never
// changed.
type Group struct {
	Prefix  string
	Clients []*Client
}

// groups finds those of a key: its beginnings are looked up, of the lengths that
// occur.
type groups struct {
	by      *xsync.MapOf[string, *Group]
	lengths atomic.Pointer[[]int] // of the prefixes, ascending
	count   map[int]int           // of prefixes by length; guarded by the table's mutex
}

func (g *groups) init() {
	g.by = xsync.NewMapOf[string, *Group]()
	g.lengths.Store(new([]int))
	g.count = map[int]int{}
}

// join and leave are called with the table's mutex held.
func (g *groups) join(prefix string, c *Client) {
	old, ok := g.by.Load(prefix)
	if !ok {
		old = new(Group)
	}
	g.by.Store(prefix, &Group{prefix, append(slices.Clip(old.Clients), c)})
	if !ok {
		g.number(len(prefix), 1)
	}
}

func (g *groups) leave(prefix string, c *Client) {
	old, _ := g.by.Load(prefix)
	list := slices.DeleteFunc(slices.Clone(old.Clients), func(x *Client) bool { return x == c })
	if len(list) > 0 {
		g.by.Store(prefix, &Group{prefix, list})
		return
	}
	g.by.Delete(prefix)
	g.number(len(prefix), -1)
}

// number counts prefixes of a length.
func (g *groups) number(length, more int) {
	before := len(g.count)
	if g.count[length] += more; g.count[length] == 0 {
		delete(g.count, length)
	}
	if len(g.count) != before {
		lengths := slices.Sorted(maps.Keys(g.count))
		g.lengths.Store(&lengths)
	}
}

// Broadcasts tells whether anybody wants to hear of prefixes.
func (t *Table) Broadcasts() bool { return len(*t.groups.lengths.Load()) > 0 }

// Listeners calls fn for every prefix of key that somebody wants to hear of, short
// ones first.
func (t *Table) Listeners(key []byte, fn func(g *Group)) {
	name := unsafe.String(unsafe.SliceData(key), len(key)) // for looking up only
	for _, n := range *t.groups.lengths.Load() {
		if n > len(name) {
			return
		}
		if g, ok := t.groups.by.Load(name[:n]); ok {
			fn(g)
		}
	}
}
