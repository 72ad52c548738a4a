package transcript

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

const (
	maxBulk  = 512 << 20
	maxElems = 1 << 24
	maxDepth = 64
)

// Client is one connection that speaks RESP2 and, once it has sent HELLO 3,
// RESP3. It is for one goroutine.
type Client struct {
	conn    net.Conn
	in      *bufio.Reader
	timeout time.Duration
	pushes  []Value // received while a reply was awaited
}

// NewClient speaks over conn; an exchange may take as long as timeout.
func NewClient(conn net.Conn, timeout time.Duration) *Client {
	return &Client{conn: conn, in: bufio.NewReader(conn), timeout: timeout}
}

// Close closes the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Do sends a command and waits for its reply. An error reply is a Value.
func (c *Client) Do(args ...string) (Value, error) {
	if err := c.Send(args...); err != nil {
		return Value{}, err
	}
	return c.Receive(false)
}

// Send sends a command and waits for nothing.
func (c *Client) Send(args ...string) error {
	b := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, a := range args {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(a), a)
	}
	return c.write(b)
}

func (c *Client) write(b []byte) error {
	if err := c.conn.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return err
	}
	_, err := c.conn.Write(b)
	return err
}

// Receive reads the next reply; pushes that come before it are kept for Next
// unless a push may be the reply.
func (c *Client) Receive(pushToo bool) (Value, error) {
	if err := c.conn.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return Value{}, err
	}
	for {
		v, err := c.read(0)
		if err != nil || v.Kind != '>' || pushToo {
			return v, err
		}
		c.pushes = append(c.pushes, v)
	}
}

// Next returns the next push that was kept, or else whatever arrives next.
func (c *Client) Next() (Value, error) {
	if len(c.pushes) > 0 {
		v := c.pushes[0]
		c.pushes = c.pushes[1:]
		return v, nil
	}
	return c.Receive(true)
}

// hasInput waits up to d for something to read.
func (c *Client) hasInput(d time.Duration) (bool, error) {
	if c.in.Buffered() > 0 {
		return true, nil
	}
	if err := c.conn.SetReadDeadline(time.Now().Add(d)); err != nil {
		return false, err
	}
	_, err := c.in.Peek(1)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return false, nil
	}
	return err == nil, err
}

func (c *Client) read(depth int) (Value, error) {
	if depth > maxDepth {
		return Value{}, errors.New("reply nested too deep")
	}
	line, err := c.line()
	if err != nil {
		return Value{}, err
	}
	if line == "" {
		return Value{}, errors.New("empty line where a reply should begin")
	}
	v := Value{Kind: line[0], Str: line[1:]}
	switch v.Kind {
	case '+', '-':
		return v, nil
	case ':':
		_, err = strconv.ParseInt(v.Str, 10, 64)
	case ',':
		_, err = strconv.ParseFloat(v.Str, 64)
	case '(':
		err = checkBig(v.Str)
	case '#':
		if v.Str != "t" && v.Str != "f" {
			err = fmt.Errorf("boolean %q", v.Str)
		}
	case '_':
		v.Null = true
		if v.Str != "" {
			err = fmt.Errorf("null %q", v.Str)
		}
	case '$', '!', '=':
		err = c.bulk(&v)
	case '*', '~', '>', '%', '|':
		err = c.elems(&v, depth)
		if v.Kind == '|' && err == nil {
			return c.attributed(v.Elems, depth)
		}
	default:
		err = fmt.Errorf("unknown type in %q", line)
	}
	return v, err
}

// attributed reads the value that an attribute was about.
func (c *Client) attributed(attrs []Value, depth int) (Value, error) {
	v, err := c.read(depth + 1)
	v.Attrs = attrs
	return v, err
}

func (c *Client) line() (string, error) {
	b, err := c.in.ReadBytes('\n')
	if err != nil {
		return "", err
	}
	if len(b) < 2 || b[len(b)-2] != '\r' {
		return "", fmt.Errorf("line %q does not end in CRLF", b)
	}
	return string(b[:len(b)-2]), nil
}

// length reads a length and tells whether it is RESP2's null.
func length(s string, most int, nullable bool) (n int, null bool, err error) {
	n, err = strconv.Atoi(s)
	switch {
	case err != nil:
		return 0, false, err
	case n == -1 && nullable:
		return 0, true, nil
	case n < 0 || n > most || strconv.Itoa(n) != s:
		return 0, false, fmt.Errorf("length %q", s)
	}
	return n, false, nil
}

func (c *Client) bulk(v *Value) error {
	n, null, err := length(v.Str, maxBulk, v.Kind == '$')
	v.Str, v.Null = "", null
	if err != nil || null {
		return err
	}
	var b strings.Builder // grows with what arrives, not with what was announced
	if _, err := io.CopyN(&b, c.in, int64(n)+2); err != nil {
		return err
	}
	text, ok := strings.CutSuffix(b.String(), "\r\n")
	if !ok {
		return fmt.Errorf("bulk of %d bytes ends in %q", n, b.String()[n:])
	}
	v.Str = text
	if v.Kind == '=' && (n < 4 || v.Str[3] != ':') {
		return fmt.Errorf("verbatim string %q", v.Str)
	}
	return nil
}

func (c *Client) elems(v *Value, depth int) error {
	n, null, err := length(v.Str, maxElems, v.Kind == '*')
	v.Str, v.Null = "", null
	if err != nil || null {
		return err
	}
	if v.Kind == '%' || v.Kind == '|' {
		n *= 2
	}
	for range n {
		e, err := c.read(depth + 1)
		if err != nil {
			return err
		}
		v.Elems = append(v.Elems, e)
	}
	return nil
}

func checkBig(s string) error {
	digits := s
	if digits != "" && digits[0] == '-' {
		digits = digits[1:]
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return fmt.Errorf("big number %q", s)
		}
	}
	if digits == "" {
		return fmt.Errorf("big number %q", s)
	}
	return nil
}
