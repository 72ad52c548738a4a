package aof

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/vfs"
)

// image is the bytes of all files in the directory of a log.
func image(t require.TestingT, fsys vfs.FS) map[string][]byte {
	list, err := fsys.ReadDir(dir)
	require.NoError(t, err)
	files := map[string][]byte{}
	for _, e := range list {
		files[e.Name()], err = vfs.ReadFile(fsys, filepath.Join(dir, e.Name()), 1<<30)
		require.NoError(t, err)
	}
	return files
}

// disk makes a directory of such bytes, all durable.
func disk(t require.TestingT, files map[string][]byte) *vfs.Mem {
	m := newDir(t)
	for name, text := range files {
		writeFile(t, m, name, text)
	}
	return m
}

func writeFile(t require.TestingT, m vfs.FS, name string, text []byte) {
	f, err := m.Create(filepath.Join(dir, name))
	require.NoError(t, err)
	_, err = f.Write(text)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
	require.NoError(t, m.SyncDir(dir))
}

// written makes a log of segments of some units each and returns its bytes, its
// units, the LSN of each, and the names of the segments.
func written(t require.TestingT, segments, each int) (files map[string][]byte, units []string, lsns []uint64, names []string) {
	m := newDir(t)
	o := options(m)
	o.Epoch = 3
	l, err := Open(o)
	require.NoError(t, err)
	for s := range segments {
		first, err := l.Rotate()
		require.NoError(t, err)
		names = append(names, segmentName(first))
		for i := range each {
			r := record("SET", fmt.Sprint("key", s, i), strings.Repeat("v", i%5))
			lsns = append(lsns, l.Append(1, int64(s), []Record{r}))
			units = append(units, unit(&Frame{DB: 1, Now: int64(s), Epoch: 3, Records: []Record{r}}))
		}
	}
	require.NoError(t, l.Close())
	return image(t, m), units, lsns, names
}

// recovered returns what Recover makes of some bytes.
func recovered(t require.TestingT, m *vfs.Mem, from uint64) (units []string, found Found, err error) {
	s := source(m)
	s.From = from
	found, err = Recover(s, func(f *Frame) error {
		units = append(units, unit(f))
		return nil
	})
	return units, found, err
}

// goesOn appends a unit to a recovered log and sees that all is read again.
func goesOn(t require.TestingT, m *vfs.Mem, units []string, found Found) {
	o := options(m)
	o.From, o.Epoch = found.End, found.Epoch+1
	l, err := Open(o)
	require.NoError(t, err)
	lsn := l.Append(0, 9, []Record{record("more")})
	require.NoError(t, l.AwaitDurable(lsn, nil))
	require.NoError(t, l.Close())
	again, after, err := recovered(t, m.Crash(nil), 0)
	require.NoError(t, err)
	require.Equal(t, append(slices.Clone(units), fmt.Sprintf(`9/0/%d ["more"]`, o.Epoch)), again)
	require.Equal(t, lsn, after.End)
	require.Nil(t, after.Cut)
}

// TestCutAtEveryByte cuts the last segment at every byte.
func TestCutAtEveryByte(t *testing.T) {
	files, units, lsns, names := written(t, 2, 5)
	last := names[1]
	whole := files[last]
	first := lsns[4]
	for size := range len(whole) + 1 {
		files[last] = whole[:size]
		m := disk(t, files)
		got, found, err := recovered(t, m, 0)
		require.NoError(t, err, size)
		n := 5
		for n < len(lsns) && size >= segmentHeader+int(lsns[n]-first) {
			n++
		}
		require.Equal(t, units[:n], got, size)
		require.Equal(t, lsns[n-1], found.End)
		kept := segmentHeader + int(lsns[n-1]-first)
		switch {
		case size == 0:
			require.Nil(t, found.Cut, "nothing is lost of a segment that has only got its name")
		case size < segmentHeader:
			require.Equal(t, Cut{File: "data/" + last, Bytes: int64(size), Reason: errNoHeader}, *found.Cut)
		case size == kept:
			require.Nil(t, found.Cut)
		default:
			require.Equal(t, Cut{File: "data/" + last, Offset: int64(kept), Bytes: int64(size - kept), Reason: errCutShort}, *found.Cut)
			require.Contains(t, found.Cut.String(), fmt.Sprintf("data/%s: offset %d: the record is cut short", last, kept))
		}
		goesOn(t, m, got, found)
	}
}

// TestTornEndsOfOtherKinds: what a file system leaves when the power goes.
func TestTornEndsOfOtherKinds(t *testing.T) {
	files, units, lsns, names := written(t, 2, 5)
	whole := files[names[1]]
	lastSize := int(lsns[9] - lsns[8])
	kept := len(whole) - lastSize
	garbage := make([]byte, 5000)
	for i := range garbage {
		garbage[i] = byte(i*7 + i>>8)
	}
	for what, text := range map[string][]byte{
		"the last record zeros":       append(slices.Clone(whole[:kept]), make([]byte, lastSize)...),
		"its head zeros":              slices.Concat(whole[:kept], make([]byte, 8), whole[kept+8:]),
		"its end zeros":               append(slices.Clone(whole[:len(whole)-3]), 0, 0, 0),
		"zeros and more zeros":        append(slices.Clone(whole[:kept]), make([]byte, 3<<20)...),
		"its head and zeros":          append(slices.Clone(whole[:kept+frameHeader]), make([]byte, 4096)...),
		"garbage":                     append(slices.Clone(whole[:kept]), garbage...),
		"an old record of elsewhere":  append(slices.Clone(whole[:kept+5]), whole[segmentHeader:segmentHeader+lastSize]...),
		"a length beyond all":         append(slices.Clone(whole[:kept]), slices.Repeat([]byte{0xff}, 60)...),
		"the record, its first bytes": append(slices.Clone(whole[:kept]), whole[kept:kept+7]...),
	} {
		files[names[1]] = text
		m := disk(t, files)
		got, found, err := recovered(t, m, 0)
		require.NoError(t, err, what)
		require.Equal(t, units[:9], got, what)
		require.EqualValues(t, kept, found.Cut.Offset, what)
		require.EqualValues(t, len(text)-kept, found.Cut.Bytes, what)
		goesOn(t, m, got, found)
	}
}

// TestEveryBitFlip flips each bit of the log. In the last record, where nothing
// whole follows, that is a torn end; anywhere else the log is broken there.
func TestEveryBitFlip(t *testing.T) {
	files, units, lsns, names := written(t, 2, 4)
	for i, name := range names {
		whole := files[name]
		first := lsns[3] * uint64(i)
		lastBegin := segmentHeader + int(lsns[len(lsns)-2]-first)
		for bit := range len(whole) * 8 {
			damaged := slices.Clone(whole)
			damaged[bit/8] ^= 1 << (bit % 8)
			files[name] = damaged
			m := disk(t, files)
			got, found, err := recovered(t, m, 0)
			if i == 1 && bit/8 >= lastBegin {
				require.NoError(t, err)
				require.EqualValues(t, lastBegin, found.Cut.Offset)
				require.Equal(t, units[:7], got)
				continue
			}
			var broken *BrokenError
			require.ErrorAs(t, err, &broken, "%s bit %d", name, bit)
			begin := 0 // of the record that the bit is in
			for _, lsn := range lsns {
				if off := segmentHeader + int(lsn-first); bit/8 >= segmentHeader && lsn >= first && off <= bit/8 {
					begin = off
				}
			}
			if begin == 0 && bit/8 >= segmentHeader {
				begin = segmentHeader
			}
			require.EqualValues(t, begin, broken.Offset, "%s bit %d", name, bit)
			require.Contains(t, err.Error(), fmt.Sprintf(`the log is broken: data/%s: offset %d: `, name, begin))
			require.Contains(t, err.Error(), `"ferricd check --fix data"`)
			require.Equal(t, files, image(t, m), "nothing is changed")
		}
		files[name] = whole
	}
}

// edit changes a copy of files.
func edit(files map[string][]byte, change func(map[string][]byte)) map[string][]byte {
	c := map[string][]byte{}
	for name, text := range files {
		c[name] = slices.Clone(text)
	}
	change(c)
	return c
}

// resealed changes a frame in place and makes its checksum fit again.
func resealed(text []byte, off int, change func(frame []byte)) {
	change(text[off:])
	seal(text[off:])
}

// newHeader gives a segment another header.
func newHeader(text []byte, h header) { copy(text, h.encode()) }

func TestWhatDoesNotBelong(t *testing.T) {
	files, _, lsns, names := written(t, 3, 3)
	a, b, c := names[0], names[1], names[2]
	good := header{cluster: testCluster, epoch: 3}
	for _, x := range []struct {
		what, want string
		from       uint64
		notBroken  bool
		change     func(map[string][]byte)
	}{
		{what: "first missing", want: "is needed from 0 on: a segment is missing", change: func(f map[string][]byte) { delete(f, a) }},
		{what: "middle missing", want: "but the next one, " + c + ", begins at", change: func(f map[string][]byte) { delete(f, b) }},
		{what: "needed one missing", from: lsns[3], want: "a segment is missing", change: func(f map[string][]byte) { delete(f, a); delete(f, b) }},
		{what: "sealed too short", want: b + ": offset ", change: func(f map[string][]byte) { f[b] = f[b][:len(f[b])-1] }},
		{what: "sealed without its last", want: "but the next one", change: func(f map[string][]byte) {
			f[b] = f[b][:segmentHeader+lsns[4]-lsns[2]]
		}},
		{what: "sealed too long", want: "cut short", change: func(f map[string][]byte) { f[b] = append(f[b], 0) }},
		{what: "overlap", want: "ends at position", change: func(f map[string][]byte) {
			more := f[c][segmentHeader : segmentHeader+lsns[6]-lsns[5]]
			f[b] = append(f[b], more...)
		}},
		{what: "sealed empty", want: "header of the segment does not check", change: func(f map[string][]byte) { f[b] = nil }},
		{what: "another's name", want: "should have the name " + a, change: func(f map[string][]byte) { f[b] = f[a] }},
		{what: "not the log's name", want: "gives no file such a name", notBroken: true, change: func(f map[string][]byte) { f["log-12.fer"] = nil }},
		{what: "too large a name", want: "gives no file such a name", notBroken: true, change: func(f map[string][]byte) {
			f["log-99999999999999999999.fer"] = nil
		}},
		{what: "cluster", want: "belongs to another data directory", notBroken: true, change: func(f map[string][]byte) {
			newHeader(f[c], header{first: lsns[5], epoch: 3})
		}},
		{what: "segment's epoch", want: "is of epoch 2, the record before it of 3", change: func(f map[string][]byte) {
			h := good
			h.first, h.epoch = lsns[5], 2
			newHeader(f[c], h)
		}},
		{what: "record's epoch", want: "the record is of epoch 2, the one before it of 3", change: func(f map[string][]byte) {
			resealed(f[c], segmentHeader, func(p []byte) { p[8] = 2 })
		}},
		{what: "format", want: "newer version of ferricd", notBroken: true, change: func(f map[string][]byte) {
			f[c][8] = 2
			binary.LittleEndian.PutUint32(f[c][48:], crc32.Checksum(f[c][:48], castagnoli))
		}},
		{what: "flags", want: "has flags 0x1", change: func(f map[string][]byte) {
			resealed(f[c], segmentHeader, func(p []byte) { p[36] = 1 })
		}},
		{what: "place", want: "a record that belongs to position 1 stands at", change: func(f map[string][]byte) {
			resealed(f[c], segmentHeader+int(lsns[7]-lsns[5]), func(p []byte) { binary.LittleEndian.PutUint64(p[16:], lsns[8]-lsns[7]+1) })
		}},
		{what: "payload", want: "passes its checksum, but is not a list of commands", change: func(f map[string][]byte) {
			resealed(f[c], segmentHeader+int(lsns[7]-lsns[5]), func(p []byte) { p[frameHeader] = '?' })
		}},
		{what: "from inside a record", from: lsns[6] + 1, want: "no record begins at", change: func(map[string][]byte) {}},
	} {
		m := disk(t, edit(files, x.change))
		before := image(t, m)
		_, _, err := recovered(t, m, x.from)
		require.ErrorContains(t, err, x.want, x.what)
		var broken *BrokenError
		require.Equal(t, !x.notBroken, errors.As(err, &broken), x.what)
		require.Equal(t, before, image(t, m), x.what)
		s := source(m)
		s.From = x.from
		report, err := Repair(s)
		if x.notBroken {
			require.ErrorContains(t, err, x.want, x.what)
			require.Equal(t, before, image(t, m), x.what)
			continue
		}
		require.NoError(t, err, x.what)
		require.NotEmpty(t, report.Losses, x.what)
		_, found, err := recovered(t, m, x.from)
		require.NoError(t, err, x.what)
		require.Equal(t, report.End, found.End, x.what)
	}
}

func TestFrom(t *testing.T) {
	files, units, lsns, names := written(t, 3, 3)
	for i, lsn := range lsns {
		for _, missing := range []int{0, 1, 2} {
			if missing > (i+1)/3 {
				continue // it is needed
			}
			got, found, err := recovered(t, disk(t, edit(files, func(f map[string][]byte) {
				for _, name := range names[:missing] {
					delete(f, name)
				}
			})), lsn)
			require.NoError(t, err)
			require.Equal(t, units[i+1:], append([]string{}, got...))
			require.Equal(t, lsns[8], found.End)
			require.EqualValues(t, 8-i, found.Records)
			require.EqualValues(t, lsns[8]-lsn, found.Bytes)
		}
	}

	// Segments that the snapshot covers are not looked at.
	got, _, err := recovered(t, disk(t, edit(files, func(f map[string][]byte) { f[names[0]] = nil })), lsns[2])
	require.NoError(t, err)
	require.Equal(t, units[3:], got)

	// A snapshot may reach further than the log.
	m := disk(t, files)
	got, found, err := recovered(t, m, lsns[8]+100)
	require.NoError(t, err)
	require.Empty(t, got)
	require.Equal(t, lsns[8]+100, found.End)
	o := options(m)
	o.From, o.Epoch = found.End, 3
	l := open(t, o)
	l.Append(0, 7, []Record{record("x")})
	require.NoError(t, l.Close())
	got, _, err = recovered(t, m, lsns[8]+100)
	require.NoError(t, err)
	require.Equal(t, []string{`7/0/3 ["x"]`}, got)
	_, _, err = recovered(t, m, 0)
	require.ErrorContains(t, err, "but the next one", "without the snapshot there is a gap")

	// There may be no log at all.
	_, found, err = recovered(t, newDir(t), 55)
	require.NoError(t, err)
	require.Equal(t, Found{End: 55}, found)
}

func TestOpenRefusesAnotherEnd(t *testing.T) {
	files, _, lsns, names := written(t, 2, 2)
	for _, from := range []uint64{0, lsns[1], lsns[2], lsns[3] - 1} {
		o := options(disk(t, files))
		o.From = from
		_, err := Open(o)
		require.ErrorContains(t, err, "where the log is to go on", from)
	}
	o := options(disk(t, files))
	o.From, o.Cluster = lsns[3], [16]byte{9}
	_, err := Open(o)
	require.ErrorContains(t, err, names[1]+" is not of this log")
}

// TestRepair takes out what is behind a broken record, says what that was, and
// keeps it.
func TestRepair(t *testing.T) {
	files, units, lsns, names := written(t, 4, 5)
	bad := segmentHeader + int(lsns[6]-lsns[4]) // the third record of the second segment
	files[names[1]][bad+20] ^= 4
	m := disk(t, files)
	s := source(m)
	report, err := Check(s)
	require.NoError(t, err)
	require.Equal(t, files, image(t, m))
	require.EqualValues(t, bad, report.Broken.Offset)
	want := []Loss{
		{File: "data/" + names[1], Offset: int64(bad), Bytes: int64(len(files[names[1]]) - bad), Records: 2},
		{File: "data/" + names[2], Bytes: int64(len(files[names[2]])), Records: 5},
		{File: "data/" + names[3], Bytes: int64(len(files[names[3]])), Records: 5},
	}
	require.Equal(t, want, report.Losses)

	// However a repair is interrupted, another one finishes it.
	faulty := vfs.NewFaulty(m)
	for n := 0; ; n++ {
		faulty.Clear()
		faulty.Add(vfs.Rule{Ops: vfs.OpChange, Skip: n, Times: 1, Err: os.ErrPermission})
		s.FS = faulty
		if report, err = Repair(s); err == nil {
			break
		}
		require.ErrorIs(t, err, os.ErrPermission)
		m = m.Crash(nil)
		faulty = vfs.NewFaulty(m)
		_, _, err := recovered(t, m, 0)
		var broken *BrokenError
		if !errors.As(err, &broken) {
			require.NoError(t, err)
			break
		}
	}
	m = m.Crash(nil)
	got, found, err := recovered(t, m, 0)
	require.NoError(t, err)
	require.Equal(t, units[:7], got)
	require.Nil(t, found.Cut)
	after := image(t, m)
	kept := 0
	for name, text := range after {
		switch {
		case strings.HasPrefix(name, names[1]+".") && len(text) > 0:
			require.Equal(t, files[names[1]][bad:], text)
			kept++
		case strings.HasPrefix(name, names[2]+"."), strings.HasPrefix(name, names[3]+"."):
			require.Equal(t, files[name[:len(names[2])]], text)
			kept++
		}
	}
	require.GreaterOrEqual(t, kept, 3, "%v", after)
	report, err = Repair(source(m))
	require.NoError(t, err)
	require.Nil(t, report.Broken)
	require.Empty(t, report.Losses)
	goesOn(t, m, got, found)
}

func TestRepairCutsATornEnd(t *testing.T) {
	files, units, _, names := written(t, 1, 3)
	files[names[0]] = files[names[0]][:len(files[names[0]])-1]
	m := disk(t, files)
	report, err := Check(source(m))
	require.NoError(t, err)
	require.NotNil(t, report.Cut)
	require.Equal(t, files, image(t, m))
	report, err = Repair(source(m))
	require.NoError(t, err)
	require.NotNil(t, report.Cut)
	got, found, err := recovered(t, m, 0)
	require.NoError(t, err)
	require.Nil(t, found.Cut)
	require.Equal(t, units[:2], got)
}

// TestTheCallersErrorIsItsOwn: nothing is cut when what was read could not be used.
func TestTheCallersErrorIsItsOwn(t *testing.T) {
	files, _, _, names := written(t, 1, 3)
	files[names[0]] = files[names[0]][:len(files[names[0]])-1]
	m := disk(t, files)
	stop := errors.New("stop")
	_, err := Recover(source(m), func(*Frame) error { return stop })
	require.Equal(t, stop, err)
	require.Equal(t, files, image(t, m))
}

func TestProgress(t *testing.T) {
	m := newDir(t)
	o := options(m)
	o.Policy = No
	l := open(t, o)
	for range 100 {
		l.Append(0, 1, []Record{record("SET", strings.Repeat("x", 1<<18))})
	}
	require.NoError(t, l.Close())
	s := source(m)
	var told []int64
	s.Progress = func(read, total int64) {
		require.EqualValues(t, l.End()+segmentHeader, total)
		told = append(told, read)
	}
	_, found := readAll(t, s)
	require.EqualValues(t, 100, found.Records)
	require.Len(t, told, 7)
	require.True(t, slices.IsSorted(told))
	require.EqualValues(t, l.End()+segmentHeader, told[6])
}

// TestAValueThatLooksLikeRecords: who stores frames in a value can make a torn end
// look like a broken middle, which is refused, but not make the search for records long.
func TestAValueThatLooksLikeRecords(t *testing.T) {
	files, _, lsns, names := written(t, 1, 3)
	text := files[names[0]]
	off := int64(len(text))
	const size = 1 << 20
	fake := make([]byte, size)
	for i := int64(0); i+frameHeader < size; i += 24 { // each claims to reach to the end, and has a wrong checksum
		rest := size - i
		binary.LittleEndian.PutUint32(fake[i:], uint32(rest-frameHeader))
		binary.LittleEndian.PutUint64(fake[i+16:], lsns[2]+size)
	}
	files[names[0]] = append(text, fake...)
	m := disk(t, files)
	f := vfs.NewFaulty(m)
	s := source(f)
	_, err := Recover(s, func(*Frame) error { return nil })
	require.ErrorContains(t, err, fmt.Sprintf("offset %d", off))
	require.Less(t, f.Count(vfs.OpRead), 100_000)
}

// TestARecordIsFoundAcrossWindows puts the only whole record behind a broken one
// across the border of two steps of the search.
func TestARecordIsFoundAcrossWindows(t *testing.T) {
	for _, before := range []int{-1, 0, 1, 20, frameHeader - 1, frameHeader, frameHeader + 1} {
		m := newDir(t)
		l := open(t, options(m))
		size := 1 + scanWindow - before // of the broken record: the next begins so far before the border
		r := record("SET", "k", "")
		r[2] = make([]byte, size-frameHeader-payloadSize([]Record{record("SET", "k")})-len("$1234567\r\n\r\n"))
		lsn := l.Append(0, 1, []Record{r})
		require.InDelta(t, size, lsn, 1)
		l.Append(0, 1, []Record{record("next")})
		require.NoError(t, l.Close())
		files := image(t, m)
		files[segmentName(0)][segmentHeader+100] ^= 1
		_, _, err := recovered(t, disk(t, files), 0)
		require.ErrorContains(t, err, fmt.Sprintf("a whole record follows at offset %d", segmentHeader+lsn), before)
	}
}

func BenchmarkRead(b *testing.B) {
	o := Options{Dir: b.TempDir(), Policy: No}
	l, err := Open(o)
	require.NoError(b, err)
	const n = 500_000
	for i := range n {
		if i%1000 == 0 {
			require.NoError(b, l.AwaitRoom(nil))
		}
		l.Append(0, 1, []Record{record("SET", fmt.Sprintf("key:%010d", i), strings.Repeat("v", 64))})
	}
	require.NoError(b, l.Close())
	b.SetBytes(int64(l.End()))
	b.ReportAllocs()
	for b.Loop() {
		found, err := Read(Source{Dir: o.Dir}, func(*Frame) error { return nil })
		require.NoError(b, err)
		require.EqualValues(b, n, found.Records)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
}
