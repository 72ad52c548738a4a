// Package testserver starts whole servers inside of tests. Nothing outside of
// tests imports it.
package testserver

import (
	"cmp"
	"context"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/router"
	"github.com/ferricd/ferricd/server"
)

// Start runs a server on a free port of the loopback interface until the test
// ends. args are options as on the command line. DEBUG is allowed.
func Start(t testing.TB, args ...string) *server.Server {
	t.Helper()
	return StartWith(t, server.Options{}, args...)
}

// StartWith is Start with options of its own; Config and Addr are filled in.
func StartWith(t testing.TB, o server.Options, args ...string) *server.Server {
	t.Helper()
	args = append([]string{"--dir", t.TempDir(), "--enable-debug-command", "yes", "--appendonly", "no", "--transport", Transport()}, args...)
	o.Config = config.New()
	require.NoError(t, o.Config.Load(args, nil))
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	s, err := server.Open(o)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, s.Shutdown(ctx))
	})
	return s
}

// Transport is the transport that servers of tests are to have: FERRICD_TRANSPORT, the
// variable that ferricd itself reads, or auto.
func Transport() string { return cmp.Or(os.Getenv("FERRICD_TRANSPORT"), "auto") }

// Dial connects to s.
func Dial(t testing.TB, s *server.Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// A Recorder is a Sink that keeps every record, to be replayed.
type Recorder struct {
	router.NoSink
	mu      sync.Mutex
	records []Recorded
}

// Recorded is one unit of the log.
type Recorded struct {
	DB      int
	Now     int64
	Records [][]string
}

var _ router.Sink = (*Recorder)(nil)

// Append keeps a unit.
func (r *Recorder) Append(db int, now int64, records []router.Record) uint64 {
	unit := Recorded{DB: db, Now: now}
	for _, argv := range records {
		var words []string
		for _, a := range argv {
			words = append(words, string(a))
		}
		unit.Records = append(unit.Records, words)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, unit)
	return uint64(len(r.records))
}

// Take returns what was recorded since the last Take.
func (r *Recorder) Take() []Recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.records
	r.records = nil
	return out
}

// Replay runs recorded units on another server, which expires nothing on its
// own from then on.
func Replay(t testing.TB, to *server.Server, units []Recorded) {
	t.Helper()
	to.SetActiveExpire(false)
	for _, u := range units {
		for _, argv := range u.Records {
			if argv[0] == "SELECT" { // the rest of the unit is of another database
				db, err := strconv.Atoi(argv[1])
				require.NoError(t, err)
				u.DB = db
				continue
			}
			args := make([][]byte, len(argv))
			for i, w := range argv {
				args[i] = []byte(w)
			}
			require.NoError(t, to.Apply(u.DB, u.Now, args...), "replaying %q", argv)
		}
	}
}
