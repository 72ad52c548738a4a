package store

// An edit is an object that this call has locked. Drafts are none.
type edit struct {
	h       *holder
	pending bool // edited since the last Publish
	done    bool // and before it
	len     int  // before
	bytes   int64
}

// Object is the object at key, for reading; nil if the key is missing. In a
// Read it stays locked until EndRead, and ErrRetry says that it may not be read.
func (tx *Tx) Object(key []byte, t Type) (Object, error) {
	return tx.object(tx.use(key), t)
}

func (tx *Tx) object(s *slot, t Type) (Object, error) {
	if !s.there() {
		return nil, nil
	}
	if collection(s.cur.kind()) && s.cur.typ() == t {
		return tx.draft(s).obj, nil
	}
	h, err := s.holder(t)
	if err != nil {
		return nil, err
	}
	if tx.mode == Read && !tx.lockRead(s, h) {
		return nil, ErrRetry
	}
	return h.obj, nil
}

// holder is the holder of the object at s, which must be of type t and whole.
func (s *slot) holder(t Type) (*holder, error) {
	if s.cur.kind() != kindObject || s.cur.typ() != t {
		return nil, ErrWrongType
	}
	h := s.cur.entry().holder
	if h.damaged() {
		return nil, ErrDamaged
	}
	return h, nil
}

// lockRead locks h for reading and then looks whether it still is the object of
// s and no call is at work that publishes more than once. Without the look, the
// object might by now live and change under another name.
func (tx *Tx) lockRead(s *slot, h *holder) bool {
	if tx.reading == h {
		return true
	}
	if tx.retry || tx.reading != nil {
		tx.retry = true
		return false
	}
	h.mu.RLock()
	if tx.ks.slots.SeqOf(s.ref.Hash) != tx.seq || tx.ks.find(tx.stored(s), s.ref.Hash, s.ref.Key) != s.old {
		h.mu.RUnlock()
		tx.retry = true
		return false
	}
	tx.reading = h
	return true
}

// EditObject is the object at key, for editing; nil if the key is missing. If it
// has a holder it is edited in place and locked until End; InLine, a reader that
// holds it makes this ErrLocked. Else it is a draft, which nobody else sees. Who
// finds that there is nothing to change says Unedited, and has changed nothing.
func (tx *Tx) EditObject(key []byte, t Type) (Object, error) {
	s := tx.use(key)
	if s.cur == nil || s.cur.typ() != t && !s.there() {
		return nil, nil
	}
	if collection(s.cur.kind()) && s.cur.typ() == t {
		d := tx.draft(s)
		d.edit()
		s.flags |= flagEdited
		return d.obj, nil
	}
	h, err := s.holder(t)
	if err != nil {
		return nil, err
	}
	e := tx.edit(h)
	if e == nil {
		c := tx.ks.cut.Load()
		if c != nil && !c.owes(h) {
			c = nil
		}
		switch {
		case tx.mode != InLine:
			h.mu.Lock()
		case c != nil || !h.mu.TryLock():
			return nil, ErrLocked // to tell a cut may take long, too
		}
		tx.editing = append(tx.editing, edit{h: h})
		h.edit = int32(len(tx.editing))
		e = tx.edit(h)
		if c != nil {
			c.beforeEdit(h, s.old, tx.stored(s))
		}
	}
	if !e.pending {
		e.pending, e.len, e.bytes = true, h.obj.Len(), h.obj.Bytes()
		tx.pending = append(tx.pending, h.edit-1)
	}
	s.flags |= flagEdited
	return h.obj, nil
}

// InLine tells that the coordinator runs the call. One that would take long
// returns ErrLocked then, before it changes anything, and is handed over.
func (tx *Tx) InLine() bool { return tx.mode == InLine }

// edit returns what is noted of an object that is locked already, or nil.
func (tx *Tx) edit(h *holder) *edit {
	if h.edit == 0 {
		return nil
	}
	return &tx.editing[h.edit-1]
}

// Unedited takes back EditObject: nothing was changed after all.
func (tx *Tx) Unedited(key []byte) {
	s := tx.see(key)
	if s.flags&flagEdited == 0 {
		return
	}
	if s.cur.kind() == kindObject {
		tx.edit(s.cur.entry().holder).pending = false
	}
	s.flags &^= flagEdited
}

// NewObject lets key hold o, whatever it held before.
func (tx *Tx) NewObject(key []byte, o Object, expireAt int64) {
	s := tx.use(key)
	switch o.Type() {
	case ListType, SetType, ZSetType, HashType:
		tx.stageDraft(s, given(o), s.keep(expireAt))
	default:
		s.stage(newEntry(s.ref.Key, &holder{obj: o}, s.keep(expireAt), tx.clock(s)))
	}
}

// newCollection lets key hold an empty collection, for editing.
func (tx *Tx) newCollection(key []byte, t Type) Object {
	d := fresh(tx.ks, t)
	tx.stageDraft(tx.use(key), d, NoExpiry)
	return d.obj
}

// List is the list at key, for reading; nil if the key is missing.
func (tx *Tx) List(key []byte) (*List, error) {
	o, err := tx.Object(key, ListType)
	if o == nil {
		return nil, err
	}
	return o.(*List), nil
}

// EditList is the list at key, for editing. If the key is missing it is nil, or
// a new list if create is set.
func (tx *Tx) EditList(key []byte, create bool) (*List, error) {
	o, err := tx.EditObject(key, ListType)
	if err != nil {
		return nil, err
	}
	if o != nil {
		return o.(*List), nil
	}
	if !create {
		return nil, nil
	}
	return tx.newCollection(key, ListType).(*List), nil
}

// Delete deletes key and tells whether it was there.
func (tx *Tx) Delete(key []byte) bool {
	s := tx.use(key)
	if !s.there() {
		return false
	}
	s.stage(nil)
	return true
}

// Rename gives src the name dst, with its expiry, whatever dst held before. It
// returns false if src is missing.
func (tx *Tx) Rename(src, dst []byte) bool { return tx.relocate(src, dst, tx.db) }

// Move moves key to another database, where it must not exist. It returns false
// if it is missing.
func (tx *Tx) Move(key []byte, dstDB int) bool { return tx.relocate(key, key, dstDB) }

func (tx *Tx) relocate(src, dst []byte, dstDB int) bool {
	from, to := tx.pair(src, dst, dstDB)
	if !from.there() {
		return false
	}
	if from == to {
		return true
	}
	at := from.expireAt()
	if from.cur.kind() == kindObject {
		h := from.cur.entry().holder
		clock := from.cur.clock.Load()
		edited := from.flags & flagEdited
		if c := tx.ks.cut.Load(); c != nil {
			c.keepName(from.cur, tx.stored(from))
		}
		from.stage(nil)
		to.stage(newEntry(to.ref.Key, h, at, clock))
		to.flags |= edited
		return true
	}
	b := tx.copied(from, to.ref.Key, at, from.cur.clock.Load())
	from.stage(nil)
	to.stage(b)
	return true
}

// pair returns the slots of src in this database and of dst in another one.
func (tx *Tx) pair(src, dst []byte, dstDB int) (from, to *slot) {
	db := tx.db
	tx.use(src)
	tx.In(dstDB)
	to = tx.see(dst)
	tx.In(db)
	return tx.see(src), to
}

// Copy copies src to dst in dstDB, with its expiry. It returns false if src is
// missing, or if dst is there and replace is not set.
func (tx *Tx) Copy(src, dst []byte, dstDB int, replace bool) bool {
	from, to := tx.pair(src, dst, dstDB)
	if !from.there() || to.there() && !replace {
		return false
	}
	if from == to {
		return true
	}
	at := from.expireAt()
	if from.cur.kind() == kindObject {
		h := &holder{obj: from.cur.entry().holder.obj.Clone()}
		to.stage(newEntry(to.ref.Key, h, at, tx.ks.access.fresh(tx.now)))
		return true
	}
	to.stage(tx.copied(from, to.ref.Key, at, tx.ks.access.fresh(tx.now)))
	return true
}

// copied is a block with the value that the call sees at s, which has no holder,
// for another key.
func (tx *Tx) copied(s *slot, key []byte, at int64, clock uint32) *block {
	if collection(s.cur.kind()) {
		tx.draft(s)
		return tx.settled(s, key, at, clock, false) // the key may be too long for a block
	}
	return tx.newValue(key, s.value(at), clock)
}
