package glob

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/internal/transcript"
)

// TestMatchAgreesWithRedis sets a few keys and compares what KEYS finds.
func TestMatchAgreesWithRedis(t *testing.T) {
	c := client(t, transcript.StartRedis(t))
	fragments := []string{"a", "b", "Z", "-", "]", "[", "[^", "[a-", "[^a-", "[\xc3", "[b", "a-", "-a", "-\xc3", "*", "?", `\`}
	patterns := rapid.SliceOfN(rapid.SampledFrom(fragments), 2, 6)
	keys := rapid.SliceOfN(rapid.SliceOfN(rapid.SampledFrom([]byte("abZ]-\\^\xc3\xa9")), 0, 3), 8, 30)
	rapid.Check(t, func(rt *rapid.T) {
		must(t, c, "FLUSHALL")
		set := map[string]bool{}
		for _, k := range keys.Draw(rt, "keys") {
			set[string(k)] = true
			must(t, c, "SET", string(k), "")
		}
		for range 20 {
			p := strings.Join(patterns.Draw(rt, "pattern"), "")
			if p == "*" {
				continue // the whole keyspace, without matching
			}
			var want, got []string
			for _, e := range must(t, c, "KEYS", p).Elems {
				want = append(want, e.Str)
			}
			for k := range set {
				if MatchString(p, k) {
					got = append(got, k)
				}
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(want, got) {
				rt.Fatalf("KEYS %q of %v: Redis finds %q, we %q", p, set, want, got)
			}
		}
	})
}

// TestMatchFoldAgreesWithRedis compares what CONFIG GET finds.
func TestMatchFoldAgreesWithRedis(t *testing.T) {
	c := client(t, transcript.StartRedis(t))
	var names []string
	for i, e := range must(t, c, "CONFIG", "GET", "*").Elems {
		if i%2 == 0 {
			names = append(names, e.Str)
		}
	}
	require.NotEmpty(t, names)
	// A pattern without special bytes takes another way through CONFIG GET.
	for _, p := range []string{"MAX*", "[M-P]*t", "[P-m]*", "[^A-Y]*", "*[!-S]", `[\P]ort*`, `\Port*`, "?oR*", "*-*-*-*E*", "[k-P]ort*"} {
		want := map[string]bool{}
		for i, e := range must(t, c, "CONFIG", "GET", p).Elems {
			if i%2 == 0 {
				want[e.Str] = true
			}
		}
		for _, name := range names {
			require.Equal(t, want[name], MatchStringFold(p, name), "%s against %s", p, name)
		}
	}
}

func client(t *testing.T, addr string) *transcript.Client {
	t.Helper()
	conn, err := transcript.TCP(addr)()
	require.NoError(t, err)
	c := transcript.NewClient(conn, 10*time.Second)
	t.Cleanup(func() { c.Close() })
	return c
}

func must(t *testing.T, c *transcript.Client, args ...string) transcript.Value {
	t.Helper()
	v, err := c.Do(args...)
	require.NoError(t, err)
	require.False(t, v.IsError(), "%q: %s", args, v)
	return v
}
