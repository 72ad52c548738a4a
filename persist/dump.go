package persist

import (
	"bufio"
	"bytes"
	"io"
	"strconv"

	"github.com/ferricd/ferricd/aof"
	"github.com/ferricd/ferricd/aof/datadir"
	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/snapshot"
)

// Dump writes what is in a directory, also one that a server is using, as commands
// that make the same data on an empty server: the newest snapshot and the log
// behind it, in RESP, or one line each as text. What was one call is a transaction.
func Dump(fsys vfs.FS, dir string, to io.Writer, text bool) error {
	p, err := pin(fsys, dir)
	if err != nil {
		return err
	}
	defer p.close()
	m, err := datadir.ReadManifest(p, dir)
	if err != nil {
		return err
	}
	if err := p.dropPending(dir, m.PendingLog); err != nil {
		return err
	}
	b, err := begin(snapshot.Options{FS: p, Dir: dir})
	if err != nil {
		return err
	}
	d := &dump{w: bufio.NewWriterSize(to, 64<<10), text: text, db: -1}
	if b.info.Name != "" {
		_, err = snapshot.Read(p, b.info.Name, d.command, nil)
	}
	if err == nil {
		_, err = aof.Read(aof.Source{FS: p, Dir: dir, Cluster: m.Cluster, From: b.info.LSN}, d.unit)
	}
	if flushed := d.w.Flush(); err == nil { // else it may be the same again
		err = flushed
	}
	return err
}

// A dump writes commands.
type dump struct {
	w    *bufio.Writer
	text bool
	db   int // that the reader is in, -1: not known
	room []byte
}

var (
	wordSelect = []byte("SELECT")
	wordMulti  = [][]byte{[]byte("MULTI")}
	wordExec   = [][]byte{[]byte("EXEC")}
)

func (d *dump) use(db int) {
	if d.db != db {
		d.db = db
		_ = d.write([][]byte{wordSelect, strconv.AppendInt(nil, int64(db), 10)})
	}
}

func (d *dump) command(db int, args [][]byte) error {
	d.use(db)
	return d.write(args)
}

func (d *dump) unit(f *aof.Frame) error {
	if len(f.Records) == 0 {
		return nil // the beginning of an epoch
	}
	d.use(f.DB)
	if len(f.Records) == 1 {
		return d.record(f.Records[0])
	}
	_ = d.write(wordMulti)
	for _, r := range f.Records {
		_ = d.record(r)
	}
	return d.write(wordExec)
}

// record writes a command; a SELECT in the log holds to the end of its unit.
func (d *dump) record(args [][]byte) error {
	if len(args) == 2 && bytes.Equal(args[0], wordSelect) {
		if n, err := strconv.Atoi(string(args[1])); err == nil {
			d.db = n
		}
	}
	return d.write(args)
}

// write writes a command. After the first error all that follow return it.
func (d *dump) write(args [][]byte) error {
	b := d.room[:0]
	if !d.text {
		b = append(strconv.AppendInt(append(b, '*'), int64(len(args)), 10), '\r', '\n')
	}
	for i, arg := range args {
		switch {
		case !d.text:
			b = append(strconv.AppendInt(append(b, '$'), int64(len(arg)), 10), '\r', '\n')
			b = append(append(b, arg...), '\r', '\n')
			continue
		case i > 0:
			b = append(b, ' ')
		}
		b = appendWord(b, arg)
	}
	if d.text {
		b = append(b, '\n')
	}
	_, err := d.w.Write(b)
	if d.room = b; cap(b) > 1<<20 {
		d.room = nil
	}
	return err
}

// appendWord appends a word as redis-cli reads it, in quotes where it needs them.
func appendWord(b, word []byte) []byte {
	plain := len(word) > 0
	for _, c := range word {
		plain = plain && c > ' ' && c <= '~' && c != '"' && c != '\'' && c != '\\'
	}
	if plain {
		return append(b, word...)
	}
	const digits = "0123456789abcdef"
	b = append(b, '"')
	for _, c := range word {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c == '\t':
			b = append(b, '\\', 't')
		case ' ' <= c && c <= '~':
			b = append(b, c)
		default:
			b = append(b, '\\', 'x', digits[c>>4], digits[c&15])
		}
	}
	return append(b, '"')
}
