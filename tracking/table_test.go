package tracking

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func (t *Table) remember(c *Client, key string) { t.Remember(c, []byte(key)) }

func (t *Table) forget(key string) (ids []uint64) {
	if r := t.Forget([]byte(key)); r != nil {
		r.Each(func(c *Client) { ids = append(ids, c.ID) })
	}
	slices.Sort(ids)
	return ids
}

// Who has read a key since it last changed, and whose tracking is on, is named when
// it changes; who listens to a prefix is named for every key with it.
func TestTableAgreesWithItsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := New()
		const n = 40 // some keys get so many readers that they are kept in a set
		var clients []*Client
		for i := range n {
			clients = append(clients, table.NewClient(uint64(i+1)))
		}
		readers := map[string]map[uint64]bool{}
		groups := map[string]map[uint64]bool{}
		key := func(t *rapid.T) string {
			return rapid.SampledFrom([]string{"", "a", "ab", "abc", "b", "ba"}).Draw(t, "key")
		}
		client := func(t *rapid.T) *Client { return clients[rapid.IntRange(0, n-1).Draw(t, "client")] }
		stop := func(c *Client) {
			c.Stop()
			for _, by := range []map[string]map[uint64]bool{readers, groups} {
				for k := range by {
					if delete(by[k], c.ID); len(by[k]) == 0 {
						delete(by, k)
					}
				}
			}
		}
		add := func(by map[string]map[uint64]bool, k string, c *Client) {
			if by[k] == nil {
				by[k] = map[uint64]bool{}
			}
			by[k][c.ID] = true
		}
		t.Repeat(map[string]func(*rapid.T){
			"start": func(t *rapid.T) { client(t).Start(Options{}, nil) },
			"broadcast": func(t *rapid.T) {
				c, p := client(t), key(t)
				stop(c)
				c.Start(Options{Broadcast: true}, []string{p})
				add(groups, p, c)
			},
			"stop": func(t *rapid.T) { stop(client(t)) },
			"read": func(t *rapid.T) {
				k := key(t)
				for i, from := 0, rapid.IntRange(0, n-1).Draw(t, "from"); i < rapid.IntRange(1, n).Draw(t, "readers"); i++ {
					if c := clients[(from+i)%n]; c.on() && !c.Options().Broadcast {
						table.remember(c, k)
						add(readers, k, c)
					}
				}
			},
			"change": func(t *rapid.T) {
				k := key(t)
				want := []uint64{}
				for id := range readers[k] {
					want = append(want, id)
				}
				for _, id := range table.forget(k) {
					// Who has stopped and started again may still hear of what it
					// has read before.
					if i := slices.Index(want, id); i >= 0 {
						want = slices.Delete(want, i, i+1)
					} else {
						require.True(t, clients[id-1].on())
					}
				}
				require.Empty(t, want, "these were not told")
				delete(readers, k)
			},
			"": func(t *rapid.T) {
				for _, k := range []string{"", "a", "abcd", "ba", "x"} {
					got := map[string][]uint64{}
					table.Listeners([]byte(k), func(g *Group) {
						for _, c := range g.Clients {
							got[g.Prefix] = append(got[g.Prefix], c.ID)
						}
						slices.Sort(got[g.Prefix])
					})
					want := map[string][]uint64{}
					for p, ids := range groups {
						for id := range ids {
							if strings.HasPrefix(k, p) {
								want[p] = append(want[p], id)
							}
						}
						slices.Sort(want[p])
					}
					for p := range want {
						if len(want[p]) == 0 {
							delete(want, p)
						}
					}
					require.Equal(t, want, got)
				}
				on := 0
				for _, c := range clients {
					if c.on() {
						on++
					}
				}
				require.EqualValues(t, on, table.Clients())
				require.Equal(t, len(groups), table.Prefixes())
				keys, items := 0, 0
				for i := range table.stripe {
					for _, r := range table.stripe[i].by {
						keys, items = keys+1, items+r.len()
					}
				}
				require.EqualValues(t, keys, table.Keys())
				require.EqualValues(t, items, table.Items())
				require.GreaterOrEqual(t, keys, len(readers))
			},
		})
	})
}

// Those who come, read a key that never changes, and go, are not kept.
func TestHotKeysDoNotCollectReaders(t *testing.T) {
	table := New()
	stays := table.NewClient(1)
	stays.Start(Options{}, nil)
	table.remember(stays, "hot")
	for i := range 10000 {
		c := table.NewClient(uint64(i + 2))
		c.Start(Options{}, nil)
		table.remember(c, "hot")
		c.Stop()
	}
	require.Less(t, table.Items(), int64(200))
	require.Equal(t, []uint64{1}, table.forget("hot"))
	stays.Stop()
	require.Zero(t, table.Keys())
	require.Zero(t, table.Items())
}

// The table is held to its limit, and who has read what is thrown out hears of it.
func TestTrim(t *testing.T) {
	table := New()
	c := table.NewClient(1)
	c.Start(Options{}, nil)
	for i := range 1000 {
		table.remember(c, fmt.Sprint(i))
	}
	told := map[string]bool{}
	tell := func(key string, c *Client) { told[key] = true }
	table.Trim(400, 100, tell)
	require.EqualValues(t, 900, table.Keys(), "no more than it was told to")
	for table.Keys() > 400 {
		table.Trim(400, 1000, tell)
	}
	require.EqualValues(t, 400, table.Keys())
	require.Len(t, told, 600)
	for i := range 1000 {
		require.Equal(t, !told[fmt.Sprint(i)], len(table.forget(fmt.Sprint(i))) == 1)
	}
}

// A reader that remembers before it looks, and a writer that forgets after it has
// changed the value: what the reader has seen last and was not told of is true.
func TestNoChangeIsMissed(t *testing.T) {
	table := New()
	const keys = 4
	var value [keys]atomic.Int64
	var stale [keys]atomic.Bool // told since the last look
	c := table.NewClient(1)
	c.Start(Options{}, nil)
	var writers, others sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		writers.Go(func() {
			for i := range 20000 {
				k := i % keys
				value[k].Add(1)
				if r := table.Forget(fmt.Append(nil, k)); r != nil {
					r.Each(func(*Client) { stale[k].Store(true) })
				}
			}
		})
	}
	others.Go(func() { // the last one on would empty the table
		for {
			select {
			case <-done:
				return
			default:
				o := table.NewClient(2)
				o.Start(Options{}, nil)
				table.remember(o, "0")
				o.Stop()
			}
		}
	})
	var seen [keys]int64
	look := func(k int) {
		stale[k].Store(false)
		table.remember(c, fmt.Sprint(k))
		seen[k] = value[k].Load()
	}
	for k := range keys {
		look(k)
	}
	for i := range 50000 {
		if k := i % keys; stale[k].Load() {
			look(k)
		}
	}
	writers.Wait()
	close(done)
	others.Wait()
	for k := range keys {
		if !stale[k].Load() {
			require.Equal(t, value[k].Load(), seen[k], "a change that the reader has not been told of")
		}
	}
}

func BenchmarkRemember(b *testing.B) {
	table := New()
	c := table.NewClient(1)
	c.Start(Options{}, nil)
	key := []byte("user:1234:name")
	b.ReportAllocs()
	for b.Loop() {
		table.Remember(c, key)
	}
}
