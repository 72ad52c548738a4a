package election

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"
)

// Lease times that Open accepts.
const (
	MinTTL = 3 * time.Second
	MaxTTL = 60 * time.Second
)

// Options say where etcd is and who this node is.
type Options struct {
	Endpoints []string // URLs, or host:port
	Username  string
	Password  string
	TLS       *tls.Config // for https endpoints; nil: the system's roots

	Cluster string        // its name
	Node    Node          // this node; an Admin has none
	TTL     time.Duration // of the lease, whole seconds

	// Healthy is asked before each renewal; while it says no the node gives its lease
	// back and takes no other. It must return at once, whatever the disk does.
	Healthy func() bool
	Log     *slog.Logger // nil: nothing is logged
}

// Open starts a node's part in the cluster. etcd need not answer, now or later. The
// error is about the options.
func Open(o Options) (Coordinator, error) {
	if err := o.complete(true); err != nil {
		return nil, err
	}
	if o.TTL < MinTTL || o.TTL > MaxTTL || o.TTL%time.Second != 0 {
		return nil, fmt.Errorf("a lease lasts %d to %d whole seconds", MinTTL/time.Second, MaxTTL/time.Second)
	}
	d, err := newEtcd(o)
	if err != nil {
		return nil, err
	}
	return start(o, d, bootNanos), nil
}

// complete checks the options and fills in what may be left out.
func (o *Options) complete(node bool) error {
	if err := CheckName(o.Cluster); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	if node {
		if err := CheckName(o.Node.Name); err != nil {
			return fmt.Errorf("node: %w", err)
		}
		if o.Node.ID == "" || o.Node.Incarnation == "" {
			return errors.New("a node has an id and an incarnation")
		}
	}
	if o.Healthy == nil {
		o.Healthy = func() bool { return true }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// CheckEndpoints tells why a list of endpoints cannot be used, or nil.
func CheckEndpoints(endpoints []string) error {
	if len(endpoints) == 0 {
		return errors.New("no endpoint of etcd is given")
	}
	secure := 0
	for _, e := range endpoints {
		if !strings.Contains(e, "://") {
			e = "http://" + e
		}
		u, err := url.Parse(e)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" && u.Path != "/" {
			return fmt.Errorf("%q is not an endpoint of etcd: http://host:port or https://host:port", e)
		}
		if u.Scheme == "https" {
			secure++
		}
	}
	if secure != 0 && secure != len(endpoints) {
		return errors.New("the endpoints of etcd are all http or all https")
	}
	return nil
}

// askHandover writes the request for a hand-over, under a lease of the given time.
func askHandover(ctx context.Context, d driver, to string, ttl time.Duration) (lease int64, err error) {
	s, err := readState(ctx, d)
	if err != nil {
		return 0, unreachable(err)
	}
	if _, err := s.handOver(to, 0); err != nil {
		return 0, err
	}
	if lease, _, err = d.grant(ctx, ttl); err != nil {
		return 0, unreachable(err)
	}
	for range 3 {
		t, err := s.handOver(to, lease)
		if err != nil {
			return lease, err
		}
		done, _, err := d.commit(ctx, t)
		if err != nil {
			return lease, unreachable(err)
		}
		if done {
			return lease, nil
		}
		if s, err = readState(ctx, d); err != nil {
			return lease, unreachable(err)
		}
	}
	return lease, unreachable(errConflict)
}

func unreachable(err error) error {
	if errors.Is(err, ErrMalformed) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}
