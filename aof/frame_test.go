package aof

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/internal/vfs"
)

func TestParseIsStrict(t *testing.T) {
	var f Frame
	for _, bad := range []string{
		"x", "*", "*1", "*1\r", "*1\r\n", "*0\r\n", "*-1\r\n", "*1\r\n$-1\r\n", "*01\r\n$1\r\na\r\n", "*+1\r\n$1\r\na\r\n",
		"*1\r\n$1\r\na\r", "*1\r\n$1\r\nab\r\n", "*1\r\n$2\r\na\r\n", "*1\r\n$00\r\n\r\n", "*1\r\n$1\r\na\r\n*", "*1\n$1\r\na\r\n",
		"*2\r\n$1\r\na\r\n", "*1\r\n$1\r\na\r\nx", "*1\r\n:1\r\n", "*1\r\n$4294967296\r\na\r\n", "*99999999999999999999\r\n$1\r\na\r\n",
		"*4294967295\r\n$1\r\na\r\n", "*1\r\n$1\r\na\n\r", "PING\r\n",
	} {
		require.Equal(t, errPayload, f.parse([]byte(bad)), "%q", bad)
	}
	require.NoError(t, f.parse(nil))
	require.Empty(t, f.Records)
	require.NoError(t, f.parse([]byte("*1\r\n$0\r\n\r\n*2\r\n$1\r\na\r\n$10\r\n0123456789\r\n")))
	require.Equal(t, []Record{record(""), record("a", "0123456789")}, f.Records)
}

func TestRecordsComeBack(t *testing.T) {
	var f Frame // one for all: what a frame leaves must not disturb the next
	rapid.Check(t, func(t *rapid.T) {
		records := rapid.SliceOfN(rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 20), 1, 12), 1, 5).Draw(t, "records")
		b := make([]byte, payloadSize(records))
		encodeRecords(b, records)
		require.NoError(t, f.parse(b))
		require.Equal(t, len(records), len(f.Records))
		for i := range records {
			require.Equal(t, len(records[i]), len(f.Records[i]))
			for j := range records[i] {
				require.Equal(t, string(records[i][j]), string(f.Records[i][j]))
			}
		}
	})
}

func TestDigits(t *testing.T) {
	for n, want := range map[int]int{0: 1, 9: 1, 10: 2, 99: 2, 100: 3, 999999: 6, 1000000: 7} {
		require.Equal(t, want, digits(n))
	}
}

// TestTooLargeARecord does not need the memory: the words share theirs.
func TestTooLargeARecord(t *testing.T) {
	m := newDir(t)
	o := options(m)
	o.Policy = EverySec
	l := open(t, o)
	word := make([]byte, 64<<20)
	huge := slices.Repeat(Record{word}, 64)
	good := l.Append(0, 1, []Record{record("before")})
	lsn := l.Append(0, 1, []Record{huge})
	require.Equal(t, good+frameHeader+uint64(payloadSize([]Record{huge})), lsn)
	l.Append(0, 1, []Record{record("after")})
	require.ErrorContains(t, l.AwaitDurable(lsn, nil), "at most 4294967295 can be written")
	require.ErrorContains(t, l.Err(), "at most 4294967295")
	require.NoError(t, l.AwaitDurable(good, nil), "what was there before is kept")
	_, found := readAll(t, source(m))
	require.Equal(t, good, found.End)
}

// FuzzRecover gives Recover two segments of any bytes.
func FuzzRecover(f *testing.F) {
	files, _, lsns, names := written(f, 2, 3)
	a, b := files[names[0]], files[names[1]]
	f.Add(a, b, uint64(0))
	f.Add(a, b, lsns[2])
	f.Add(a, b[:len(b)-3], lsns[0])
	f.Add(a[:len(a)-1], b, uint64(0))
	f.Add(a, append(slices.Clone(b), make([]byte, 100)...), uint64(0))
	f.Add(a, []byte{}, uint64(0))
	f.Add([]byte{}, []byte(strings.Repeat("\xff", 100)), lsns[1])
	f.Fuzz(func(t *testing.T, a, b []byte, from uint64) {
		m := disk(t, map[string][]byte{names[0]: a, names[1]: b})
		before := image(t, m)
		s := source(m)
		s.From = from
		var lsn uint64
		found, err := Recover(s, func(f *Frame) error {
			require.Greater(t, f.LSN, max(lsn, from))
			require.NotEmpty(t, f.Records)
			lsn = f.LSN
			return nil
		})
		if err == nil {
			require.Equal(t, max(lsn, from), found.End)
			again, err := Read(s, func(*Frame) error { return nil })
			require.NoError(t, err)
			require.Nil(t, again.Cut)
			require.Equal(t, found.End, again.End)
			o := options(m)
			o.From = found.End
			l, err := Open(o)
			require.NoError(t, err)
			require.NoError(t, l.Close())
			return
		}
		require.Equal(t, before, image(t, m))
		var broken *BrokenError
		if !errors.As(err, &broken) {
			return
		}
		require.True(t, IsSegment(filepath.Base(broken.File)))
		report, err := Repair(s)
		require.NoError(t, err)
		again, err := Read(s, func(*Frame) error { return nil })
		require.NoError(t, err)
		require.Equal(t, report.End, again.End)
		require.Equal(t, total(t, m), int64(len(a)+len(b)), "a repair keeps every byte")
	})
}

func total(t *testing.T, m vfs.FS) (n int64) {
	for _, text := range image(t, m) {
		n += int64(len(text))
	}
	return n
}

// FuzzPayload: what parse takes is what encodeRecords writes, byte for byte.
func FuzzPayload(f *testing.F) {
	f.Add([]byte("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"))
	f.Add([]byte("*1\r\n$0\r\n\r\n*1\r\n$1\r\n*\r\n"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		var frame Frame
		if frame.parse(payload) != nil {
			return
		}
		b := make([]byte, payloadSize(frame.Records))
		encodeRecords(b, frame.Records)
		require.Equal(t, payload, b)
	})
}
