package config

import (
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ferricd/ferricd/internal/glob"
)

// A Config holds the values of all parameters of one server. Reading them is safe
// from any goroutine at any time.
type Config struct {
	// Stdin is where Load reads a configuration file called "-".
	Stdin io.Reader

	nums   []atomic.Int64
	values []atomic.Pointer[value]

	file atomic.Pointer[string]

	mu      sync.Mutex // one writer at a time; guards what follows
	sources []source   // by ID: who set the value last
	hooks   []hook
}

// A source is where a value came from. Later ones are stronger.
type source uint8

const (
	fromDefault source = iota
	fromFile
	fromEnvironment
	fromCommandLine
	fromSet
)

// New returns a Config with every parameter at its default.
func New() *Config {
	c := &Config{
		Stdin:   os.Stdin,
		nums:    make([]atomic.Int64, len(table)),
		values:  make([]atomic.Pointer[value], len(table)),
		sources: make([]source, len(table)),
	}
	for _, p := range table {
		c.store(p, p.defaultValue())
	}
	return c
}

// defaultValue reads p's default. One that cannot be read is a mistake in the
// table, which the tests find.
func (p *param) defaultValue() value {
	if p.kind == kindDirective {
		return value{}
	}
	v, err := p.read(value{}, []string{p.def})
	if err != nil {
		panic("config: default of " + p.name + ": " + err.Error())
	}
	return v
}

func (c *Config) store(p *param, v value) {
	c.values[p.id].Store(&v)
	c.nums[p.id].Store(v.num)
}

func (c *Config) load(p *param) value { return *c.values[p.id].Load() }

// Int returns the number that id is set to: an integer, bytes, the place of an
// enum's word among its options, the bits of a set of words. A percentage is
// negative.
func (c *Config) Int(id ID) int64 { return c.nums[id].Load() }

// Bool reports whether id is set to yes.
func (c *Config) Bool(id ID) bool { return c.nums[id].Load() != 0 }

// String returns what id is set to, as CONFIG GET shows it unless it is veiled.
func (c *Config) String(id ID) string { return c.values[id].Load().text }

// SavePoints returns the rules of the parameter save.
func (c *Config) SavePoints() []SavePoint {
	return c.values[Save].Load().obj.([]SavePoint)
}

// OutputLimits returns the limits of client-output-buffer-limit.
func (c *Config) OutputLimits() OutputLimits {
	return c.values[ClientOutputBufferLimit].Load().obj.(OutputLimits)
}

// Percentiles returns those of latency-tracking-info-percentiles.
func (c *Config) Percentiles() []float64 {
	return c.values[LatencyTrackingInfoPercentiles].Load().obj.([]float64)
}

// Addresses returns those of bind; none means that no port is listened on.
func (c *Config) Addresses() []string { return Fields(c.String(Bind)) }

// Allows reports whether id, one of the enable- parameters, admits a client that
// is local or not.
func (c *Config) Allows(id ID, local bool) bool {
	switch c.Int(id) {
	case AllowAll:
		return true
	case AllowLocal:
		return local
	}
	return false
}

// File returns the absolute path of the configuration file, or "" without one.
func (c *Config) File() string {
	if path := c.file.Load(); path != nil {
		return *path
	}
	return ""
}

// A Pair is a parameter and its value as text.
type Pair struct{ Name, Value string }

// Get answers CONFIG GET: the parameters whose name, or older name, a pattern
// matches, each once. A pattern that is a name finds hidden parameters too and
// comes back as it was written.
func (c *Config) Get(patterns ...string) []Pair {
	var found []Pair
	seen := map[string]bool{}
	add := func(shown string, p *param) {
		if key := strings.ToLower(shown); !seen[key] && p.kind != kindDirective {
			seen[key] = true
			text := c.load(p).text
			if p.has(veiled) {
				text = ""
			}
			found = append(found, Pair{shown, text})
		}
	}
	for _, pattern := range patterns {
		if !strings.ContainsAny(pattern, "[*?") {
			if p := find(pattern); p != nil {
				add(pattern, p)
			}
			continue
		}
		for _, p := range table {
			for _, name := range []string{p.name, p.alias} {
				if name != "" && !p.has(hidden) && glob.MatchStringFold(pattern, name) {
					add(name, p)
				}
			}
		}
	}
	return found
}

// Effective returns what differs from the defaults, to be printed at start.
// Secrets are replaced by a note.
func (c *Config) Effective() []Pair {
	var pairs []Pair
	for _, p := range table {
		text := c.load(p).text
		if p.kind == kindDirective || text == p.defaultValue().text {
			continue
		}
		if p.has(secret) {
			text = "(hidden)"
		}
		pairs = append(pairs, Pair{p.name, text})
	}
	return pairs
}

// Ignored returns the names of the parameters that somebody has set although
// nothing here depends on them.
func (c *Config) Ignored() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for _, p := range table {
		if p.has(idle) && c.sources[p.id] != fromDefault {
			names = append(names, p.name)
		}
	}
	return names
}
