package archtest

const module = "github.com/ferricd/ferricd"

// A row says which of our packages a package may import, besides those in
// everyone. All others are forbidden; because says why, and never gives the
// reasons for the most tempting ones.
type row struct {
	pkg     string
	may     []string // nil: none, {"*"}: all
	because string
	never   map[string]string
}

// everyone may import these: they know nothing of the server.
var everyone = []string{"internal/clock", "internal/glob", "internal/grace", "internal/invariants"}

var rows = []row{
	{
		pkg:     "latch",
		because: "a latch knows its owners as numbers and nothing of what they do",
	},
	{
		pkg: "rmw", may: []string{"latch"},
		because: "it runs a func under latches and is tested with plain counters",
		never: map[string]string{
			"store":   "rmw knows no data: what a call does is behind Work",
			"command": "rmw knows no commands",
			"resp":    "rmw knows no clients, only owners",
		},
	},
	{
		pkg:     "store",
		because: "the data knows no protocol and no command; its caller holds what must be held",
		never: map[string]string{
			"resp":    "store knows no protocol: it gives plain Go errors",
			"command": "commands are written on top of the store",
			"router":  "the router calls the store",
			"rmw":     "the store assumes the latches are held, it does not take them",
			"latch":   "the store assumes the latches are held, it does not take them",
			"aof":     "what a change is told to is the router's business",
		},
	},
	{
		pkg:     "resp",
		because: "the wire calls one Handler, which it declares itself",
		never: map[string]string{
			"command": "the wire does not know what its bytes mean",
			"config":  "its limits are given to it",
			"metrics": "it counts for itself, the server asks",
		},
	},
	{
		pkg: "rdb", may: []string{"store"},
		because: "values to bytes and back: it is told what a value consists of and tells it",
		never: map[string]string{
			"command": "DUMP and RESTORE are written on top of it",
			"resp":    "the format of Redis' files is not its protocol",
		},
	},
	{
		pkg:     "pubsub",
		because: "it delivers to a Subscriber, which it declares itself",
		never:   map[string]string{"store": "channels are no keys"},
	},
	{
		pkg:     "tracking",
		because: "it names the clients to invalidate, it does not reach them",
		never:   map[string]string{"store": "it sees keys as names only"},
	},
	{
		pkg: "command", may: []string{"store", "rdb", "resp", "pubsub", "tracking", "config", "metrics", "internal/hll"},
		because: "a handler sees its Context and asks the process through the Server interface",
		never: map[string]string{
			"router":  "the router runs handlers, a handler runs nothing",
			"rmw":     "when a handler runs, its keys are held",
			"latch":   "when a handler runs, its keys are held",
			"aof":     "the sink tells the log",
			"replica": "the sink tells the replicas",
			"server":  "ask through the Server interface",
		},
	},
	{
		pkg: "router", may: []string{"command", "store", "rmw", "latch", "resp", "config", "metrics", "pubsub", "tracking"},
		because: "it tells of finished writes through the Sink, which it declares itself",
		never: map[string]string{
			"aof":      "the log is behind the Sink",
			"snapshot": "a snapshot asks for the gate, the router does not ask for a snapshot",
			"replica":  "replicas are behind the Sink",
			"election": "the role is given to it",
			"server":   "the server puts the router in its place",
		},
	},
	{
		pkg: "aof", may: []string{"internal/vfs"},
		because: "bytes in, sequence numbers out",
		never:   map[string]string{"store": "the log does not know what its records mean"},
	},
	{
		pkg: "aof/datadir", may: []string{"internal/vfs"},
		because: "it says whose directory this is and locks it; what lies in it others read",
	},
	{
		pkg: "snapshot", may: []string{"store", "internal/vfs"},
		because: "it writes and reads an image of the store and nothing else",
		never: map[string]string{
			"aof":     "the server keeps the log from the snapshot's position on",
			"command": "the commands that it writes are text",
			"router":  "who takes a snapshot closes the gate, who reads one replays it",
		},
	},
	{
		pkg: "persist", may: []string{"aof", "aof/datadir", "snapshot", "router", "rmw", "store", "command", "rdb", "internal/vfs"},
		because: "it brings keyspace, log and snapshots together; from command it takes texts of errors, and what Redis knows",
		never:   map[string]string{"server": "the server puts it in its place", "resp": "it has no clients"},
	},
	{
		pkg: "replica", may: []string{"aof"},
		because: "it ships bytes between a Source and a Standby, which it declares itself",
		never: map[string]string{
			"command":  "received records are applied by the router, behind Standby",
			"persist":  "the data is behind Source and Standby",
			"election": "who leads is told to it",
		},
	},
	{
		pkg: "internal/electiontest", may: []string{"election", "internal/faultnet", "internal/transcript"},
		because: "it tries a Coordinator as others use it",
	},
	{
		pkg: "proxy", may: []string{"command", "resp", "router"},
		because: "bytes to the leader and back for one client: it is given the connection, and told who leads",
		never: map[string]string{
			"replica":  "how another node is reached is behind Dial",
			"election": "who leads is told to it",
			"store":    "it has no data",
		},
	},
	{pkg: "election", because: "it campaigns for a lease and knows nothing else of the server"},
	{
		pkg: "cluster", may: []string{"election", "replica", "persist", "aof", "router", "rmw", "command", "config"},
		because: "it brings together who leads, who follows, what is on disk, and what clients are answered",
		never:   map[string]string{"server": "the server puts it in its place", "resp": "it has no clients", "store": "data is persist's and the router's"},
	},
	{pkg: "config", because: "the table of parameters is read by others, it reads nobody"},
	{pkg: "metrics", because: "counters are used by others, they use nobody"},
	{pkg: "server", may: []string{"*"}},
	{
		pkg: "cmd/ferricd", may: []string{"server", "config", "persist", "election", "internal/vfs"},
		because: "main reads flags and waits for signals; the work is in server, and in persist where only files are read",
	},
	{pkg: "bench", may: []string{"*"}},
	{pkg: "bench/compare", because: "it measures servers from outside, as processes; its tests start one of ours inside"},
	{pkg: "internal/testserver", may: []string{"*"}},
	{
		pkg: "internal/differ", may: []string{"command", "internal/transcript"},
		because: "it draws calls from the command table and sends them over the wire",
	},
}

// A package under internal that has no row may import none of ours but everyone.
const internalBecause = "what is shared by all must stand on nothing"

// An outsider is a module of others and the packages that may import it; tests
// and harnesses may import all that are listed. A module that is not listed is forbidden.
type outsider struct {
	path    string
	may     []string // nil: only tests
	because string
}

var outsiders = []outsider{
	{"github.com/tidwall/redcon", []string{"resp"}, "it must not face the network without resp's guard"},
	{"github.com/puzpuzpuz/xsync/v3", []string{"rmw", "router", "store", "pubsub", "tracking", "server"}, "it serves as gate and for registries"},
	{"github.com/cespare/xxhash/v2", []string{"store"}, "a key is hashed in one place, with the server's seed"},
	{"github.com/zeebo/xxh3", []string{"command"}, "DIGEST is defined by it; keys are not hashed with it"},
	{"github.com/prometheus/client_golang", []string{"metrics", "server"}, "hot paths count in cells of our own"},
	{"go.etcd.io", []string{"election"}, "without etcd the server runs alone, with no cluster code in its way"},
	{"google.golang.org/grpc", []string{"election"}, "it is what etcd's client speaks"},
	{"go.uber.org/zap", []string{"election"}, "etcd's client logs through it, which is switched off"},
	{"golang.org/x/sys", []string{"resp", "server", "aof", "snapshot", "election", "cmd/ferricd"}, "system calls belong to the edges"},
	{"github.com/stretchr/testify", nil, "for tests"},
	{"pgregory.net/rapid", nil, "for tests"},
	{"github.com/anishathalye/porcupine", nil, "for tests"},
	{"go.uber.org/goleak", nil, "for tests"},
	{"github.com/redis/go-redis/v9", nil, "for tests"},
	{"github.com/redis/rueidis", nil, "for tests"},
}

// harnesses are the packages that only tests import, so that their ordinary
// files count as tests; elsewhere testing would bring its flags into the server.
var harnesses = []string{"internal/transcript", "internal/testserver", "internal/differ", "internal/electiontest"}

// vague names say nothing about what is inside.
var vague = []string{"util", "utils", "common", "manager", "helper", "helpers", "misc", "shared", "types", "base"}

const (
	maxFileLines = 600
	maxFuncLines = 80
)
