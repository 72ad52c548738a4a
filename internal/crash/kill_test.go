package crash

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/aof"
	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/internal/transcript"
)

var kills = flag.Int("kills", 100, "how often the server is killed")

const (
	clients = 8
	tokens  = 30 // in the shared lists of a database
	lives   = 10 // of one directory
)

// points are all failpoints.
func points() []string {
	all := aof.Failpoints()
	for _, step := range []string{"create", "write", "sync", "rename", "syncdir", "remove"} {
		all = append(all, "snapshot-"+step)
	}
	return all
}

// TestKill kills a server under load, again and again, and looks each time at what
// is left.
func TestKill(t *testing.T) {
	if testing.Short() {
		*kills = min(*kills, 20)
	}
	policies := []string{"always", "everysec", "always", "no"}
	var mu sync.Mutex
	own := map[string]int{} // by point, who died there
	calls := 0
	t.Run("lives", func(t *testing.T) {
		for i := range (*kills + lives - 1) / lives {
			policy := policies[i%len(policies)]
			t.Run(fmt.Sprintf("%s/%d", policy, i), func(t *testing.T) {
				t.Parallel()
				d := newDirectory(t, policy, uint64(i))
				for range lives {
					o, most := orders{Args: d.args}, time.Duration(20+d.rng.IntN(200))*time.Millisecond
					if d.rng.IntN(3) > 0 { // it comes to its failpoint, sooner or later
						o, most = d.draw(false), 20*time.Second
					}
					point := d.life(t, o, most)
					mu.Lock()
					own[point]++
					mu.Unlock()
				}
				d.look(t, startChild(t, orders{Args: d.args}).addr)
				mu.Lock()
				calls += d.calls
				mu.Unlock()
			})
		}
	})
	t.Logf("%d calls; died at: %v", calls, own)
	died := 0
	for point, n := range own {
		if point != "" {
			died += n
		}
	}
	require.GreaterOrEqual(t, died, *kills/4, "few have come to their failpoint: %v", own)
}

// With appendfsync everysec nothing that was acknowledged long before the crash is
// missing. (A process that is killed loses less: what the kernel has stays.)
func TestKillAfterSeconds(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, "everysec", 1000)
	d.pace = 4 * time.Millisecond
	d.life(t, orders{Args: d.args}, 4*time.Second)
	d.look(t, startChild(t, orders{Args: d.args}).addr)
}

// A directory is a data directory and what should be in it.
type directory struct {
	policy string
	args   []string
	rng    *rand.Rand
	pace   time.Duration // between two calls of a client
	all    []*client
	shared [2]int // what the shared counters held at the start of this life

	calls int       // of all lives
	floor []int     // while the log may be off: what was acknowledged when it was on; else nil
	gone  time.Time // when the server was

	forgets bool        // the directory is in memory that forgets what was not synced
	crashed atomic.Bool // it has
	repairs int         // how often what was left had to be repaired
	synced  []int       // what was acknowledged when all of it was known to be on the disk; nil: nothing
}

func newDirectory(t *testing.T, policy string, seed uint64) *directory {
	d := newClients(t, policy, seed)
	d.args = append(d.args, "--dir", t.TempDir())
	s := startChild(t, orders{Args: d.args})
	d.fill(t, s.addr)
	s.kill()
	return d
}

// newClients makes a directory without a place, and its clients.
func newClients(t *testing.T, policy string, seed uint64) *directory {
	d := &directory{policy: policy, rng: rand.New(rand.NewPCG(seed, 1))}
	d.args = []string{
		"--enable-debug-command", "yes", "--shards", "4", "--loglevel", "warning",
		"--appendonly", "yes", "--appendfsync", policy, "--log-segment-size", "65536", "--transport", testserver.Transport(),
	}
	ref := testserver.Start(t, "--shards", "4")
	for id := range clients {
		c := newClient(id, seed, nil)
		to, err := c.connect(ref.Addr())
		require.NoError(t, err)
		c.ref = to
		d.all = append(d.all, c)
	}
	return d
}

// fill makes what must be there before the first call.
func (d *directory) fill(t *testing.T, addr string) {
	for _, c := range d.all {
		to, err := c.connect(addr)
		require.NoError(t, err)
		for _, k := range c.begin() {
			for _, conn := range []*transcript.Client{to, c.ref} {
				v, err := run(conn, k.argvs)
				require.NoError(t, err)
				require.False(t, v.IsError(), v.Str)
			}
		}
		if c.id < len(d.shared) {
			for i := range tokens {
				v, err := to.Do("RPUSH", "shared0", strconv.Itoa(i))
				require.NoError(t, err)
				require.False(t, v.IsError(), v.Str)
			}
		}
		if c.id == clients-1 {
			v, err := to.Do("SAVE")
			require.NoError(t, err)
			require.Equal(t, "OK", v.Str)
		}
	}
}

// draw draws where the server is to die.
func (d *directory) draw(early bool) orders {
	o := orders{Args: d.args, Early: early}
	all := points()
	o.Point, o.Hits = all[d.rng.IntN(len(all))], d.rng.IntN(3)
	if slices.Contains([]string{aof.FailWrite, aof.FailWritten, aof.FailSync, aof.FailSynced}, o.Point) {
		o.Hits = d.rng.IntN(40)
	}
	if early {
		o.Hits = 0
	}
	return o
}

// life starts the server, looks at what the last life has left, and lets clients
// work until it dies. It returns the failpoint where that was, "" if it was killed.
func (d *directory) life(t *testing.T, o orders, most time.Duration) string {
	t.Helper()
	if d.rng.IntN(4) == 0 { // one that dies before it serves, or soon after
		startChild(t, d.draw(true)).kill()
	}
	s := startChild(t, o)
	d.look(t, s.addr)
	s.arm(t)
	var working sync.WaitGroup
	for _, c := range d.all {
		working.Go(func() {
			if err := c.work(s.addr, d.pace, nil); err != nil {
				t.Error(err)
			}
		})
	}
	seed := d.rng.Uint64()
	working.Go(func() { d.trouble(t, s.addr, seed) })
	byParent := s.killAfter(most)
	d.gone = time.Now()
	working.Wait()
	require.True(t, s.killed(), "the server has ended on its own:\n%s", s.log.String())
	if byParent {
		return ""
	}
	return o.Point
}

// trouble takes snapshots and switches the log off and on until the server is gone.
func (d *directory) trouble(t *testing.T, addr string, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 2))
	c, err := d.all[0].connect(addr)
	if err != nil {
		return
	}
	defer c.Close()
	switching := rng.IntN(3) == 0
	for !d.crashed.Load() {
		time.Sleep(time.Duration(rng.IntN(10)) * time.Millisecond) // so that some calls come between
		argvs := [][]string{{"BGSAVE", "SCHEDULE"}}
		switch r := rng.IntN(8); {
		case r == 0:
			argvs = [][]string{{"SAVE"}}
		case r < 3 && d.forgets:
			d.awaitDisk(c)
			continue
		case r == 1:
			argvs = [][]string{{"DEBUG", "LOADAOF"}}
		case r == 2:
			argvs = [][]string{{"BGREWRITEAOF"}, {"DEBUG", "RELOAD"}}
		case r < 5 && switching:
			argvs = [][]string{{"CONFIG", "SET", "appendonly", "no"}, {"BGSAVE"}, {"CONFIG", "SET", "appendonly", "yes"}}
			d.floor = d.acked()
		}
		for _, argv := range argvs {
			v, err := c.Do(argv...)
			if err != nil || d.crashed.Load() {
				return
			}
			if v.IsError() && argv[0] != "BGSAVE" && argv[0] != "SAVE" {
				t.Errorf("%q: %s", argv, v.Str)
			}
			if argv[len(argv)-1] == "yes" {
				d.floor = nil
			}
			time.Sleep(time.Duration(rng.IntN(5)) * time.Millisecond)
		}
	}
}

// awaitDisk waits until all that clients know of is on the disk.
func (d *directory) awaitDisk(c *transcript.Client) {
	sure := d.acked()
	if v, err := c.Do("INCR", "trouble"); err != nil || v.IsError() {
		return
	}
	v, err := c.Do("WAITAOF", "1", "0", "0")
	if err == nil && len(v.Elems) == 2 && v.Elems[0].Str == "1" && d.floor == nil {
		d.synced = sure
	}
}

func (d *directory) acked() (n []int) {
	for _, c := range d.all {
		n = append(n, int(c.acked.Load()))
	}
	return n
}

// ackedBefore is how many calls of this life were answered before a time.
func (c *client) ackedBefore(at time.Time) (n int) {
	for n < len(c.calls) && !c.calls[n].acked.IsZero() && c.calls[n].acked.Before(at) {
		n++
	}
	return n
}

// sure is how many calls of a client the crash must have left.
func (d *directory) sure(c *client) int {
	n := int(c.acked.Load())
	if d.policy != "always" {
		n = 0
		if d.synced != nil {
			n = d.synced[c.id]
		}
		if d.policy == "everysec" || !d.forgets { // the kernel of a killed process writes it some day
			n = max(n, c.ackedBefore(d.gone.Add(-3*time.Second)))
		}
	}
	if d.floor != nil {
		n = min(n, d.floor[c.id])
	}
	return n
}

// look compares what a server has with what clients know; it is then what the next
// life begins with.
func (d *directory) look(t *testing.T, addr string) {
	t.Helper()
	var all sync.WaitGroup
	verdicts, errs := make([]verdict, clients), make([]error, clients)
	for i, c := range d.all {
		all.Go(func() { verdicts[i], errs[i] = c.check(addr, d.sure(c)) })
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	for db := range d.shared {
		to, err := d.all[db].connect(addr)
		require.NoError(t, err)
		d.lookAtShared(t, db, to, verdicts)
		require.NoError(t, to.Close())
	}
	for _, c := range d.all {
		d.calls += len(c.calls)
		c.calls = nil
		c.acked.Store(0)
	}
	d.floor, d.synced = nil, nil
}

// lookAtShared looks at the keys that all clients of a database share: every
// increment is there once, and what was moved is in one place.
func (d *directory) lookAtShared(t *testing.T, db int, to *transcript.Client, verdicts []verdict) {
	t.Helper()
	v, err := to.Do("GET", "shared")
	require.NoError(t, err)
	got := 0
	if !v.Null {
		got, err = strconv.Atoi(v.Str)
		require.NoError(t, err)
	}
	low, high := d.shared[db], d.shared[db]
	for i := db; i < clients; i += len(d.shared) {
		low += verdicts[i].atLeast
		high += verdicts[i].atMost
	}
	require.GreaterOrEqual(t, got, low, "an increment is missing")
	require.LessOrEqual(t, got, high, "an increment came twice")
	d.shared[db] = got

	var all []string
	for i := range 3 {
		v, err := to.Do("LRANGE", fmt.Sprint("shared", i), "0", "-1")
		require.NoError(t, err)
		for _, e := range v.Elems {
			all = append(all, e.Str)
		}
	}
	var want []string
	for i := range tokens {
		want = append(want, strconv.Itoa(i))
	}
	require.ElementsMatch(t, want, all, "what was moved")
}
