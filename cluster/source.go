package cluster

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/ferricd/ferricd/aof"
	"github.com/ferricd/ferricd/persist"
	"github.com/ferricd/ferricd/replica"
)

// source is what a leader's followers are sent: the directory, and how much of its
// log is committed.
type source struct {
	n *Node
	t *term
}

func (s source) Cluster() string           { return s.n.o.Keeper.Cluster() }
func (s source) History() []aof.EpochStart { return s.n.o.Keeper.History() }
func (s source) End() uint64               { return s.n.o.Sink.End() }
func (s source) Commit() uint64            { return s.t.committed(s.n.o.Sink.Sink.Durable()) }

func (s source) Tail(from uint64) (replica.Tail, error) {
	t, err := s.n.o.Keeper.Tail(from)
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Pin may take a snapshot, which nobody waits for who has to go.
func (s source) Pin(ctx context.Context) (replica.Pinned, error) {
	type result struct {
		p   *persist.Pinned
		err error
	}
	done := make(chan result)
	s.n.spawn("pin", func() {
		p, err := s.n.o.Keeper.Pin()
		select {
		case done <- result{p, err}:
		case <-ctx.Done():
			if p != nil {
				p.Release()
			}
		}
	})
	select {
	case r := <-done:
		if r.err != nil {
			return nil, r.err
		}
		return pinned{r.p}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// pinned are pinned files with their hashes as the wire has them.
type pinned struct{ *persist.Pinned }

func (p pinned) End() uint64 { return p.LSN() }

func (p pinned) Open(name string) (replica.PinnedFile, error) {
	r, err := p.Pinned.Open(name)
	if err != nil {
		return nil, err
	}
	return section{r}, nil
}

func (p pinned) Files() []replica.FileInfo {
	list := make([]replica.FileInfo, 0, len(p.Pinned.Files()))
	for _, f := range p.Pinned.Files() {
		info := replica.FileInfo{Name: f.Name, Size: f.Size, Sealed: f.Sealed}
		if n, err := hex.Decode(info.SHA256[:], []byte(f.SHA256)); err != nil || n != len(info.SHA256) {
			continue // it would not be verified: who copies misses it, and says so
		}
		list = append(list, info)
	}
	return list
}

// A section is closed with the pin that it is of.
type section struct{ io.ReaderAt }

func (section) Close() error { return nil }

// standby is the persist.Standby as a session uses it. One that has failed has no
// history, and nothing to cut back: the leader then sends all.
type standby struct{ *persist.Standby }

func (s standby) History() []aof.EpochStart {
	if s.Err() != nil {
		return nil
	}
	return s.Standby.History()
}

func (s standby) CutBack(to uint64) error {
	err := s.Standby.CutBack(to)
	if errors.Is(err, persist.ErrCannotCut) || s.Err() != nil {
		return fmt.Errorf("%w: %w", replica.ErrCannotCut, err)
	}
	return err
}

func (s standby) Stage() (replica.Staging, error) {
	t, err := s.Standby.Stage()
	if err != nil {
		return nil, err
	}
	return staging{t}, nil
}

type staging struct{ *persist.Staging }

func (t staging) Want(files []replica.FileInfo) ([]replica.Want, error) {
	list := make([]persist.FileInfo, len(files))
	for i, f := range files {
		list[i] = persist.FileInfo{Name: f.Name, Size: f.Size, SHA256: hex.EncodeToString(f.SHA256[:]), Sealed: f.Sealed}
	}
	missing, err := t.Staging.Want(list)
	if err != nil {
		return nil, err
	}
	wants := make([]replica.Want, len(missing))
	for i, m := range missing {
		wants[i] = replica.Want{Name: m.Name, Offset: m.Offset}
	}
	return wants, nil
}

func (t staging) Close() error {
	t.Staging.Close()
	return nil
}
