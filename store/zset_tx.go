package store

// SetZSetLimits says up to where sorted sets are compact; larger ones stay as
// they are.
func (ks *Keyspace) SetZSetLimits(l ZSetLimits) {
	ks.zsetLimits.Store(uint64(l.Members)<<32 | uint64(l.Value))
}

// ZSetLimits are the limits that hold now.
func (ks *Keyspace) ZSetLimits() ZSetLimits {
	l := ks.zsetLimits.Load()
	return ZSetLimits{Members: uint32(l >> 32), Value: uint32(l)}
}

// ZSet is the sorted set at key, for reading; nil if the key is missing.
func (tx *Tx) ZSet(key []byte) (*ZSet, error) {
	o, err := tx.Object(key, ZSetType)
	if o == nil {
		return nil, err
	}
	return o.(*ZSet), nil
}

// EditZSet is the sorted set at key, for editing. If the key is missing it is
// nil, or a new set if create is set.
func (tx *Tx) EditZSet(key []byte, create bool) (*ZSet, error) {
	o, err := tx.EditObject(key, ZSetType)
	if err != nil {
		return nil, err
	}
	if o != nil {
		z := o.(*ZSet)
		z.SetLimits(tx.ks.ZSetLimits())
		return z, nil
	}
	if !create {
		return nil, nil
	}
	return tx.newCollection(key, ZSetType).(*ZSet), nil
}

// NewZSet returns an empty set under the limits that hold now.
func (tx *Tx) NewZSet() *ZSet { return NewZSet(tx.ks.ZSetLimits()) }

// StoreZSet lets key hold z, which is in the compact form then if it fits, with no
// expiry and whatever it held before.
func (tx *Tx) StoreZSet(key []byte, z *ZSet) {
	z.Fit(tx.ks.ZSetLimits())
	tx.NewObject(key, z, NoExpiry)
}
