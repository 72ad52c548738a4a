package hll

import (
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/internal/transcript"
)

func client(t *testing.T) *transcript.Client {
	conn, err := net.Dial("tcp", transcript.StartRedis(t))
	require.NoError(t, err)
	c := transcript.NewClient(conn, 10*time.Second)
	t.Cleanup(func() { c.Close() })
	return c
}

func do(t require.TestingT, c *transcript.Client, args ...string) transcript.Value {
	v, err := c.Do(args...)
	require.NoError(t, err)
	return v
}

// The same additions and merges make the same bytes, down to the remembered
// count.
func TestBytesAreThoseOfRedis(t *testing.T) {
	c := client(t)
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.SampledFrom([]int{0, 30, 100, 1000, 3000, 13000}).Draw(t, "max sparse")
		do(t, c, "CONFIG", "SET", "hll-sparse-max-bytes", strconv.Itoa(limit))
		do(t, c, "FLUSHALL")
		ours := map[string][]byte{}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			key := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key")
			b := ours[key]
			if b == nil {
				b = New()
			}
			e := NewEditor(b, limit)
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				from, n := rapid.IntRange(0, 3000).Draw(t, "from"), rapid.SampledFrom([]int{1, 5, 200, 1500}).Draw(t, "n")
				args := []string{"PFADD", key}
				changed := ours[key] == nil
				for i := range n {
					elem := fmt.Sprint("e", from+i)
					args = append(args, elem)
					up, err := e.Add([]byte(elem))
					require.NoError(t, err)
					changed = changed || up
				}
				want := map[bool]string{true: "1", false: "0"}[changed]
				require.Equal(t, want, do(t, c, args...).Str)
			case 2:
				var r Ranks
				args := []string{"PFMERGE", key}
				dense := Dense(b)
				require.NoError(t, r.Merge(b))
				for other, o := range ours {
					if rapid.Bool().Draw(t, "merge "+other) {
						args = append(args, other)
						require.NoError(t, r.Merge(o))
						dense = dense || Dense(o)
					}
				}
				if dense {
					require.NoError(t, e.ToDense())
				}
				require.NoError(t, e.Merge(&r))
				require.Equal(t, "OK", do(t, c, args...).Str)
			case 3:
				n, err := Count(b)
				require.NoError(t, err)
				require.Equal(t, strconv.FormatUint(n, 10), do(t, c, "PFCOUNT", key).Str)
				if ours[key] == nil {
					continue
				}
				e.owned()
				SetCached(e.b, n)
			}
			ours[key] = e.Bytes()
			require.Equal(t, string(ours[key]), do(t, c, "GET", key).Str)
			if !Dense(ours[key]) {
				require.Equal(t, string(Decode(ours[key])), do(t, c, "PFDEBUG", "DECODE", key).Str)
			}
		}
	})
}

// What was damaged counts the same, or is found to be damaged, in both.
func TestDamagedAsInRedis(t *testing.T) {
	c := client(t)
	rapid.Check(t, func(t *rapid.T) {
		e := NewEditor(New(), rapid.SampledFrom([]int{0, 3000}).Draw(t, "max sparse"))
		for i := range rapid.IntRange(0, 40).Draw(t, "n") {
			_, err := e.Add(fmt.Append(nil, i))
			require.NoError(t, err)
		}
		b := append([]byte{}, e.Bytes()...)
		if rapid.Bool().Draw(t, "noise") {
			b = append(b, rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(t, "behind")...)
		}
		for range rapid.IntRange(0, 3).Draw(t, "bytes") {
			b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		if rapid.IntRange(0, 9).Draw(t, "full") == 0 && len(b) == denseSize {
			for i := header; i < len(b); i++ {
				b[i] = 0xff
			}
		}
		if Is(b) {
			SetStale(b)
		}
		do(t, c, "SET", "k", string(b))
		want := do(t, c, "PFCOUNT", "k")
		merged := do(t, c, "PFCOUNT", "k", "none")
		if !Is(b) {
			require.Equal(t, "WRONGTYPE Key is not a valid HyperLogLog string value.", want.Str)
			require.True(t, merged.IsError())
			return
		}
		n, err := Count(b)
		require.Equal(t, want.IsError(), err != nil, "%s", want)
		if err == nil {
			require.Equal(t, want.Str, fmt.Sprint(int64(n)))
		}
		var r Ranks
		err = r.Merge(b)
		require.Equal(t, merged.IsError(), err != nil, "%s", merged)
		if err == nil {
			require.Equal(t, merged.Str, fmt.Sprint(int64(r.Count())))
		}
	})
}
