package store

// SetHashLimits says up to where hashes are compact; see HashLimits.
func (ks *Keyspace) SetHashLimits(fields, value int64) { ks.hashLimits.Set(fields, value) }

// Hash is the hash at key, for reading; nil if the key is missing.
func (tx *Tx) Hash(key []byte) (*Hash, error) {
	o, err := tx.Object(key, HashType)
	if o == nil {
		return nil, err
	}
	return o.(*Hash), nil
}

// EditHash is the hash at key, for editing. If the key is missing it is nil, or
// a new hash if create is set.
func (tx *Tx) EditHash(key []byte, create bool) (*Hash, error) {
	o, err := tx.EditObject(key, HashType)
	if err != nil {
		return nil, err
	}
	if o != nil {
		return o.(*Hash), nil
	}
	if !create {
		return nil, nil
	}
	return tx.newCollection(key, HashType).(*Hash), nil
}

// TakeExpired takes out up to limit expired fields of the hash at key, if that is
// what key holds, and returns them; more tells that there are others.
func (tx *Tx) TakeExpired(key []byte, limit int) (fields [][]byte, more bool, err error) {
	if s := tx.see(key); !s.there() || s.cur.typ() != HashType || s.cur.partDue() == 0 {
		return nil, false, nil
	}
	o, err := tx.EditObject(key, HashType)
	if o == nil {
		return nil, false, err
	}
	h := o.(*Hash)
	if fields = h.TakeExpired(tx.now, limit); len(fields) == 0 {
		tx.Unedited(key)
	}
	return fields, h.due(tx.now), nil
}
