package election

import (
	"context"
	"errors"
	"time"
)

// A driver is an etcd, seen from one cluster: keys have no prefix. Each call returns
// when its context ends.
//
// An error of commit that is neither errLeaseGone nor errRefused means that nobody
// knows whether the transaction was, or will be, carried out.
type driver interface {
	// read returns all keys as of a moment after it was called.
	read(ctx context.Context) (image, error)
	// commit returns whether the conditions held, and the revision of that moment.
	commit(ctx context.Context, t txn) (done bool, revision int64, err error)
	grant(ctx context.Context, ttl time.Duration) (lease int64, granted time.Duration, err error)
	renew(ctx context.Context, lease int64) (granted time.Duration, err error)
	revoke(ctx context.Context, lease int64) error
	// watch calls wake whenever something has changed after a revision. It returns
	// when it cannot go on.
	watch(ctx context.Context, after int64, wake func()) error
	// probe tells why etcd does not answer, if that can be seen; it takes a moment.
	probe(ctx context.Context) error
	close()
}

var (
	errLeaseGone = errors.New("the lease is gone")
	errRefused   = errors.New("etcd refuses")
)
