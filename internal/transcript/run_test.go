package transcript

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAgainstRedis runs files that hold for a real server.
func TestAgainstRedis(t *testing.T) {
	RunDir(t, TCP(StartRedis(t)), Options{Oracle: true}, "testdata/redis/*.txt")
}

func TestOracle(t *testing.T) {
	RunOracle(t, "testdata/redis/*.txt")
}

// A standIn is a server that knows a few commands by heart, so that the harness
// is tested where there is no redis-server.
type standIn struct {
	mu      sync.Mutex
	conns   map[net.Conn]bool // whether it is blocked
	params  map[string]string
	debug   bool
	flushes int
}

func newStandIn(t *testing.T) (*standIn, Dial) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &standIn{conns: map[net.Conn]bool{}, params: map[string]string{"p": "old"}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[conn] = false
			s.mu.Unlock()
			all.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		s.mu.Lock()
		for conn := range s.conns {
			conn.Close()
		}
		s.mu.Unlock()
		all.Wait()
	})
	return s, TCP(l.Addr().String())
}

func (s *standIn) serve(conn net.Conn) {
	defer func() {
		conn.Close()
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
	}()
	in := NewClient(conn, time.Minute)
	for {
		v, err := in.read(0)
		if err != nil {
			return
		}
		var words []string
		for _, e := range v.Elems {
			words = append(words, e.Str)
		}
		s.mu.Lock()
		reply := s.reply(conn, words)
		_, err = io.WriteString(conn, reply)
		s.mu.Unlock()
		if err != nil || reply == "" && words[0] == "QUIT" {
			return
		}
	}
}

func (s *standIn) reply(conn net.Conn, words []string) string {
	bulk := func(v string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(v), v) }
	switch line := strings.Join(words, " "); {
	case line == "FLUSHALL":
		s.flushes++
		return "+OK\r\n"
	case line == "DEBUG HELP" && s.debug:
		return "+OK\r\n"
	case words[0] == "PING" && len(words) == 2:
		return bulk(words[1])
	case words[0] == "ECHO":
		return bulk(words[1])
	case line == "LIST":
		return "*2\r\n+a\r\n+b\r\n"
	case line == "HELLO 3":
		return "%0\r\n"
	case line == "BLOCK":
		s.conns[conn] = true
		return ""
	case line == "WAKE":
		for c := range s.conns {
			if s.conns[c] {
				fmt.Fprint(c, "+awake\r\n")
				s.conns[c] = false
			}
		}
		return "+OK\r\n"
	case line == "CLIENT LIST":
		list := ""
		for c, blocked := range s.conns {
			list += fmt.Sprintf("id=1 addr=%s flags=%s\n", c.RemoteAddr(), map[bool]string{true: "b", false: "N"}[blocked])
		}
		return bulk(list)
	case strings.HasPrefix(line, "CONFIG GET "):
		if _, ok := s.params[words[2]]; !ok {
			return "*0\r\n"
		}
		return "*2\r\n" + bulk(words[2]) + bulk(s.params[words[2]])
	case strings.HasPrefix(line, "CONFIG SET "):
		s.params[words[2]] = words[3]
		return "+OK\r\n"
	case line == "PUSH":
		return ">1\r\n+news\r\n+OK\r\n"
	case line == "TWICE":
		return "+OK\r\n+OK\r\n"
	case line == "QUIT":
		return ""
	}
	return "-ERR unknown command\r\n"
}

// play runs a text and gives what differed and what ended it.
func play(t *testing.T, dial Dial, text string, update bool) (*runner, error) {
	t.Helper()
	return playFor(t, dial, text, update, time.Minute)
}

// playFor is play with so long for each exchange.
func playFor(t *testing.T, dial Dial, text string, update bool, timeout time.Duration) (*runner, error) {
	t.Helper()
	s, err := parse(text)
	require.NoError(t, err)
	r := &runner{dial: dial, o: Options{Timeout: timeout}, script: s, update: update}
	defer r.close()
	return r, r.run()
}

func TestWhatHoldsPasses(t *testing.T) {
	_, dial := newStandIn(t)
	for _, text := range []string{
		"> ECHO x\n\"x\"\n",
		"# comment\n\n> LIST\n1) a\n2) b\n# another\n2> ECHO y\n\"y\"",
		"2> BLOCK\n2 parks\n3> BLOCK\n3 parks\n> WAKE\nOK\n2:\nawake\n3:\nawake\n",
		"#! resp3\n> PUSH\nOK\n1:\n1) news\n1 silent\n",
		"> QUIT\n(no reply)\n1 closes\n",
		"> TWICE\nOK\n1:\nOK\n1 silent\n",
		"! \"*2\\r\\n$4\\r\\nECHO\\r\\n$1\\r\\nz\\r\\n\"\n\"z\"\n",
	} {
		r, err := play(t, dial, text, false)
		require.NoError(t, err, text)
		require.Empty(t, r.mismatches, text)
	}
}

func TestWhatDiffersFails(t *testing.T) {
	_, dial := newStandIn(t)
	for _, c := range []struct{ text, mismatch, err string }{
		{"> ECHO x\n\"y\"\n", "1: > ECHO x\n--- want\n\"y\"\n--- got\n\"x\"", ""},
		{"> ECHO x\n", "1: > ECHO x\n--- want\n\n--- got\n\"x\"", ""},
		{"> ECHO x\nx\n> ECHO y\n\"y\"\n", "got\n\"x\"", ""},
		{"> LIST\n1) a\n", "got\n1) a\n2) b", ""},
		{"> LIST\n1) a\n2) b\n3) c\n", "got\n1) a\n2) b", ""},
		{"> NONSENSE\nOK\n", "(error) ERR unknown command", ""},
		{"2> ECHO x\n2 parks\n", "", "2: 2 parks: it does not park"},
		{"2> QUIT\n2 parks\n", "", "2 parks: EOF"},
		{"> TWICE\nOK\n1 silent\n", "", "1 silent: it has received\nOK"},
		{"#! resp3\n> PUSH\nOK\n1 silent\n", "", "1 silent: it has received\n1) news"},
		{"> TWICE\nOK\n1 closes\n", "", "1 closes: it has received\nOK"},
		{"> QUIT\nOK\n", "", "1: > QUIT: EOF"},
		{"#! config none x\n> ECHO x\n\"x\"\n", "", "CONFIG GET none: (empty array)"},
		{strings.Repeat("> ECHO x\n\"y\"\n", 20), "", "too many replies differ"},
	} {
		r, err := play(t, dial, c.text, false)
		if c.err != "" {
			require.ErrorContains(t, err, c.err, c.text)
		} else {
			require.NoError(t, err, c.text)
		}
		if c.mismatch != "" {
			require.Len(t, r.mismatches, 1, c.text)
			require.Contains(t, r.mismatches[0], c.mismatch)
		}
	}
}

func TestAReplyThatDoesNotComeFails(t *testing.T) {
	_, dial := newStandIn(t)
	_, err := playFor(t, dial, "> BLOCK\nOK\n", false, time.Second)
	require.ErrorContains(t, err, "i/o timeout")
}

func TestMalformedFilesAreRefused(t *testing.T) {
	for _, c := range []struct{ text, err string }{
		{"", "no command"},
		{"# only a comment\n", "no command"},
		{"OK\n", `line 1: "OK" belongs to no command`},
		{"> PING\nPONG\n\nPONG\n", `line 4: "PONG" belongs to no command`},
		{"> PING \"\nPONG\n", "line 1: unbalanced quotes"},
		{"> \n", "line 1: no command"},
		{"! a b\n", "line 1: one quoted word"},
		{"#! nonsense\n> PING\nPONG\n", "line 1: unknown directive"},
		{"> PING\nPONG\n#! resp3\n", "line 3: a directive must stand before"},
		{"2> BLPOP q 0\n(nil)\n2 parks\n", "line 1: \"2> BLPOP q 0\" is to park but has a reply"},
		{"2 silent\nOK\n", "line 1: \"2 silent\" has no reply"},
	} {
		_, err := parse(c.text)
		require.ErrorContains(t, err, c.err, "%q", c.text)
	}
}

func TestUpdateWritesWhatDiffers(t *testing.T) {
	_, dial := newStandIn(t)
	before := "# head\n> ECHO x\n\n> ECHO y\nold\nlines\n# kept\n> ECHO abc\n\"ab*\n2> BLOCK\n2 parks\n> WAKE\n2:\n\n" +
		"> LIST\n(any order)\n1) c\n\n> LIST\n(any order)\n1) b\n2) a\n# foot\n"
	after := "# head\n> ECHO x\n\"x\"\n\n> ECHO y\n\"y\"\n# kept\n> ECHO abc\n\"ab*\n2> BLOCK\n2 parks\n> WAKE\nOK\n2:\nawake\n\n" +
		"> LIST\n(any order)\n1) a\n2) b\n\n> LIST\n(any order)\n1) b\n2) a\n# foot\n"
	r, err := play(t, dial, before, true)
	require.NoError(t, err)
	require.Empty(t, r.mismatches)
	require.Equal(t, after, r.rewritten())

	again, err := play(t, dial, after, false)
	require.NoError(t, err)
	require.Empty(t, again.mismatches)
	require.Equal(t, after, again.rewritten())
}

func TestEachFileFindsAnEmptyServerAndLeavesItAsItWas(t *testing.T) {
	s, dial := newStandIn(t)
	_, err := play(t, dial, "#! config p new\n#! config p newer\n> CONFIG GET p\n1) \"p\"\n2) \"newer\"\n", false)
	require.NoError(t, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Equal(t, 1, s.flushes)
	require.Equal(t, "old", s.params["p"])
}

func TestDirectivesSkip(t *testing.T) {
	s, dial := newStandIn(t)
	_, err := play(t, dial, "#! debug\n> ECHO x\n\"x\"\n", false)
	require.ErrorIs(t, err, errSkip)
	s.mu.Lock()
	s.debug = true
	s.mu.Unlock()
	_, err = play(t, dial, "#! debug\n> ECHO x\n\"x\"\n", false)
	require.NoError(t, err)

	path := filepath.Join(t.TempDir(), "ours.txt")
	require.NoError(t, os.WriteFile(path, []byte("#! ours\n> ECHO x\n\"not this\"\n"), 0o644))
	t.Run("ours", func(t *testing.T) {
		Run(t, dial, path, Options{Oracle: true})
		t.Error("not skipped")
	})
}

func TestTheOracleEndsWithTheTest(t *testing.T) {
	var addr string
	t.Run("inner", func(t *testing.T) { addr = StartRedis(t, "--maxclients", "50") })
	if addr == "" {
		t.Skip("redis-server is not installed")
	}
	_, err := TCP(addr)()
	require.Error(t, err)
}

func TestAnOracleThatCannotStartSaysWhy(t *testing.T) {
	addr := StartRedis(t)
	dir := t.TempDir()
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	err = launch(t, filepath.Join(dir, "log"), addr, dir, []string{"redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", dir})
	require.ErrorContains(t, err, "it has ended")
	require.ErrorContains(t, err, "in use")
}
