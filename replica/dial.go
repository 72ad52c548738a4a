package replica

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// A Dial says how other nodes are reached.
type Dial struct {
	Secrets [][]byte    // at most two; any that the other node knows will do
	TLS     *tls.Config // nil: plain TCP
	// Cluster is the id of the one that this node's data belongs to, "" if there is none.
	Cluster string
	// Timeout is the time for connection and handshake: 5 s if 0.
	Timeout time.Duration
	// Network connects; nil: TCP.
	Network func(ctx context.Context, addr string) (net.Conn, error)
}

// Proxy opens a connection to another node that is a client's from here on: it has
// no deadlines and no framing any more. hello, at most 4 KiB, is what the other node
// is to know of the client.
func (d Dial) Proxy(ctx context.Context, addr string, me Identity, hello []byte) (net.Conn, error) {
	w, _, err := d.connect(ctx, addr, d.hello(PurposeProxy, me, 0, hello))
	if err != nil {
		return nil, err
	}
	if err := w.c.SetDeadline(time.Time{}); err != nil {
		w.c.Close()
		return nil, err
	}
	return w.c, nil
}

func (d Dial) hello(purpose Purpose, me Identity, epoch uint64, extra []byte) *hello {
	m := &hello{version: Version, purpose: purpose, cluster: d.Cluster, id: me, epoch: epoch, extra: extra}
	rand.Read(m.nonce[:])
	return m
}

// connect dials and shakes hands. Until begin is called the deadline of that holds.
func (d Dial) connect(ctx context.Context, addr string, mine *hello) (w *wire, peer dialed, err error) {
	positive(&d.Timeout, 5*time.Second)
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	c, err := d.network(ctx, addr)
	if err != nil {
		return nil, peer, err
	}
	unhook := context.AfterFunc(ctx, func() { c.Close() })
	defer func() {
		if !unhook() && err == nil {
			err = ctx.Err()
		}
		if err != nil {
			c.Close()
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				err = fmt.Errorf("%w: %w", ErrSilent, err)
			}
		}
	}()
	deadline, _ := ctx.Deadline()
	if err := c.SetDeadline(deadline); err != nil {
		return nil, peer, err
	}
	config := d.TLS
	if config != nil && config.ServerName == "" {
		config = config.Clone()
		if config.ServerName, _, err = net.SplitHostPort(addr); err != nil {
			return nil, peer, err
		}
	}
	nc, binding, err := secure(ctx, c, config, tls.Client)
	if err != nil {
		return nil, peer, err
	}
	w = newWire(nc)
	peer, err = greet(w, &dialer{mine: mine, secrets: secretsOf(d.Secrets), binding: binding})
	return w, peer, err
}

func (d Dial) network(ctx context.Context, addr string) (net.Conn, error) {
	if d.Network != nil {
		return d.Network(ctx, addr)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
}

// greet is the dialling side's handshake.
func greet(w *wire, d *dialer) (dialed, error) {
	for out := d.start(); ; {
		for _, o := range out {
			switch o := o.(type) {
			case send:
				if err := w.send(o.m); err != nil {
					return dialed{}, err
				}
			case dialed:
				return o, nil
			case fail:
				return dialed{}, o.err
			}
		}
		m, err := w.receive(dialerTakes)
		if err != nil {
			out = d.step(malformed{err})
		} else {
			out = d.step(m)
		}
	}
}
