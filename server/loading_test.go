package server

import (
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/internal/transcript"
	"github.com/ferricd/ferricd/internal/vfs"
)

// While data is being loaded clients are told so, and the server can be ended; what
// is on the disk is as it was.
func TestLoading(t *testing.T) {
	dir := t.TempDir()
	s, end := openAt(t, dir, "--log-segment-size", "64kb", "--auto-aof-rewrite-percentage", "0")
	require.Equal(t, "OK", do(t, dial(t, s), "DEBUG", "POPULATE", "20000", "key", "50"))
	want := digestOf(t, s)
	end()
	for _, how := range []string{"SHUTDOWN", "signal", "SHUTDOWN SAVE"} {
		t.Run(how, func(t *testing.T) {
			disk := vfs.NewFaulty(vfs.OS)
			reached, goOn := make(chan struct{}), make(chan struct{})
			first := true
			disk.Add(vfs.Rule{Ops: vfs.OpRead, Name: "log-*", Skip: 30, Before: func(vfs.Call) {
				if first { // the one goroutine that loads
					first = false
					close(reached)
					<-goOn
				}
			}})
			addr := "127.0.0.1:" + transcript.FreePort(t)
			c := config.New()
			require.NoError(t, c.Load([]string{"--dir", dir, "--save", "3600 1", "--enable-debug-command", "yes"}, nil))
			stop, opened := make(chan struct{}), make(chan error)
			go func() {
				_, err := Open(Options{Config: c, FS: disk, Addr: addr, Stop: stop})
				opened <- err
			}()
			<-reached
			conn, err := net.Dial("tcp", addr)
			require.NoError(t, err)
			defer conn.Close()
			client := transcript.NewClient(conn, 10*time.Second)
			for _, command := range []string{"GET key:1", "SET key:1 x", "KEYS *", "SAVE", "BGSAVE", "PING", "DEBUG POPULATE 5"} {
				require.Contains(t, answer(t, client, command), "LOADING Redis is loading the dataset in memory", command)
			}
			require.Contains(t, answer(t, client, "INFO persistence"), "loading:1")
			require.Contains(t, answer(t, client, "CONFIG SET appendonly no"), "while data is loaded")
			if how == "signal" {
				close(stop)
			} else {
				_, _ = client.Do(strings.Fields(how)...) // the connection ends, with or without an answer
			}
			close(goOn)
			require.ErrorIs(t, <-opened, ErrStopped)
			s, end := openAt(t, dir)
			require.Equal(t, want, digestOf(t, s))
			end()
		})
	}
}

func answer(t *testing.T, c *transcript.Client, command string) string {
	t.Helper()
	v, err := c.Do(strings.Fields(command)...)
	require.NoError(t, err)
	return v.String()
}

// What CONFIG SET says while data is loaded holds for the log that is opened then.
func TestAppendfsyncIsSetWhileLoading(t *testing.T) {
	dir := t.TempDir()
	s, end := openAt(t, dir)
	require.Equal(t, "OK", do(t, dial(t, s), "SET", "k", "1"))
	end()
	disk := vfs.NewFaulty(vfs.OS)
	reached, goOn := disk.Block(vfs.OpRead, "log-*")
	addr := "127.0.0.1:" + transcript.FreePort(t)
	c := config.New()
	require.NoError(t, c.Load([]string{"--dir", dir}, nil))
	opened := make(chan *Server)
	go func() {
		s, err := Open(Options{Config: c, FS: disk, Addr: addr})
		if err != nil {
			t.Error(err)
		}
		opened <- s
	}()
	<-reached
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	require.Equal(t, "OK", answer(t, transcript.NewClient(conn, 10*time.Second), "CONFIG SET appendfsync always"))
	goOn()
	s = <-opened
	defer s.Close()
	client := dial(t, s)
	require.Equal(t, "OK", do(t, client, "SET", "k", "2"))
	l, failed, on := s.keeper.Log()
	require.True(t, on)
	require.NoError(t, failed)
	require.Equal(t, l.End, l.Durable)
}

// Nobody is let in to what is there of the data when loading has failed.
func TestLoadingFails(t *testing.T) {
	dir := t.TempDir()
	s, end := openAt(t, dir)
	require.Equal(t, "OK", do(t, dial(t, s), "SET", "k", "1"))
	end()
	disk := vfs.NewFaulty(vfs.OS)
	disk.Add(vfs.Rule{Ops: vfs.OpRead, Name: "log-*", Err: syscall.EIO})
	c := config.New()
	require.NoError(t, c.Load([]string{"--dir", dir}, nil))
	s = &Server{cfg: c, addr: "127.0.0.1:0", quit: make(chan struct{}), level: new(slog.LevelVar)}
	require.Error(t, s.start(Options{FS: disk}))
	defer s.Close()
	require.True(t, s.router.Loading())
	require.NoError(t, s.BeforeShutdown(config.ShutdownSave))
	for name, refused := range map[string]func() error{
		"save": s.keeper.Save, "switch": func() error { return s.keeper.SetLogging(true) },
		"reload": func() error { return s.keeper.Reload(false) }, "reload saved": func() error { return s.keeper.Reload(true) },
	} {
		require.Error(t, refused(), name)
	}
}
