package server

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// Who evicts holds nothing that somebody who closes the gate waits for, and a
// client for whom room was made is served though others were quicker.
func TestEvictionAndClosersLetEachOtherPass(t *testing.T) {
	s := open(t, Options{}, "--maxmemory", "1mb", "--maxmemory-policy", "allkeys-lru")
	value := strings.Repeat("x", 300)
	var refused, done atomic.Int64
	var writers sync.WaitGroup
	for w := range 4 {
		c := dial(t, s)
		writers.Go(func() {
			for i := range 400 {
				const pipeline = 16
				for j := range pipeline {
					if err := c.Send("SET", fmt.Sprint("k", (w*7919+i*pipeline+j)%20000), value); err != nil {
						t.Error(err)
						return
					}
				}
				for range pipeline {
					v, err := c.Receive(false)
					if err != nil {
						t.Error(err)
						return
					}
					if v.IsError() {
						refused.Add(1)
					}
				}
			}
			done.Add(1)
		})
	}
	closer := dial(t, s)
	for swaps := 0; done.Load() < 4 && !t.Failed(); swaps++ {
		require.Equal(t, "OK", do(t, closer, "SWAPDB", "14", "15"))
	}
	writers.Wait()
	require.Zero(t, refused.Load())
	require.Positive(t, s.router.Counters().Evicted.Load())
}
