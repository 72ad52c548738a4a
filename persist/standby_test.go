package persist

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/aof"
	"github.com/ferricd/ferricd/internal/vfs"
)

// write runs a random command of all kinds that make records.
func (n *node) write(rng *rand.Rand) {
	key := func(kind string) string { return fmt.Sprint(kind, rng.IntN(6)) }
	word := strings.Repeat(string(rune('a'+rng.IntN(26))), 1+rng.IntN(60))
	switch rng.IntN(12) {
	case 0:
		n.run("INCR " + key("n"))
	case 1:
		n.run("RPUSH " + key("l") + " " + word)
	case 2:
		n.run("LPOP " + key("l"))
	case 3:
		n.run("SADD " + key("s") + " " + word)
	case 4:
		n.run("SPOP " + key("s"))
	case 5:
		n.run(fmt.Sprintf("HSET %s %s %d", key("h"), word, rng.IntN(100)))
	case 6:
		n.run(fmt.Sprintf("ZADD %s %d %s", key("z"), rng.IntN(100), word))
	case 7:
		n.run("XADD " + key("x") + " * field " + word)
	case 8:
		n.run("DEL " + key("l") + " " + key("h") + " " + key("v"))
	case 9:
		n.run(fmt.Sprintf("INCRBYFLOAT %s 0.5", key("f")))
	case 10:
		n.run(fmt.Sprintf("SET %s %s PX 100000000", key("v"), word))
	default:
		n.run("SET " + key("v") + " " + word)
	}
}

// TestRandomLives lets two nodes lead in turn, fall behind, go back, copy, save and
// restart. In the end they are the same, and so is what a third one makes of it.
func TestRandomLives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		disks := []*vfs.Mem{vfs.NewMem(), vfs.NewMem()}
		nodes := make([]*node, 2)
		open := func(i int) { nodes[i] = restart(t, disks[i]) }
		open(0)
		open(1)
		defer func() { _, _ = nodes[0].close(), nodes[1].close() }()
		for epoch := uint64(2); epoch < 6; epoch++ {
			lead := rng.IntN(2)
			if epoch == 2 {
				lead = 0
			}
			a, b := nodes[lead], nodes[1-lead]
			if !a.k.journal.log.Load().Room() {
				t.Fatal("no room")
			}
			_, err := a.k.Lead(epoch)
			require.NoError(t, err)
			if b.k.journal.standby.Load() == nil || b.k.journal.standby.Load().ended() {
				b.follow(a)
			}
			b.join(a)
			for range rng.IntN(40) {
				a.write(rng)
				switch rng.IntN(12) {
				case 0:
					require.NoError(t, a.k.Save())
				case 1:
					require.NoError(t, b.k.Save())
				case 2, 3:
					b.join(a)
				case 4:
					require.NoError(t, b.close())
					open(1 - lead)
					b = nodes[1-lead]
					b.follow(a)
				}
			}
			if rng.IntN(2) == 0 {
				b.join(a)
				same(t, a, b)
			}
			if rng.IntN(3) == 0 { // it is killed, or the machine is
				disks[lead] = disks[lead].Crash(rng)
				_ = a.close()
				open(lead)
			}
		}
		a, b := nodes[0], nodes[1]
		_, err := a.k.Lead(100)
		require.NoError(t, err)
		if b.k.journal.standby.Load() == nil || b.k.journal.standby.Load().ended() {
			b.follow(a)
		}
		b.join(a)
		same(t, a, b)
		digest := b.digest()
		require.NoError(t, b.close())
		open(1)
		require.Equal(t, digest, nodes[1].digest())
		same(t, a, nodes[1])
	})
}

// join does what a follower's session does: it compares histories, goes on, goes
// back, or takes a full copy.
func (n *node) join(leader *node) {
	if s := n.k.journal.standby.Load(); n.s == nil || n.s != s || s.ended() {
		n.follow(leader)
	}
	leader.sync()
	at := aof.Diverge(leader.k.History(), n.s.History(), leader.end(), n.end())
	err := error(nil)
	switch {
	case n.k.Cluster() != leader.k.Cluster() || at < leader.k.OldestLSN():
		err = ErrCannotCut
	case at < n.end():
		err = n.s.CutBack(at)
	}
	if errors.Is(err, ErrCannotCut) {
		err = n.copyFrom(leader, 1000, 1<<30)
	}
	require.NoError(n.t, err)
	require.NoError(n.t, n.catchUp(leader, 700))
}

func TestCutBack(t *testing.T) {
	m := vfs.NewMem()
	a, b := newNode(t, vfs.NewMem()), newNode(t, m)
	_, err := a.k.Lead(5)
	require.NoError(t, err)
	b.follow(a)
	var lsns []uint64
	var digests []string
	for i := range 60 {
		lsns, digests = append(lsns, a.end()), append(digests, a.digest())
		a.run(fmt.Sprintf("RPUSH l%d %s", i%3, strings.Repeat("v", 100)))
		if i == 25 {
			require.NoError(t, b.catchUp(a, 1000))
			require.NoError(t, b.k.Save())
		}
	}
	require.NoError(t, b.catchUp(a, 1000))
	for _, i := range []int{59, 50, 31, 30, 27, 26} {
		require.ErrorIs(t, b.s.CutBack(lsns[i]+1), aof.ErrBoundary)
		require.NoError(t, b.s.CutBack(lsns[i]))
		received, applied, durable := b.s.Positions()
		require.Equal(t, []uint64{lsns[i], lsns[i], lsns[i]}, []uint64{received, applied, durable})
		require.Equal(t, digests[i], b.digest())
		require.NoError(t, b.s.CutBack(lsns[i]))
		require.ErrorIs(t, b.s.CutBack(lsns[i]+1), aof.ErrPosition)
	}
	require.ErrorIs(t, b.s.CutBack(lsns[5]), ErrCannotCut, "the snapshot is newer")
	require.NoError(t, b.catchUp(a, 1000))
	same(t, a, b)
	require.NoError(t, b.s.CutBack(lsns[40]))
	require.NoError(t, b.close())
	b = newNode(t, m.Crash(nil))
	require.Equal(t, digests[40], b.digest())
}

// TestCutBackOverASnapshot: one that was taken behind the position goes.
func TestCutBackOverASnapshot(t *testing.T) {
	a, b := newNode(t, vfs.NewMem()), newNode(t, vfs.NewMem(), func(o *Options) { o.SegmentBytes = 1 << 20 })
	_, err := a.k.Lead(5)
	require.NoError(t, err)
	b.follow(a)
	require.NoError(t, b.catchUp(a, 1000))
	lsn, digest := a.end(), a.digest()
	a.run("SET k v")
	require.NoError(t, b.catchUp(a, 1000))
	b.k.staging.Store(&Staging{}) // nothing is removed
	require.NoError(t, b.k.Save())
	b.k.staging.Store(nil)
	require.Len(t, named(t, b, "snapshot-"), 1)
	require.NoError(t, b.s.CutBack(lsn))
	require.Empty(t, named(t, b, "snapshot-"))
	require.Equal(t, digest, b.digest())
}

// TestASnapshotInTheMiddleOfASegment is what a standby takes.
func TestASnapshotInTheMiddleOfASegment(t *testing.T) {
	m := vfs.NewMem()
	big := func(o *Options) { o.SegmentBytes = 1 << 20 }
	a, b := newNode(t, vfs.NewMem(), big), newNode(t, m, big)
	_, err := a.k.Lead(5)
	require.NoError(t, err)
	b.follow(a)
	for i := range 10 {
		a.run(fmt.Sprintf("SET k%d v", i))
	}
	require.NoError(t, b.catchUp(a, 1000))
	require.NoError(t, b.k.Save())
	require.Len(t, named(t, b, "log-"), 1+1-1)
	a.run("SET more 1")
	require.NoError(t, b.catchUp(a, 1000))
	same(t, a, b)
	require.NoError(t, b.close())
	b = newNode(t, m.Crash(nil))
	same(t, a, b)
	b.follow(a)
	a.run("SET more 2")
	require.NoError(t, b.catchUp(a, 1000))
	same(t, a, b)
}

// TestASnapshotIsNotAheadOfItsLog: the log goes on in its segment after a crash, as
// the leader's does, also when nothing but the snapshot asked for it to be durable.
func TestASnapshotIsNotAheadOfItsLog(t *testing.T) {
	m := vfs.NewMem()
	lazy := func(o *Options) { o.SegmentBytes, o.Policy = 1<<20, aof.No }
	a, b := newNode(t, vfs.NewMem(), lazy), newNode(t, m, lazy)
	_, err := a.k.Lead(5)
	require.NoError(t, err)
	s := b.follow(a)
	for i := range 10 {
		a.run(fmt.Sprintf("SET k%d v", i))
	}
	a.sync()
	tail, err := a.k.Tail(0)
	require.NoError(t, err)
	defer tail.Close()
	for at := uint64(0); at < a.end(); {
		c, err := tail.Next(t.Context(), 100)
		require.NoError(t, err)
		if at = c.End; c.Segment != nil {
			require.NoError(t, s.Segment(c.Segment.First, c.Segment.Epoch))
		} else {
			require.NoError(t, s.Append(c.Frames))
		}
	}
	for _, applied, _ := s.Positions(); applied < a.end(); _, applied, _ = s.Positions() {
		moved := s.Moved()
		if _, now, _ := s.Positions(); now == applied {
			<-moved
		}
	}
	_, _, durable := s.Positions()
	require.Less(t, durable, a.end())
	require.NoError(t, b.k.Save())
	left := m.Crash(nil)
	_ = b.close() // its machine has crashed
	b = newNode(t, left)
	require.Zero(t, b.k.OldestLSN())
	same(t, a, b)
}

// TestWhatDoesNotFitIsRefused: nothing of it is taken, and the standby goes on.
func TestWhatDoesNotFitIsRefused(t *testing.T) {
	a, b := newNode(t, vfs.NewMem()), newNode(t, vfs.NewMem())
	_, err := a.k.Lead(5)
	require.NoError(t, err)
	b.follow(a)
	a.run("SET k v")
	a.sync()
	tail, err := a.k.Tail(0)
	require.NoError(t, err)
	defer tail.Close()
	c, err := tail.Next(t.Context(), 1000)
	for err == nil && c.Segment != nil {
		require.NoError(t, b.s.Segment(c.Segment.First, c.Segment.Epoch))
		c, err = tail.Next(t.Context(), 1000)
	}
	require.NoError(t, err)
	frames := append([]byte(nil), c.Frames...)
	var bad *aof.FramesError
	end := b.end()
	for i := range frames {
		frames[i] ^= 1
		require.ErrorAs(t, b.s.Append(frames), &bad, "byte %d", i)
		frames[i] ^= 1
		if i > 0 && i != 40 { // which is the first unit, whole
			before := b.end()
			require.ErrorAs(t, b.s.Append(frames[:i]), &bad, "cut at %d", i)
			require.Equal(t, before, b.end())
		}
	}
	require.Equal(t, end, b.end())
	require.ErrorIs(t, b.s.Segment(end+1, 5), aof.ErrPosition)
	require.NoError(t, b.s.Append(frames))
	require.ErrorAs(t, b.s.Append(frames), &bad, "twice")
	require.ErrorIs(t, b.s.Segment(b.end(), 4), aof.ErrEpoch)
	require.NoError(t, b.catchUp(a, 1000))
	same(t, a, b)
}

// TestACallThatWritesAtAStandby must not happen; the data is not served as the
// leader's then, nor saved.
func TestACallThatWritesAtAStandby(t *testing.T) {
	a, b := newNode(t, vfs.NewMem()), newNode(t, vfs.NewMem())
	_, err := a.k.Lead(5)
	require.NoError(t, err)
	b.follow(a)
	a.run("SET k v")
	require.NoError(t, b.catchUp(a, 1000))
	end := b.end()
	b.run("SET k other")
	require.Equal(t, end, b.end())
	var failed *ApplyError
	require.ErrorAs(t, b.s.Err(), &failed)
	require.ErrorIs(t, failed, errLocalWrite)
	require.ErrorAs(t, b.s.Append(nil), &failed)
	require.Error(t, b.k.Save())
	_, err = b.k.Lead(6)
	require.Error(t, err)
	require.NoError(t, b.copyFrom(a, 1000, 1<<30), "a full copy helps")
	same(t, a, b)
	a.run("SET k more")
	require.NoError(t, b.catchUp(a, 1000))
	same(t, a, b)
}

// TestUnitsAreSeenWhole: readers at the standby see what a call did, or nothing of it.
func TestUnitsAreSeenWhole(t *testing.T) {
	a, b := newNode(t, vfs.NewMem()), newNode(t, vfs.NewMem())
	_, err := a.k.Lead(5)
	require.NoError(t, err)
	for i := range 300 {
		a.run(fmt.Sprintf("MSET x %d y %d z %d", i, i, i))
	}
	b.follow(a)
	stop, seen := make(chan struct{}), make(chan error, 1)
	go func() {
		in := b.k.router.NewInternal()
		defer in.Close()
		for {
			select {
			case <-stop:
				seen <- nil
				return
			default:
			}
			got, err := in.Do(0, []byte("MGET"), []byte("x"), []byte("y"), []byte("z"))
			parts := strings.Split(string(got), "\r\n")
			if err == nil && len(parts) == 8 && (parts[2] != parts[4] || parts[4] != parts[6]) {
				err = fmt.Errorf("%q", got)
			}
			if err != nil {
				seen <- err
				return
			}
		}
	}()
	require.NoError(t, b.catchUp(a, 200))
	close(stop)
	require.NoError(t, <-seen)
	same(t, a, b)
}

// TestACrashOfAStandby lets each disk operation of a standby be the last, with saves
// and new segments in between. What it had told as durable is there afterwards, and
// it goes on to be what the leader is.
func TestACrashOfAStandby(t *testing.T) {
	a := newNode(t, vfs.NewMem(), func(o *Options) { o.SegmentBytes = 600 })
	_, err := a.k.Lead(5)
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(5, 6))
	for range 40 {
		a.write(rng)
	}
	a.sync()
	for _, crash := range []bool{true, false} {
		hits := 0
		for at, hit := 0, true; hit; at++ {
			m := vfs.NewMem()
			b := newNode(t, m)
			require.NoError(t, b.k.Adopt(a.k.Cluster()))
			require.NoError(t, b.close())
			left := m
			f := vfs.NewFaulty(m)
			b = newNode(t, f)
			b.follow(a)
			rule := vfs.Rule{Ops: vfs.OpChange, Skip: at, Times: 1, Err: syscall.EIO}
			if crash {
				rule = vfs.Rule{Ops: vfs.OpChange, Skip: at, Times: 1, Before: func(vfs.Call) { left = m.Crash(rng) }}
			}
			before := f.Count(vfs.OpChange)
			f.Add(rule)
			told := b.live(a)
			hit = f.Count(vfs.OpChange) > before+at
			if hit {
				hits++
			}
			_ = b.close()
			if left == m {
				left = m.Crash(nil)
			}
			b = restart(t, left)
			require.GreaterOrEqual(t, b.end(), told, "operation %d", at)
			b.join(a)
			same(t, a, b)
			require.NoError(t, b.close())
		}
		require.Greater(t, hits, 20)
	}
}

// live follows a leader in small steps until something fails, and returns up to
// where it was told that the log is durable.
func (n *node) live(leader *node) (durable uint64) {
	t, err := leader.k.Tail(n.end())
	require.NoError(n.t, err)
	defer t.Close()
	for step := 0; n.end() < leader.end(); step++ {
		c, err := t.Next(n.k.ctx, 200)
		require.NoError(n.t, err)
		if c.Segment != nil {
			err = n.s.Segment(c.Segment.First, c.Segment.Epoch)
		} else {
			err = n.s.Append(c.Frames)
		}
		if err == nil && step%3 == 0 {
			err = n.settle(c.End)
		}
		if err == nil && step%10 == 9 {
			err = n.k.Save()
		}
		if _, _, d := n.s.Positions(); d > durable {
			durable = d
		}
		if err != nil {
			return durable
		}
	}
	return durable
}

// TestForcedAlways: appendfsync does not weaken it while it is on. Under No nothing
// is made durable that nobody asks for.
func TestForcedAlways(t *testing.T) {
	a := newNode(t, vfs.NewMem(), func(o *Options) { o.Policy = aof.No })
	require.NoError(t, a.k.SetForceAlways(true))
	require.NoError(t, a.k.SetPolicy(aof.No))
	a.run("INCR n")
	end := a.end()
	require.Eventually(t, func() bool { return a.k.journal.Durable() >= end }, time.Minute, time.Millisecond)
	require.NoError(t, a.k.SetPolicy(aof.EverySec))
	require.Equal(t, aof.Always, a.k.effective())
	require.NoError(t, a.k.SetForceAlways(false))
	require.Equal(t, aof.EverySec, a.k.effective())
}
