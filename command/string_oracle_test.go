package command

import (
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/internal/transcript"
)

// askBoth sends the same call to a stand and to redis-server and wants the same
// reply from both.
type askBoth struct {
	*stand
	redis *transcript.Client
}

func newAskBoth(t *testing.T) *askBoth {
	conn, err := net.Dial("tcp", transcript.StartRedis(t))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return &askBoth{newStand(t), transcript.NewClient(conn, 10*time.Second)}
}

// ask wants the same reply from both, and tells whether it was a refusal.
func (b *askBoth) ask(t require.TestingT, words ...string) (refused bool) {
	b.stand.t = t
	want, err := b.redis.Do(words...)
	require.NoError(t, err)
	_, failed := b.run(time.Now().UnixMilli(), words...)
	if failed != nil {
		b.out.Reset(2)
		b.out.Error(string(Wire(failed)))
	}
	ours, theirs := net.Pipe()
	go func() {
		_, _ = theirs.Write(b.out.Bytes())
		_ = theirs.Close()
	}()
	got, err := transcript.NewClient(ours, 10*time.Second).Receive(false)
	require.NoError(t, err)
	require.Equal(t, want.String(), got.String(), "%q", words)
	return failed != nil
}

func TestLongDoubleAgreesWithRedis(t *testing.T) {
	b := newAskBoth(t)
	digits := rapid.StringMatching(`[0-9]{0,25}`)
	number := rapid.OneOf(
		rapid.Map(rapid.Int64(), func(n int64) string { return string((&Context{}).Decimal(n)) }),
		rapid.Map(rapid.Float64(), func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }),
		rapid.StringMatching(`[+-]?[0-9]{0,22}(\.[0-9]{0,25})?([eE][+-]?[0-9]{1,4})?`),
		rapid.StringMatching(`-?0[xX][0-9a-fA-F]{0,20}(\.[0-9a-fA-F]{0,5})?([pP][+-]?[0-9]{1,5})?`),
		rapid.StringMatching(`[-+0-9.eExXpPinfaINFA_ ]{1,6}`),
		rapid.Custom(func(t *rapid.T) string { // beside the middle of two neighbours
			return "36893488147419103234." + digits.Draw(t, "digits")
		}),
		rapid.SampledFrom([]string{"inf", "-Infinity", "nan", "1e4932", "1e-4951", "1.18973149535723176502e4932", "1e-17", "4.9e-18", "5e-18"}),
	)
	rapid.Check(t, func(t *rapid.T) {
		b.ask(t, "SET", "n", number.Draw(t, "old"))
		b.ask(t, "INCRBYFLOAT", "n", number.Draw(t, "increment"))
		b.ask(t, "GET", "n")
	})
}

func TestLCSAgreesWithRedis(t *testing.T) {
	b := newAskBoth(t)
	text := rapid.Custom(func(t *rapid.T) string {
		return string(rapid.SliceOfN(rapid.SampledFrom([]byte("abcd")), 0, 150).Draw(t, "text"))
	})
	rapid.Check(t, func(t *rapid.T) {
		b.ask(t, "MSET", "a", text.Draw(t, "a"), "b", text.Draw(t, "b"))
		b.ask(t, "LCS", "a", "b")
		b.ask(t, "LCS", "a", "b", "LEN")
		b.ask(t, "LCS", "a", "b", "IDX", "WITHMATCHLEN")
		b.ask(t, "LCS", "a", "b", "IDX", "MINMATCHLEN", "3")
	})
}

func TestRangesAgreeWithRedis(t *testing.T) {
	b := newAskBoth(t)
	index := rapid.Map(rapid.Int64Range(-12, 12), func(n int64) string { return string((&Context{}).Decimal(n)) })
	rapid.Check(t, func(t *rapid.T) {
		b.ask(t, "SET", "s", rapid.StringMatching(`[a-z]{0,8}|[0-9]{1,8}`).Draw(t, "value"))
		b.ask(t, "GETRANGE", "s", index.Draw(t, "start"), index.Draw(t, "end"))
		b.ask(t, "SETRANGE", "s", index.Draw(t, "offset"), rapid.StringMatching(`[a-z]{0,3}`).Draw(t, "data"))
		b.ask(t, "GET", "s")
	})
}
