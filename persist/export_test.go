package persist_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/rdb"
	"github.com/ferricd/ferricd/server"
)

func exported(t *testing.T, dir, file string, version int) (int64, error) {
	return server.Export(configured(t, dir), file, version, func(note string) { t.Error(note) })
}

// What is exported is in redis-server what it was here, and so it is when it
// comes back.
func TestExport(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "x.rdb")
	s := serve(t, dir)
	varied(s)
	want, more := s.digest(), groups(s)
	_, err := exported(t, dir, file, rdb.Version)
	require.ErrorContains(t, err, "is in use by process")
	s.do("DEBUG", "SET-ACTIVE-EXPIRE", "0")
	s.do("SET", "expired", "x", "PX", "1")
	s.end()
	before := contents(t, dir)
	keys, err := exported(t, dir, file, rdb.Version)
	require.NoError(t, err)
	require.EqualValues(t, 51, keys)
	require.Equal(t, before, contents(t, dir))
	_, err = exported(t, dir, file, rdb.Version)
	require.ErrorIs(t, err, os.ErrExist)

	back := filepath.Join(t.TempDir(), "back")
	require.EqualValues(t, 51, imported(t, file, back).Keys)
	again := serve(t, back)
	require.Equal(t, want, again.digest())
	require.Equal(t, more, groups(again))

	r := startRedis(t)
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(r.path("dump.rdb"), b, 0o600))
	r.do("DEBUG", "RELOAD", "NOSAVE", "NOFLUSH")
	require.Equal(t, want, r.do("DEBUG", "DIGEST"))
	require.Equal(t, more, groups(r))
}

func TestExportOfExpiringFields(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "x.rdb")
	s := serve(t, dir)
	s.do("SELECT", "4")
	for i := range 9 {
		s.do("HSET", fmt.Sprint("plain", i), "f", "v")
	}
	s.do("HSET", "h", "f", "v", "g", "w")
	s.do("HPEXPIREAT", "h", "33000000000000", "FIELDS", "1", "g")
	want := s.digest()
	s.end()
	_, err := exported(t, dir, file, rdb.Version)
	require.ErrorContains(t, err, `key "h" of database 4: fields of this hash expire`)
	require.NotContains(t, err.Error(), "\n")
	entries, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Empty(t, entries)
	_, err = exported(t, dir, file, rdb.TimesVersion)
	require.NoError(t, err)
	back := filepath.Join(t.TempDir(), "back")
	imported(t, file, back)
	s = serve(t, back)
	require.Equal(t, want, s.digest())
	s.do("SELECT", "4")
	require.Contains(t, s.do("HPEXPIRETIME", "h", "FIELDS", "2", "f", "g"), "33000000000000")
}

func TestExportOfNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	_, err := exported(t, dir, filepath.Join(t.TempDir(), "x.rdb"), rdb.Version)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoDirExists(t, dir)
}
