package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/persist"
	"github.com/ferricd/ferricd/resp"
)

// following is who follows this server.
type following struct {
	copies, partial atomic.Int64 // for INFO: copies of all data sent; PSYNCs that hoped for less

	mu       sync.Mutex // guards what is below, and the fields of replicas
	replicas []*replica
	changed  chan struct{} // closed when somebody has acknowledged or come or gone; nil: nobody waits
	pinged   time.Time
	tended   time.Time
}

// A replica is a connection that follows.
type replica struct {
	conn    *resp.Conn
	ip      string
	port    int64
	acks    bool          // it is one that acknowledges
	acked   bool          // it has
	feed    *persist.Feed // nil until there is a copy
	state   string
	offset  int64
	heard   time.Time // of it; while it is being sent the copy, when it last took some
	newline time.Time // sent to it, so that it goes on to wait
}

// The states of a replica before it is online.
const (
	waitCopy = "wait_bgsave"
	sendCopy = "send_bulk"
)

// errGone is why a copy is given up when nobody wants it any more.
var errGone = errors.New("the replica has left")

func (f *following) signal() {
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

// next is closed at the next change. Who looks at how things are after having
// called it misses none.
func (f *following) next() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	return f.changed
}

func (f *following) change(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn()
	f.signal()
}

// Follow sends a client all data as an .rdb. What changes from the data's instant on
// is kept meanwhile and sent behind it.
func (s *Server) Follow(c *command.Client, partial bool) error {
	r := &replica{conn: c.Conn, ip: c.Repl.IP, port: c.Repl.Port, acks: partial, state: waitCopy, heard: time.Now(), newline: time.Now()}
	if r.ip == "" {
		r.ip, _, _ = net.SplitHostPort(c.Conn.RemoteAddr())
	}
	c.Conn.SetClass(resp.ClassReplica)
	c.SetFlag(command.ClientReplica, true)
	s.follow.change(func() { s.follow.replicas = append(s.follow.replicas, r) })
	s.log.Info("replica asks for synchronization", "addr", c.Conn.RemoteAddr(), "id", c.ID)
	all, err := s.keeper.Follow(persist.Follower{
		Limit: s.limits.Replica.Hard.Load,
		Send:  c.Conn.Push,
		Drop:  func() { c.Conn.Kill("replica must synchronize anew") },
		GoOn:  func() error { return s.keepWaiting(r) },
		Empty: c.Repl.NoKeys,
		Times: c.Repl.RDBOnly, // a file that somebody keeps; who follows is told of fields that have expired
	})
	if err != nil {
		s.log.Warn("no copy for a replica", "id", c.ID, "error", err)
		s.Unfollow(c)
		c.SetFlag(command.ClientCloseAfter, true)
		return command.Errorf("ERR Unable to perform background save: %v", err)
	}
	defer all.Close()
	s.follow.copies.Add(1)
	if partial {
		s.follow.partial.Add(1)
	}
	s.follow.change(func() { r.feed, r.state, r.heard = all.Feed, sendCopy, time.Now() })
	if err := s.sendCopy(r, all, partial); err != nil {
		c.Conn.Kill("replica: " + err.Error())
		return nil
	}
	if c.Repl.RDBOnly {
		c.SetFlag(command.ClientCloseAfter, true)
		return nil
	}
	s.follow.change(func() { r.state, r.heard = command.Online, time.Now() })
	all.Feed.Start()
	s.log.Info("synchronization with replica succeeded", "id", c.ID, "bytes", all.Size)
	return nil
}

// keepWaiting is called while a copy is made.
func (s *Server) keepWaiting(r *replica) error {
	select {
	case <-r.conn.Gone():
		return errGone
	case <-s.quit:
		return command.ErrShutdown
	default:
	}
	now := time.Now()
	if now.Sub(r.newline) < time.Second {
		return nil
	}
	r.newline = now
	s.follow.change(func() { r.heard = now })
	r.conn.Reply.RawString("\n")
	return r.conn.Flush()
}

// copyChunk is how much of a copy is sent at once.
const copyChunk = 64 << 10

// sendCopy sends a copy. Whoever does not take it is closed by tendReplicas.
func (s *Server) sendCopy(r *replica, all *persist.Copy, partial bool) error {
	w := &r.conn.Reply
	if partial {
		w.RawString(fmt.Sprintf("+FULLRESYNC %s %d\r\n", s.replID(), all.Offset))
	}
	w.RawString(fmt.Sprintf("$%d\r\n", all.Size))
	buf := make([]byte, copyChunk)
	for from := all.Read(); ; {
		n, err := io.ReadFull(from, buf)
		w.Raw(buf[:n])
		if sent := r.conn.Flush(); sent != nil {
			return sent
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return err
		}
		s.follow.mu.Lock()
		r.heard = time.Now()
		s.follow.mu.Unlock()
	}
}

func (f *following) find(conn *resp.Conn) *replica {
	for _, r := range f.replicas {
		if r.conn == conn {
			return r
		}
	}
	return nil
}

// Unfollow forgets a replica.
func (s *Server) Unfollow(c *command.Client) {
	if !c.Has(command.ClientReplica) {
		return
	}
	c.SetFlag(command.ClientReplica, false)
	s.follow.change(func() {
		r := s.follow.find(c.Conn)
		if r == nil {
			return
		}
		s.follow.replicas = slices.DeleteFunc(slices.Clone(s.follow.replicas), func(x *replica) bool { return x == r })
		if r.feed != nil {
			r.feed.Stop()
		}
	})
}

// Acknowledge notes up to where a replica has followed.
func (s *Server) Acknowledge(c *command.Client, offset int64) {
	s.follow.change(func() {
		if r := s.follow.find(c.Conn); r != nil {
			r.offset, r.heard, r.acks, r.acked = max(r.offset, offset), time.Now(), true, true
		}
	})
}

// Replicas are those that follow by PSYNC, and how long their stream is. In a
// cluster the followers come first, offsets are positions of the log, and a replica
// by PSYNC is as far behind the log's end as it is behind the end of its stream.
func (s *Server) Replicas() (all []command.Replica, offset int64) {
	part := s.Replication()
	for i := range part.Followers {
		f := &part.Followers[i]
		all = append(all, command.Replica{IP: f.Host, Port: int64(f.Port), State: f.State, Offset: int64(f.Applied), Lag: max(0, ago(f.LastAck))})
	}
	s.follow.mu.Lock()
	defer s.follow.mu.Unlock()
	told, shift := s.keeper.Told(), int64(0)
	offset = told
	if part.Clustered {
		offset = int64(part.End)
		shift = offset - told
	}
	for _, r := range s.follow.replicas {
		x := command.Replica{IP: r.ip, Port: r.port, State: r.state, Offset: r.offset}
		if r.offset > 0 {
			x.Offset = max(0, r.offset+shift)
		}
		if r.state == command.Online {
			x.Lag = int64(time.Since(r.heard) / time.Second)
		}
		all = append(all, x)
	}
	return all, offset
}

// having counts the replicas that have acknowledged so much of the stream, and all.
func (f *following) having(until int64) (n, all int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.replicas {
		if r.state == command.Online && r.acked && r.offset >= until {
			n++
		}
	}
	return n, len(f.replicas)
}

// tendReplicas pings those that follow, and closes those that are silent.
func (s *Server) tendReplicas() {
	now := time.Now()
	f := &s.follow
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.replicas) == 0 || now.Sub(f.tended) < time.Second {
		return
	}
	f.tended = now
	silence := time.Duration(s.cfg.Int(config.ReplTimeout)) * time.Second
	for _, r := range f.replicas {
		if now.Sub(r.heard) > silence && (r.acks || r.state != command.Online) {
			s.log.Warn("replica is silent, connection closed", "id", r.conn.ID, "state", r.state)
			r.conn.Kill("repl-timeout")
		}
	}
	if now.Sub(f.pinged) >= time.Duration(s.cfg.Int(config.ReplPingReplicaPeriod))*time.Second {
		f.pinged = now
		s.keeper.Tell("PING")
	}
}
