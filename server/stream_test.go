package server

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/transcript"
)

// idsOf are the IDs in a reply of XREAD or XREADGROUP about one stream.
func idsOf(v transcript.Value) (ids []string) {
	if len(v.Elems) == 0 {
		return nil
	}
	for _, e := range v.Elems[0].Elems[1].Elems {
		ids = append(ids, e.Elems[0].Str)
	}
	return ids
}

// Consumers of one group that wait, leave and come again are given every entry
// once; readers without a group see all of them in order.
func TestStreamReadersMissNothing(t *testing.T) {
	for _, args := range [][]string{nil, collisions, {"--rmw-always-queue", "yes"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			s := open(t, Options{}, args...)
			setup := dial(t, s)
			do(t, setup, "XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
			do(t, setup, "XGROUP", "CREATE", "other", "g", "0", "MKSTREAM")
			const producers, each = 3, 200
			var given atomic.Int64
			var mu sync.Mutex
			got := map[string]string{}
			var wg, readers sync.WaitGroup
			done := make(chan struct{})
			for id := range 6 {
				name := fmt.Sprint("c", id)
				readers.Go(func() {
					consume(t, s, name, done, id%3 == 0, func(id string) {
						mu.Lock()
						defer mu.Unlock()
						if got[id] != "" {
							t.Errorf("%s was given to %s and to %s", id, got[id], name)
						}
						got[id] = name
						given.Add(1)
					})
				})
			}
			for range 3 {
				c := dial(t, s)
				wg.Go(func() {
					last, n := "0", 0
					for n < producers*each {
						v, err := c.Do("XREAD", "BLOCK", "0", "STREAMS", "s", last)
						if err != nil {
							t.Error(err)
							return
						}
						for _, id := range idsOf(v) {
							last = id
							n++
						}
					}
					if n != producers*each {
						t.Error("a reader has seen", n)
					}
				})
			}
			for range producers {
				c := dial(t, s)
				wg.Go(func() {
					for range each {
						do(t, c, "XADD", "s", "*", "f", "v")
					}
				})
			}
			wg.Wait()
			pending := func() int64 {
				v, err := setup.Do("XPENDING", "s", "g")
				require.NoError(t, err)
				var n int64
				_, err = fmt.Sscan(v.Elems[0].Str, &n)
				require.NoError(t, err)
				return n
			}
			require.Eventually(t, func() bool { return pending() == producers*each }, 20*time.Second, time.Millisecond,
				"an entry lies there beside those who wait")
			close(done)
			do(t, setup, "DEL", "s")
			readers.Wait()
			require.LessOrEqual(t, given.Load(), int64(producers*each))
			t.Logf("%d entries were on their way when their consumer left", producers*each-given.Load())
			atRest(t, s)
		})
	}
}

// consume reads for a consumer until done; one that is restless hangs up while
// it waits.
func consume(t *testing.T, s *Server, name string, done chan struct{}, restless bool, got func(id string)) {
	for {
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Error(err)
			return
		}
		c := transcript.NewClient(conn, time.Minute)
		for range 20 {
			if restless {
				time.AfterFunc(time.Millisecond, func() { _ = conn.Close() })
			}
			v, err := c.Do("XREADGROUP", "GROUP", "g", name, "COUNT", "2", "BLOCK", "0", "STREAMS", "s", "other", ">", ">")
			select {
			case <-done:
				_ = conn.Close()
				return
			default:
			}
			if err != nil {
				break
			}
			if v.IsError() {
				t.Error(v)
				return
			}
			for _, id := range idsOf(v) {
				got(id)
			}
		}
		_ = conn.Close()
	}
}

// A crowd that waits at a stream is left alone by what does not concern it, and
// an entry wakes only those who may get it.
func TestStreamCrowdsAreNotWokenInVain(t *testing.T) {
	s := open(t, Options{})
	setup := dial(t, s)
	do(t, setup, "XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
	const crowd = 30
	served := make(chan string, 2*crowd)
	for i := range crowd {
		consumer, reader := dial(t, s), dial(t, s)
		go func() {
			v, _ := consumer.Do("XREADGROUP", "GROUP", "g", fmt.Sprint("c", i), "COUNT", "1", "BLOCK", "0", "STREAMS", "s", ">")
			served <- v.String()
		}()
		go func() { _, _ = reader.Do("XREAD", "BLOCK", "0", "STREAMS", "s", "100") }()
	}
	require.Eventually(t, func() bool { return s.router.Blocked() == 2*crowd }, 20*time.Second, time.Millisecond)
	readied := func() uint64 { return s.runner.Total().Readied }
	do(t, setup, "XGROUP", "CREATE", "s", "h", "0")
	do(t, setup, "XGROUP", "CREATECONSUMER", "s", "g", "x")
	do(t, setup, "XSETID", "s", "1")
	require.Zero(t, readied(), "nothing was added")
	do(t, setup, "XADD", "s", "1-1", "f", "v")
	require.Contains(t, <-served, "1-1")
	do(t, setup, "XACK", "s", "g", "1-1")
	do(t, setup, "XREADGROUP", "GROUP", "h", "x", "STREAMS", "s", ">")
	require.EqualValues(t, 1, readied(), "one consumer was served, no reader has waited for that")
	require.EqualValues(t, 2*crowd-1, s.router.Blocked())
	do(t, setup, "XGROUP", "DESTROY", "s", "g")
	for range crowd - 1 {
		require.Contains(t, <-served, "NOGROUP")
	}
	require.Eventually(t, func() bool { return s.router.Blocked() == crowd }, 20*time.Second, time.Millisecond)
	do(t, setup, "XADD", "s", "101", "f", "v")
	atRest(t, s)
}
