package command

import (
	"bytes"
	"context"
	"math"
	"strconv"
	"time"
)

// A Caller is a client of the server's own, for commands that consist of several
// calls. It is used by one goroutine at a time.
type Caller interface {
	// Do runs a command in database db and returns its reply as encoded for RESP2.
	Do(db int, args ...[]byte) ([]byte, error)
	// Transact runs commands as one call, durable when it returns if replies are to
	// wait for that, and returns their replies one behind the other; or nothing is
	// done, and ran is false, because a key was changed that Do has watched.
	Transact(db int, commands ...[][]byte) (replies []byte, ran bool, err error)
	Close()
}

const (
	errMigrateKey     WireError = "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string"
	errMigrateConnect WireError = "IOERR error or timeout connecting to the client"
	errMigrateWrite   WireError = "IOERR error or timeout writing to target instance"
	errMigrateRead    WireError = "IOERR error or timeout reading to target instance"
	errMigrateChanged WireError = "IOERR keys were changed whenever they had been sent; both instances have them"
)

// migration is one call of MIGRATE. It holds nothing while it talks to the target:
// it watches the keys, sends what they hold, and deletes them in a transaction that
// does not run if one was changed meanwhile. Then they are sent again.
type migration struct {
	c             *Context
	calls         Caller
	host, port    string
	idle          time.Duration
	copy, replace bool
	auth          [][]byte // the call of AUTH, or nil
	keys          [][]byte
}

func (c *Context) migration() (*migration, error) {
	m := &migration{c: c, host: string(c.Args[1]), port: string(c.Args[2]), keys: c.Args[3:4]}
	for i := 6; i < len(c.Args); i++ {
		left := len(c.Args) - 1 - i
		switch {
		case c.Is(i, "COPY"):
			m.copy = true
		case c.Is(i, "REPLACE"):
			m.replace = true
		case c.Is(i, "AUTH") && left >= 1:
			m.auth = [][]byte{[]byte("AUTH"), c.Args[i+1]}
			i++
		case c.Is(i, "AUTH2") && left >= 2:
			m.auth = [][]byte{[]byte("AUTH"), c.Args[i+1], c.Args[i+2]}
			i += 2
		case c.Is(i, "KEYS"):
			if len(c.Args[3]) > 0 {
				return nil, errMigrateKey
			}
			m.keys = c.Args[i+1:]
			i = len(c.Args)
		default:
			return nil, ErrSyntax
		}
	}
	ms, err := c.Int64(5)
	if err != nil {
		return nil, err
	}
	if _, err := c.Int64(4); err != nil {
		return nil, err
	}
	if ms <= 0 {
		ms = 1000
	}
	m.idle = time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
	return m, nil
}

func migrate(c *Context) error {
	m, err := c.migration()
	if err != nil {
		return err
	}
	if !c.MayWait() {
		return ErrNotInMulti
	}
	m.calls = c.Server.NewCaller()
	defer m.calls.Close()
	if err := m.dropMissing(); err != nil {
		return err
	}
	if len(m.keys) == 0 {
		c.Reply.Simple("NOKEY")
		return nil
	}
	ctx, cancel := c.whileWanted()
	defer cancel()
	t, err := dialTarget(ctx, m.host, m.port, m.idle)
	if err != nil {
		return err
	}
	defer t.Close()
	if err := m.greet(t); err != nil {
		return err
	}
	if err := m.move(t); err != nil {
		return err
	}
	c.Reply.OK()
	return nil
}

// whileWanted is done when the client has left, was unblocked, or the server ends.
func (c *Context) whileWanted() (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	wake, gone := c.Server.Waiting(c.Client), c.Client.Conn.Gone()
	go func() { // it may begin when the call is over, and c another's
		select {
		case <-wake:
		case <-gone:
		case <-ctx.Done():
		}
		cancel()
	}()
	return ctx, func() {
		cancel()
		c.Server.Waited(c.Client)
	}
}

// dropMissing leaves the keys that are there.
func (m *migration) dropMissing() error {
	var there [][]byte
	for _, key := range m.keys {
		reply, err := m.calls.Do(m.c.DB, []byte("EXISTS"), key)
		if err != nil {
			return err
		}
		if string(reply) != ":0\r\n" {
			there = append(there, key)
		}
	}
	m.keys = there
	return nil
}

// greet makes the connection the one of a user and a database.
func (m *migration) greet(t *target) error {
	calls := [][][]byte{{[]byte("SELECT"), m.c.Args[4]}}
	if m.auth != nil {
		calls = append([][][]byte{m.auth}, calls...)
	}
	var refused error
	for _, call := range calls {
		if err := t.send(call...); err != nil {
			return err
		}
	}
	for range calls {
		line, err := t.reply()
		if err != nil {
			return err
		}
		if line[0] == '-' && refused == nil {
			refused = errTarget(line)
		}
	}
	return refused
}

// errTarget passes on the error that the target has answered.
func errTarget(line []byte) error {
	return Errorf("ERR Target instance replied with error: %s", line[1:])
}

// move sends the keys and deletes those that have arrived. What the target has
// refused stays, and its first refusal is the error.
func (m *migration) move(t *target) error {
	var refused error
	var until time.Time
	for keys, again := m.keys, false; ; again = true {
		if !m.copy {
			if _, err := m.calls.Do(m.c.DB, append([][]byte{[]byte("WATCH")}, keys...)...); err != nil {
				return err
			}
		}
		arrived, no, failed := m.send(t, keys, again)
		if refused == nil {
			refused = no
		}
		if m.copy || len(arrived) == 0 {
			if failed != nil {
				return failed
			}
			return refused
		}
		_, ran, err := m.calls.Transact(m.c.DB, append([][]byte{[]byte("DEL")}, arrived...))
		switch {
		case failed != nil:
			return failed
		case err != nil:
			return err
		case ran:
			return refused
		}
		if keys = arrived; until.IsZero() {
			until = time.Now().Add(m.idle)
		}
		if time.Now().After(until) {
			return errMigrateChanged
		}
	}
}

// How many keys, and bytes of them, are sent before their replies are read.
const (
	migrateKeys  = 128
	migrateBytes = 1 << 20
)

// send sends keys, and returns those that the target has now as they were here. A
// key that was sent before replaces what the target has, or is deleted there if it
// is gone here.
func (m *migration) send(t *target, keys [][]byte, again bool) (arrived [][]byte, refused, err error) {
	var sent [][]byte // nil: one that was deleted there
	for i, bytes := 0, 0; i < len(keys); i++ {
		payload, ttl, err := m.dump(keys[i])
		if err != nil {
			return arrived, refused, err
		}
		switch {
		case payload != nil:
			sent = append(sent, keys[i])
			err = t.restore(keys[i], ttl, payload, m.replace || again)
		case again:
			sent = append(sent, nil)
			err = t.send([]byte("DEL"), keys[i])
		}
		if err != nil {
			return arrived, refused, err
		}
		if bytes += len(payload); bytes < migrateBytes && len(sent) < migrateKeys && i+1 < len(keys) {
			continue
		}
		for _, key := range sent {
			line, err := t.reply()
			switch {
			case err != nil:
				return arrived, refused, err
			case line[0] != '-' && key != nil:
				arrived = append(arrived, key)
			case line[0] == '-' && refused == nil:
				refused = errTarget(line)
			}
		}
		sent, bytes = sent[:0], 0
	}
	return arrived, refused, nil
}

// dump reads a key and what is left of its life, "0" for ever; the payload is nil
// if there is no such key any more. Both are of the same moment, or the key is
// watched.
func (m *migration) dump(key []byte) (payload, ttl []byte, err error) {
	dump, pttl := [][]byte{[]byte("DUMP"), key}, [][]byte{[]byte("PTTL"), key}
	var replies []byte
	if m.copy {
		replies, _, err = m.calls.Transact(m.c.DB, dump, pttl)
	} else if replies, err = m.calls.Do(m.c.DB, dump...); err == nil {
		var more []byte
		more, err = m.calls.Do(m.c.DB, pttl...)
		replies = append(replies, more...)
	}
	if err != nil {
		return nil, nil, err
	}
	return dumped(replies)
}

// dumped takes apart the replies of DUMP and PTTL.
func dumped(replies []byte) (payload, ttl []byte, err error) {
	head, rest, _ := bytes.Cut(replies, []byte("\r\n"))
	if head[0] == '-' {
		return nil, nil, WireError(head[1:])
	}
	n, err := strconv.Atoi(string(head[1:]))
	if err != nil || n < 0 || n+2 > len(rest) {
		return nil, nil, err
	}
	payload = rest[:n:n]
	ttl = bytes.Trim(rest[n+2:], ":\r\n")
	switch string(ttl) {
	case "-2": // it has expired between the two
		return nil, nil, nil
	case "-1":
		ttl = []byte("0")
	case "0":
		ttl = []byte("1")
	}
	return payload, ttl, nil
}

// migrateKeyArgs finds the keys: the one, unless it is empty, and those behind KEYS.
func migrateKeyArgs(args [][]byte) (at []int) {
	if len(args) > 3 && len(args[3]) > 0 {
		at = append(at, 3)
	}
	for i := 6; i < len(args); i++ {
		switch {
		case foldEqual(args[i], "AUTH"):
			i++
		case foldEqual(args[i], "AUTH2"):
			i += 2
		case foldEqual(args[i], "KEYS"):
			for i++; i < len(args); i++ {
				at = append(at, i)
			}
		}
	}
	return at
}

const migrateUsage = "host port <key | ''> destination-db timeout:integer [COPY] [REPLACE] [AUTH password | AUTH2 username password] [KEYS key...]"

var migrateCommands = []Spec{{
	Name: "MIGRATE", Usage: migrateUsage, Arity: -6, Group: Generic, Since: "2.6.0",
	Complexity: "that of DUMP and DEL here and of RESTORE at the target, for each key",
	Flags:      Write | OffGate | ByCalls, Categories: CatDangerous, Run: migrate,
	Keys: []KeySpec{
		Key(3, RW|Reads|Deletes).By(migrateKeyArgs),
		After("KEYS", Keys(1, -1, 1, RW|Reads|Deletes|Incomplete)).From(-2).By(func([][]byte) []int { return nil }),
	},
	Tips: []string{"nondeterministic_output"},
	History: []Change{
		{"3.0.0", "COPY and REPLACE came."}, {"3.0.6", "KEYS came."}, {"4.0.7", "AUTH came."}, {"6.0.0", "AUTH2 came."},
	},
	Summary: "Moves keys to another server; both go on to serve meanwhile.",
}}
