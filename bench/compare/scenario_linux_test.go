package compare

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// A scenario is one load.
type scenario struct {
	command      string
	conns, depth int
	keys         string // random, hot or zipf
	value        int    // bytes
	keyspace     int    // keys for each million that the flag says; 0: a million
	logged       bool   // with servers that keep logs beside those that keep none
}

func (s scenario) String() string {
	size := strconv.Itoa(s.value) + "B"
	if s.value >= 1024 {
		size = strconv.Itoa(s.value/1024) + "KiB"
	}
	name := fmt.Sprintf("%s c%d P%d %s %s", s.command, s.conns, s.depth, s.keys, size)
	if s.keyspace > 1_000_000 {
		name += fmt.Sprintf(" %dx keys", s.keyspace/1_000_000)
	}
	if s.logged {
		name += " logged"
	}
	return name
}

// size is the number of keys, where the flag says keys.
func (s scenario) size(keys int) int {
	if s.keyspace == 0 {
		return keys
	}
	return max(1, s.keyspace*keys/1_000_000)
}

// logs are the settings of appendfsync with which servers are measured beside each other.
func (s scenario) logs() []string {
	if s.logged {
		return logs
	}
	return logs[:1]
}

var (
	// commands that need the same data follow each other.
	commands = []string{"GET", "SET", "MSET", "INCR", "LPUSH", "HSET", "ZADD", "SADD"}
	big      = []string{"GET", "SET", "MSET", "LPUSH", "HSET"} // that carry a value
)

// scenarios are all loads, those with the same servers and data together. Unless every
// combination is asked for, hot keys, zipf and values of 1 KiB have a place or two each.
func scenarios(every bool) []scenario {
	var all []scenario
	for _, value := range []int{64, 1024} {
		for _, command := range commands {
			for _, keys := range []string{"random", "hot", "zipf"} {
				for _, conns := range []int{50, 512} {
					for _, depth := range []int{1, 4, 16, 64} {
						s := scenario{command: command, conns: conns, depth: depth, keys: keys, value: value}
						if value == 1024 {
							s.keyspace = 100_000
						}
						if (value == 64 || slices.Contains(big, command)) && (every || s.chosen()) {
							all = append(all, s)
						}
					}
				}
			}
		}
	}
	all = append(all, scenario{command: "GET+SET", conns: 50, depth: 16, keys: "random", value: 64, keyspace: 5_000_000})
	for _, command := range []string{"SET", "INCR"} {
		for _, depth := range []int{1, 16} {
			all = append(all, scenario{command: command, conns: 50, depth: depth, keys: "random", value: 64, logged: true})
		}
	}
	return all
}

// chosen tells whether s is measured when nobody asks for every combination.
func (s scenario) chosen() bool {
	usual := s.conns == 50 && s.depth == 16
	switch {
	case s.value == 1024:
		return s.keys == "random" && s.conns == 50 && (s.command == "GET" || s.command == "SET") && (s.depth == 1 || s.depth == 16)
	case s.keys == "hot":
		return usual || s.command == "INCR" && s.conns == 512 && s.depth == 64
	}
	return s.keys == "random" || usual
}

// What is built before the clock starts is bounded by both.
const (
	maxRequests     = 1_000_000
	maxRequestBytes = 256 << 20
)

// requests builds the scenario's batches, over n keys: of few keys few, for a quick look.
func (s scenario) requests(n int) *requests {
	d := newDraw(s, n)
	r := &requests{}
	calls := min(maxRequests, 4*n+s.conns*s.depth)
	for len(r.ends)*s.depth < calls && len(r.bytes) < maxRequestBytes {
		command := s.command
		if command == "GET+SET" {
			command = []string{"GET", "SET"}[d.random.IntN(2)]
			r.quiet = append(r.quiet, command == "SET")
		}
		for range s.depth {
			r.bytes = appendCall(r.bytes, d.call(command)...)
		}
		r.ends = append(r.ends, len(r.bytes))
	}
	return r
}

// A draw draws calls.
type draw struct {
	random *rand.Rand
	key    func() string
	value  string
	wide   int // elements that a collection can have
	hot    bool
}

func newDraw(s scenario, n int) *draw {
	d := &draw{random: rand.New(rand.NewPCG(7, 11)), value: strings.Repeat("v", s.value), wide: 16}
	switch s.keys {
	case "hot":
		d.key, d.wide, d.hot = func() string { return keyName(0) }, n, true
	case "zipf":
		zipf := rand.NewZipf(d.random, 1.01, 1, uint64(n-1))
		// What is drawn often is spread over the keys, not first in the order of filling.
		d.key = func() string { return keyName(int(zipf.Uint64() * 2654435761 % uint64(n))) }
	default:
		d.key = func() string { return keyName(d.random.IntN(n)) }
	}
	return d
}

func (d *draw) element() string { return "element:" + strconv.Itoa(d.random.IntN(d.wide)) }

func (d *draw) call(command string) []string {
	switch command {
	case "GET", "INCR":
		return []string{command, d.key()}
	case "HSET":
		return []string{command, d.key(), d.element(), d.value}
	case "ZADD":
		return []string{command, d.key(), strconv.Itoa(d.random.IntN(1000)), d.element()}
	case "SADD":
		return []string{command, d.key(), d.element()}
	case "MSET":
		argv := []string{command}
		for i := range 10 {
			key := d.key()
			if d.hot {
				key = keyName(i)
			}
			argv = append(argv, key, d.value)
		}
		return argv
	}
	return []string{command, d.key(), d.value} // SET, LPUSH
}

// dataset names what a server holds before the scenario, and grows tells that it holds
// more afterwards, so that the next scenario begins anew: no row depends on another.
func (s scenario) dataset(n int) (name string, grows bool) {
	kind := s.command
	switch kind {
	case "GET", "SET", "MSET", "GET+SET":
		kind = "string"
	case "LPUSH", "HSET", "ZADD", "SADD":
		grows = true
	}
	return fmt.Sprintf("%s %d %d", kind, s.value, n), grows
}

// fill makes n keys of the kind that the scenario's command wants, of one element.
func (s scenario) fill(p *Pipeline, n int) {
	value := strings.Repeat("v", s.value)
	p.Send("FLUSHALL")
	for i := range n {
		key := keyName(i)
		switch s.command {
		case "INCR":
			p.Send("SET", key, strconv.Itoa(i))
		case "LPUSH":
			p.Send("LPUSH", key, value)
		case "HSET":
			p.Send("HSET", key, "element:0", value)
		case "ZADD":
			p.Send("ZADD", key, "0", "element:0")
		case "SADD":
			p.Send("SADD", key, "element:0")
		default:
			p.Send("SET", key, value)
		}
	}
}
