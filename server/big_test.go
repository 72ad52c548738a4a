package server_test

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/testserver"
)

// perCall is how many bytes the server allocates for one of n calls whose reply has so many
// bytes. The client allocates none.
func perCall(t *testing.T, c net.Conn, n int, call, reply []byte) uint64 {
	t.Helper()
	do := func() {
		_, err := c.Write(call)
		require.NoError(t, err)
		_, err = io.ReadFull(c, reply)
		require.NoError(t, err)
	}
	for range 3 {
		do()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		do()
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / uint64(n)
}

// The one copy that a SET keeps is all that a value of 1 MiB costs: what it is read to and
// sent from goes to and fro between the connections.
func TestBigValuesTakeNoNewBuffers(t *testing.T) {
	const size = 1 << 20
	for _, transport := range []string{"loop", "goroutine"} {
		s := testserver.Start(t, "--transport", transport)
		c := testserver.Dial(t, s)
		set := fmt.Appendf(nil, "*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n%s\r\n", size, make([]byte, size))
		ok := make([]byte, len("+OK\r\n"))
		whole := make([]byte, len(fmt.Sprintf("$%d\r\n\r\n", size))+size)
		in := perCall(t, c, 50, set, ok)
		out := perCall(t, c, 50, []byte("*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n"), whole)
		t.Logf("%s: SET allocates %d bytes, GET %d", transport, in, out)
		require.Less(t, in, uint64(size+size/2), transport)
		require.Less(t, out, uint64(size/2), transport) // a collection may empty the pools
	}
}
