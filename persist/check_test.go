package persist_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/persist"
)

func check(t *testing.T, dir string) (sound bool, text string) {
	t.Helper()
	before := contents(t, dir)
	sound, err := persist.Check(vfs.OS, dir, func(line string) { text += line + "\n" })
	require.NoError(t, err)
	require.Equal(t, before, contents(t, dir), "it has changed something")
	return sound, text
}

func repair(t *testing.T, dir string) (sound bool, text string) {
	t.Helper()
	sound, err := persist.Repair(vfs.OS, dir, func(line string) { text += line + "\n" })
	require.NoError(t, err)
	return sound, text
}

func size(t *testing.T, dir string, args ...string) string {
	s := serve(t, dir, args...)
	defer s.end()
	return s.do("DBSIZE")
}

func TestSoundDirectoriesStart(t *testing.T) {
	dir := long(t)
	sound, text := check(t, dir)
	require.True(t, sound, text)
	require.Contains(t, text, "100 keys, 100 commands")
	require.Contains(t, text, "then runs 300 records")
	require.Equal(t, 3, strings.Count(text, "records behind the snapshot: sound"), text)

	before := contents(t, dir)
	sound, _ = repair(t, dir)
	require.True(t, sound)
	delete(before, "LOCK")
	after := contents(t, dir)
	delete(after, "LOCK")
	require.Equal(t, before, after)
	require.Equal(t, "(integer) 400", size(t, dir))
}

func TestEmptyDirectoriesStart(t *testing.T) {
	dir := t.TempDir()
	sound, _ := check(t, dir)
	require.True(t, sound)
	_, err := persist.Check(vfs.OS, filepath.Join(dir, "none"), func(string) {})
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = persist.Repair(vfs.OS, dir, func(string) {})
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Empty(t, contents(t, dir))
}

func TestTornEnds(t *testing.T) {
	dir := long(t)
	log := named(t, dir, "log-")
	last := filepath.Join(dir, log[len(log)-1])
	info, err := os.Stat(last)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(last, info.Size()-3))
	sound, text := check(t, dir)
	require.True(t, sound, text)
	require.Contains(t, text, "its end is torn")
	require.Contains(t, text, "then runs 299 records")
	sound, text = repair(t, dir)
	require.True(t, sound, text)
	require.Contains(t, text, "Cut off: "+last)
	_, text = check(t, dir)
	require.NotContains(t, text, "torn")
	require.Equal(t, "(integer) 399", size(t, dir))
}

func TestBrokenLogs(t *testing.T) {
	dir := long(t)
	log := named(t, dir, "log-")
	flip(t, filepath.Join(dir, log[1]), 30000)
	require.ErrorContains(t, starts(t, dir), "the log is broken")
	sound, text := check(t, dir)
	require.False(t, sound)
	require.Contains(t, text, log[1]+": log from position")
	require.Contains(t, text, "BROKEN: offset 29")
	require.Contains(t, text, "ferricd check --fix takes out of the log")
	require.Contains(t, text, "follows the broken place")
	sound, text = repair(t, dir)
	require.True(t, sound, text)
	require.Contains(t, text, "Taken out of the log")
	require.Len(t, named(t, dir, "log-"), 4) // two of them set aside
	s := serve(t, dir)
	n := s.do("DBSIZE")
	require.Equal(t, "(nil)", s.do("GET", "key399"))
	require.Contains(t, text, "then runs")
	require.NotEqual(t, "(integer) 100", n)
	require.Equal(t, `"`+strings.Repeat("v", 500)+`"`, s.do("GET", "key220")) // of the first segment
}

// older makes a directory with two snapshots; with gap the log does not reach
// back to the older one.
func older(t *testing.T, gap bool) (dir, newest string) {
	dir = long(t)
	old := contents(t, dir)
	s := serve(t, dir)
	s.do("SAVE")
	s.do("SET", "last", "x")
	s.end()
	newest = named(t, dir, "snapshot-")[0]
	for name, b := range old {
		if strings.HasPrefix(name, "snapshot-") || strings.HasPrefix(name, "log-") && !gap {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(b), 0o600))
		}
	}
	require.Len(t, named(t, dir, "snapshot-"), 2)
	return dir, newest
}

func TestBrokenSnapshotsThatTheLogCovers(t *testing.T) {
	for _, at := range []int64{1000, 3, -3} { // in the middle a server sees it only when it loads it
		dir, newest := older(t, false)
		flip(t, filepath.Join(dir, newest), at)
		sound, text := check(t, dir)
		require.Contains(t, text, newest+": BROKEN")
		require.Equal(t, at != 1000, sound, text)
		if at == 1000 {
			require.Contains(t, text, "nothing is lost")
			require.Error(t, starts(t, dir))
		}
		sound, text = repair(t, dir)
		require.True(t, sound, text)
		require.Contains(t, text, newest+".broken")
		require.FileExists(t, filepath.Join(dir, newest+".broken"))
		require.Equal(t, "(integer) 401", size(t, dir))
	}
}

func TestBrokenSnapshotsThatNothingCovers(t *testing.T) {
	for _, gap := range []bool{false, true} {
		var dir, newest string
		if gap {
			dir, newest = older(t, true)
		} else {
			dir = long(t)
			newest = named(t, dir, "snapshot-")[0]
		}
		flip(t, filepath.Join(dir, newest), 1000)
		sound, text := check(t, dir)
		require.False(t, sound)
		require.Contains(t, text, "nothing can be repaired")
		before := files(t, dir)
		sound, _ = repair(t, dir)
		require.False(t, sound)
		require.Equal(t, before, files(t, dir))
	}
}

func TestMissingSnapshots(t *testing.T) {
	dir := long(t)
	require.NoError(t, os.Remove(filepath.Join(dir, named(t, dir, "snapshot-")[0])))
	sound, text := check(t, dir)
	require.False(t, sound)
	require.Contains(t, text, "is missing; nothing can be repaired")
	sound, _ = repair(t, dir)
	require.False(t, sound)
	require.Len(t, named(t, dir, "log-"), 3)
	require.NoError(t, os.Remove(filepath.Join(dir, "manifest.json")))
	sound, text = check(t, dir)
	require.False(t, sound)
	require.Contains(t, text, "no manifest.json")
}

func TestRunningServersAreCheckedButNotRepaired(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir, "--appendfsync", "always")
	s.do("SET", "a", "1")
	sound, text := check(t, dir)
	require.True(t, sound, text)
	require.Contains(t, text, "runs 1 records")
	_, err := persist.Repair(vfs.OS, dir, func(string) {})
	require.ErrorContains(t, err, "is in use by process")
}

// A log that appendonly was being switched to does not count, whatever is in it.
func TestPendingLogs(t *testing.T) {
	dir := long(t)
	log := named(t, dir, "log-")
	second := strings.TrimLeft(strings.TrimSuffix(strings.TrimPrefix(log[1], "log-"), ".fer"), "0")
	name := filepath.Join(dir, "manifest.json")
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name, []byte(strings.Replace(string(text), "{", `{"pending_log": `+second+`,`, 1)), 0o600))
	flip(t, filepath.Join(dir, log[1]), 1000)
	sound, report := check(t, dir)
	require.True(t, sound, report)
	require.Equal(t, 2, strings.Count(report, "does not count"))
	sound, _ = repair(t, dir)
	require.True(t, sound)
	require.Equal(t, log, named(t, dir, "log-"))

	to := filepath.Join(t.TempDir(), "to")
	b, err := persist.Backup(vfs.OS, dir, to)
	require.NoError(t, err)
	require.Equal(t, 3, b.Files)
	sets := strings.Count(dumped(t, dir, true), "SET key")
	keys := size(t, dir)
	require.Equal(t, keys, size(t, to))
	require.Equal(t, keys, fmt.Sprintf("(integer) %d", sets))
	require.NotEqual(t, "(integer) 400", keys)
}
