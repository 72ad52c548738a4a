package persist

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/ferricd/ferricd/command"
)

// What a log of Redis may hold at most in one transaction, one command and one line.
const (
	maxUnitBytes = 1 << 30
	maxWordBytes = 512 << 20
	maxLineBytes = 4096
	wordCost     = 32 // of a word in memory beside its bytes
)

// errTorn says that a log of Redis ends in the middle of something.
var errTorn = errors.New("it ends in the middle of a command or a transaction")

// A redisLog reads commands as Redis writes them: RESP, with lines that begin with
// # between them.
type redisLog struct {
	r   *bufio.Reader
	off int64 // read so far
	buf []byte
	end []int // of each word in buf
}

func newRedisLog(r io.Reader, off int64) *redisLog {
	return &redisLog{r: bufio.NewReaderSize(r, 64<<10), off: off}
}

// next reads a command, which is valid until the next call. At the end the error is
// io.EOF, or errTorn.
func (l *redisLog) next() (args [][]byte, err error) {
	var n int
	for {
		line, err := l.line()
		if err != nil {
			return nil, err
		}
		if line[0] == '#' {
			continue
		}
		if n, err = count(line, '*'); err != nil {
			return nil, err
		}
		break
	}
	if n == 0 {
		return nil, errors.New("a command without words")
	}
	if l.buf, l.end = l.buf[:0], l.end[:0]; cap(l.buf) > 1<<20 {
		l.buf = nil
	}
	for range n {
		if err := l.word(); err != nil {
			return nil, midway(err)
		}
	}
	begin := 0
	for _, end := range l.end {
		args = append(args, l.buf[begin:end:end])
		begin = end
	}
	return args, nil
}

// midway is an error of the reader inside a command.
func midway(err error) error {
	if errors.Is(err, io.EOF) {
		return errTorn
	}
	return err
}

// line reads a line. io.EOF says that there is none, errTorn that its end is missing.
func (l *redisLog) line() ([]byte, error) {
	b, err := l.r.ReadSlice('\n')
	l.off += int64(len(b))
	switch {
	case err == io.EOF && len(b) > 0 && bytes.IndexByte([]byte("*$#"), b[0]) >= 0:
		return nil, errTorn
	case err == io.EOF && len(b) > 0:
		return nil, fmt.Errorf("%.40q where a line is due", b)
	case errors.Is(err, bufio.ErrBufferFull), err == nil && len(b) > maxLineBytes:
		return nil, errors.New("a line is too long")
	case err != nil:
		return nil, err
	}
	return b, nil
}

// word appends a word to buf. Room is made as it comes.
func (l *redisLog) word() error {
	line, err := l.line()
	if err != nil {
		return err
	}
	n, err := count(line, '$')
	if err != nil {
		return err
	}
	if n > maxWordBytes || len(l.buf)+n+len(l.end)*wordCost > maxUnitBytes {
		return errors.New("a command is too long")
	}
	for n += len("\r\n"); n > 0; {
		at := len(l.buf)
		step := min(n, max(at, 64<<10))
		l.buf = slices.Grow(l.buf, step)[:at+step]
		m, err := io.ReadFull(l.r, l.buf[at:])
		l.off += int64(m)
		if err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				err = io.EOF
			}
			return err
		}
		n -= step
	}
	if !bytes.HasSuffix(l.buf, []byte("\r\n")) {
		return errors.New("a word is longer than it says")
	}
	l.buf = l.buf[:len(l.buf)-2]
	l.end = append(l.end, len(l.buf))
	return nil
}

// count reads a line of a mark and a number.
func count(line []byte, mark byte) (int, error) {
	text := strings.TrimRight(string(line), "\r\n")
	if text != "" && text[0] == mark {
		if n, err := strconv.ParseUint(text[1:], 10, 31); err == nil {
			return int(n), nil
		}
	}
	return 0, fmt.Errorf("%.40q where a line is due that begins with %c", text, mark)
}

// A unit is what the commands of a transaction are kept in until all of it is read.
type unit struct {
	at    int64 // where it begins
	lines [][][]byte
	size  int
}

func (u *unit) add(args [][]byte) error {
	size := 0
	for _, arg := range args {
		size += len(arg) + wordCost
	}
	if u.size += size; u.size > maxUnitBytes {
		return fmt.Errorf("a transaction of more than %d bytes", maxUnitBytes)
	}
	kept := make([][]byte, len(args))
	for i, arg := range args {
		kept[i] = bytes.Clone(arg)
	}
	u.lines = append(u.lines, kept)
	return nil
}

// A replay runs the commands of a log of Redis.
type replay struct {
	db  int
	now int64 // of this moment
	run func(db int, now int64, args [][]byte) error

	open *unit // a transaction that has not ended yet
}

// all runs what l holds. whole is where the last command or transaction ends that
// is there as a whole.
func (p *replay) all(l *redisLog) (whole int64, err error) {
	for whole = l.off; ; {
		at := l.off
		args, err := l.next()
		switch {
		case err == io.EOF && p.open != nil:
			return whole, errTorn
		case err == io.EOF:
			return whole, nil
		case err == nil:
			err = p.one(at, args)
		}
		if err != nil {
			var failed *failedAt
			if !errors.As(err, &failed) && !errors.Is(err, errTorn) {
				err = &failedAt{at, err}
			}
			return whole, err
		}
		if p.open == nil {
			whole = l.off
		}
	}
}

// A failedAt says where in a log something is wrong.
type failedAt struct {
	at  int64
	err error
}

func (e *failedAt) Error() string { return fmt.Sprintf("offset %d: %v", e.at, e.err) }
func (e *failedAt) Unwrap() error { return e.err }

// one takes in a command that begins at an offset.
func (p *replay) one(at int64, args [][]byte) error {
	switch name := strings.ToUpper(string(args[0][:min(len(args[0]), 32)])); {
	case name == "MULTI" && p.open != nil:
		return errors.New("MULTI inside a transaction")
	case name == "MULTI":
		p.open = &unit{at: at}
		return nil
	case name == "EXEC" && p.open == nil:
		return errors.New("EXEC without MULTI")
	case name == "EXEC":
		u := p.open
		p.open = nil
		for _, line := range u.lines {
			if err := p.command(line); err != nil {
				return &failedAt{u.at, err}
			}
		}
		return nil
	}
	if p.open != nil {
		return p.open.add(args)
	}
	return p.command(args)
}

func (p *replay) command(args [][]byte) error {
	if strings.EqualFold(string(args[0]), "SELECT") && len(args) == 2 {
		n, err := strconv.ParseUint(string(args[1]), 10, 31)
		if err != nil {
			return fmt.Errorf("SELECT %.40q", args[1])
		}
		p.db = int(n)
		return nil
	}
	name := fmt.Sprintf("%.64q", args[0])
	spec := command.All().Lookup(args)
	switch {
	case spec == nil:
		return fmt.Errorf("command %s does not exist here", name)
	case spec.Flags&command.Write == 0 && spec.Name != "PFCOUNT": // which writes what it has counted
		return fmt.Errorf("command %s changes no data", name)
	}
	return p.run(p.db, p.timeOf(args), args)
}

// timeOf is the time at which a command is run. What had not expired when it was
// run first has not expired for it now: time stands still at its beginning. All
// times that Redis writes are absolute; what somebody has put there that counts
// from now does so. XCLAIM takes no delivery that lies behind its own time.
func (p *replay) timeOf(args [][]byte) int64 {
	if relative(args) {
		return p.now
	}
	if strings.EqualFold(string(args[0]), "XCLAIM") {
		for i := 5; i+1 < len(args); i++ {
			at, err := strconv.ParseInt(string(args[i+1]), 10, 64)
			if strings.EqualFold(string(args[i]), "TIME") && err == nil {
				return max(at, 1)
			}
		}
	}
	return 1
}

// relative tells whether a command says when something expires by how long it is
// until then.
func relative(args [][]byte) bool {
	switch strings.ToUpper(string(args[0][:min(len(args[0]), 32)])) {
	case "EXPIRE", "PEXPIRE", "SETEX", "PSETEX", "HEXPIRE", "HPEXPIRE":
		return true
	case "SET":
		return slices.ContainsFunc(args[min(3, len(args)):], timeToLive)
	case "RESTORE": // as Redis before version 5 has logged it
		return word(args, 4, "ABSTTL") < 0
	case "GETEX":
		return slices.ContainsFunc(args[min(2, len(args)):], timeToLive)
	}
	return false
}

func timeToLive(option []byte) bool {
	return strings.EqualFold(string(option), "EX") || strings.EqualFold(string(option), "PX")
}
