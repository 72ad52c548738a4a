package store

// SetStreamLimits says when a node of a stream is full, from now on.
func (ks *Keyspace) SetStreamLimits(l StreamLimits) { ks.streamLimits.Store(&l) }

// StreamLimits are the limits that hold now.
func (ks *Keyspace) StreamLimits() StreamLimits {
	if l := ks.streamLimits.Load(); l != nil {
		return *l
	}
	return DefaultStreamLimits
}

// Stream is the stream at key, for reading; nil if the key is missing.
func (tx *Tx) Stream(key []byte) (*Stream, error) {
	o, err := tx.Object(key, StreamType)
	if o == nil {
		return nil, err
	}
	return o.(*Stream), nil
}

// EditStream is the stream at key, for editing. If the key is missing it is nil,
// or a new stream if create is set.
func (tx *Tx) EditStream(key []byte, create bool) (*Stream, error) {
	tx.use(key).flags &^= flagAside
	o, err := tx.EditObject(key, StreamType)
	if err != nil {
		return nil, err
	}
	if o != nil {
		s := o.(*Stream)
		s.limits = tx.ks.StreamLimits()
		return s, nil
	}
	if !create {
		return nil, nil
	}
	s := NewStream(tx.ks.StreamLimits())
	tx.NewObject(key, s, NoExpiry)
	return s, nil
}

// EditAside is EditStream for a change that does not count for WATCH, as in
// Redis: to the groups of a stream, or to its last ID.
func (tx *Tx) EditAside(key []byte, create bool) (*Stream, error) {
	loud := tx.use(key).flags&(flagEdited|flagAside) == flagEdited
	o, err := tx.EditStream(key, create)
	if !loud {
		tx.use(key).flags |= flagAside
	}
	return o, err
}

// StreamLimits are the limits of the call's keyspace.
func (tx *Tx) StreamLimits() StreamLimits { return tx.ks.StreamLimits() }
