package pubsub

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/internal/glob"
)

// An inbox keeps what it is given, as text.
type inbox struct {
	mu   sync.Mutex
	msgs []string
}

func (b *inbox) Deliver(m *Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.msgs = append(b.msgs, fmt.Sprintf("%d %s %s %s", m.Kind, m.Pattern, m.Channel, m.Payload))
}

func (b *inbox) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.msgs
	b.msgs = nil
	return out
}

// Whatever is subscribed and unsubscribed in whatever order, a message reaches
// just those who listen, channels before patterns, and the counts agree.
func TestHubAgreesWithItsModel(t *testing.T) {
	names := []string{"a", "b", "ab", "news.1", ""}
	globs := []string{"*", "a*", "news.?", "[ab]", "b", ""}
	rapid.Check(t, func(t *rapid.T) {
		h := NewHub()
		const clients = 4
		var boxes [clients]inbox
		var ends [clients]*Client
		var model [clients][kinds]map[string]bool
		for i := range ends {
			ends[i] = h.NewClient(&boxes[i])
			for k := range kinds {
				model[i][k] = map[string]bool{}
			}
		}
		name := func(k Kind) string {
			if k == Pattern {
				return rapid.SampledFrom(globs).Draw(t, "pattern")
			}
			return rapid.SampledFrom(names).Draw(t, "channel")
		}
		pick := func() (int, Kind) {
			return rapid.IntRange(0, clients-1).Draw(t, "client"), Kind(rapid.IntRange(0, int(kinds)-1).Draw(t, "kind"))
		}
		t.Repeat(map[string]func(*rapid.T){
			"subscribe": func(t *rapid.T) {
				i, k := pick()
				n := name(k)
				require.Equal(t, !model[i][k][n], ends[i].Subscribe(k, []byte(n)))
				model[i][k][n] = true
			},
			"unsubscribe": func(t *rapid.T) {
				i, k := pick()
				n := name(k)
				require.Equal(t, model[i][k][n], ends[i].Unsubscribe(k, []byte(n)))
				delete(model[i][k], n)
			},
			"leave": func(t *rapid.T) {
				i, _ := pick()
				ends[i].Close()
				for k := range kinds {
					model[i][k] = map[string]bool{}
				}
			},
			"publish": func(t *rapid.T) {
				n, shard := name(Channel), rapid.Bool().Draw(t, "shard")
				got, sum := 0, 0
				if shard {
					got = h.PublishShard([]byte(n), []byte("hi"))
				} else {
					got = h.Publish([]byte(n), []byte("hi"))
				}
				for i := range ends {
					var want []string
					switch {
					case shard && model[i][Shard][n]:
						want = append(want, fmt.Sprintf("%d  %s hi", Shard, n))
					case !shard && model[i][Channel][n]:
						want = append(want, fmt.Sprintf("%d  %s hi", Channel, n))
					}
					for p := range model[i][Pattern] {
						if !shard && glob.MatchString(p, n) {
							want = append(want, fmt.Sprintf("%d %s %s hi", Pattern, p, n))
						}
					}
					msgs := boxes[i].take()
					require.True(t, slices.IsSortedFunc(msgs, func(a, b string) int { return int(a[0]) - int(b[0]) }), "channels before patterns")
					require.ElementsMatch(t, want, msgs)
					sum += len(want)
				}
				require.Equal(t, sum, got)
			},
			"": func(t *rapid.T) {
				for k := range kinds {
					by := map[string]int{}
					for i := range ends {
						require.Equal(t, len(model[i][k]), ends[i].Count(k))
						for n := range model[i][k] {
							by[n]++
						}
						require.Len(t, ends[i].Names(k), len(model[i][k]))
					}
					require.Equal(t, len(by), h.Len(k))
					h.Names(k, func(n string) { require.Equal(t, by[n], h.Subscribers(k, []byte(n))) })
				}
				require.Equal(t, h.Len(Channel)+h.Len(Pattern) == 0, h.Idle())
			},
		})
	})
}

// Each publisher's messages come in order and once, to everyone who listens all
// the time, while others come and go and leave nothing behind.
func TestPublishersKeepTheirOrder(t *testing.T) {
	h := NewHub()
	var steady [3]inbox
	for i := range steady {
		c := h.NewClient(&steady[i])
		c.Subscribe(Channel, []byte("c"))
		c.Subscribe(Pattern, []byte("c*"))
		defer c.Close()
	}
	var wg sync.WaitGroup
	const messages = 2000
	for p := range 3 {
		wg.Go(func() {
			for i := range messages {
				h.Publish([]byte("c"), fmt.Appendf(nil, "%d:%05d", p, i))
			}
		})
	}
	for range 4 {
		wg.Go(func() {
			for range 500 {
				c := h.NewClient(new(inbox))
				c.Subscribe(Channel, []byte("c"))
				c.Subscribe(Pattern, []byte("?"))
				c.Subscribe(Pattern, []byte("c*"))
				c.Unsubscribe(Channel, []byte("c"))
				c.Close()
			}
		})
	}
	wg.Wait()
	for i := range steady {
		last := map[string]string{}
		n := 0
		for _, m := range steady[i].take() {
			from, seq := m[:len(m)-6], m[len(m)-5:]
			require.Less(t, last[from], seq)
			last[from] = seq
			n++
		}
		require.Equal(t, 2*3*messages, n)
	}
	require.Equal(t, 1, h.Len(Pattern))
	require.Len(t, *h.patterns.Load(), 1)
	require.EqualValues(t, 3, h.Subscribers(Channel, []byte("c")))
}

// A topic that thousands have left holds no trace of them.
func TestThoseWhoLeftAreForgotten(t *testing.T) {
	h := NewHub()
	stays := h.NewClient(new(inbox))
	stays.Subscribe(Channel, []byte("c"))
	var all []*Client
	for range 5000 {
		c := h.NewClient(new(inbox))
		c.Subscribe(Channel, []byte("c"))
		all = append(all, c)
	}
	require.Equal(t, 5001, h.Publish([]byte("c"), nil))
	for _, c := range all {
		c.Close()
	}
	tp, _ := h.topics[Channel].Load("c")
	require.LessOrEqual(t, len(*tp.subs.Load()), 2)
	require.Equal(t, 1, h.Publish([]byte("c"), nil))
}

func BenchmarkPublishToNobody(b *testing.B) {
	h := NewHub()
	channel, payload := []byte("__keyspace@0__:key"), []byte("set")
	b.ReportAllocs()
	for b.Loop() {
		h.Publish(channel, payload)
	}
}
