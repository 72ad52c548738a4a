package server_test

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/testserver"
)

// What stands before a call in a pipeline is sent before the call waits. When
// the call is then refused, or its reply suppressed, nothing is sent twice.
func TestParkedCallsTakeBackOnlyTheirOwn(t *testing.T) {
	s := testserver.Start(t, "--rmw-always-queue", "yes")
	c := testserver.Dial(t, s)
	_, err := c.Write([]byte("PING one\r\nLSET l 0 x\r\nPING two\r\nCLIENT REPLY SKIP\r\nINCR n\r\nLSET l 0 x\r\nPING three\r\n"))
	require.NoError(t, err)
	want := "$3\r\none\r\n-ERR no such key\r\n$3\r\ntwo\r\n-ERR no such key\r\n$5\r\nthree\r\n"
	got := make([]byte, len(want))
	require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
	n, err := io.ReadFull(c, got)
	require.NoError(t, err, "%q", got[:n])
	require.Equal(t, want, string(got))
}
