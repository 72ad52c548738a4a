package snapshot_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/server"
	"github.com/ferricd/ferricd/snapshot"
	"github.com/ferricd/ferricd/store"
)

// A telling writes down what it is told of a value. The order of a set or hash is
// not part of it, nor is when a consumer was last seen.
type telling struct{ lines []string }

func (d *telling) add(format string, args ...any) {
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *telling) String(v []byte)                          { d.add("string %q", v) }
func (d *telling) List(n int)                               { d.add("list %d", n) }
func (d *telling) Element(v []byte)                         { d.add("%05d %q", len(d.lines), v) }
func (d *telling) Set(n int)                                { d.add("set %d", n) }
func (d *telling) Member(v []byte)                          { d.add("%q", v) }
func (d *telling) ZSet(n int)                               { d.add("zset %d", n) }
func (d *telling) Scored(v []byte, score float64)           { d.add("%05d %q %v", len(d.lines), v, score) }
func (d *telling) Hash(n int, times bool)                   { d.add("hash %d %v", n, times) }
func (d *telling) Field(name, v []byte, at int64)           { d.add("%q %q %d", name, v, at) }
func (d *telling) Stream(n int)                             { d.add("stream %d", n) }
func (d *telling) Entry(id store.StreamID, fields [][]byte) { d.add("%v %q", id, fields) }
func (d *telling) State(s store.StreamState)                { d.add("%+v", s) }
func (d *telling) Group(g store.GroupHead)                  { d.add("%05d group %q %+v", len(d.lines), g.Name, g) }
func (d *telling) Consumer(c store.ConsumerHead)            { d.add("%05d consumer %q", len(d.lines), c.Name) }
func (d *telling) Pending(p store.PendingEntry) {
	d.add("%05d pending %v %q %d %d", len(d.lines), p.ID, p.Consumer, p.At, p.Count)
}

// image is all that is in ks, by database and key.
func image(t *testing.T, ks *store.Keyspace) map[string]string {
	m := map[string]string{}
	cut, err := ks.BeginCut(func(*store.CutKey) {})
	require.NoError(t, err)
	done, err := cut.Next(func(k *store.CutKey) bool {
		var d telling
		k.Visit(&d)
		slices.Sort(d.lines)
		m[fmt.Sprintf("%d/%s", k.DB, k.Key)] = fmt.Sprintf("%s\nexpires %d", strings.Join(d.lines, "\n"), k.ExpireAt)
		return true
	})
	require.NoError(t, err)
	require.True(t, done)
	return m
}

func apply(t *testing.T, s *server.Server, db int, lines ...string) {
	for _, line := range lines {
		var args [][]byte
		for _, word := range strings.Fields(line) {
			args = append(args, []byte(word))
		}
		require.NoError(t, s.Apply(db, time.Now().UnixMilli(), args...), line)
	}
}

// What a server holds, another one holds that has replayed the snapshot.
func TestReplayedSnapshotsAreEqual(t *testing.T) {
	from, to := testserver.Start(t), testserver.Start(t)
	apply(t, from, 0,
		"SET text hello", "SET number -17", "SET timed x PXAT 33000000000000", "APPEND text "+strings.Repeat("long", 300),
		"RPUSH list a b 3 d", "SADD ints 3 1 2", "SADD words x y 3", "ZADD zset 1.5 a -inf b inf c 0.1 d -0.0 e 1e300 f",
		"EXPIREAT zset 33000000000", "HSET hash f v g 5 h w", "HPEXPIREAT hash 33000000000000 FIELDS 2 f g",
		"HPEXPIREAT hash 33000000000001 FIELDS 1 h",
	)
	for i := range 3000 {
		apply(t, from, 5, fmt.Sprintf("RPUSH list element-%d", i), fmt.Sprintf("ZADD zset %d.25 member-%d", i, i),
			fmt.Sprintf("HSET hash field-%d value-%d", i, i), fmt.Sprintf("SADD set member-%d", i))
		if i%7 == 0 {
			apply(t, from, 5, fmt.Sprintf("HPEXPIREAT hash %d FIELDS 1 field-%d", 33000000000000+i%14, i))
		}
	}
	for i := 1; i <= 200; i++ {
		apply(t, from, 3, fmt.Sprintf("XADD stream %d-1 f %d g text", i, i))
	}
	apply(t, from, 3,
		"XGROUP CREATE stream first 0", "XGROUP CREATE stream second 50-1 ENTRIESREAD 50", "XGROUP CREATE stream third $ ENTRIESREAD -1",
		"XGROUP CREATECONSUMER stream first idle", "XREADGROUP GROUP first amy COUNT 90 STREAMS stream >",
		"XREADGROUP GROUP first bob COUNT 20 STREAMS stream >", "XREADGROUP GROUP second amy COUNT 5 STREAMS stream >",
		"XCLAIM stream first bob 0 7-1 TIME 12345 RETRYCOUNT 9 JUSTID", "XACK stream first 9-1",
		// Pending entries that are gone: trimmed, and deleted between others.
		"XDEL stream 60-1 61-1 70-1 200-1", "XTRIM stream MAXLEN 150",
		"XGROUP CREATE empty g $ MKSTREAM", "XADD emptied 5-5 f v", "XGROUP CREATE emptied g 0", "XREADGROUP GROUP g c STREAMS emptied >",
		"XDEL emptied 5-5", "XADD trimmed 5-5 f v", "XADD trimmed 6-5 f v", "XGROUP CREATE trimmed g 0", "XREADGROUP GROUP g c STREAMS trimmed >",
		"XTRIM trimmed MAXLEN 0", "XADD part 1-1 f v", "XADD part 2-1 f v", "XADD part 3-1 f v", "XGROUP CREATE part g 0",
		"XREADGROUP GROUP g c STREAMS part >", "XTRIM part MAXLEN 1", "XADD bare 8-1 f v", "XDEL bare 8-1",
	)
	o := snapshot.Options{FS: vfs.OS, Dir: t.TempDir()}
	taking, err := snapshot.Begin(from.Keyspace(), o, snapshot.Header{LSN: 1})
	require.NoError(t, err)
	r, err := taking.Run(context.Background())
	require.NoError(t, err)
	info, _, err := snapshot.Newest(o, nil)
	require.NoError(t, err)
	_, err = snapshot.Read(o.FS, info.Name, func(db int, args [][]byte) error {
		require.LessOrEqual(t, len(args), 80)
		return to.Apply(db, time.Now().UnixMilli(), args...)
	}, nil)
	require.NoError(t, err)
	want := image(t, from.Keyspace())
	require.EqualValues(t, len(want), r.Keys)
	got := image(t, to.Keyspace())
	for name := range want {
		require.Equal(t, want[name], got[name], name)
	}
	require.Len(t, got, len(want))
}
