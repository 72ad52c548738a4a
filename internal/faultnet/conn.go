package faultnet

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	chunkSize = 16 << 10
	chunks    = 64 // kept back at most, in each direction
)

// A conn is a client's connection and the one to the target that belongs to it.
type conn struct {
	p      *Proxy
	peer   string
	client *net.TCPConn
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc

	mu     sync.Mutex
	target *net.TCPConn // nil until it is dialled
	ended  [2]bool      // by HalfClose
}

// A chunk is what came at once, and when.
type chunk struct {
	bytes []byte
	came  time.Time
}

// dial connects to the target. It tells false when that fails or the client's
// connection has been reset meanwhile.
func (c *conn) dial() bool {
	ctx, cancel := context.WithTimeout(c.ctx, dialTime)
	defer cancel()
	c.p.mu.Lock()
	addr := c.p.target
	c.p.mu.Unlock()
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.target = nc.(*net.TCPConn)
	if c.ctx.Err() != nil {
		hardClose(c.target)
		return false
	}
	for d, ended := range c.ended {
		if ended {
			_ = c.to(Direction(d)).CloseWrite()
		}
	}
	return true
}

// close ends what both sides have ended: what was sent last still arrives.
func (c *conn) close() {
	if c.ctx.Err() == nil {
		_ = c.client.Close()
		_ = c.target.Close()
	}
}

// reset closes both sides so that the peers see a reset.
func (c *conn) reset() {
	c.cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	hardClose(c.client)
	if c.target != nil {
		hardClose(c.target)
	}
}

func hardClose(nc *net.TCPConn) {
	_ = nc.SetLinger(0)
	_ = nc.Close()
}

// to and from are where a direction leads and where it comes from.
func (c *conn) to(d Direction) *net.TCPConn {
	if d == ToTarget {
		return c.target
	}
	return c.client
}

func (c *conn) from(d Direction) *net.TCPConn { return c.to(1 - d) }

// halfClose ends one direction for its receiver.
func (c *conn) halfClose(d Direction) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended[d] = true
	if c.target != nil {
		_ = c.to(d).CloseWrite()
	}
}

func (c *conn) isEnded(d Direction) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended[d]
}

// pass moves one direction's bytes until it ends. An end is passed on as an end,
// a failure as a reset of the whole connection.
func (c *conn) pass(d Direction) {
	queue := make(chan chunk, chunks)
	var reader sync.WaitGroup
	defer reader.Wait()
	reader.Go(func() { c.read(d, queue) })
	for k := range queue {
		if !c.due(d, k.came) || !c.free(d) {
			c.reset()
			break
		}
		if k.bytes == nil {
			c.halfClose(d)
			continue
		}
		if c.isEnded(d) {
			continue
		}
		if _, err := c.to(d).Write(k.bytes); err != nil && !c.isEnded(d) {
			c.reset()
			break
		}
	}
	for range queue { // so that the reader ends
	}
}

// read fills the queue; a chunk of nil bytes is the stream's regular end.
func (c *conn) read(d Direction, queue chan<- chunk) {
	defer close(queue)
	for {
		b := make([]byte, chunkSize)
		n, err := c.from(d).Read(b)
		now := time.Now()
		if n > 0 {
			queue <- chunk{b[:n], now}
		}
		if err == nil {
			continue
		}
		if errors.Is(err, io.EOF) {
			queue <- chunk{nil, now}
		} else {
			// A reset does not pass a link that is held either.
			if c.free(d) {
				c.reset()
			}
		}
		return
	}
}

// due waits until what came then is to arrive. It tells false when the connection
// ends first.
func (c *conn) due(d Direction, came time.Time) bool {
	for {
		l, changed := c.p.link(c.peer)
		wait := time.Until(came.Add(l.path(d).Delay))
		if wait <= 0 {
			return true
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-changed:
		case <-c.ctx.Done():
		}
		timer.Stop()
		if c.ctx.Err() != nil {
			return false
		}
	}
}

// free waits until the direction is not held. It tells false when the connection
// ends first.
func (c *conn) free(d Direction) bool {
	for {
		l, changed := c.p.link(c.peer)
		if !l.path(d).Hold {
			return c.ctx.Err() == nil
		}
		select {
		case <-changed:
		case <-c.ctx.Done():
			return false
		}
	}
}
