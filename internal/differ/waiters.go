package differ

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ferricd/ferricd/internal/transcript"
)

// A waiter is a client other than the first, on one server. What it calls may
// wait for what the first client does.
type waiter struct {
	c     *transcript.Client
	id    string
	reply chan answer // what came for the call in hand
}

type answer struct {
	v   transcript.Value
	err error
}

// A waiting is the same client on both servers, and the call that it waits with.
type waiting struct {
	ours, theirs *waiter
	argv         []string // nil: none
}

// notice is how long it may take until a server has noticed that it is to answer,
// or that it need not.
const notice = 3 * time.Second

// longest is the longest that a waiter waits: a play does not take as long.
const longest = forever

func newWaiter(dial transcript.Dial, resp3 bool) (*waiter, error) {
	conn, err := dial()
	if err != nil {
		return nil, err
	}
	prompt := transcript.NewClient(conn, patience)
	if resp3 {
		if _, err := prompt.Do("HELLO", "3"); err != nil {
			conn.Close()
			return nil, err
		}
	}
	v, err := prompt.Do("CLIENT", "ID")
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &waiter{c: transcript.NewClient(conn, longest), id: v.Str, reply: make(chan answer, 1)}, nil
}

// send starts a call. The goroutine ends with the reply, or with the connection.
func (w *waiter) send(argv []string) error {
	if err := w.c.Send(argv...); err != nil {
		return err
	}
	go func() {
		v, err := w.c.Receive(false)
		w.reply <- answer{v, err}
	}()
	return nil
}

// wait lets client n call, unless it still waits with another call.
func (r *round) wait(p *Plan, call Call) error {
	w := r.waits[call.Client]
	if w == nil {
		w = new(waiting)
		r.waits[call.Client] = w
		var err error
		if w.theirs, err = newWaiter(r.Theirs, p.RESP3); err != nil {
			return err
		}
		if w.ours, err = newWaiter(r.Ours[p.Mode], p.RESP3); err != nil {
			return err
		}
	}
	if w.argv != nil {
		return nil
	}
	w.argv = call.Argv
	if err := w.theirs.send(call.Argv); err != nil {
		return err
	}
	return w.ours.send(call.Argv)
}

// settle returns when each client has been answered on both servers, or waits
// on both.
func (r *round) settle() (*Difference, error) {
	for _, n := range slices.Sorted(maps.Keys(r.waits)) {
		w := r.waits[n]
		if w.argv == nil {
			continue
		}
		want, waits, err := w.theirs.state(r.control[1], nil)
		if err != nil {
			return nil, fmt.Errorf("redis-server: client %d: %w", n, err)
		}
		got, _, err := w.ours.state(r.control[0], &waits)
		d := &Difference{Argv: w.argv, Client: n, Row: rowName(w.argv), Want: "(waits)"}
		switch {
		case err != nil && waits && r.stored:
			// redis-server lets wait on who waits for a key that is stored over
			// one of another type.
			r.open = true
			return nil, nil
		case err != nil:
			d.Got = err.Error()
			if !waits {
				d.Want = want.String()
			}
			return d, nil
		case waits:
			continue
		case !r.agree(w.argv, want, got):
			d.Want, d.Got = want.String()+wire(want), got.String()+wire(got)
			return d, nil
		}
		w.argv = nil
	}
	return nil, nil
}

// state is the reply to the call in hand, or that it waits. With must it is
// awaited that it is so.
func (w *waiter) state(control *transcript.Client, must *bool) (v transcript.Value, waits bool, err error) {
	for end := time.Now().Add(notice); time.Now().Before(end); {
		select {
		case a := <-w.reply:
			if must != nil && *must {
				return a.v, false, fmt.Errorf("is answered %s", a.v)
			}
			return a.v, false, a.err
		default:
		}
		v, err := control.Do("CLIENT", "LIST", "ID", w.id)
		if err != nil {
			return v, false, err
		}
		if blocked(v) && (must == nil || *must) {
			return v, true, nil
		}
	}
	return v, false, fmt.Errorf("waits")
}

// blocked finds the flag b in a line of CLIENT LIST.
func blocked(list transcript.Value) bool {
	text := list.Str
	_, flags, _ := strings.Cut(text, " flags=")
	flags, _, _ = strings.Cut(flags, " ")
	return strings.Contains(flags, "b")
}

// unblock ends all waiting.
func (r *round) unblock() (*Difference, error) {
	for _, w := range r.waits {
		if w.argv == nil {
			continue
		}
		for i, id := range []string{w.ours.id, w.theirs.id} {
			if v, err := r.control[i].Do("CLIENT", "UNBLOCK", id); err != nil || v.IsError() {
				return nil, fmt.Errorf("CLIENT UNBLOCK: %s %w", v, err)
			}
		}
	}
	return r.settle()
}

// closeWaiters ends the connections.
func (r *round) closeWaiters() {
	for _, w := range r.waits {
		for _, side := range []*waiter{w.ours, w.theirs} {
			if side != nil {
				side.c.Close()
			}
		}
	}
	for _, c := range r.control {
		if c != nil {
			c.Close()
		}
	}
}

// clientName is how a transcript names a client that sends.
func clientName(n int) string {
	if n <= 1 {
		return ""
	}
	return strconv.Itoa(n)
}
