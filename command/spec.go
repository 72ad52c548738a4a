package command

// A Spec declares a command. Everything the server knows about a command —
// dispatch, routing, COMMAND, COMMAND DOCS, ACL categories, docs/commands.md —
// is derived from it.
type Spec struct {
	Name       string    // upper case; "CLIENT|KILL" for a subcommand
	Usage      string    // arguments as a person writes them: "key seconds [NX | XX | GT | LT]"
	Arity      int       // argv length including the name (and the subcommand); -n means n or more
	Flags      Flags     //
	Categories Category  // ACL categories that follow neither from flags nor group
	Keys       []KeySpec //
	Refs       RefsFunc  // keys in other databases, beyond Keys; nil for most
	Gate       GateFunc  // calls that touch keys nobody can name; nil for most
	Group      Group     //
	Since      string    // Redis version that introduced it
	Complexity string    //
	Summary    string    // one sentence, our words
	Tips       []string  // COMMAND's tips, as Redis names them
	History    []Change  // what changed in which version, for COMMAND DOCS
	Deprecated string    // version since which it is deprecated
	ReplacedBy string    // what to use instead, for COMMAND DOCS
	Run        Handler   // nil for a container that only has subcommands

	derived
}

// A Change is one line of a command's history.
type Change struct{ Version, Text string }

// A Handler runs one call. An error it returns is the reply.
type Handler func(c *Context) error

// A RefsFunc names keys that live in other databases than the client's.
type RefsFunc func(args [][]byte, db int, add func(db int, key []byte))

// A GateFunc tells whether a call touches keys that cannot be named before it
// runs, so that it must run with the gate closed.
type GateFunc func(args [][]byte) bool

// Flags are Redis' command flags, and after them ours.
type Flags uint64

const (
	Write           Flags = 1 << iota // changes data
	Readonly                          // reads keys and changes nothing
	DenyOOM                           // may grow memory: refused at maxmemory
	Admin                             // for operators
	PubSub                            // about channels
	NoScript                          // not from scripts
	Blocking                          // may block the client
	Loading                           // answered while data is loading
	Stale                             // answered by a replica without its primary
	SkipMonitor                       // not shown by MONITOR
	SkipSlowlog                       // not in the slow log
	Asking                            // cluster
	Fast                              // O(1) or O(log N), never waits
	NoAuth                            // answered before AUTH
	MayReplicate                      // may be propagated without being a write
	NoMandatoryKeys                   // keys are optional
	NoAsyncLoading                    //
	NoMulti                           // not inside MULTI
	MovableKeys                       // derived: key positions follow from other arguments
	AllowBusy                         // answered while a script runs too long

	// Ours; COMMAND does not show them.

	EveryShard // walks all shards without latches
	Exclusive  // runs with the gate closed: touches every key
	OffGate    // may wait or talk to other clients: runs without the gate's token
	Short      // of one key: may run in line, though Redis does not call it fast
	NoTouch    // does not count as an access to its keys
	Claims     // holds its keys' latches although it only reads
	Protected  // for those whom enable-debug-command or enable-module-command admits
	Container  // a container: answers through its subcommands only
	ByCalls    // reaches its keys through calls of its own: holds no latches of them
	Listening  // may be sent by a subscriber that speaks RESP2
	AnyNode    // of a cluster: answered by the node that is asked, whoever leads
	InCluster  // not known to a server that is in none
)

// A Group is the section of the manual a command stands in.
type Group string

const (
	Generic      Group = "generic"
	String       Group = "string"
	List         Group = "list"
	SetGroup     Group = "set"
	SortedSet    Group = "sorted-set"
	Hash         Group = "hash"
	Stream       Group = "stream"
	Bitmap       Group = "bitmap"
	HyperLogLog  Group = "hyperloglog"
	Geo          Group = "geo"
	PubSubGroup  Group = "pubsub"
	Transactions Group = "transactions"
	Scripting    Group = "scripting"
	Connection   Group = "connection"
	ServerGroup  Group = "server"
)

// A Path is the way a call takes through the router.
type Path uint8

const (
	Local Path = iota // touches no key
	Read              // one key, no latch
	Claim             // latches of all keys
	Walk              // every shard, no latch
	Alone             // gate closed
)

// derived is what newTable fills in.
type derived struct {
	id     int
	path   Path
	lower  string
	parent *Spec
	subs   map[string]*Spec // upper-case subcommand name
	subSeq []*Spec
	keyPos int // position of the only key when that is fixed, else 0
}

// ID is the command's row in the table: 0 … Count()-1, subcommands included.
func (s *Spec) ID() int { return s.id }

// Path is the way its calls take.
func (s *Spec) Path() Path { return s.path }

// Lower is the name as statistics print it: lower case, "client|kill".
func (s *Spec) Lower() string { return s.lower }

// Parent is the container of a subcommand, or nil.
func (s *Spec) Parent() *Spec { return s.parent }

// Subcommands are the rows below a container, in table order.
func (s *Spec) Subcommands() []*Spec { return s.subSeq }

// Has tells whether all the given flags are set.
func (s *Spec) Has(f Flags) bool { return s.Flags&f == f }

// KeyPos is the argument position of the command's only key, or 0 when it has
// none, several, or one whose place follows from other arguments.
func (s *Spec) KeyPos() int { return s.keyPos }

// ArityOK tells whether a call with n arguments (name included) may run.
func (s *Spec) ArityOK(n int) bool {
	return n == s.Arity || s.Arity < 0 && n >= -s.Arity
}
