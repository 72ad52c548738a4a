package compare

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/internal/transcript"
)

// TestRoundsCountWhatIsDone runs two scenarios on a server in this process: the counter
// must stand where the client says, and the tables show both.
func TestRoundsCountWhatIsDone(t *testing.T) {
	addr := testserver.Start(t).Addr()
	s := &server{name: "ferricd", addr: addr, pid: os.Getpid()}
	var out bytes.Buffer
	dir := t.TempDir()
	c := &comparison{
		out: &out, makers: []maker{{name: ours}}, rounds: 2, each: 50 * time.Millisecond, keys: 1000,
		serverCore: -1, clientCore: -1, report: newReport(dir, "a test"),
	}

	incr := scenario{command: "INCR", conns: 4, depth: 4, keys: "hot", value: 64}
	s.load(t, func(p *Pipeline) { incr.fill(p, 10) })
	built := incr.requests(10)
	ops, most := 0, 0
	// On a busy machine one round may be over before the first reply.
	for i := 0; i < 2 || i < 50 && most <= incr.conns*incr.depth; i++ {
		conns, err := connect(addr, incr.conns)
		require.NoError(t, err)
		r, err := conns.run(built, incr.depth, i, 50*time.Millisecond, -1)
		conns.close()
		require.NoError(t, err)
		require.Positive(t, r.ops)
		require.Equal(t, r.ops, r.latency.n*incr.depth)
		ops, most = ops+r.ops, max(most, r.ops)
	}
	require.Greater(t, most, incr.conns*incr.depth, "who has its replies sends again")
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	v, err := transcript.NewClient(conn, time.Second).Do("GET", keyName(0))
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint(ops), v.Str)
	require.Equal(t, os.Getpid(), answers(t, addr))

	mixed := scenario{command: "GET+SET", conns: 4, depth: 16, keys: "zipf", value: 64}
	r := c.measure(t, mixed, []*server{s})
	for _, figure := range []string{rate, cpu, p50, p99, p999, clientCPU} {
		require.Positive(t, r.Of[ours][figure], figure)
	}
	c.keep(t, r, loadColumns)
	require.Contains(t, out.String(), "| GET+SET c4 P16 zipf 64B | ferricd |")
	tables, err := os.ReadFile(filepath.Join(dir, "compare.md"))
	require.NoError(t, err)
	require.Contains(t, string(tables), "| GET+SET c4 P16 zipf 64B | ferricd |")
}

// TestReportsAreContinued interrupts a run and goes on with it: what was measured is kept,
// but not for another commit or other settings.
func TestReportsAreContinued(t *testing.T) {
	dir := t.TempDir()
	first := &report{Commit: "abc", Settings: "s", dir: dir}
	require.NoError(t, first.resume(), "there is nothing yet")
	gets, sets := scenario{command: "GET", conns: 50, depth: 1, keys: "random", value: 64}.String(), scenario{command: "SET", conns: 50, depth: 1, keys: "random", value: 64}.String()
	measured := func(name string) result {
		return result{name, []string{ours, oracle}, map[string]figures{ours: {cpu: 1, rate: 2}, oracle: {cpu: 2, rate: 1}}}
	}
	weighed := result{"strings, overwritten", []string{ours, oracle}, map[string]figures{ours: {size: 90}, oracle: {size: 100}}}
	require.NoError(t, first.add(weighed))
	require.NoError(t, first.add(measured(sets)))

	second := &report{Commit: "abc", Settings: "s", dir: dir}
	require.NoError(t, second.resume())
	require.True(t, second.has(sets))
	require.False(t, second.has(gets))
	require.NoError(t, second.add(measured(gets)))
	var names []string
	for _, r := range second.Results {
		names = append(names, r.Name)
	}
	require.Equal(t, []string{gets, sets, weighed.Name}, names)
	for name, want := range map[string]string{
		"compare.md":   "| strings, overwritten | ferricd | 90.00 (0.90) |",
		"compare.json": `"Name": "GET c50 P1 random 64B"`,
		"compare.svg":  ">GET c50 P1<",
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Contains(t, string(text), want)
	}
	require.ErrorContains(t, (&report{Commit: "def", Settings: "s", dir: dir}).resume(), "commit abc")
	require.ErrorContains(t, (&report{Commit: "abc", Settings: "r", dir: dir}).resume(), "commit abc")
}

// TestEveryScenarioWorks sends each kind of call once, after what it stands on.
func TestEveryScenarioWorks(t *testing.T) {
	s := &server{name: "ferricd", addr: testserver.Start(t).Addr()}
	names := map[string]bool{}
	done := map[string]bool{}
	for _, sc := range scenarios(true) {
		require.False(t, names[sc.String()], "two are called %s", sc)
		names[sc.String()] = true
		if call := sc.command + sc.keys; !done[call] && sc.command != "GET+SET" {
			done[call] = true
			s.load(t, func(p *Pipeline) {
				sc.fill(p, 50)
				for range 20 {
					p.Send(newDraw(sc, 50).call(sc.command)...)
				}
			})
		}
	}
	// Every goal has what it speaks of without being asked for more.
	usual := map[string]bool{}
	for _, sc := range scenarios(false) {
		require.True(t, names[sc.String()])
		usual[sc.String()] = true
	}
	require.Less(t, len(usual), len(names))
	for _, k := range kinds(20, false) {
		usual[k.name] = true
	}
	for _, g := range goals {
		found := false
		for name := range usual {
			found = found || g.about.MatchString(name)
		}
		require.True(t, found, "nothing for %s", g.text)
	}
	for _, k := range kinds(20, true) {
		s.load(t, func(p *Pipeline) { p.Send("FLUSHALL") })
		k.load(t, s)()
	}
}

// TestHotMSETSetsTenKeys: ten times one key would be another command.
func TestHotMSETSetsTenKeys(t *testing.T) {
	argv := newDraw(scenario{command: "MSET", keys: "hot", value: 64}, 50).call("MSET")
	require.Len(t, argv, 21)
	require.Equal(t, keyName(9), argv[19])
}

func TestErrorsAreNotMeasured(t *testing.T) {
	addr := testserver.Start(t).Addr()
	(&server{addr: addr}).load(t, func(p *Pipeline) { p.Send("RPUSH", "l", "1") })
	conns, err := connect(addr, 2)
	require.NoError(t, err)
	defer conns.close()
	call := appendCall(nil, "INCR", "l")
	_, err = conns.run(&requests{bytes: call, ends: []int{len(call)}}, 1, 0, time.Second, -1)
	require.ErrorContains(t, err, "WRONGTYPE")

	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	p := NewPipeline(conn)
	p.Send("INCR", "l")
	p.Send("PING")
	require.ErrorContains(t, p.Flush(), "WRONGTYPE")
	p.Send("PING")
	require.ErrorContains(t, p.Flush(), "WRONGTYPE", "an error stays")
}

// TestSocketsMayBeFull sends more at once than a socket takes.
func TestSocketsMayBeFull(t *testing.T) {
	conns, err := connect(testserver.Start(t).Addr(), 2)
	require.NoError(t, err)
	defer conns.close()
	calls := bytes.Repeat(appendCall(nil, "SET", "big", strings.Repeat("v", 8<<20)), 4)
	r, err := conns.run(&requests{bytes: calls, ends: []int{len(calls)}}, 4, 0, time.Millisecond, -1)
	require.NoError(t, err)
	require.Positive(t, r.ops)
	for i := range conns.conns {
		require.False(t, conns.conns[i].asked)
	}
}

// TestPinned looks at where the kernel lets a pinned process run, and that the test
// itself is free again.
func TestPinned(t *testing.T) {
	core, _ := cores(t)
	if core < 0 {
		t.Skip("there is one core")
	}
	cmd := exec.Command("sleep", "60")
	require.NoError(t, startOn(cmd, core))
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	require.Equal(t, core, status(t, cmd.Process.Pid, "Cpus_allowed_list"))
	used, err := cpuTime(cmd.Process.Pid)
	require.NoError(t, err)
	require.Less(t, used, 10*time.Second)
	again, _ := cores(t)
	require.Equal(t, core, again)
}

func TestGoalsAreJudgedByTheWorst(t *testing.T) {
	of := func(name string, ferricd, ops float64) result {
		return result{name, []string{ours, oracle}, map[string]figures{
			ours:   {cpu: ferricd, rate: ops, p999: 10, clientCPU: 0.9, others: 0.25},
			oracle: {cpu: 2, rate: 100, p999: 10, clientCPU: 0.9},
		}}
	}
	results := []result{of("GET c50 P16 random 64B", 0, 0), of("GET c50 P16 random 64B", 0.8, 250), of("SET c50 P16 random 64B", 1.0, 219), of("INCR c50 P16 random 64B", 1.402, 100)}
	logs := of("SET c50 P1 random 64B logged", 1, 100)
	logs.Of[logged(ours, "everysec")] = figures{rate: 74}
	logs.Of[logged(oracle, "everysec")] = figures{rate: 37}
	results = append(results, logs)
	require.InDelta(t, 2, logs.ratio(logged(ours, "everysec"), rate), 1e-9, "the same with the same settings")
	var out, svg bytes.Buffer
	printGoals(&out, results)
	printLimits(&out, results)
	for _, line := range []string{
		"| CPU per GET, SET, random keys, 16 in flight | ≤ 0.45 | 0.500 | SET c50 P16 random 64B | missed |",
		"| CPU per INCR, random keys, 16 in flight | ≤ 0.70 | 0.701 | INCR c50 P16 random 64B | missed |",
		"| throughput, one core, GET and SET at 16 | ≥ 2.20 | 2.190 | SET c50 P16 random 64B | missed |",
		"| p99.9 at saturation on one core | ≤ 1.00 | 1.000 | GET c50 P16 random 64B | met |",
		"| throughput with everysec, by that without a log | ≥ 0.75 | 0.740 | SET c50 P1 random 64B logged | missed |",
		"| RSS per idle connection | ≤ 0.15 | – | not measured | – |",
		"1 of 5 goals that were measured are met.",
		"in 2 of 5 loads, whose throughput is therefore as much its own as theirs: GET c50 P16 random 64B, GET c50 P16 random 64B.",
		"0.25 cores busy",
	} {
		require.Contains(t, out.String(), line)
	}
	results = append(results, of("MSET c50 P16 random 64B", 1, 1)) // of which no goal speaks
	require.NoError(t, drawChart(&svg, results, "commit <&>"))
	decoder := xml.NewDecoder(&svg)
	shown := map[string]int{}
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		require.NoError(t, err, "browsers refuse what is not well formed")
		if e, ok := token.(xml.StartElement); ok {
			for _, a := range e.Attr {
				if a.Name.Local == "class" {
					shown[a.Value]++
				}
			}
		}
	}
	require.Equal(t, 1+22+6+7+10, shown["goal"], "the legend's, processor time, throughput, memory, p99.9: measured or not")
	require.Equal(t, 1+2+1+3, shown["b0"], "what was not measured has no bar")
}

func TestQuantiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Int64Range(0, 1e12), 1, 200).Draw(t, "ns")
		q := rapid.Float64Range(0, 0.999).Draw(t, "q")
		var h histogram
		for _, ns := range all {
			h.add(time.Duration(ns))
		}
		slices.Sort(all)
		want := all[int(q*float64(len(all)))]
		got := int64(h.quantile(q))
		if got > want || got < want-want/32-1 {
			t.Fatalf("%d, exactly %d", got, want)
		}
	})
}

// FuzzScan cuts replies in two anywhere: it must not matter, and nothing may panic.
func FuzzScan(f *testing.F) {
	const replies = "+OK\r\n:12\r\n$-1\r\n$3\r\na\nb\r\n$0\r\n\r\n"
	for at := range len(replies) {
		f.Add([]byte(replies), at)
	}
	f.Add([]byte("-ERR no\r\n"), 3)
	f.Add([]byte("$99999999999999999999\r\n"), 2)
	f.Add([]byte("\n*1\r\n"), 0)
	f.Fuzz(func(t *testing.T, b []byte, at int) {
		at = max(0, min(at, len(b)))
		whole, cut := scanner{left: 1 << 30}, scanner{left: 1 << 30}
		err := whole.scan(b)
		err2 := cut.scan(b[:at])
		if err2 == nil {
			err2 = cut.scan(b[at:])
		}
		if len(b) <= longestLine {
			require.Equal(t, err == nil, err2 == nil)
		}
		if err == nil && err2 == nil {
			require.Equal(t, whole.left, cut.left)
			require.Equal(t, whole.skip, cut.skip)
			require.True(t, bytes.Equal(whole.head, cut.head))
		}
	})
}
