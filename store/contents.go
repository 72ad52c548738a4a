package store

// Contents is told what a value consists of, part by part: by Visit from a value
// of the keyspace, by a decoder from bytes. What builds a value, or writes it in
// some format, is a Contents.
//
// The first call says the type; the parts follow in the value's own order. What
// the slices point to is valid until the call returns.
type Contents interface {
	String(v []byte)

	List(n int) // n parts follow; -1: not known
	Element(v []byte)

	Set(n int)
	Member(v []byte)

	ZSet(n int)
	Scored(member []byte, score float64)

	Hash(n int, times bool)                   // times: fields may expire; false: none does
	Field(name, value []byte, expireAt int64) // Unix ms; 0: never

	// A stream's entries come in ascending order, then its state, then its groups,
	// each with its consumers and after them its pending entries in ascending order.
	Stream(n int)                       // n entries follow; -1: not known
	Entry(id StreamID, fields [][]byte) // name, value, name, value ...
	State(s StreamState)
	Group(g GroupHead)
	Consumer(c ConsumerHead)
	Pending(p PendingEntry) // of the last group
}

// A StreamState is what a stream consists of besides entries and groups.
type StreamState struct {
	Last       StreamID // the greatest ID that was ever added, or set
	MaxDeleted StreamID
	Added      int64 // how many entries were ever added
	Groups     int   // follow; -1: not known
}

// A GroupHead is a group without its consumers and pending entries.
type GroupHead struct {
	Name      []byte
	Last      StreamID
	Read      int64 // or ReadUnknown
	Consumers int   // follow; -1: not known
	Pending   int   // follow; -1: not known
}

// A ConsumerHead is a consumer without its pending entries.
type ConsumerHead struct {
	Name []byte
	Seen int64 // Unix ms
}

// A PendingEntry is an entry that a consumer was given and has not acknowledged.
type PendingEntry struct {
	ID       StreamID
	Consumer []byte
	At       int64 // when it was given last, Unix ms
	Count    int64 // how often
}
