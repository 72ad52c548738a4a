package persist

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/rdb"
	"github.com/ferricd/ferricd/router"
)

func record(text string) router.Record {
	var r router.Record
	for _, w := range strings.Fields(text) {
		r = append(r, []byte(w))
	}
	return r
}

// said is what a stream has sent, a line for each command.
func said(t *testing.T, b []byte) string {
	t.Helper()
	words := strings.Split(string(b), "\r\n")
	var lines []string
	for i := 0; i+1 < len(words); {
		require.Equal(t, byte('*'), words[i][0])
		n := int(words[i][1] - '0')
		var line []string
		for j := range n {
			line = append(line, words[i+2+2*j])
		}
		lines = append(lines, strings.Join(line, " "))
		i += 1 + 2*n
	}
	return strings.Join(lines, "; ")
}

// Units become commands, in the words of redis-server 7.0.
func TestStreamSays(t *testing.T) {
	var out []byte
	var log strings.Builder
	s := &stream{}
	f := &Feed{s: s, limit: func() int64 { return 0 }, send: func(b []byte) bool { out = append(out, b...); return true }}
	require.Zero(t, s.begin(f, slog.New(slog.NewTextHandler(&log, nil))))
	f.Start()
	for _, c := range []struct {
		db   int
		unit string
		want string
	}{
		{0, "SET a 1", "SELECT 0; SET a 1"},
		{0, "DEL a", "DEL a"},
		{3, "SET a 1", "SELECT 3; SET a 1"},
		{3, "SET a 1;SELECT 4;DEL b;SELECT 3;DEL c", "MULTI; SET a 1; SELECT 4; DEL b; SELECT 3; DEL c; EXEC"},
		{4, "DEL a;DEL b", "SELECT 4; MULTI; DEL a; DEL b; EXEC"},
		{4, "HSETEX h PXAT 5 FNX FIELDS 1 a 3", "HSET h a 3"},
		{4, "HPEXPIREAT h 5 FIELDS 1 a", ""},
		{0, "HPERSIST h FIELDS 1 a;SELECT 4;DEL x", "DEL x"},
		{4, "MSETEX 2 a 1 b 2 NX PXAT 5", "MULTI; SET a 1 PXAT 5; SET b 2 PXAT 5; EXEC"},
		{4, "MSETEX 1 a 1 KEEPTTL", "SET a 1 KEEPTTL"},
		{4, "XDELEX s KEEPREF IDS 2 1-1 2-1", "XDEL s 1-1 2-1"},
		{4, "XACKDEL s g IDS 1 1-1", "MULTI; XACK s g 1-1; XDEL s 1-1; EXEC"},
		{4, "BITOP AND d a b", "BITOP AND d a b"},
	} {
		out = nil
		var unit []router.Record
		for text := range strings.SplitSeq(c.unit, ";") {
			unit = append(unit, record(text))
		}
		before := s.offset
		s.append(c.db, unit)
		require.Equal(t, c.want, said(t, out), c.unit)
		require.Equal(t, int64(len(out)), s.offset-before)
	}
	require.Empty(t, log.String())
	out = nil
	for _, text := range []string{"XDELEX s ACKED IDS 1 1-1", "BITOP DIFF d a b", "MSETEX 9 a 1", "HSETEX h FIELDS", "MSETEX 1 a 1 PXAT", "XDELEX s IDS 1"} {
		s.append(4, []router.Record{record(text)})
	}
	require.Empty(t, out)
	require.Equal(t, 1, strings.Count(log.String(), "XDELEX"), log.String())
	f.Stop()
	s.append(4, []router.Record{record("DEL a")})
	require.Empty(t, out)
	require.Zero(t, s.n.Load())
}

// A payload of a newer version is told as one that redis-server 7.0 reads.
func TestStreamRestores(t *testing.T) {
	e := rdb.NewEncoder(rdb.MaxVersion)
	e.Hash(1, true)
	e.Field([]byte("f"), []byte("v"), 1<<42)
	times, err := e.Payload()
	require.NoError(t, err)
	plain := rdb.NewEncoder(rdb.Version)
	plain.Hash(1, false)
	plain.Field([]byte("f"), []byte("v"), 0)
	want, err := plain.Payload()
	require.NoError(t, err)
	require.NotEqual(t, want, times)
	got := restoreOf(router.Record{[]byte("RESTORE"), []byte("k"), []byte("0"), bytes.Clone(times), []byte("ABSTTL")})
	require.Equal(t, router.Record{[]byte("RESTORE"), []byte("k"), []byte("0"), want, []byte("ABSTTL")}, got)
	same := router.Record{[]byte("RESTORE"), []byte("k"), []byte("0"), want}
	require.Equal(t, same, restoreOf(same))
	require.Nil(t, restoreOf(router.Record{[]byte("RESTORE"), []byte("k"), []byte("0"), append([]byte{200}, times[len(times)-10:]...)}))
}

// What is kept for a follower is sent to it in order, and beyond the limit it goes,
// alone.
func TestFeedKeeps(t *testing.T) {
	s := &stream{}
	feed := func(limit int64) (f *Feed, out *[]byte, dropped *int) {
		out, dropped = new([]byte), new(int)
		f = &Feed{s: s, limit: func() int64 { return limit }, drop: func() { *dropped++ }, send: func(b []byte) bool {
			*out = append(*out, b...)
			return true
		}}
		s.begin(f, slog.New(slog.DiscardHandler))
		return f, out, dropped
	}
	wide, wideOut, wideDropped := feed(1000)
	narrow, narrowOut, narrowDropped := feed(60)
	s.append(0, []router.Record{record("SET a 1")})
	require.Zero(t, *narrowDropped)
	s.append(0, []router.Record{record("SET b 1")})
	require.Equal(t, 1, *narrowDropped)
	s.append(0, []router.Record{record("SET c 1")})
	require.Empty(t, *wideOut)
	wide.Start()
	narrow.Start()
	s.append(0, []router.Record{record("SET d 1")})
	require.Equal(t, "SELECT 0; SET a 1; SET b 1; SET c 1; SET d 1", said(t, *wideOut))
	require.Empty(t, *narrowOut)
	require.Equal(t, int64(len(*wideOut)), s.offset)
	s.dropAll()
	require.Equal(t, 1, *wideDropped)
	require.Equal(t, 1, *narrowDropped)
}
