package store

// SetSetLimits says up to where sets are compact; see SetLimits.
func (ks *Keyspace) SetSetLimits(ints, members, value int64) {
	ks.setLimits.Set(ints, members, value)
}

// Set is the set at key, for reading; nil if the key is missing.
func (tx *Tx) Set(key []byte) (*Set, error) {
	o, err := tx.Object(key, SetType)
	if o == nil {
		return nil, err
	}
	return o.(*Set), nil
}

// EditSet is the set at key, for editing. If the key is missing it is nil, or a
// new set if create is set.
func (tx *Tx) EditSet(key []byte, create bool) (*Set, error) {
	o, err := tx.EditObject(key, SetType)
	if err != nil {
		return nil, err
	}
	if o != nil {
		return o.(*Set), nil
	}
	if !create {
		return nil, nil
	}
	return tx.newCollection(key, SetType).(*Set), nil
}

// NewSet is a set that is nowhere yet; NewObject stores it.
func (tx *Tx) NewSet() *Set { return NewSet(&tx.ks.setLimits) }
