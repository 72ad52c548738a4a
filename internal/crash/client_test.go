package crash

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ferricd/ferricd/internal/transcript"
)

// A call is a command, or several that are one transaction.
type call struct {
	argvs   [][]string
	touched []string // keys of the client's own that it may change
	shared  int      // how often it increments the shared counter
	pops    string   // the own set of which it removes a member by chance
	acked   time.Time
}

// A client calls a server one call after the other, from one life of the server to
// the next.
type client struct {
	id      int
	rng     *rand.Rand
	seq     int // of calls ever drawn
	entries int // that were added to the stream
	pre     string
	keys    []string

	calls []*call      // of this life; only the last may be without an answer
	acked atomic.Int64 // how many were answered
	ref   *transcript.Client
}

// mostCalls bounds what a client calls in one life, and what is to be checked then.
const mostCalls = 1000

// kinds are what a client's keys are called; each holds one type.
var kinds = []string{"str", "app", "int", "flt", "bits", "list", "list2", "set", "zset", "hash", "stream", "copy"}

func newClient(id int, seed uint64, ref *transcript.Client) *client {
	c := &client{id: id, rng: rand.New(rand.NewPCG(seed, uint64(id))), pre: fmt.Sprintf("c%d:", id), ref: ref}
	for _, kind := range kinds {
		c.keys = append(c.keys, c.pre+kind)
	}
	return c
}

// db is the client's database. Each has shared keys of its own.
func (c *client) db() string { return strconv.Itoa(c.id % 2) }

// connect returns a connection to a server, in the client's database.
func (c *client) connect(addr string) (*transcript.Client, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	to := transcript.NewClient(conn, time.Minute)
	if v, err := to.Do("SELECT", c.db()); err != nil || v.IsError() {
		return nil, fmt.Errorf("SELECT: %v %v", v, err)
	}
	return to, nil
}

// work calls until the server is gone. An error is an answer that a server without
// faults does not give; crashed tells that its disk is gone, and it may.
func (c *client) work(addr string, pace time.Duration, crashed *atomic.Bool) error {
	to, err := c.connect(addr)
	if err != nil {
		return nil //nolint:nilerr // it is gone, as it should be
	}
	defer to.Close()
	for range mostCalls {
		time.Sleep(pace)
		k := c.draw()
		c.calls = append(c.calls, k)
		v, err := run(to, k.argvs)
		if err != nil {
			return nil //nolint:nilerr // it is gone, as it should be
		}
		if v.IsError() {
			if crashed != nil && crashed.Load() {
				return nil
			}
			return fmt.Errorf("%q: %s", k.argvs, v.Str)
		}
		k.acked = time.Now()
		if k.pops != "" {
			k.popped(v)
		}
		c.acked.Add(1)
	}
	return nil
}

// run makes a call and returns its answer, of a transaction that of EXEC or the
// first error in it.
func run(to *transcript.Client, argvs [][]string) (transcript.Value, error) {
	if len(argvs) == 1 {
		return to.Do(argvs[0]...)
	}
	for _, argv := range append(append([][]string{{"MULTI"}}, argvs...), []string{"EXEC"}) {
		if err := to.Send(argv...); err != nil {
			return transcript.Value{}, err
		}
	}
	for range len(argvs) + 1 {
		if v, err := to.Receive(false); err != nil || v.IsError() {
			return v, err
		}
	}
	v, err := to.Receive(false)
	for _, e := range v.Elems {
		if e.IsError() {
			return e, err
		}
	}
	return v, err
}

// popped makes what was left to chance certain.
func (k *call) popped(v transcript.Value) {
	k.argvs = [][]string{{"EXISTS", k.pops}}
	if !v.Null {
		k.argvs = [][]string{{"SREM", k.pops, v.Str}}
	}
}

// far is a time that no test sees, unlike its neighbours.
func (c *client) far() string { return strconv.Itoa(4_000_000_000_000 + c.seq) }

func (c *client) key(kind string) string { return c.pre + kind }

// draw draws the next call.
func (c *client) draw() *call {
	c.seq++
	n := strconv.Itoa(c.seq)
	switch r := c.rng.IntN(100); {
	case r < 10: // it changes no key of the client's
		return &call{argvs: [][]string{{"INCR", "shared"}}, shared: 1}
	case r < 20:
		from, to := c.rng.IntN(3), c.rng.IntN(3)
		name := []string{"LMOVE", "BLMOVE"}[c.rng.IntN(2)]
		argv := []string{name, fmt.Sprint("shared", from), fmt.Sprint("shared", to), "LEFT", "RIGHT"}
		if name == "BLMOVE" {
			argv = append(argv, "0.001")
		}
		return &call{argvs: [][]string{argv}}
	case r < 25:
		return &call{argvs: [][]string{{"SET", c.key("short"), n, "PX", fmt.Sprint(1 + c.rng.IntN(30))}}}
	case r < 33:
		return &call{
			argvs:   [][]string{{"INCR", "shared"}, c.own(n), {"SET", c.key("str"), n}, c.own(n), {"INCR", "shared"}},
			touched: c.keys, shared: 2,
		}
	case r < 36:
		return &call{argvs: [][]string{{"SPOP", c.key("set")}}, touched: []string{c.key("set")}, pops: c.key("set")}
	}
	argv := c.own(n)
	k := &call{argvs: [][]string{argv}}
	for _, word := range argv[1:] {
		if strings.HasPrefix(word, c.pre) {
			k.touched = append(k.touched, word)
		}
	}
	return k
}

// own is a command on the client's own keys that leaves nothing to time or chance.
func (c *client) own(n string) []string {
	small := strconv.Itoa(c.rng.IntN(12))
	key := c.key
	switch c.rng.IntN(30) {
	case 0:
		return []string{"SET", key("str"), n}
	case 1:
		return []string{"SET", key("str"), n + strings.Repeat("x", c.rng.IntN(8000)), "PXAT", c.far()}
	case 2:
		return []string{"APPEND", key("app"), n + ","}
	case 3:
		return []string{"DEL", key("app"), key("list2"), key("copy")}
	case 4, 5:
		return []string{"INCRBY", key("int"), n}
	case 6:
		return []string{"INCRBYFLOAT", key("flt"), n + ".5"}
	case 7:
		return []string{"SETBIT", key("bits"), strconv.Itoa(c.rng.IntN(3000)), strconv.Itoa(c.seq % 2)}
	case 8, 9:
		return []string{"RPUSH", key("list"), n, small}
	case 10:
		return []string{"LPUSH", key("list"), n}
	case 11:
		return []string{"LPOP", key("list")}
	case 12, 13:
		return []string{"LMOVE", key("list"), key("list2"), "LEFT", "RIGHT"}
	case 14:
		return []string{"LTRIM", key("list"), "0", "30"}
	case 15:
		return []string{"SADD", key("set"), small, n}
	case 16:
		return []string{"ZADD", key("zset"), n, small}
	case 17:
		return []string{"ZINCRBY", key("zset"), n, small}
	case 18:
		return []string{"ZPOPMIN", key("zset")}
	case 19:
		return []string{"HSET", key("hash"), "f" + small, n}
	case 20:
		return []string{"HINCRBY", key("hash"), "n", n}
	case 21:
		return []string{"HPEXPIREAT", key("hash"), c.far(), "FIELDS", "1", "f" + small}
	case 22:
		return []string{"HDEL", key("hash"), "f" + small}
	case 23:
		c.entries++
		return []string{"XADD", key("stream"), "MAXLEN", "40", strconv.Itoa(c.entries), "f", n}
	case 24:
		return []string{"XGROUP", "CREATECONSUMER", key("stream"), "g", "c" + small}
	case 25:
		return []string{"XREADGROUP", "GROUP", "g", "c" + small, "COUNT", "2", "STREAMS", key("stream"), ">"}
	case 26:
		return []string{"XACK", key("stream"), "g", strconv.Itoa(max(0, c.entries-c.rng.IntN(40)))}
	case 27:
		return []string{"PEXPIREAT", key("str"), c.far()}
	case 28:
		return []string{"COPY", key("list"), key("copy"), "REPLACE"}
	}
	return []string{"MSET", key("str"), n, key("flt"), n}
}

// begin is what must be there before the first call.
func (c *client) begin() []*call {
	return []*call{
		{argvs: [][]string{{"XGROUP", "CREATE", c.key("stream"), "g", "0", "MKSTREAM"}}},
		{argvs: [][]string{{"SET", c.key("int"), "0"}}},
	}
}
