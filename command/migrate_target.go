package command

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strconv"
	"syscall"
	"time"
)

// A target is the server that keys are sent to. What goes wrong with it is a
// WireError.
type target struct {
	conn idleConn
	stop func() bool
	r    *bufio.Reader
	w    *bufio.Writer
}

// targetBuffer bounds a line that the target answers.
const targetBuffer = 64 << 10

// dialTarget connects. When ctx is done the connection is closed. idle bounds
// connecting, and each wait for the target after that.
func dialTarget(ctx context.Context, host, port string, idle time.Duration) (*target, error) {
	d := net.Dialer{Timeout: idle}
	if n, ok := ParseInt([]byte(port)); !ok || n < 0 || n > 65535 {
		port = "0" // nobody listens there
	}
	if host == "" { // which to Dial is this machine
		return nil, errMigrateConnect
	}
	nc, err := d.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	var refused syscall.Errno
	switch {
	case errors.As(err, &refused): // Redis learns of it when it writes
		return nil, errMigrateWrite
	case err != nil:
		return nil, errMigrateConnect
	}
	t := &target{conn: idleConn{nc, idle}, stop: context.AfterFunc(ctx, func() { _ = nc.Close() })}
	t.r, t.w = bufio.NewReaderSize(t.conn, targetBuffer), bufio.NewWriterSize(t.conn, targetBuffer)
	return t, nil
}

// Close ends the connection.
func (t *target) Close() {
	t.stop()
	_ = t.conn.Close()
}

// send writes a call; it goes out with those after it, at the latest when a reply
// is asked for.
func (t *target) send(args ...[]byte) error {
	head := func(c byte, n int) {
		_ = t.w.WriteByte(c)
		_, _ = t.w.WriteString(strconv.Itoa(n))
		_, _ = t.w.WriteString("\r\n")
	}
	head('*', len(args))
	for _, a := range args {
		head('$', len(a))
		_, _ = t.w.Write(a)
		if _, err := t.w.WriteString("\r\n"); err != nil { // the writer keeps its first error
			return errMigrateWrite
		}
	}
	return nil
}

func (t *target) restore(key, ttl, payload []byte, replace bool) error {
	if replace {
		return t.send([]byte("RESTORE"), key, ttl, payload, []byte("REPLACE"))
	}
	return t.send([]byte("RESTORE"), key, ttl, payload)
}

// reply returns the next reply, which must be a line, without its end. It is valid
// until the next call.
func (t *target) reply() ([]byte, error) {
	if t.w.Buffered() > 0 && t.w.Flush() != nil {
		return nil, errMigrateWrite
	}
	line, err := t.r.ReadSlice('\n')
	n := len(line) - 2
	if err != nil || n < 1 || line[n] != '\r' || line[0] != '+' && line[0] != '-' && line[0] != ':' {
		return nil, errMigrateRead
	}
	return line[:n], nil
}

// An idleConn gives up when nothing has moved for so long.
type idleConn struct {
	net.Conn
	idle time.Duration
}

func (c idleConn) Read(b []byte) (int, error) {
	_ = c.SetReadDeadline(time.Now().Add(c.idle))
	return c.Conn.Read(b)
}

func (c idleConn) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		_ = c.SetWriteDeadline(time.Now().Add(c.idle))
		var m int
		m, err = c.Conn.Write(b[n:min(len(b), n+targetBuffer)])
		n += m
	}
	return n, err
}
