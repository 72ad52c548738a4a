package store

import "strconv"

// Exists tells whether key is there.
func (tx *Tx) Exists(key []byte) bool { return tx.use(key).there() }

// there tells whether the call sees a value.
func (s *slot) there() bool { return s.cur != nil && !s.hollow() }

// hollow tells whether the call has emptied a collection, or not yet filled it:
// the key is gone, though the block stays until Publish.
func (s *slot) hollow() bool {
	if s.flags&(flagEdited|flagStaged) == 0 || s.cur == nil {
		return false
	}
	if collection(s.cur.kind()) {
		return s.draft != nil && s.draft.obj.Len() == 0
	}
	if s.cur.kind() != kindObject {
		return false
	}
	if t := s.cur.typ(); t == StringType || t == StreamType { // they may be empty
		return false
	}
	return s.cur.entry().holder.obj.Len() == 0
}

// Type is the type of the value at key, None if it is missing.
func (tx *Tx) Type(key []byte) Type {
	s := tx.use(key)
	if !s.there() {
		return None
	}
	return s.cur.typ()
}

// Peek tells about key without counting as an access.
func (tx *Tx) Peek(key []byte) (Info, bool) {
	s := tx.see(key)
	if !s.there() {
		return Info{}, false
	}
	b := s.cur
	info := Info{Type: b.typ(), ExpireAt: s.expireAt(), Bytes: b.size()}
	info.Idle, info.Freq = tx.ks.access.show(b.clock.Load(), tx.now)
	switch b.kind() {
	case kindObject:
		h := b.entry().holder
		if tx.mode == Read && !tx.lockRead(s, h) {
			return Info{}, false
		}
		info.Len = h.obj.Len()
	case kindInt:
		info.Len = intLen(s.number())
	case kindStr, kindRaw:
		info.Len = len(b.str())
	default:
		info.Len = b.len()
	}
	info.Encoding = b.encoding()
	if s.edited() {
		info.Len, info.Encoding = s.draft.obj.Len(), s.draft.obj.Encoding()
	}
	return info, true
}

// number is the integer that this call sees; the block is of kindInt.
func (s *slot) number() int64 {
	if s.flags&flagNum != 0 {
		return s.num
	}
	return s.cur.num().Load()
}

// String is the string at key. It is valid until the Tx ends or the key is
// changed, and may not be written to.
func (tx *Tx) String(key []byte) (val []byte, ok bool, err error) {
	s := tx.use(key)
	if s.cur == nil {
		return nil, false, nil
	}
	switch s.cur.kind() {
	case kindInt:
		from := len(tx.scratch)
		tx.scratch = strconv.AppendInt(tx.scratch, s.number(), 10)
		return tx.scratch[from:len(tx.scratch):len(tx.scratch)], true, nil
	case kindObject:
		o, err := tx.object(s, StringType)
		if err != nil || o == nil {
			return nil, false, err
		}
		return o.(*Buffer).View(), true, nil
	case kindStr, kindRaw:
		return s.cur.str(), true, nil
	}
	if !s.there() {
		return nil, false, nil
	}
	return nil, false, ErrWrongType
}

// Int is the string at key as an integer, 0 when it is missing. Only what
// strconv.AppendInt would print is an integer.
func (tx *Tx) Int(key []byte) (n int64, ok bool, err error) {
	if s := tx.use(key); s.cur != nil && s.cur.kind() == kindInt {
		return s.number(), true, nil
	}
	val, ok, err := tx.String(key)
	if err != nil || !ok {
		return 0, false, err
	}
	if n, ok = canonicalInt(val); !ok {
		return 0, false, ErrNotInteger
	}
	return n, true, nil
}

// StrLen is the length of the string at key, 0 when it is missing.
func (tx *Tx) StrLen(key []byte) (int, error) {
	if s := tx.use(key); s.cur != nil && s.cur.kind() == kindInt {
		return intLen(s.number()), nil
	}
	val, _, err := tx.String(key)
	return len(val), err
}

// intLen is the length of n in decimal.
func intLen(n int64) int {
	u, l := uint64(n), 1
	if n < 0 {
		u, l = -u, 2
	}
	for ; u >= 10; u /= 10 {
		l++
	}
	return l
}

// ExpireAt is when key expires, 0 for never; ok tells whether it is there.
func (tx *Tx) ExpireAt(key []byte) (at int64, ok bool) {
	s := tx.use(key)
	if !s.there() {
		return 0, false
	}
	return s.expireAt(), true
}

// SetString lets key hold a copy of val, whatever it held before. expireAt is a
// time, NoExpiry or KeepExpiry.
func (tx *Tx) SetString(key, val []byte, expireAt int64) {
	n, ok := canonicalInt(val)
	if !ok {
		tx.SetText(key, val, expireAt)
		return
	}
	s := tx.use(key)
	s.stage(tx.newValue(s.ref.Key, value{kind: kindInt, num: n, expireAt: s.keep(expireAt)}, tx.clock(s)))
}

// SetText is SetString for a value that stays text even if it reads as an
// integer, which OBJECT ENCODING shows.
func (tx *Tx) SetText(key, val []byte, expireAt int64) {
	s := tx.use(key)
	s.stage(tx.newValue(s.ref.Key, value{kind: kindStr, str: val, expireAt: s.keep(expireAt)}, tx.clock(s)))
}

// newValue makes the block for v; what is too long for one goes into a Buffer.
func (tx *Tx) newValue(key []byte, v value, clock uint32) *block {
	if len(key) > maxInBlock || len(v.str) > maxInBlock {
		str := v.str
		if v.kind == kindInt {
			str = strconv.AppendInt(nil, v.num, 10)
		}
		return newEntry(key, &holder{obj: NewBuffer(str)}, v.expireAt, clock)
	}
	return tx.newBlock(key, v, clock)
}

// value is what the call sees at s, which is no object, with another expiry.
func (s *slot) value(expireAt int64) value {
	v := s.cur.value(expireAt)
	if v.kind == kindInt {
		v.num = s.number()
	}
	return v
}

// SetInt lets key hold n and keeps its expiry.
func (tx *Tx) SetInt(key []byte, n int64) {
	s := tx.use(key)
	if s.cur != nil && s.cur.kind() == kindInt && s.flags&flagAt == 0 {
		if s.flags&flagStaged != 0 {
			s.cur.num().Store(n)
			return
		}
		s.num = n
		s.flags |= flagNum
		return
	}
	s.stage(tx.newValue(s.ref.Key, value{kind: kindInt, num: n, expireAt: s.keep(KeepExpiry)}, tx.clock(s)))
}

// SetExpiry sets when key expires, 0 for never, and tells whether it is there.
func (tx *Tx) SetExpiry(key []byte, at int64) bool {
	s := tx.use(key)
	if !s.there() {
		return false
	}
	switch {
	case at == 0 && s.expireAt() == 0:
	case s.edited():
		s.at = at
		s.flags |= flagAt
	case s.cur.hasExpiry() && s.flags&flagStaged != 0:
		s.cur.expiry().Store(at)
	case s.cur.hasExpiry() && s.flags&flagNum == 0:
		s.at = at
		s.flags |= flagAt
	default:
		s.stage(tx.newValue(s.ref.Key, s.value(at), s.cur.clock.Load()))
	}
	return true
}

// bufferFrom is the length from which on a string that is edited becomes a
// Buffer, which grows in place.
const bufferFrom = 512

// longCopy is the size beyond which copying a string would hold up the lines of a
// shard.
const longCopy = 64 << 10

// Append adds data to the string at key and returns the new length.
func (tx *Tx) Append(key, data []byte) (newLen int, err error) {
	n, err := tx.StrLen(key)
	if err != nil {
		return 0, err
	}
	if !tx.Exists(key) {
		tx.SetString(key, data, NoExpiry)
		return len(data), nil
	}
	return tx.WriteRange(key, n, data)
}

// WriteRange writes data at off into the string at key, with zeros between its
// end and there, and returns the new length.
func (tx *Tx) WriteRange(key []byte, off int, data []byte) (newLen int, err error) {
	b, err := tx.EditString(key, off+len(data))
	if err != nil {
		return 0, err
	}
	copy(b[off:], data)
	return len(b), nil
}

// EditString is the string at key, for editing in place, filled up with zeros if
// it has less than n bytes; a missing key is made. OBJECT ENCODING calls it raw
// from now on. It is valid until the Tx ends or the key is changed otherwise.
// InLine, a long string that would have to be copied is ErrLocked.
func (tx *Tx) EditString(key []byte, n int) ([]byte, error) {
	s := tx.use(key)
	if s.cur != nil && s.cur.kind() == kindObject {
		o, err := tx.EditObject(key, StringType)
		if err != nil {
			return nil, err
		}
		b := o.(*Buffer)
		if n > cap(b.b) && n > longCopy && tx.mode == InLine {
			return nil, ErrLocked
		}
		if n > b.Len() {
			b.extend(n)
		}
		return b.View(), nil
	}
	if s.flags&flagStaged != 0 && s.cur != nil && s.cur.kind() == kindRaw && n <= len(s.cur.str()) {
		return s.cur.str(), nil // nobody else sees it yet
	}
	old, _, err := tx.String(key)
	if err != nil {
		return nil, err
	}
	at := s.keep(KeepExpiry)
	if n = max(n, len(old)); n > longCopy && tx.mode == InLine {
		return nil, ErrLocked
	}
	if n > bufferFrom || len(s.ref.Key) > maxInBlock {
		buf := NewBuffer(old)
		if n > len(old) {
			buf.extend(n)
		}
		s.stage(newEntry(s.ref.Key, &holder{obj: buf}, at, tx.clock(s)))
		return buf.View(), nil
	}
	s.stage(tx.newBlock(s.ref.Key, value{kind: kindRaw, str: old, room: n, expireAt: at}, tx.clock(s)))
	return s.cur.str(), nil
}

// MakeRaw lets OBJECT ENCODING call the string at key raw, if it has called it
// otherwise. Its value stays: neither the log nor who watches the key is told.
func (tx *Tx) MakeRaw(key []byte) error {
	s := tx.use(key)
	if s.cur == nil || s.cur.kind() >= kindObject || s.cur.encoding() == "raw" {
		return nil
	}
	val, _, err := tx.String(key)
	if err != nil {
		return err
	}
	changed := s.flags & flagsTold
	s.stage(tx.newBlock(s.ref.Key, value{kind: kindRaw, str: val, expireAt: s.keep(KeepExpiry)}, tx.clock(s)))
	if changed == 0 {
		s.flags = s.flags&^flagStaged | flagRecast
	}
	return nil
}

// MakeString lets key hold a string of n zeros, whatever it held before, and
// returns it for filling in. OBJECT ENCODING calls it raw.
func (tx *Tx) MakeString(key []byte, n int, expireAt int64) []byte {
	s := tx.use(key)
	at := s.keep(expireAt)
	if n > maxInBlock || len(s.ref.Key) > maxInBlock {
		buf := &Buffer{make([]byte, n)}
		s.stage(newEntry(s.ref.Key, &holder{obj: buf}, at, tx.clock(s)))
		return buf.View()
	}
	s.stage(tx.newBlock(s.ref.Key, value{kind: kindRaw, room: n, expireAt: at}, tx.clock(s)))
	return s.cur.str()
}
