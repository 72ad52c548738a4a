package election

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// etcd is the driver over etcd's client.
type etcd struct {
	config clientv3.Config
	prefix string

	mu     sync.Mutex
	client *clientv3.Client // nil until one could be made
	closed bool
}

// newEtcd does not talk to etcd: with a password, making a client does.
func newEtcd(o Options) (*etcd, error) {
	if err := CheckEndpoints(o.Endpoints); err != nil {
		return nil, err
	}
	patience := max(o.TTL/5, 500*time.Millisecond)
	e := &etcd{prefix: prefixOf(o.Cluster), config: clientv3.Config{
		Endpoints:            o.Endpoints,
		Username:             o.Username,
		Password:             o.Password,
		TLS:                  o.TLS,
		DialTimeout:          patience,
		DialKeepAliveTime:    10 * time.Second, // gRPC allows no less
		DialKeepAliveTimeout: max(o.TTL/2, time.Second),
		Logger:               zap.NewNop(),
		// An etcd that restarts is to be found again well within a lease's time.
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 500 * time.Millisecond},
			MinConnectTimeout: patience,
		}), grpc.WithChainUnaryInterceptor(onceOnly)},
	}}
	if o.Username == "" { // nothing is asked of etcd then
		if _, err := e.reach(context.Background()); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// reach returns the client.
func (e *etcd) reach(ctx context.Context) (*clientv3.Client, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return nil, ErrClosed
	case e.client != nil:
		return e.client, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	client, err := clientv3.New(e.config) // which logs in, if there is a password
	if err != nil {
		return nil, kind(err)
	}
	e.client = client
	return client, nil
}

func (e *etcd) read(ctx context.Context) (image, error) {
	client, err := e.reach(ctx)
	if err != nil {
		return image{}, err
	}
	// The limit is far beyond what a cluster of ours has.
	r, err := client.Get(ctx, e.prefix, clientv3.WithPrefix(), clientv3.WithLimit(4*maxNodes))
	if err != nil {
		return image{}, e.kind(client, err)
	}
	m := image{revision: r.Header.Revision, entries: make(map[string]entry, len(r.Kvs))}
	for _, kv := range r.Kvs {
		m.entries[strings.TrimPrefix(string(kv.Key), e.prefix)] = entry{
			value: kv.Value, created: kv.CreateRevision, modified: kv.ModRevision, lease: kv.Lease,
		}
	}
	return m, nil
}

func (e *etcd) commit(ctx context.Context, t txn) (bool, int64, error) {
	client, err := e.reach(ctx)
	if err != nil {
		return false, 0, err
	}
	var when []clientv3.Cmp
	for _, w := range t.when {
		key := e.prefix + w.key
		switch w.of {
		case createdAt:
			when = append(when, clientv3.Compare(clientv3.CreateRevision(key), "=", w.is))
		case modifiedAt:
			when = append(when, clientv3.Compare(clientv3.ModRevision(key), "=", w.is))
		case leasedBy:
			when = append(when, clientv3.Compare(clientv3.LeaseValue(key), "=", w.is))
		}
	}
	var then []clientv3.Op
	for _, w := range t.then {
		key := e.prefix + w.key
		switch {
		case w.erase:
			then = append(then, clientv3.OpDelete(key))
		case w.lease != 0:
			then = append(then, clientv3.OpPut(key, w.value, clientv3.WithLease(clientv3.LeaseID(w.lease))))
		default:
			then = append(then, clientv3.OpPut(key, w.value))
		}
	}
	r, err := client.Txn(ctx).If(when...).Then(then...).Commit()
	if err != nil {
		return false, 0, e.kind(client, err)
	}
	return r.Succeeded, r.Header.Revision, nil
}

func (e *etcd) grant(ctx context.Context, ttl time.Duration) (int64, time.Duration, error) {
	client, err := e.reach(ctx)
	if err != nil {
		return 0, 0, err
	}
	r, err := client.Grant(ctx, int64((ttl+time.Second-1)/time.Second))
	if err != nil {
		return 0, 0, e.kind(client, err)
	}
	return int64(r.ID), time.Duration(r.TTL) * time.Second, nil
}

// renew does not use the client's KeepAliveOnce, which begins anew without a pause
// while no endpoint is connected. Here the connection is waited for.
func (e *etcd) renew(ctx context.Context, lease int64) (time.Duration, error) {
	client, err := e.reach(ctx)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := etcdserverpb.NewLeaseClient(client.ActiveConnection()).LeaseKeepAlive(ctx, grpc.WaitForReady(true))
	if err != nil {
		return 0, e.kind(client, err)
	}
	if err := stream.Send(&etcdserverpb.LeaseKeepAliveRequest{ID: lease}); err != nil {
		return 0, e.kind(client, err)
	}
	r, err := stream.Recv()
	if err != nil {
		return 0, e.kind(client, err)
	}
	if r.TTL <= 0 {
		return 0, errLeaseGone
	}
	return time.Duration(r.TTL) * time.Second, nil
}

func (e *etcd) revoke(ctx context.Context, lease int64) error {
	client, err := e.reach(ctx)
	if err != nil {
		return err
	}
	_, err = client.Revoke(ctx, clientv3.LeaseID(lease))
	return e.kind(client, err)
}

func (e *etcd) watch(ctx context.Context, after int64, wake func()) error {
	client, err := e.reach(ctx)
	if err != nil {
		return err
	}
	// An endpoint that has lost its own leader would stay silent for ever.
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	for r := range client.Watch(ctx, e.prefix, clientv3.WithPrefix(), clientv3.WithRev(after+1)) {
		if err := r.Err(); err != nil {
			return e.kind(client, err)
		}
		if len(r.Events) > 0 {
			wake()
		}
	}
	return ctx.Err()
}

func (e *etcd) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	if e.client != nil {
		_ = e.client.Close()
	}
}

// kind makes of an error of a client one that the rest understands. A client that etcd
// does not know any more is not used again.
func (e *etcd) kind(client *clientv3.Client, err error) error {
	if errors.Is(err, errLoginLost) {
		e.forget(client)
	}
	return kind(err)
}

func kind(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, rpctypes.ErrLeaseNotFound) || status.Code(err) == codes.NotFound {
		return errLeaseGone
	}
	var typed rpctypes.EtcdError
	code := status.Code(err)
	if errors.As(err, &typed) {
		code = typed.Code()
	}
	switch code {
	case codes.PermissionDenied, codes.Unauthenticated, codes.InvalidArgument:
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	return err
}
