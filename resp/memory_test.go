package resp

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// inUse is what heap and stacks hold after a collection.
func inUse() int64 {
	var m runtime.MemStats
	for range 3 { // pools let go of what they hold at the second, stacks shrink at each
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// An idle connection holds no buffers. What is measured here includes the
// client's end, in the same process.
func TestIdleConnectionsAreSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("opens many sockets")
	}
	s, addr := startServer(t, newDemo(), nil)
	const n = 2000
	before := inUse()
	conns := make([]*client, n)
	for i := range conns {
		conns[i] = dial(t, addr)
		conns[i].r.Reset(nil)
		conns[i].r = nil
	}
	reply := make([]byte, 7)
	for _, c := range conns {
		c.send("PING\r\n")
		_, err := io.ReadFull(c, reply)
		require.NoError(t, err)
	}
	each := (inUse() - before) / n
	t.Logf("%d bytes for each of %d connections, both ends", each, n)
	most := int64(16 << 10)
	if s.transport.loops() && !underRace {
		most = 2 << 10
	}
	require.Less(t, each, most)
	require.Equal(t, n, s.Totals().Clients)
	runtime.KeepAlive(conns)
}

// Commands that announce 500 MB and do not send them, and clients that ask for
// much and do not read it, cost what was sent and a few MB.
func TestAbuseIsBounded(t *testing.T) {
	s, addr := startServer(t, newDemo(), nil)
	before := inUse()
	const half, sent = 200, 20000
	for range half {
		c := dial(t, addr)
		c.send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$500000000\r\n" + strings.Repeat("x", sent))
	}
	eventually(t, "all of it has arrived", func() bool { return s.Totals().NetIn >= half*sent })
	require.Less(t, inUse()-before, int64(half*(4*sent+32<<10)))

	const deaf, big = 20, 1 << 20
	for range deaf {
		c := dial(t, addr)
		go func() { _, _ = io.WriteString(c, strings.Repeat(fmt.Sprintf("BIG %d\r\n", big), 1000)) }()
	}
	eventually(t, "their replies wait", func() bool {
		waiting := 0
		for c := range s.Conns() {
			if st := c.Stats(); st.Replies > 0 {
				waiting++
				require.Less(t, st.Memory, 3*big)
			}
		}
		return waiting == deaf
	})
	require.Less(t, inUse()-before, int64(half*(4*sent+32<<10)+deaf*6*big))
	c := dial(t, addr)
	c.send("PING\r\n")
	c.expect("+PONG\r\n")
}
