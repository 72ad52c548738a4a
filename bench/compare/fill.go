package compare

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
)

// A Dataset is what a server is filled with: Fill sends n elements.
type Dataset struct {
	Name string
	Fill func(p *Pipeline, n int)
}

// Datasets are the kinds of data whose memory is measured. Those called small are n
// collections, the last are one.
var Datasets = []Dataset{
	{"strings, key 16, value 64", func(p *Pipeline, n int) {
		for i := range n {
			p.Send("SET", keyName(i), value64)
		}
	}},
	{"small hashes of 10 fields", func(p *Pipeline, n int) {
		collections(p, n, "HSET", "hash", func(argv []string, i, f int) []string {
			return append(argv, "field"+strconv.Itoa(f), "value"+strconv.Itoa(i+f))
		})
	}},
	{"small lists of 10", func(p *Pipeline, n int) {
		collections(p, n, "RPUSH", "list", func(argv []string, i, f int) []string {
			return append(argv, "element"+strconv.Itoa(i+f))
		})
	}},
	{"small sets of 10 integers", func(p *Pipeline, n int) {
		collections(p, n, "SADD", "ints", func(argv []string, i, f int) []string {
			return append(argv, strconv.Itoa(i+f*1000))
		})
	}},
	{"small sorted sets of 10", func(p *Pipeline, n int) {
		collections(p, n, "ZADD", "zset", func(argv []string, i, f int) []string {
			return append(argv, strconv.Itoa(i*7919%1000+f), "member"+strconv.Itoa(f))
		})
	}},
	{"members of one sorted set", func(p *Pipeline, n int) {
		for i := range n {
			p.Send("ZADD", "z", strconv.Itoa(i*7919%n), "member:"+strconv.Itoa(i))
		}
	}},
	{"members of one set", func(p *Pipeline, n int) {
		for i := range n {
			p.Send("SADD", "s", "member:"+strconv.Itoa(i))
		}
	}},
	{"elements of one list", func(p *Pipeline, n int) {
		for i := range n {
			p.Send("RPUSH", "l", "element:"+strconv.Itoa(i))
		}
	}},
	{"entries of one stream, 2 fields", func(p *Pipeline, n int) {
		for i := range n {
			p.Send("XADD", "x", strconv.Itoa(i+1)+"-1", "sensor", strconv.Itoa(i%100), "value", strconv.Itoa(i))
		}
	}},
}

var value64 = strings.Repeat("v", 64)

// keyName is the i-th key, of 16 bytes.
func keyName(i int) string {
	digits := strconv.Itoa(i)
	return "key:000000000000"[:16-len(digits)] + digits
}

// collections sends n calls that make a collection of ten each.
func collections(p *Pipeline, n int, command, prefix string, element func(argv []string, i, f int) []string) {
	for i := range n {
		argv := []string{command, prefix + ":" + strconv.Itoa(i)}
		for f := range 10 {
			argv = element(argv, i, f)
		}
		p.Send(argv...)
	}
}

// Overwrite sets n random ones of the strings' keys to values of 32 to 96 bytes.
func Overwrite(p *Pipeline, keys, n int) {
	random := rand.New(rand.NewPCG(1, 2))
	value := strings.Repeat("w", 96)
	for range n {
		p.Send("SET", keyName(random.IntN(keys)), value[:32+random.IntN(65)])
	}
}

// A Pipeline sends calls and reads their replies, many at a time. After an error it sends
// nothing more.
type Pipeline struct {
	conn io.Writer
	in   *bufio.Reader
	out  []byte
	n    int
	err  error
}

// NewPipeline returns one over conn, which stays the caller's.
func NewPipeline(conn io.ReadWriter) *Pipeline {
	return &Pipeline{conn: conn, in: bufio.NewReader(conn)}
}

// Send sends a call whose reply is one line, or a bulk string of one line.
func (p *Pipeline) Send(argv ...string) {
	p.out = appendCall(p.out, argv...)
	if p.n++; p.n == 500 {
		_ = p.Flush() // the error stays
	}
}

// Flush reads the replies that are missing and returns the first error, be it one that
// the server replied.
func (p *Pipeline) Flush() error {
	if p.err == nil {
		_, p.err = p.conn.Write(p.out)
	}
	p.out = p.out[:0]
	for ; p.n > 0 && p.err == nil; p.n-- {
		p.err = p.reply()
	}
	p.n = 0
	return p.err
}

func (p *Pipeline) reply() error {
	line, err := p.in.ReadString('\n')
	if err != nil {
		return err
	}
	if line[0] == '-' {
		return fmt.Errorf("replied %s", strings.TrimSpace(line))
	}
	if line[0] == '$' {
		_, err = p.in.ReadString('\n')
	}
	return err
}

// appendCall appends a call as the protocol writes it.
func appendCall(b []byte, argv ...string) []byte {
	b = append(b, '*')
	b = strconv.AppendInt(b, int64(len(argv)), 10)
	b = append(b, "\r\n"...)
	for _, a := range argv {
		b = append(b, '$')
		b = strconv.AppendInt(b, int64(len(a)), 10)
		b = append(b, "\r\n"...)
		b = append(b, a...)
		b = append(b, "\r\n"...)
	}
	return b
}
