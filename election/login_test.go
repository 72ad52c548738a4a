package election

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
)

// TestALoginIsTriedOnce: what makes the client log in again is not the answer to a login.
func TestALoginIsTriedOnce(t *testing.T) {
	for _, c := range []struct {
		method    string
		err, want error
	}{
		{etcdserverpb.Auth_Authenticate_FullMethodName, rpctypes.ErrGRPCInvalidAuthToken, errLoginLost},
		{etcdserverpb.Auth_Authenticate_FullMethodName, rpctypes.ErrGRPCAuthFailed, rpctypes.ErrGRPCAuthFailed},
		{etcdserverpb.Auth_Authenticate_FullMethodName, nil, nil},
		{etcdserverpb.KV_Range_FullMethodName, rpctypes.ErrGRPCInvalidAuthToken, rpctypes.ErrGRPCInvalidAuthToken},
	} {
		err := onceOnly(context.Background(), c.method, nil, nil, nil, func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
			return c.err
		})
		require.Equal(t, c.want, err, c.method)
	}
}

// TestAForgottenClient: only the one that failed goes, and the next call makes another.
func TestAForgottenClient(t *testing.T) {
	e, err := newEtcd(Options{Cluster: "c", Endpoints: []string{"http://127.0.0.1:1"}})
	require.NoError(t, err)
	defer e.close()
	first, err := e.reach(context.Background())
	require.NoError(t, err)
	require.ErrorIs(t, e.kind(first, errLoginLost), errLoginLost)
	require.Error(t, first.Ctx().Err(), "it is closed")
	second, err := e.reach(context.Background())
	require.NoError(t, err)
	require.NotSame(t, first, second)
	_ = e.kind(first, errLoginLost) // of a call that was under way
	require.NoError(t, second.Ctx().Err())
	third, err := e.reach(context.Background())
	require.NoError(t, err)
	require.Same(t, second, third)
}
