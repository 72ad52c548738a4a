package rdb_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/rdb"
	"github.com/ferricd/ferricd/store"
)

// What an Encoder is told, Restore tells.
func TestRestoreTellsWhatWasEncoded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		times := rapid.Bool().Draw(rt, "times")
		tell := values(rt, times)
		var want, got tape
		tell(&want)
		e := rdb.NewEncoder(rdb.MaxVersion)
		tell(e)
		payload, err := e.Payload()
		require.NoError(rt, err)
		require.NoError(rt, rdb.Restore(payload, &got))
		require.Equal(rt, want, got)
	})
}

// A file of any keys is read as it was written, in whatever pieces it comes.
func TestFilesAreReadAsTheyWereWritten(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var file bytes.Buffer
		w := rdb.NewWriter(&file, rdb.TimesVersion)
		w.Aux("redis-ver", "7.0.15")
		var want, got []string
		for i := range rapid.IntRange(0, 4).Draw(rt, "keys") {
			k := rdb.Key{
				DB: rapid.IntRange(0, 2).Draw(rt, "db"), Name: fmt.Append(nil, "k", i),
				ExpireAt: rapid.SampledFrom([]int64{0, 1, 1 << 40}).Draw(rt, "at"),
				Idle:     rapid.SampledFrom([]int64{-1, 0, 1 << 20}).Draw(rt, "idle"),
				Freq:     rapid.SampledFrom([]int{-1, 0, 255}).Draw(rt, "freq"),
			}
			if i == 1 {
				w.Select(k.DB, 3, 4)
			}
			tell := values(rt, rapid.Bool().Draw(rt, "times"))
			tell(w.Key(k))
			want = append(want, fmt.Sprint(k))
			tell((*tape)(&want))
		}
		require.NoError(rt, w.Close())

		from := io.Reader(bytes.NewReader(append(file.Bytes(), "rest"...)))
		if rapid.Bool().Draw(rt, "in halves") {
			from = iotest.HalfReader(from)
		}
		r := rdb.NewReader(from)
		for {
			k, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(rt, err)
			got = append(got, fmt.Sprint(k))
			require.NoError(rt, r.Value((*tape)(&got)))
		}
		require.Equal(rt, want, got)
		require.Equal(rt, "7.0.15", r.Aux("redis-ver"))
		require.Equal(rt, rdb.TimesVersion, r.Version())
		require.Equal(rt, int64(file.Len()), r.Offset())
		rest, err := io.ReadAll(r.Rest())
		require.NoError(rt, err)
		require.Equal(rt, "rest", string(rest))
	})
}

func payloadOf(t testing.TB, version int, tell told) []byte {
	e := rdb.NewEncoder(version)
	tell(e)
	p, err := e.Payload()
	require.NoError(t, err)
	return p
}

// Every bit of a payload counts, and every byte is needed.
func TestBrokenPayloadsAreRefused(t *testing.T) {
	p := payloadOf(t, rdb.Version, func(c store.Contents) {
		c.List(2)
		c.Element([]byte("element"))
		c.Element([]byte("12"))
	})
	require.NoError(t, rdb.Restore(p, new(tape)))
	for i := range p {
		for bit := range 8 {
			broken := bytes.Clone(p)
			broken[i] ^= 1 << bit
			require.ErrorIs(t, rdb.Restore(broken, new(tape)), rdb.ErrSum, "byte %d, bit %d", i, bit)
		}
		require.ErrorIs(t, rdb.Restore(p[:i], new(tape)), rdb.ErrSum, "cut at %d", i)
	}
	value := p[:len(p)-10]
	for i := range value {
		require.ErrorIs(t, rdb.Decode(value[:i], new(tape)), rdb.ErrFormat, "cut at %d", i)
	}
	require.ErrorIs(t, rdb.Decode(append(bytes.Clone(value), 0), new(tape)), rdb.ErrFormat)
}

// A payload has the version that is needed to read it, and no more.
func TestPayloadVersions(t *testing.T) {
	version := func(p []byte) int { return int(p[len(p)-10]) }
	hash := func(times bool) told {
		return func(c store.Contents) {
			c.Hash(1, times)
			c.Field([]byte("f"), []byte("v"), 0)
		}
	}
	require.Equal(t, 10, version(payloadOf(t, rdb.MaxVersion, hash(false))))
	require.Equal(t, 12, version(payloadOf(t, rdb.MaxVersion, hash(true))))
	e := rdb.NewEncoder(rdb.Version)
	hash(true)(e)
	_, err := e.Payload()
	require.ErrorIs(t, err, rdb.ErrTimes)
	e.Reset()
	hash(false)(e)
	_, err = e.Payload()
	require.NoError(t, err, "an encoder is used again")
}

// What is to be streamed must be counted before.
func TestUncountedContentsAreRefused(t *testing.T) {
	for i, tell := range []told{
		func(c store.Contents) { c.List(-1) },
		func(c store.Contents) { c.Hash(-1, false) },
		func(c store.Contents) { c.Hash(-1, true) },
		func(c store.Contents) { c.Stream(-1) },
		func(c store.Contents) { c.Stream(1); c.State(store.StreamState{}) },
		func(c store.Contents) { c.Stream(0); c.Entry(store.StreamID{Ms: 1}, [][]byte{nil, nil}) },
		func(c store.Contents) { c.Stream(0); c.State(store.StreamState{Groups: -1}) },
		func(c store.Contents) {
			c.Stream(0)
			c.State(store.StreamState{Groups: 1})
			c.Group(store.GroupHead{Consumers: -1})
		},
	} {
		e := rdb.NewEncoder(rdb.MaxVersion)
		tell(e)
		_, err := e.Bytes()
		require.ErrorIs(t, err, rdb.ErrCount, "case %d", i)
	}
}

// A big value goes through reader and writer with little memory.
func TestBigValuesStream(t *testing.T) {
	const n = 200000
	in, out := io.Pipe()
	var wrote, read pieces
	go func() {
		w := rdb.NewWriter(io.MultiWriter(&wrote, out), rdb.Version)
		c := w.Key(rdb.Key{Name: []byte("k"), Idle: -1, Freq: -1})
		c.Set(n)
		for i := range n {
			c.Member(fmt.Appendf(nil, "member %d", i))
		}
		_ = out.CloseWithError(w.Close())
	}()
	r := rdb.NewReader(io.TeeReader(in, &read))
	_, err := r.Next()
	require.NoError(t, err)
	c := &counter{}
	require.NoError(t, r.Value(c))
	require.Equal(t, n, c.n)
	_, err = r.Next()
	require.ErrorIs(t, err, io.EOF)
	require.Less(t, wrote.most, 128<<10)
	require.Less(t, read.most, 128<<10)
}

// pieces notes the size of the largest one.
type pieces struct{ most int }

func (p *pieces) Write(b []byte) (int, error) {
	p.most = max(p.most, len(b))
	return len(b), nil
}

// A counter counts members.
type counter struct {
	tape
	n int
}

func (c *counter) Member([]byte) { c.n++ }

// A failing writer is noticed, at the end at the latest.
func TestWriterKeepsItsError(t *testing.T) {
	no := errors.New("no room")
	w := rdb.NewWriter(failing{no}, rdb.Version)
	c := w.Key(rdb.Key{Name: []byte("k")})
	c.String(make([]byte, 1<<20))
	require.ErrorIs(t, w.Err(), no)
	require.ErrorIs(t, w.Close(), no)
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
