package election

import (
	"context"
	"errors"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

// errLoginLost: etcd does not know what this node has logged in with, since it was
// restarted or somebody else changed it.
var errLoginLost = errors.New("the login to etcd is void")

// onceOnly ends a login that etcd refuses because of the one before. The client sends
// the token of that with it, takes the refusal for a reason to log in, and would do so
// within itself until time is up: at each step etcd computes the hash of a password.
// With many nodes nothing else gets through. A new client has no token.
func onceOnly(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := call(ctx, method, req, reply, cc, opts...)
	if method == etcdserverpb.Auth_Authenticate_FullMethodName && errors.Is(rpctypes.Error(err), rpctypes.ErrInvalidAuthToken) {
		return errLoginLost
	}
	return err
}

// forget lets go of a client; the next call makes another one.
func (e *etcd) forget(client *clientv3.Client) {
	e.mu.Lock()
	mine := e.client == client
	if mine {
		e.client = nil
	}
	e.mu.Unlock()
	if mine {
		_ = client.Close() // which ends its other calls, and its watch
	}
}
