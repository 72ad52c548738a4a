package transcript

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write expected results anew from the actual ones")

// Updating tells whether the tests run with -update. The flag is declared here;
// a test package that imports this one asks here instead of declaring it again.
func Updating() bool { return *update }

// Dial opens a connection to the server under test.
type Dial func() (net.Conn, error)

// TCP dials a TCP address.
func TCP(addr string) Dial {
	return func() (net.Conn, error) { return net.DialTimeout("tcp", addr, 5*time.Second) }
}

// Options says how transcripts are run. The zero value is ready for use.
type Options struct {
	Timeout time.Duration // of one exchange; 0: 10 s
	Oracle  bool          // the server is not ours: files with #! ours are skipped
	NoFlush bool          // every Dial leads to an empty server
}

// Run runs the transcript at path; with -update it writes the replies that do
// not match anew.
func Run(t testing.TB, dial Dial, path string, o Options) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := parse(string(text))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if s.ours && o.Oracle {
		t.Skip("this transcript is about ferricd alone")
	}
	r := &runner{dial: dial, o: o, script: s, update: *update}
	defer r.close()
	err = r.run()
	for _, m := range r.mismatches {
		t.Errorf("%s:%s", path, m)
	}
	switch {
	case errors.Is(err, errSkip):
		t.Skip(err)
	case err != nil:
		t.Fatalf("%s:%v", path, err)
	}
	if fresh := r.rewritten(); *update && fresh != string(text) {
		if err := os.WriteFile(path, []byte(fresh), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// RunDir runs every transcript that the globs find, each as a subtest named
// after its directory and file. They share the server and run one by one.
func RunDir(t *testing.T, dial Dial, o Options, globs ...string) {
	t.Helper()
	for _, path := range find(t, globs) {
		name := strings.TrimSuffix(filepath.Join(filepath.Base(filepath.Dir(path)), filepath.Base(path)), ".txt")
		t.Run(name, func(t *testing.T) { Run(t, dial, path, o) })
	}
}

// RunOracle is RunDir against the server that FERRIC_ORACLE names: an address,
// or a binary to start. It skips when there is none.
func RunOracle(t *testing.T, globs ...string) {
	t.Helper()
	RunDir(t, TCP(Oracle(t)), Options{Oracle: true}, globs...)
}

func find(t testing.TB, globs []string) []string {
	t.Helper()
	var paths []string
	for _, g := range globs {
		found, err := filepath.Glob(g)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 {
			t.Fatalf("no transcript is named %s", g)
		}
		paths = append(paths, found...)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

var errSkip = errors.New("DEBUG is not allowed on this server")

const maxMismatches = 10

type runner struct {
	dial       Dial
	o          Options
	script     *script
	update     bool
	control    *Client
	clients    [10]*Client
	restore    [][2]string
	mismatches []string
}

// run plays the script. What does not match is noted and the script goes on; an
// error ends it.
func (r *runner) run() error {
	if r.o.Timeout == 0 {
		r.o.Timeout = 10 * time.Second
	}
	if err := r.prepare(); err != nil {
		return err
	}
	for _, st := range r.script.steps {
		if err := r.play(st); err != nil {
			return fmt.Errorf("%d: %s: %w", st.line, st.text, err)
		}
		if len(r.mismatches) >= maxMismatches {
			return fmt.Errorf("%d: too many replies differ", st.line)
		}
	}
	return nil
}

// prepare empties the server and brings it into the state the head asks for.
func (r *runner) prepare() (err error) {
	if r.control, err = r.connect(); err != nil {
		return err
	}
	if !r.o.NoFlush {
		if err := r.command("FLUSHALL"); err != nil {
			return err
		}
	}
	if r.script.debug {
		if v, err := r.control.Do("DEBUG", "HELP"); err != nil {
			return err
		} else if v.IsError() {
			return errSkip
		}
	}
	for _, p := range r.script.config {
		old, err := r.control.Do("CONFIG", "GET", p[0])
		if err != nil {
			return err
		}
		if len(old.Elems) != 2 {
			return fmt.Errorf("CONFIG GET %s: %s", p[0], old)
		}
		if err := r.command("CONFIG", "SET", p[0], p[1]); err != nil {
			return err
		}
		r.restore = append(r.restore, [2]string{p[0], old.Elems[1].Str})
	}
	return nil
}

func (r *runner) connect() (*Client, error) {
	conn, err := r.dial()
	if err != nil {
		return nil, err
	}
	return NewClient(conn, r.o.Timeout), nil
}

// command does what must succeed.
func (r *runner) command(args ...string) error {
	v, err := r.control.Do(args...)
	if err == nil && v.IsError() {
		err = errors.New(v.Str)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// close puts the parameters back, last set first, and leaves.
func (r *runner) close() {
	for _, p := range slices.Backward(r.restore) {
		if err := r.command("CONFIG", "SET", p[0], p[1]); err != nil {
			break // the connection is gone, and the test has failed for that
		}
	}
	for _, c := range r.clients {
		if c != nil {
			c.Close()
		}
	}
	if r.control != nil {
		r.awaitGone(r.clients[:]...)
		r.control.Close()
	}
}

// awaitGone waits until the server has let clients go: what they have subscribed to
// would else show in what follows.
func (r *runner) awaitGone(clients ...*Client) {
	for deadline := time.Now().Add(r.o.Timeout); time.Now().Before(deadline); {
		v, err := r.control.Do("CLIENT", "LIST")
		if err != nil || v.IsError() {
			return
		}
		listed := slices.ContainsFunc(clients, func(c *Client) bool {
			return c != nil && strings.Contains(v.Str, " addr="+c.conn.LocalAddr().String()+" ")
		})
		if !listed {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func (r *runner) client(n int) (*Client, error) {
	if r.clients[n] != nil {
		return r.clients[n], nil
	}
	c, err := r.connect()
	if err != nil {
		return nil, err
	}
	r.clients[n] = c
	if r.script.resp3 {
		if v, err := c.Do("HELLO", "3"); err != nil || v.IsError() {
			return nil, fmt.Errorf("HELLO 3: %s %w", v, err)
		}
	}
	return c, nil
}

func (r *runner) play(st *step) error {
	c, err := r.client(st.client)
	if err != nil {
		return err
	}
	switch st.action {
	case parks:
		return r.awaitParked(c)
	case silent:
		return checkSilent(c)
	case closes:
		if err = checkCloses(c); err == nil && r.control != nil {
			r.awaitGone(c)
		}
		return err
	case command:
		err = c.Send(st.words...)
	case raw:
		err = c.write([]byte(st.words[0]))
	}
	if err != nil || st.sendOnly() {
		return err
	}
	var got Value
	if st.action == later {
		got, err = c.Next()
	} else {
		got, err = c.Receive(strings.HasSuffix(strings.ToUpper(st.words[0]), "SUBSCRIBE"))
	}
	if err != nil {
		return err
	}
	r.compare(st, got.lines())
	return nil
}

func (r *runner) compare(st *step, got []string) {
	if matches(st.want, got) {
		return
	}
	if r.update {
		if len(st.want) > 0 && anyOrder.MatchString(st.want[0]) {
			got = append(st.want[:1:1], got...)
		}
		st.fresh = got
		return
	}
	r.mismatches = append(r.mismatches, fmt.Sprintf("%d: %s\n--- want\n%s\n--- got\n%s",
		st.line, st.text, strings.Join(st.want, "\n"), strings.Join(got, "\n")))
}

// rewritten is the file with the replies that did not match written anew.
func (r *runner) rewritten() string {
	var b strings.Builder
	at := 0
	for _, st := range r.script.steps {
		if st.fresh == nil {
			continue
		}
		for _, line := range append(r.script.lines[at:st.line:st.line], st.fresh...) {
			b.WriteString(line + "\n")
		}
		at = st.line + len(st.want)
	}
	for _, line := range r.script.lines[at:] {
		b.WriteString(line + "\n")
	}
	return b.String()
}

// awaitParked waits until the server lists the client as blocked.
func (r *runner) awaitParked(c *Client) error {
	addr, ok := c.conn.LocalAddr().(*net.TCPAddr)
	if !ok {
		return errors.New("parks needs a TCP connection")
	}
	deadline := time.Now().Add(r.o.Timeout)
	for time.Now().Before(deadline) {
		if has, err := c.hasInput(time.Millisecond); err != nil {
			return err
		} else if has {
			return errors.New("it does not park, it has an answer")
		}
		v, err := r.control.Do("CLIENT", "LIST")
		if err != nil {
			return err
		}
		if v.IsError() {
			return fmt.Errorf("CLIENT LIST: %s", v)
		}
		if listedBlocked(v.Str, addr.String()) {
			return nil
		}
	}
	return errors.New("neither parks nor answers")
}

// listedBlocked finds a client's line in CLIENT LIST and its flag b.
func listedBlocked(list, addr string) bool {
	for line := range strings.Lines(list) {
		fields := strings.Fields(line)
		if slices.Contains(fields, "addr="+addr) {
			return slices.ContainsFunc(fields, func(f string) bool {
				flags, ok := strings.CutPrefix(f, "flags=")
				return ok && strings.Contains(flags, "b")
			})
		}
	}
	return false
}

// checkSilent asks for a sign of life, which must be the next thing to arrive.
func checkSilent(c *Client) error {
	const sign = "nothing came before this"
	if len(c.pushes) > 0 {
		return fmt.Errorf("it has received\n%s", c.pushes[0])
	}
	if err := c.Send("PING", sign); err != nil {
		return err
	}
	v, err := c.Receive(true)
	if err != nil {
		return err
	}
	// While subscribed in RESP2, PING is answered by an array.
	pong := v.Kind == '*' && len(v.Elems) == 2 && v.Elems[1].Str == sign
	if v.Str != sign && !pong {
		return fmt.Errorf("it has received\n%s", v)
	}
	return nil
}

// checkCloses waits for the end of the connection, with nothing before it.
func checkCloses(c *Client) error {
	v, err := c.Next()
	switch {
	case err == nil:
		return fmt.Errorf("it has received\n%s", v)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return nil
	}
	return err
}
