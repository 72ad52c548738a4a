package resp

import (
	"errors"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// startRedis starts a redis-server on a unix socket, where there is one to
// start.
func startRedis(t *testing.T) string {
	t.Helper()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "redis")
	cmd := exec.Command(bin, "--port", "0", "--unixsocket", path, "--save", "", "--dir", dir)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	eventually(t, "redis-server listens", func() bool {
		nc, err := net.Dial("unix", path)
		if err == nil {
			_ = nc.Close()
		}
		return err == nil
	})
	return path
}

// converse sends data, at once or byte by byte, ends its side and returns all
// that comes back.
func converse(t *testing.T, path, data string, piece int) string {
	t.Helper()
	nc, err := net.Dial("unix", path)
	require.NoError(t, err)
	defer nc.Close()
	require.NoError(t, nc.SetDeadline(time.Now().Add(20*time.Second)))
	go func() {
		for len(data) > 0 {
			n := min(piece, len(data))
			if _, err := io.WriteString(nc, data[:n]); err != nil {
				return
			}
			data = data[n:]
		}
		_ = nc.(*net.UnixConn).CloseWrite()
	}()
	b, err := io.ReadAll(nc)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		require.NoError(t, err)
	}
	return string(b)
}

func TestAnswersAsRedisDoes(t *testing.T) {
	redis := startRedis(t)
	s := NewServer(newDemo(), Options{})
	ours := filepath.Join(t.TempDir(), "ours")
	_, err := s.ListenUnix(ours, 0o700)
	require.NoError(t, err)
	serve(t, s)
	for _, p := range badPackets() {
		for _, piece := range []int{len(p), 1} {
			if piece == 1 && len(p) > 1000 {
				continue
			}
			want := converse(t, redis, p, piece)
			got := converse(t, ours, p, piece)
			require.Equal(t, want, got, "%.60q in pieces of %d", p, piece)
		}
	}
}
