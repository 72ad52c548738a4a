package store

import (
	"unsafe"

	"github.com/ferricd/ferricd/internal/invariants"
)

// A Mode says what the caller of a Tx holds, and so what the Tx may do.
type Mode uint8

const (
	// Read: no latch. One key. What was read is true only if EndRead says so.
	Read Mode = iota
	// Claimed: the latches of all declared keys, in the call's own goroutine.
	Claimed
	// InLine: the same, but the coordinator runs the call: it may wait for
	// nothing, and meets ErrLocked instead.
	InLine
	// Alone: the gate is closed; every key may be touched.
	Alone
)

// Expiry arguments of SetString and friends, beside a time in Unix milliseconds.
const (
	NoExpiry   int64 = 0
	KeepExpiry int64 = -1
)

// A Type is what kind of value a key holds.
type Type uint8

const (
	None Type = iota
	StringType
	ListType
	SetType
	ZSetType
	HashType
	StreamType
)

// String is the name that TYPE replies.
func (t Type) String() string {
	return [...]string{"none", "string", "list", "set", "zset", "hash", "stream"}[t]
}

// A Ref is a key of one database with its hash.
type Ref struct {
	Key  []byte
	DB   int // as clients number it
	Hash uint64
}

// Slots tells the sequence number of the latch slot that a hash falls into; odd
// means that a call that publishes more than once is at work.
type Slots interface {
	SeqOf(hash uint64) uint64
}

// An Object is a value that is edited in place: a collection, or a long string
// that grows. Its editor holds the key's latch and the object's mutex.
type Object interface {
	Type() Type
	Len() int         // elements; 0 means that the key goes, unless it is a string or stream
	Bytes() int64     // approximate memory, kept up to date by the edits
	Encoding() string // as OBJECT ENCODING names it
	Clone() Object    // a deep copy (COPY)
}

// Info is what is known of a key without reading its value.
type Info struct {
	Type     Type
	Encoding string
	ExpireAt int64 // Unix ms, 0: never
	Idle     int64 // seconds since the last access (when the policy is not LFU)
	Freq     int   // logarithmic access counter (when it is)
	Bytes    int64 // approximate memory of key and value
	Len      int   // bytes of a string, elements of a collection
}

// A Tx is the window through which one call sees the keys that it declared. A
// client has one and uses it again for every call; the zero value is ready.
//
// With BeginRead no latch is held: what was read is true only if EndRead says
// so. With Begin the latches of all declared keys are held, or the gate is
// closed. What the handler then changes is staged: later look-ups of the same Tx
// see it, nobody else does before Publish. Objects that are edited in place are
// the exception; their mutex is held from EditObject to End. Small collections
// are edited as drafts instead, and are good until the next Publish only.
//
// A call of several commands publishes after each; its slots are closed
// meanwhile. The end of a call is one of
//
//	Publish, End    it is done
//	Undo, End       it returned an error, having edited no object in place
//	Abort, End      it panicked
//
// End alone takes back nothing that was published, unless Publish itself
// panicked; an object that was being edited is damaged then, as by Abort.
type Tx struct {
	NoTouch      bool // look-ups do not count as accesses
	Follows      bool // expired keys read as missing but are not removed: a replica, or replay
	Hits, Misses int  // look-ups that found their key and that did not

	ks      *Keyspace
	now     int64
	mode    Mode
	retry   bool // a reader met what it must not see
	seq     uint64
	db      int     // which look-ups go to
	slots   []slot  // the declared keys
	last    int     // the slot that was used last
	index   []int32 // by hash, when there are many slots: slot number + 1
	seen    []int32 // the slots looked up since the last Publish
	expired []int32 // those found expired that EachExpired has not told
	changed []int32 // those that Publish has changed
	created []int32 // those that the last Publish has created
	scratch []byte  // integers as text
	reading *holder // locked for reading
	drafts  []*draft
	editing []edit
	pending []int32 // those of editing that may have been edited since the last Publish
	journal []undo
	spare   spares

	publishing bool // in Publish, or it has panicked
	published  int  // keys
}

// A slot is what a Tx knows of one key.
type slot struct {
	ref   Ref
	cur   *block // what this call sees, nil if missing: old, or one that is staged
	old   *block // what others see
	num   int64  // if flagNum
	at    int64  // if flagAt
	first int32  // the slot of the same key that is used, perhaps itself
	flags uint32
	draft *draft // of a collection that has no holder; nil: not asked for yet
}

const (
	flagSeen    = 1 << iota // looked up
	flagTouched             // and counted
	flagStaged              // cur replaces old
	flagNum                 // num is to be stored into cur, which is published
	flagAt                  // at is to be stored into cur, which is published
	flagExpired             // old has expired
	flagEdited              // the object of cur is being edited in place
	flagChanged             // among Tx.changed
	flagMissed              // and not found
	flagEmptied             // the last change was that its collection became empty
	flagRecast              // cur, of the same value, replaces old: nobody need be told
	flagAside               // what is edited is nothing that WATCH counts
	flagLoud                // something else was published

	flagsWork  = flagStaged | flagNum | flagAt | flagExpired | flagEdited | flagRecast
	flagsTold  = flagsWork &^ (flagExpired | flagRecast) // what the call itself has changed
	flagsStays = flagChanged | flagEmptied | flagLoud
)

// fewSlots is up to how many slots are searched one by one.
const fewSlots = 8

// BeginRead begins a read of one key without a latch. It returns false if the
// slot of refs[0] is closed.
func (tx *Tx) BeginRead(ks *Keyspace, db int, now int64, refs []Ref) bool {
	tx.seq = ks.slots.SeqOf(refs[0].Hash)
	if tx.seq&1 != 0 {
		return false
	}
	tx.begin(ks, Read, db, now, refs)
	return true
}

// EndRead ends a read and tells whether what it saw was true at one instant.
func (tx *Tx) EndRead() (valid bool) {
	valid = !tx.retry
	if tx.reading != nil {
		tx.reading.mu.RUnlock()
		tx.reading = nil
	} else if tx.ks.slots.SeqOf(tx.slots[0].ref.Hash) != tx.seq {
		valid = false
	}
	tx.forget()
	return valid
}

// Begin begins a call. The latches of all refs are held, or the gate is closed
// if m is Alone, when refs need not name all keys.
func (tx *Tx) Begin(ks *Keyspace, m Mode, db int, now int64, refs []Ref) {
	tx.begin(ks, m, db, now, refs)
}

func (tx *Tx) begin(ks *Keyspace, m Mode, db int, now int64, refs []Ref) {
	if len(tx.slots) > 0 || tx.reading != nil {
		tx.End() // a panic has left it
	}
	tx.ks, tx.mode, tx.db, tx.now = ks, m, db, now
	tx.Hits, tx.Misses, tx.retry, tx.last, tx.published = 0, 0, false, 0, 0
	if cap(tx.slots) < len(refs) {
		tx.slots = make([]slot, 0, max(len(refs), 4))
	}
	tx.slots = tx.slots[:len(refs)]
	for i := range refs {
		tx.slots[i].ref = refs[i]
		tx.slots[i].first = int32(i)
	}
	if len(refs) > 1 {
		tx.join()
	}
}

// In lets the following look-ups go to another database.
func (tx *Tx) In(db int) { tx.db = db }

// DB is the database that look-ups go to.
func (tx *Tx) DB() int { return tx.db }

// Now is the time of the call.
func (tx *Tx) Now() int64 { return tx.now }

// join finds out which slots are of the same key.
func (tx *Tx) join() {
	if len(tx.slots) > fewSlots {
		tx.reindex()
		return
	}
	for i := range tx.slots {
		s := &tx.slots[i]
		if j := tx.seek(s.ref, i); j >= 0 {
			s.first = int32(j)
		}
	}
}

// seek returns the first of the slots before n that is of the key of r, or -1.
func (tx *Tx) seek(r Ref, n int) int {
	for i := range tx.slots[:n] {
		if q := &tx.slots[i].ref; q.Hash == r.Hash && q.DB == r.DB && string(q.Key) == string(r.Key) {
			return i
		}
	}
	return -1
}

func (tx *Tx) reindex() {
	n := 32
	for n < 4*len(tx.slots) {
		n *= 2
	}
	if n <= cap(tx.index) {
		tx.index = tx.index[:n]
		clear(tx.index)
	} else {
		tx.index = make([]int32, n)
	}
	for i := range tx.slots {
		p := tx.indexed(tx.slots[i].ref)
		if *p == 0 {
			*p = int32(i + 1)
		}
		tx.slots[i].first = *p - 1
	}
}

// indexed is where the number of r's slot stands in the index, or belongs.
func (tx *Tx) indexed(r Ref) *int32 {
	mask := uint64(len(tx.index) - 1)
	for i := r.Hash; ; i++ {
		p := &tx.index[i&mask]
		if *p == 0 {
			return p
		}
		if q := &tx.slots[*p-1].ref; q.Hash == r.Hash && q.DB == r.DB && string(q.Key) == string(r.Key) {
			return p
		}
	}
}

// slot returns the slot of key. Nearly always the key is the very argument that
// was declared, in the order of declaration.
func (tx *Tx) slot(key []byte) *slot {
	for i := tx.last; i < len(tx.slots) && i <= tx.last+1; i++ {
		if q := &tx.slots[i].ref; q.DB == tx.db && same(q.Key, key) {
			tx.last = i
			return &tx.slots[tx.slots[i].first]
		}
	}
	r := Ref{Key: key, DB: tx.db, Hash: tx.ks.Hash(tx.db, key)}
	i := -1
	if len(tx.slots) <= fewSlots {
		i = tx.seek(r, len(tx.slots))
	} else if p := tx.indexed(r); *p != 0 {
		i = int(*p - 1)
	}
	if i < 0 {
		if invariants.Enabled {
			invariants.Check(tx.mode == Alone, "a call touches a key that it has not declared: "+string(key))
		}
		i = tx.declare(r)
	}
	tx.last = i
	return &tx.slots[tx.slots[i].first]
}

// declare adds a key. Pointers to slots that were taken before are void.
func (tx *Tx) declare(r Ref) int {
	tx.slots = append(tx.slots, slot{ref: r, first: int32(len(tx.slots))})
	if n := len(tx.slots); n > fewSlots {
		if n == fewSlots+1 || 2*n > len(tx.index) {
			tx.reindex()
		} else {
			*tx.indexed(r) = int32(n)
		}
	}
	return len(tx.slots) - 1
}

// same tells whether two slices are one, not only equal.
func same(a, b []byte) bool {
	return len(a) == len(b) && (len(a) == 0 || unsafe.SliceData(a) == unsafe.SliceData(b))
}

// see returns the slot of key, looked up.
func (tx *Tx) see(key []byte) *slot {
	s := tx.slot(key)
	if s.flags&flagSeen == 0 {
		tx.look(s)
	}
	return s
}

// use is see for a call that uses the value: it counts as an access.
func (tx *Tx) use(key []byte) *slot {
	s := tx.see(key)
	if s.flags&flagTouched == 0 {
		s.flags |= flagTouched
		if s.cur == nil {
			tx.Misses++
			s.flags |= flagMissed
			return s
		}
		tx.Hits++
		if !tx.NoTouch {
			tx.ks.access.touch(s.cur, tx.now)
		}
	}
	return s
}

func (tx *Tx) look(s *slot) {
	s.flags |= flagSeen
	tx.seen = append(tx.seen, s.first)
	s.old = tx.ks.find(tx.stored(s), s.ref.Hash, s.ref.Key)
	s.cur = s.old
	if s.old != nil && s.old.expired(tx.now) {
		s.cur = nil
		if tx.mode != Read && !tx.Follows {
			s.flags |= flagExpired
			tx.expired = append(tx.expired, s.first)
		}
	}
}

func (tx *Tx) stored(s *slot) uint32 { return tx.ks.stored[s.ref.DB].Load() }

// stage makes b what this call sees under the key of s; nil deletes it.
func (s *slot) stage(b *block) {
	s.cur, s.draft = b, nil
	s.flags = s.flags&^(flagNum|flagAt|flagEdited|flagRecast) | flagStaged
	if b == nil && s.old == nil {
		s.flags &^= flagStaged
	}
}

// expireAt is the expiry that this call sees.
func (s *slot) expireAt() int64 {
	if s.flags&flagAt != 0 {
		return s.at
	}
	return s.cur.expireAt()
}

// keep resolves KeepExpiry.
func (s *slot) keep(expireAt int64) int64 {
	switch {
	case expireAt != KeepExpiry:
		return expireAt
	case s.cur == nil:
		return NoExpiry
	}
	return s.expireAt()
}

// clock is the access clock of what replaces the value of s: how often a key is
// used outlives its value.
func (tx *Tx) clock(s *slot) uint32 {
	if s.cur != nil && tx.ks.access.lfu.Load() {
		return s.cur.clock.Load()
	}
	return tx.ks.access.fresh(tx.now)
}
