package compare

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// maxIdle is below what redis-server accepts and a process may open.
const maxIdle = 5000

// A kind of data is loaded and weighed; release ends what keeps it.
type kind struct {
	name string
	n    int // elements
	load func(t *testing.T, s *server) (release func())
}

// kinds are those whose memory is measured; the great ones, of which no goal speaks, only
// where every one is asked for.
func kinds(keys int, every bool) []kind {
	filled := func(fill func(p *Pipeline)) func(*testing.T, *server) func() {
		return func(t *testing.T, s *server) func() { s.load(t, fill); return func() {} }
	}
	var all []kind
	for i, d := range Datasets {
		if every || i == 0 || strings.HasPrefix(d.Name, "small") {
			all = append(all, kind{d.Name, keys, filled(func(p *Pipeline) { d.Fill(p, keys) })})
		}
		if i == 0 {
			all = append(all, kind{"strings, overwritten", keys, filled(func(p *Pipeline) {
				d.Fill(p, keys)
				Overwrite(p, keys, 5*keys)
			})})
		}
	}
	idle := min(maxIdle, keys)
	return append(all, kind{"idle connections", idle, func(t *testing.T, s *server) func() {
		conns, err := connect(s.addr, idle)
		require.NoError(t, err, s.name)
		return conns.close
	}})
}

// memory weighs what is wanted of all, with servers of their own.
func (c *comparison) memory(t *testing.T, all []kind, wanted func(string) bool) {
	columns := []string{size}
	headed := false
	for _, k := range all {
		if !wanted(k.name) {
			continue
		}
		if !headed {
			printHead(c.out, "bytes of an element", columns)
			headed = true
		}
		r := result{Name: k.name, Of: map[string]figures{}}
		for _, m := range c.makers {
			s := m.start(t, c.serverCore, "")
			r.Servers = append(r.Servers, s.name)
			r.Of[s.name] = figures{size: weigh(t, s, k.load) / float64(k.n)}
			s.stop()
		}
		c.keep(t, r, columns)
	}
}

// weigh is by how many bytes the resident set of s has grown a second after the load.
func weigh(t *testing.T, s *server, load func(*testing.T, *server) (release func())) float64 {
	before := status(t, s.pid, "VmRSS")
	defer load(t, s)()
	time.Sleep(time.Second) // what is measured is this moment, not an end of something
	return float64(status(t, s.pid, "VmRSS")-before) * 1024
}
