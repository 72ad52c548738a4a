package compare

import (
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// maxIdle is below what redis-server accepts and a process may open.
const maxIdle = 5000

// memory weighs the kinds of data and the idle connection, with servers of their own.
func (c *comparison) memory(t *testing.T, wanted *regexp.Regexp) []result {
	type kind struct {
		name string
		n    int
		load func(s *server) (release func())
	}
	filled := func(fill func(p *Pipeline)) func(s *server) func() {
		return func(s *server) func() { s.load(t, fill); return func() {} }
	}
	var kinds []kind
	for _, d := range Datasets {
		kinds = append(kinds, kind{d.Name, c.keys, filled(func(p *Pipeline) { d.Fill(p, c.keys) })})
	}
	kinds = append(kinds, kind{"strings, overwritten", c.keys, filled(func(p *Pipeline) {
		Datasets[0].Fill(p, c.keys)
		Overwrite(p, c.keys, 5*c.keys)
	})})
	idle := min(maxIdle, c.keys)
	kinds = append(kinds, kind{"idle connections", idle, func(s *server) func() {
		conns, err := connect(s.addr, idle)
		require.NoError(t, err, s.name)
		return conns.close
	}})
	var results []result
	columns := []string{size}
	for _, k := range kinds {
		if !wanted.MatchString(k.name) {
			continue
		}
		if len(results) == 0 {
			printHead(c.out, "memory of an element", columns)
		}
		r := result{k.name, map[string]figures{}}
		for _, m := range c.makers {
			s := m.start(t, c.serverCore, "")
			r.of[m.name] = figures{size: weigh(t, s, k.load) / float64(k.n)}
			s.stop()
		}
		printResult(c.out, r, c.names(), columns)
		results = append(results, r)
	}
	return results
}

// weigh is by how many bytes the resident set of s has grown a second after the load.
func weigh(t *testing.T, s *server, load func(s *server) (release func())) float64 {
	before := status(t, s.pid, "VmRSS")
	defer load(s)()
	time.Sleep(time.Second) // what is measured is this moment, not an end of something
	return float64(status(t, s.pid, "VmRSS")-before) * 1024
}
