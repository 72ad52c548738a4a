//go:build linux

package failover

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A joined is what clients of the leader have felt in a part of a follower's joining.
type joined struct {
	when             string
	p99, least, most time.Duration // in the median of the rounds, at best, at worst
	ratio            float64       // to the time before, in the median
}

// The parts of a joining, in their order.
var joiningParts = []string{
	"before a follower joins",
	"while a follower copies 200 MB",
	"while it loads them",
	"while it catches up",
	"from its start until it is in sync",
}

// joinings lets a follower copy everything several times, while clients write, and
// returns their p99 in each part. What is before it is measured anew in each round:
// the machine is not the same all the time.
func joinings(t *testing.T, rounds int) (list []joined) {
	c := newCluster(t)
	leader := c.leader(t)
	guest := c.others(leader)[0]
	fillBig(t, leader, 20_000, 10_000)
	p99s, ratios := make([][]time.Duration, len(joiningParts)), make([][]float64, len(joiningParts))
	for range rounds {
		guest.crash()
		require.NoError(t, os.RemoveAll(guest.dir))
		leader.must(t, "SET", "k", "v") // answered when it is waited for no more
		h := hammer(t, leader, 10, "SET")
		leader.watch(t, func(in info, at time.Duration) bool { return at > 5*time.Second })
		begins := time.Now()
		guest.start(t)
		loads, streams, copied := time.Time{}, time.Time{}, false
		leader.watch(t, func(in info, _ time.Duration) bool {
			switch state := in.stateOf(guest.name); {
			case state == "send_bulk":
				copied = true
			case state == "wait_bgsave" && copied && loads.IsZero():
				loads = time.Now()
			case state == "online" && streams.IsZero():
				streams = time.Now()
			}
			return in.number("ferricd_isr_size") == 3
		})
		ends := time.Now()
		h.end()
		t.Logf("copying %v, loading %v, catching up %v", loads.Sub(begins).Round(time.Millisecond),
			streams.Sub(loads).Round(time.Millisecond), ends.Sub(streams).Round(time.Millisecond))
		times := []time.Time{h.began, begins, loads, streams, ends}
		for i := range joiningParts {
			from, to := begins, ends
			if i < len(times)-1 {
				from, to = times[i], times[i+1]
			}
			p99s[i] = append(p99s[i], h.p99Between(from, to))
			ratios[i] = append(ratios[i], float64(p99s[i][len(p99s[i])-1])/float64(p99s[0][len(p99s[0])-1]))
		}
	}
	for i, when := range joiningParts {
		t.Log(when, p99s[i])
		slices.Sort(p99s[i])
		slices.Sort(ratios[i])
		list = append(list, joined{when, p99s[i][rounds/2], p99s[i][0], p99s[i][rounds-1], ratios[i][rounds/2]})
	}
	return list
}

// fillBig writes strings of a size.
func fillBig(t testing.TB, n *node, keys, size int) {
	t.Helper()
	to, err := n.dial(patience)
	require.NoError(t, err)
	defer to.Close()
	big := strings.Repeat("x", size)
	for i := range keys {
		require.NoError(t, to.Send("SET", fmt.Sprint("big:", i), big))
		if i%100 == 99 {
			for range 100 {
				_, err := to.Receive(false)
				require.NoError(t, err)
			}
		}
	}
}

// watch asks a node for its INFO over one connection, until seen says that it is over.
func (n *node) watch(t testing.TB, seen func(in info, since time.Duration) bool) {
	t.Helper()
	to, err := n.dial(patience)
	require.NoError(t, err)
	defer to.Close()
	start := time.Now()
	eventually(t, "what is watched for at "+n.name, func() bool {
		time.Sleep(20 * time.Millisecond) // so that looking costs next to nothing
		v, err := to.Do("INFO", "replication")
		require.NoError(t, err)
		return seen(parseInfo(v.Str), time.Since(start))
	})
}

// stateOf is the state of a follower as its leader sees it.
func (in info) stateOf(name string) string {
	for i := 0; ; i++ {
		line, ok := in[fmt.Sprint("ferricd_follower", i)]
		if !ok {
			return ""
		}
		if strings.HasPrefix(line, "name="+name+",") {
			_, rest, _ := strings.Cut(line, "state=")
			state, _, _ := strings.Cut(rest, ",")
			return state
		}
	}
}
