package command_test

import (
	"flag"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/internal/differ"
	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/internal/transcript"
	"github.com/ferricd/ferricd/server"
)

var (
	differential     = flag.Duration("differential", 20*time.Second, "how long TestDifferential draws calls")
	differentialSeed = flag.Uint64("differential-seed", 0, "seed of the only plan that TestDifferential plays")
)

// unsaid are options that redis-server knows and does not tell of.
var unsaid = map[string][]string{"BITOP": {"AND", "OR", "XOR", "NOT"}}

// unwanted are options that are not drawn: the last bit of a distance is that of
// the C library's sines.
var unwanted = map[string][]string{
	"GEOSEARCHSTORE": {"STOREDIST"}, "GEORADIUS": {"STOREDIST"}, "GEORADIUSBYMEMBER": {"STOREDIST"},
}

// rules say what of a reply is compared, where it is not all.
var rules = differ.Rules{
	LeftOut: map[string]string{
		"QUIT": "ends the connection", "SHUTDOWN": "ends the server", "MONITOR": "turns the connection into something else",
		"CLIENT|REPLY": "turns replies off", "CLIENT|PAUSE": "holds up everybody", "CLIENT|KILL": "ends connections",
		"CLIENT|UNBLOCK": "ids are not the same", "DEBUG": "is about what is inside; its own tests compare what can be",
		"CONFIG|SET": "changes the server for what follows", "CONFIG|REWRITE": "there is no file to write",
		"CONFIG|GET": "values are not the same; config's tests compare what can be",
		"INFO":       "is about this server", "COMMAND": "tells of other commands", "COMMAND|COUNT": "tells of other commands",
		"COMMAND|LIST": "tells of other commands", "COMMAND|INFO": "TestInfoAgreesWithRedis compares it",
		"COMMAND|DOCS": "summaries are ours; TestDocsAgreeWithRedis compares the rest",
		"SLOWLOG|GET":  "time decides", "SLOWLOG|LEN": "time decides",
		"LATENCY|GRAPH": "time decides", "LATENCY|HISTORY": "time decides", "LATENCY|LATEST": "time decides",
		"LATENCY|DOCTOR": "is our own text", "LATENCY|HISTOGRAM": "time decides", "LATENCY|RESET": "time decides",
		"MEMORY|DOCTOR": "is our own text", "MEMORY|STATS": "is about this server", "MEMORY|MALLOC-STATS": "is about this server",
		"LOLWUT": "is our own picture", "CLUSTER": "has no subcommands here",
		"SUBSCRIBE":  "has several replies",
		"PSUBSCRIBE": "has several replies", "SSUBSCRIBE": "has several replies",
		"UNSUBSCRIBE": "has several replies", "PUNSUBSCRIBE": "has several replies", "SUNSUBSCRIBE": "has several replies",
		"REPLICAOF": "changes the role", "SLAVEOF": "changes the role", "FAILOVER": "changes the role",
		"PSYNC": "turns the connection into something else", "SYNC": "turns the connection into something else",
		"REPLCONF": "turns the connection into something else",
		"SAVE":     "writes files", "BGSAVE": "writes files", "BGREWRITEAOF": "writes files", "LASTSAVE": "time decides",
		"DUMP": "is this server's own format", "MIGRATE": "talks to another server",
		"CLIENT|CACHING": "needs tracking", "CLIENT|TRACKING": "pushes come when they come",

		"CLIENT|HELP": "is our own text", "COMMAND|HELP": "is our own text", "CONFIG|HELP": "is our own text",
		"LATENCY|HELP": "is our own text", "MEMORY|HELP": "is our own text", "MODULE|HELP": "is our own text",
		"OBJECT|HELP": "is our own text", "SLOWLOG|HELP": "is our own text", "XGROUP|HELP": "is our own text",
		"XINFO|HELP": "is our own text", "PUBSUB|HELP": "is our own text", "ACL|HELP": "is our own text",
		"FUNCTION|HELP": "is our own text", "SCRIPT|HELP": "is our own text", "CLUSTER|HELP": "is our own text",
	},
	How: map[string]differ.How{
		"KEYS": differ.Unordered, "SMEMBERS": differ.Unordered, "SINTER": differ.Unordered, "SUNION": differ.Unordered,
		"SDIFF": differ.Unordered, "HKEYS": differ.Unordered, "HVALS": differ.Unordered, "HGETALL": differ.Pairs,
		"SCAN": differ.Scanned, "SSCAN": differ.Scanned, "HSCAN": differ.Scanned, "ZSCAN": differ.Scanned,
		"TTL": differ.About, "PTTL": differ.About, "EXPIRETIME": differ.About, "PEXPIRETIME": differ.About,
		"OBJECT|IDLETIME": differ.Kind, // small integers are shared there, with the time of their last use
		"RANDOMKEY":       differ.Kind, "CLIENT|ID": differ.Kind, "CLIENT|INFO": differ.Kind, "CLIENT|LIST": differ.Kind,
		"HELLO": differ.Shape, "TIME": differ.Shape, "MEMORY|USAGE": differ.Kind, "OBJECT|FREQ": differ.Kind,
		"DBSIZE":      differ.Kind, // nobody promises when an expired key is counted out
		"SRANDMEMBER": differ.Shape, "HRANDFIELD": differ.Shape, "ZRANDMEMBER": differ.Shape, "SPOP": differ.Shape,
		"XADD": differ.Exact,
	},
	Chance: map[string]string{
		"SPOP": "which elements are left is chance",
		"SORT": "it turns a small sorted set into a skiplist there, in passing", "SORT_RO": "the same",
	},
	Untold: untold,
	Apart: []differ.Apart{
		{
			Command: "SORT", Reason: "there an earlier command's number that was out of range makes all numbers bad",
			Same: staleErrno, Parts: true,
		},
		{Command: "SORT_RO", Reason: "the same", Same: staleErrno},
		{Command: "SORT", Reason: "a set has any order where it is not sorted, or by weights that are missing", Same: unsorted},
		{Command: "SORT_RO", Reason: "the same", Same: unsorted},
		{
			Reason: "the destination of SORT may be called STORE",
			Same: func(argv []string, _, _ transcript.Value) bool {
				line := strings.ToUpper(strings.Join(argv, " "))
				return strings.HasPrefix(line, "COMMAND GETKEYS") && len(argv) > 2 && strings.EqualFold(argv[2], "SORT") &&
					strings.Contains(line, "STORE STORE")
			},
		},
		{
			Reason: "where a call cannot be run there, its keys are whatever an older way of finding them makes of it",
			Same:   badKeys,
		},
		{Command: "XINFO|CONSUMERS", Reason: "time passes between the servers", Same: idleAlike},
		{Command: "XPENDING", Reason: "the same", Same: idleAlike},
		{Command: "XINFO|STREAM", Reason: "the same", Same: idleAlike},
		{
			Command: "XAUTOCLAIM", Reason: "there COUNT says how much memory is asked for", Parts: true,
			Same: func(_ []string, want, _ transcript.Value) bool {
				return strings.HasPrefix(want.Str, "ERR Insufficient memory, failed allocating transient memory")
			},
		},
		{
			Command: "MEMORY|PURGE", Reason: "it takes long, and in a transaction everybody would wait",
			Same: func(_ []string, _, got transcript.Value) bool { return got.Str == string(command.ErrNotInMulti) },
		},
		{
			Reason: "a cursor that the other server has made, or nobody, may stand anywhere",
			Same: func(argv []string, want, got transcript.Value) bool {
				i := 2
				if strings.EqualFold(argv[0], "SCAN") {
					i = 1
				}
				return strings.HasSuffix(strings.ToUpper(argv[0]), "SCAN") && argv[i] != "0" && differ.Kind.Agree(want, got)
			},
		},
		{
			Command: "OBJECT|REFCOUNT", Reason: "redis-server tells which integers and copies share memory; here nothing does",
			Same: func(_ []string, want, got transcript.Value) bool { return want.Kind == ':' && got.Kind == ':' },
		},
	},
}

// badKeys is where COMMAND GETKEYS is asked of a call with a count that is no
// number, or one with a sign, or of an XREADGROUP that does not begin with its
// group, or of a GEORADIUS that stores twice: there the first is told, which is not
// the one that is written.
func badKeys(argv []string, want, got transcript.Value) bool {
	if len(argv) < 3 || !strings.EqualFold(argv[0], "COMMAND") {
		return false
	}
	s := command.All().Find([]byte(argv[2]))
	switch {
	case s == nil:
		return false
	case s.Name == "XREADGROUP":
		return want.Str == string(command.ErrKeysArgs) || got.Str == string(command.ErrKeysArgs)
	case strings.HasPrefix(s.Name, "GEORADIUS"):
		stores := 0
		for _, w := range argv[3:] {
			if strings.EqualFold(w, "STORE") || strings.EqualFold(w, "STOREDIST") {
				stores++
			}
		}
		return stores > 1 && !want.IsError() && !got.IsError()
	}
	if !strings.Contains(s.Usage, "numkeys") {
		return false
	}
	signed := slices.ContainsFunc(argv[3:], func(w string) bool { return strings.HasPrefix(w, "+") })
	return got.Str == string(command.ErrKeysArgs) || signed && !want.IsError() && !got.IsError()
}

// idleAlike is where nothing is not the same but how long somebody has been idle,
// or since when.
func idleAlike(argv []string, want, got transcript.Value) bool {
	if want.IsError() || got.IsError() || len(want.Elems) == 0 || len(want.Elems) != len(got.Elems) {
		return differ.Exact.Agree(want, got)
	}
	for i, w := range want.Elems {
		named := i > 0 && want.Elems[i-1].Str == "idle"
		pending := i == 2 && len(want.Elems) == 4 // of XPENDING: ID, consumer, idle, deliveries
		since := w.Kind == ':' && len(w.Str) > 10
		if g := got.Elems[i]; !((named || pending || since) && differ.About.Agree(w, g)) && !idleAlike(argv, w, g) {
			return false
		}
	}
	return want.Kind == got.Kind
}

func staleErrno(_ []string, want, got transcript.Value) bool {
	return want.Str == "ERR One or more scores can't be converted into double" && !got.IsError()
}

func unsorted(argv []string, want, got transcript.Value) bool {
	at := func(word string) int {
		return slices.IndexFunc(argv, func(w string) bool { return strings.EqualFold(w, word) })
	}
	by := at("BY")
	return by > 0 && by+1 < len(argv) && (!strings.Contains(argv[by+1], "*") || at("ALPHA") > 0) && differ.Shape.Agree(want, got)
}

// Whatever is drawn from the command table gets the same replies from ferricd
// and from redis-server, leaves the same data, and makes a log from which the
// same data come again.
func TestDifferential(t *testing.T) {
	theirs := transcript.TCP(transcript.StartRedis(t, "--hz", "500")) // timeouts are looked at so often
	m := &differ.Match{Rules: rules, Theirs: theirs, Events: true}
	var logs []*replay
	for _, args := range [][]string{nil, {"--rmw-always-queue", "yes", "--shards", "1", "--latch-slots", "1"}} {
		l := newReplay(t, args)
		logs, m.Ours = append(logs, l), append(m.Ours, transcript.TCP(l.from.Addr()))
	}
	m.After = func(mode int) *differ.Difference { return logs[mode].compare(t) }
	g, foreign := differ.NewGrammar(command.All().Rows(), rules.LeftOut, differ.Asked(client(t, theirs), unsaid, unwanted))
	t.Logf("not drawn, since redis-server does not know them: %q", foreign)
	if *differentialSeed != 0 {
		play(t, m, m.NewPlan(g, *differentialSeed), map[string]bool{})
		return
	}
	const enough = 10
	seed, calls := uint64(time.Now().UnixNano()), 0
	if os.Getenv("CI") != "" { // the same plans for every commit: what is new is found by make differ
		seed = 1
	}
	t.Logf("first seed %d", seed)
	found := map[string]bool{}
	for end := time.Now().Add(*differential); time.Now().Before(end) && len(found) < enough; seed++ {
		p := m.NewPlan(g, seed)
		calls += len(p.Calls)
		play(t, m, p, found)
	}
	t.Logf("%d calls", calls)
}

// play plays a plan and tells of the difference that it shows, if none like it
// was found before.
func play(t *testing.T, m *differ.Match, p *differ.Plan, found map[string]bool) {
	d, err := m.Play(p)
	require.NoError(t, err, "seed %d", p.Seed)
	var last *differ.Difference
	for range 2 { // what does not come again was a matter of time
		if d == nil {
			return
		}
		last = d
		d, err = m.Play(p)
		require.NoError(t, err, "seed %d", p.Seed)
	}
	if d == nil {
		t.Logf("seed %d: a difference came twice, and then no more:\n%s", p.Seed, differ.Report(p, last))
		return
	}
	if !found[d.Row] {
		p, d = m.Shrink(p, d)
		t.Errorf("redis-server answers otherwise:\n%s", differ.Report(p, d))
	}
	found[d.Row] = true
}

// A replay is a server with another that does what its log says.
type replay struct {
	rec      testserver.Recorder
	from, to *server.Server
	at       [2]*transcript.Client
}

func newReplay(t *testing.T, args []string) *replay {
	r := &replay{to: testserver.Start(t)}
	r.to.SetActiveExpire(false)
	r.from = testserver.StartWith(t, server.Options{Sink: &r.rec}, args...)
	r.at = [2]*transcript.Client{client(t, transcript.TCP(r.from.Addr())), client(t, transcript.TCP(r.to.Addr()))}
	return r
}

// later is how much later records are replayed: nothing in them may depend on when.
const later = 3600_000

// compare replays what was logged since the last time and compares the data, and
// when they expire.
func (r *replay) compare(t *testing.T) *differ.Difference {
	get, set := []string{"CONFIG", "GET"}, []string{"CONFIG", "SET"}
	for _, p := range differ.Params { // some decide on bytes of values
		get = append(get, p[0])
	}
	for _, e := range do(t, r.at[0], get...).Elems {
		set = append(set, e.Str)
	}
	do(t, r.at[1], set...)
	for _, u := range r.rec.Take() {
		for _, argv := range u.Records {
			if argv[0] == "SELECT" { // the rest of the unit is of another database
				u.DB, _ = strconv.Atoi(argv[1])
				continue
			}
			words := make([][]byte, len(argv))
			for i, w := range argv {
				words[i] = []byte(w)
			}
			if err := r.to.Apply(u.DB, u.Now+later, words...); err != nil {
				return &differ.Difference{Row: "the log", Argv: argv, Want: "to be replayed", Got: err.Error()}
			}
		}
	}
	var data [2][]string
	for i, c := range r.at {
		data[i] = keysOf(t, c)
	}
	if !slices.Equal(data[0], data[1]) {
		return &differ.Difference{
			Row: "the log", Argv: []string{"(database, key, type and expiry of what was replayed)"},
			Want: strings.Join(data[0], "\n"), Got: strings.Join(data[1], "\n"),
		}
	}
	want, got := do(t, r.at[0], "DEBUG", "DIGEST").String(), do(t, r.at[1], "DEBUG", "DIGEST").String()
	if want != got {
		return &differ.Difference{Row: "the log", Argv: []string{"(the digest of what was replayed)"}, Want: want, Got: got}
	}
	return nil
}

// keysOf lists all keys, their types and when they expire.
func keysOf(t *testing.T, c *transcript.Client) (out []string) {
	var calls [][]string
	for db := range 16 {
		calls = append(calls, []string{"SELECT", strconv.Itoa(db)}, []string{"KEYS", "*"})
	}
	var about [][]string
	for i, v := range ask(t, c, calls) {
		if i%2 == 0 {
			about = append(about, calls[i])
			continue
		}
		for _, k := range v.Elems {
			about = append(about, []string{"TYPE", k.Str}, []string{"PEXPIRETIME", k.Str})
		}
	}
	db := ""
	values := ask(t, c, about)
	for i, argv := range about {
		switch argv[0] {
		case "SELECT":
			db = argv[1]
		case "TYPE":
			out = append(out, differ.Line([]string{db, argv[1], values[i].Str, values[i+1].Str}))
		}
	}
	slices.Sort(out)
	return out
}

func ask(t *testing.T, c *transcript.Client, calls [][]string) []transcript.Value {
	values, err := differ.Ask(c, calls)
	require.NoError(t, err)
	return values
}

func do(t *testing.T, c *transcript.Client, argv ...string) transcript.Value {
	v, err := c.Do(argv...)
	require.NoError(t, err)
	return v
}

func client(t *testing.T, dial transcript.Dial) *transcript.Client {
	conn, err := dial()
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return transcript.NewClient(conn, 10*time.Second)
}

// Only times may be unlike.
func TestIdleAlike(t *testing.T) {
	consumers := func(name, idle string) transcript.Value {
		return transcript.Value{Kind: '*', Elems: []transcript.Value{{Kind: '*', Elems: []transcript.Value{
			{Kind: '$', Str: "name"}, {Kind: '$', Str: name}, {Kind: '$', Str: "idle"}, {Kind: ':', Str: idle},
		}}}}
	}
	require.True(t, idleAlike(nil, consumers("c", "0"), consumers("c", "1")))
	require.False(t, idleAlike(nil, consumers("c", "0"), consumers("d", "0")))
	require.False(t, idleAlike(nil, consumers("c", "0"), consumers("c", "100000")))
	require.False(t, idleAlike(nil, consumers("c", "0"), transcript.Value{Kind: '*'}))
}
