package aof

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/internal/vfs"
)

// frames returns all frames of a log of its own, which ends at their end.
func frames(t testing.TB, epoch uint64, sizes ...int) []byte {
	m := newDir(t)
	o := options(m)
	o.Epoch = epoch
	l, err := Open(o)
	require.NoError(t, err)
	for i, n := range sizes {
		l.Append(i%3, int64(i), []Record{record("SET", strings.Repeat("k", n))})
	}
	require.NoError(t, l.Close())
	b, err := vfs.ReadFile(m, path.Join(dir, segmentName(0)), 1<<30)
	require.NoError(t, err)
	return b[segmentHeader:]
}

func TestFramesAreAppendedAsTheyAre(t *testing.T) {
	for _, sizes := range [][]int{{1}, {1, 20, 300}, {5000, 1, 70000, 300000, 2}, {1 << 20}} {
		b := frames(t, 3, sizes...)
		m := newDir(t)
		o := options(m)
		l := open(t, o)
		require.NoError(t, l.RotateAt(0, 3))
		require.NoError(t, l.AppendFrames(nil))
		require.NoError(t, l.AppendFrames(b))
		require.Equal(t, uint64(len(b)), l.End())
		require.NoError(t, l.Sync())
		require.Equal(t, l.End(), l.Durable())
		var bad *FramesError
		require.ErrorAs(t, l.AppendFrames(b), &bad, "they stand elsewhere")
		require.Equal(t, l.End(), bad.LSN)
		require.NoError(t, l.Close())
		got, err := vfs.ReadFile(m, path.Join(dir, segmentName(0)), 1<<30)
		require.NoError(t, err)
		require.True(t, string(b) == string(got[segmentHeader:]))
		units, found := readAll(t, source(m.Crash(nil)))
		require.Len(t, units, len(sizes))
		require.Equal(t, uint64(3), found.Epoch)
	}
}

// TestFramesThatDoNotFit: every bit counts, and nothing of what is refused is kept.
func TestFramesThatDoNotFit(t *testing.T) {
	b := frames(t, 3, 1, 20, 3)
	l := open(t, options(newDir(t)))
	for i := range b {
		for bit := range 8 {
			b[i] ^= 1 << bit
			var bad *FramesError
			require.ErrorAs(t, l.AppendFrames(b), &bad, "byte %d", i)
			b[i] ^= 1 << bit
		}
	}
	require.Zero(t, l.End())
	require.ErrorIs(t, l.RotateAt(1, 3), ErrPosition)
	require.NoError(t, l.AppendFrames(b))
	older := frames(t, 2, 1, 20, 3, 50)
	var bad *FramesError
	require.ErrorAs(t, l.AppendFrames(older[len(b):]), &bad)
	require.ErrorIs(t, bad, ErrEpoch)
	require.ErrorIs(t, l.RotateAt(l.End(), 2), ErrEpoch)
	_, err := l.AppendEpoch(3, 1)
	require.ErrorIs(t, err, ErrEpoch)
	require.NoError(t, l.AppendFrames(frames(t, 4, 1, 20, 3, 50)[len(b):]))
	require.Equal(t, uint64(4), l.Epoch())
}

// TestAFollowingLogHasNoSegmentsOfItsOwn, however long they grow.
func TestAFollowingLogHasNoSegmentsOfItsOwn(t *testing.T) {
	b := frames(t, 3, slices.Repeat([]int{100}, 50)...)
	o := options(newDir(t))
	o.SegmentBytes = 200
	l := open(t, o)
	l.SetFollowing(true)
	require.NoError(t, l.AppendFrames(b))
	require.NoError(t, l.Sync())
	require.Equal(t, 1, l.Stats().Segments)
	require.NoError(t, l.RotateAt(l.End(), 5))
	require.NoError(t, l.RotateAt(l.End(), 5), "it is told twice")
	require.NoError(t, l.RotateAt(l.End(), 6), "another leader begins it")
	require.NoError(t, l.RotateAt(l.End(), 5), "or one that is older, as long as it holds nothing")
	await(t, "it begins", func() bool { return l.Stats().Segments == 2 })
	require.Equal(t, []EpochStart{{3, 0}, {5, l.End()}}, l.History())
	l.SetFollowing(false)
	l.Append(0, 1, []Record{record("x", strings.Repeat("x", 300))})
	l.Append(0, 1, []Record{record("x", strings.Repeat("x", 300))})
	require.NoError(t, l.Sync())
	require.Equal(t, 3, l.Stats().Segments)
}

func TestAnEpochBeginsWithAnEmptyUnit(t *testing.T) {
	m := newDir(t)
	o := options(m)
	o.Epoch = 1
	l := open(t, o)
	first, err := l.AppendEpoch(4, 77)
	require.NoError(t, err)
	require.Equal(t, uint64(frameHeader), first)
	last := l.Append(2, 78, []Record{record("x")})
	next, err := l.AppendEpoch(9, 79)
	require.NoError(t, err)
	history := []EpochStart{{4, 0}, {9, last}}
	require.Equal(t, history, l.History(), "before it is written")
	require.NoError(t, l.Close())
	require.Equal(t, history, l.History(), "and after")
	units, found := readAll(t, source(m))
	require.Equal(t, []string{"77/0/4", `78/2/4 ["x"]`, "79/0/9"}, units)
	require.Equal(t, Found{End: next, Epoch: 9, Records: 3, Bytes: int64(next), Segments: 2}, found)
	o.From, o.Epoch = found.End, found.Epoch
	l = open(t, o)
	require.Equal(t, history, l.History())
	_, err = l.AppendEpoch(9, 80)
	require.ErrorIs(t, err, ErrEpoch)
}

// TestALeadershipThatCameToNothing leaves a segment without a record, also when the
// machine crashes while it gets another epoch.
func TestALeadershipThatCameToNothing(t *testing.T) {
	b := frames(t, 4, 1, 2, 3)
	for at, hit := 0, true; hit; at++ {
		m := newDir(t)
		l := open(t, options(m))
		require.NoError(t, l.RotateAt(0, 4))
		require.NoError(t, l.AppendFrames(b[:frame0(b)]))
		require.NoError(t, l.RotateAt(l.End(), 7))
		require.NoError(t, l.Close())

		_, found := readAll(t, source(m))
		require.Equal(t, uint64(7), found.Epoch)
		f := vfs.NewFaulty(m)
		o := options(f)
		o.From, o.Epoch = found.End, found.Epoch
		l, err := Open(o)
		require.NoError(t, err)
		left := m
		before := f.Count(vfs.OpChange)
		rng := rand.New(rand.NewPCG(uint64(at), 1))
		f.Add(vfs.Rule{Ops: vfs.OpChange, Skip: at, Times: 1, Before: func(vfs.Call) { left = m.Crash(rng) }})
		require.NoError(t, l.AppendFrames(b[frame0(b):]), "the log of epoch 4 goes on elsewhere")
		_ = l.Close() // it may have crashed
		hit = f.Count(vfs.OpChange) > before+at
		if left == m {
			require.Equal(t, []EpochStart{{4, 0}}, l.History())
		}
		units, _ := readAll(t, source(left))
		require.GreaterOrEqual(t, len(units), 1)
		if !hit {
			require.Len(t, units, 3)
		}
		require.Less(t, at, 20)
	}
}

// frame0 is the length of the first frame.
func frame0(b []byte) int {
	n, _ := frameSize(b)
	return n
}

// drain reads a tail to a position: the bytes, and where segments began.
func drain(t require.TestingT, tail *Tail, end uint64, max int) (b []byte, starts []SegmentStart) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for at := tail.pos; at < end; {
		c, err := tail.Next(ctx, max)
		require.NoError(t, err)
		require.Equal(t, at, c.First)
		require.Equal(t, c.First+uint64(len(c.Frames)), c.End)
		if c.Segment != nil {
			require.Equal(t, at, c.Segment.First)
			require.Empty(t, c.Frames)
			starts = append(starts, *c.Segment)
		} else {
			require.NotEmpty(t, c.Frames)
		}
		b = append(b, c.Frames...)
		at = c.End
	}
	return b, starts
}

// TestTailsReadWhatIsWritten: from every record, in chunks of any size, while it is
// appended.
func TestTailsReadWhatIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(1, 300), 1, 40).Draw(t, "sizes")
		max := rapid.IntRange(1, 2000).Draw(t, "max")
		m := newDir(t)
		o := options(m)
		o.SegmentBytes, o.Epoch = 1000, 1
		l, err := Open(o)
		require.NoError(t, err)
		defer func() { require.NoError(t, l.Close()) }()
		tail, err := OpenTail(l, 0)
		require.NoError(t, err)
		defer tail.Close()
		lsns := []uint64{0}
		done := make(chan struct{})
		end := uint64(0)
		for _, n := range sizes {
			end += uint64(frameHeader + payloadSize([]Record{record(strings.Repeat("v", n))}))
		}
		go func() {
			defer close(done)
			for i, n := range sizes {
				lsns = append(lsns, l.Append(0, int64(i), []Record{record(strings.Repeat("v", n))}))
				if i%7 == 6 {
					_ = l.Sync()
				}
			}
		}()
		all, starts := drain(t, tail, end, max)
		<-done
		segments, written := l.Segments()
		require.Equal(t, end, written)
		require.Len(t, starts, len(segments))
		for i, s := range segments {
			require.Equal(t, s.First, starts[i].First)
			file, err := vfs.ReadFile(m, path.Join(dir, s.Name), 1<<30)
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(string(all[s.First:]), string(file[segmentHeader:])))
		}
		for from := range end + 1 {
			boundary := slices.Contains(lsns, from)
			if !boundary && from%13 != 0 {
				continue
			}
			tail, err := OpenTail(l, from)
			if !boundary {
				require.ErrorIs(t, err, ErrBoundary, "%d", from)
				continue
			}
			require.NoError(t, err)
			rest, _ := drain(t, tail, end, max)
			require.True(t, string(rest) == string(all[from:]))
			require.NoError(t, tail.Close())
		}
		_, err = OpenTail(l, end+1)
		require.ErrorIs(t, err, ErrPosition)
	})
}

// TestTailsOutliveDroppedSegments, but only the one they are in.
func TestTailsOutliveDroppedSegments(t *testing.T) {
	l := open(t, options(newDir(t)))
	var firsts []uint64
	for i := range 3 {
		l.Append(0, int64(i), []Record{record("x")})
		l.Append(0, int64(i), []Record{record("y")})
		require.NoError(t, l.Sync())
		first, err := l.Rotate()
		require.NoError(t, err)
		firsts = append(firsts, first)
	}
	l.Append(0, 9, []Record{record("z")})
	require.NoError(t, l.Sync())
	next := func(tail *Tail) (Chunk, error) { return tail.Next(t.Context(), 1) }
	a, err := OpenTail(l, 0)
	require.NoError(t, err)
	defer a.Close()
	b, err := OpenTail(l, firsts[0])
	require.NoError(t, err)
	defer b.Close()
	require.NoError(t, l.DropBefore(firsts[1]))
	_, err = OpenTail(l, 0)
	require.ErrorIs(t, err, ErrGone)
	require.Equal(t, firsts[1], l.Oldest())
	for range 3 {
		_, err = next(a)
		require.NoError(t, err)
	}
	_, err = next(a)
	require.ErrorIs(t, err, ErrGone)
	rest, starts := drain(t, b, l.End(), 1)
	require.Len(t, rest, int(l.End()-firsts[0]))
	require.Len(t, starts, 3)
}

// TestTailsEnd: a wait ends with its context, and with the log.
func TestTailsEnd(t *testing.T) {
	l := open(t, options(newDir(t)))
	tail, err := OpenTail(l, 0)
	require.NoError(t, err)
	defer tail.Close()
	c, err := tail.Next(t.Context(), 1)
	require.NoError(t, err)
	require.NotNil(t, c.Segment)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := tail.Next(ctx, 1)
		ended <- err
	}()
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	lsn := l.Append(0, 1, []Record{record("x")})
	go func() {
		_, err := tail.Next(context.Background(), 1)
		ended <- err
	}()
	require.NoError(t, <-ended)
	require.Equal(t, lsn, tail.pos)
	go func() {
		_, err := tail.Next(context.Background(), 1)
		ended <- err
	}()
	require.NoError(t, l.Close())
	require.ErrorIs(t, <-ended, ErrClosed)
}

// TestAGapEndsWhatCanBeRead: a snapshot reached further than the log did.
func TestAGapEndsWhatCanBeRead(t *testing.T) {
	m := newDir(t)
	l := open(t, options(m))
	end := l.Append(0, 1, []Record{record("x")})
	require.NoError(t, l.Close())
	o := options(m)
	o.From = end + 100
	l = open(t, o)
	require.Equal(t, o.From, l.Oldest())
	require.Equal(t, []EpochStart{{0, o.From}}, l.History())
	for _, from := range []uint64{0, end, end + 50} {
		_, err := OpenTail(l, from)
		require.ErrorIs(t, err, ErrGone)
	}
}

func TestTruncate(t *testing.T) {
	write := func() (*vfs.Mem, []uint64) {
		m := newDir(t)
		o := options(m)
		o.SegmentBytes = 200
		l := open(t, o)
		lsns := []uint64{0}
		for i := range 20 {
			lsns = append(lsns, l.Append(0, int64(i), []Record{record(strings.Repeat("v", 30))}))
		}
		require.NoError(t, l.Close())
		return m, lsns
	}
	_, lsns := write()
	for i, lsn := range lsns {
		m, _ := write()
		require.ErrorIs(t, Truncate(source(m), lsns[20]+1), ErrPosition)
		if i > 0 {
			require.ErrorIs(t, Truncate(source(m), lsn-1), ErrBoundary)
			require.ErrorIs(t, Boundary(source(m), lsn-1), ErrBoundary)
		}
		units, _ := readAll(t, source(m))
		require.Len(t, units, 20, "what is refused changes nothing")
		require.NoError(t, Truncate(source(m), lsn))
		units, found := readAll(t, source(m.Crash(nil)))
		require.Len(t, units, i)
		require.Equal(t, lsn, found.End)
	}
	// Whatever operation is the last, what is left is the beginning of the log.
	for at, hit := 0, true; hit; at++ {
		m, _ := write()
		f := vfs.NewFaulty(m)
		left := m
		f.Add(vfs.Rule{Ops: vfs.OpChange, Skip: at, Times: 1, Before: func(vfs.Call) { left = m.Crash(rand.New(rand.NewPCG(uint64(at), 1))) }})
		err := Truncate(source(f), lsns[6])
		hit = f.Count(vfs.OpChange) > at
		require.Equal(t, hit, err != nil)
		units, found := readAll(t, source(left))
		require.GreaterOrEqual(t, len(units), 6)
		require.Equal(t, lsns[len(units)], found.End)
	}
}

// FuzzAppendFrames gives a log any bytes as frames. What it takes is there after a
// restart, and is what a tail tells.
func FuzzAppendFrames(f *testing.F) {
	good := frames(f, 3, 1, 20, 300)
	f.Add(good)
	f.Add(good[:frame0(good)])
	f.Add(good[:len(good)-1])
	f.Add(append(slices.Clone(good), 0))
	f.Add(make([]byte, 100))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := newDir(t)
		l, err := Open(options(m))
		require.NoError(t, err)
		taken := l.AppendFrames(b) == nil
		end := l.End()
		require.Equal(t, taken, end == uint64(len(b)))
		if taken {
			tail, err := OpenTail(l, 0)
			require.NoError(t, err)
			got, _ := drain(t, tail, end, 100)
			require.Equal(t, string(b), string(got))
			require.NoError(t, tail.Close())
		}
		require.NoError(t, l.Close())
		_, found := readAll(t, source(m))
		require.Equal(t, end, found.End)
		if !taken {
			require.Zero(t, end)
		}
	})
}

func TestHistory(t *testing.T) {
	for _, c := range []struct {
		segments []SegmentStart
		want     []EpochStart
	}{
		{nil, nil},
		{[]SegmentStart{{0, 1}}, []EpochStart{{1, 0}}},
		{[]SegmentStart{{50, 1}, {80, 1}, {90, 4}, {95, 4}}, []EpochStart{{1, 50}, {4, 90}}},
		{[]SegmentStart{{0, 1}, {80, 5}, {80, 4}}, []EpochStart{{1, 0}, {4, 80}}},
		{[]SegmentStart{{0, 1}, {80, 5}, {80, 1}}, []EpochStart{{1, 0}}},
	} {
		require.Equal(t, c.want, History(c.segments), fmt.Sprint(c.segments))
	}
}

func TestDiverge(t *testing.T) {
	type h = []EpochStart
	for _, c := range []struct {
		what              string
		leader, follower  h
		leaderEnd, itsEnd uint64
		want              uint64
	}{
		{"nothing there", h{{1, 0}}, nil, 100, 0, 0},
		{"behind", h{{1, 0}, {5, 40}}, h{{1, 0}}, 100, 30, 30},
		{"behind at an epoch's end", h{{1, 0}, {5, 40}}, h{{1, 0}}, 100, 40, 40},
		{"the same", h{{1, 0}, {5, 40}}, h{{1, 0}, {5, 40}}, 100, 100, 100},
		{"behind in the last epoch", h{{1, 0}, {5, 40}}, h{{1, 0}, {5, 40}}, 100, 70, 70},
		{"longer in an old epoch", h{{1, 0}, {5, 40}}, h{{1, 0}}, 100, 60, 40},
		{"a leader nobody followed", h{{1, 0}, {7, 40}}, h{{1, 0}, {5, 50}}, 100, 200, 40},
		{"one that was ahead", h{{1, 0}, {7, 60}}, h{{1, 0}, {5, 50}}, 100, 200, 50},
		{"an epoch begun and nothing in it", h{{1, 0}, {7, 60}}, h{{1, 0}, {5, 50}}, 100, 50, 50},
		{"the leader's oldest is later", h{{5, 80}, {7, 90}}, h{{1, 0}, {5, 40}}, 100, 70, 70},
		{"the follower's is", h{{1, 0}, {5, 40}, {7, 90}}, h{{5, 50}, {6, 95}}, 100, 99, 90},
		{"nothing in common", h{{7, 80}}, h{{1, 0}, {5, 40}}, 100, 70, 0},
	} {
		require.Equal(t, c.want, Diverge(c.leader, c.follower, c.leaderEnd, c.itsEnd), c.what)
	}
}

// TestDivergeIsWhereTheBytesDo holds Diverge against logs of bytes: nodes lead in
// turn, each for an epoch, from any prefix of another's log that they have taken over.
func TestDivergeIsWhereTheBytesDo(t *testing.T) {
	type node struct {
		bytes   []byte
		history []EpochStart
	}
	rapid.Check(t, func(t *rapid.T) {
		nodes := make([]node, 3)
		for epoch := uint64(1); epoch < 12; epoch++ {
			leader := &nodes[rapid.IntRange(0, 2).Draw(t, "leader")]
			leader.history = append(slices.Clone(leader.history), EpochStart{epoch, uint64(len(leader.bytes))})
			for range rapid.IntRange(1, 5).Draw(t, "bytes") {
				leader.bytes = append(slices.Clone(leader.bytes), byte(epoch))
			}
			if follower := &nodes[rapid.IntRange(0, 2).Draw(t, "follower")]; follower != leader {
				n := rapid.IntRange(0, len(leader.bytes)).Draw(t, "taken")
				common := 0
				for common < min(len(leader.bytes), len(follower.bytes)) && leader.bytes[common] == follower.bytes[common] {
					common++
				}
				n = max(n, common)
				follower.bytes = slices.Clone(leader.bytes[:n])
				follower.history = slices.DeleteFunc(slices.Clone(leader.history), func(e EpochStart) bool { return e.First >= uint64(n) })
			}
		}
		for _, a := range nodes {
			for _, b := range nodes {
				want := uint64(0)
				for want < uint64(min(len(a.bytes), len(b.bytes))) && a.bytes[want] == b.bytes[want] {
					want++
				}
				require.Equal(t, want, Diverge(a.history, b.history, uint64(len(a.bytes)), uint64(len(b.bytes))))
			}
		}
	})
}

// TestAValueThatLooksLikeFrames does not make a place where a record begins.
func TestAValueThatLooksLikeFrames(t *testing.T) {
	value := string(frames(t, 1, 1, 2))
	l := open(t, options(newDir(t)))
	before := l.Append(0, 1, []Record{record("x")})
	l.Append(0, 1, []Record{record("SET", "k", value)})
	require.NoError(t, l.Sync())
	whole, err := OpenTail(l, before)
	require.NoError(t, err)
	defer whole.Close()
	b, _ := drain(t, whole, l.End(), 1)
	at := before + uint64(strings.Index(string(b), value))
	_, err = OpenTail(l, at)
	require.ErrorIs(t, err, ErrBoundary)
}

// TestASegmentThatIsBeingMadeIsKnown: whoever looks while the disk is busy with it sees
// it, and may ask for another epoch there.
func TestASegmentThatIsBeingMadeIsKnown(t *testing.T) {
	making, goOn := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(goOn) })
	defer release()
	headers := 0
	o := options(newDir(t))
	o.Fail = func(point string) {
		if point != FailHeader {
			return
		}
		if headers++; headers == 2 {
			close(making)
			<-goOn
		}
	}
	o.Epoch = 1
	l := open(t, o)
	l.Append(0, 0, []Record{record("SET", "k", "v")})
	first := l.End()
	require.NoError(t, l.RotateAt(first, 5))
	<-making
	require.Equal(t, []EpochStart{{1, 0}, {5, first}}, l.History())
	require.NoError(t, l.RotateAt(first, 6))
	require.Equal(t, []EpochStart{{1, 0}, {6, first}}, l.History())
	release()
	l.Append(0, 0, []Record{record("SET", "k", "v")})
	require.NoError(t, l.Close())
	require.Equal(t, []EpochStart{{1, 0}, {6, first}}, l.History())
	units, found := readAll(t, source(o.FS))
	require.Len(t, units, 2)
	require.Equal(t, uint64(6), found.Epoch)
}
