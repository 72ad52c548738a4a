package main_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// ferricd runs a subcommand and returns what it prints.
func ferricd(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		require.True(t, errors.As(err, &exit), "%v", err)
		code = exit.ExitCode()
	}
	return out.String(), errs.String(), code
}

// One line, exit code 1.
func requireRefused(t *testing.T, text string, args ...string) {
	t.Helper()
	_, stderr, code := ferricd(t, args...)
	require.Equal(t, 1, code)
	require.Regexp(t, `^ferricd `+args[0]+`: [^\n]*\n$`, stderr)
	require.Contains(t, stderr, text)
}

func TestCheckCommand(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "--dir", dir, "--appendfsync", "always")
	p.tool(t, "", "redis-cli", "set", "k", "v")
	out, _, code := ferricd(t, "check", dir)
	require.Equal(t, 0, code)
	require.Regexp(t, `\nok: `, out)
	requireRefused(t, "is in use by process", "check", "--fix", dir)
	require.NoError(t, p.cmd.Process.Kill())
	require.Error(t, <-p.done)
	log := filepath.Join(dir, "log-00000000000000000000.fer")
	b, err := os.ReadFile(log)
	require.NoError(t, err)
	b[len(b)-1]++
	require.NoError(t, os.WriteFile(log, append(b[:len(b):len(b)], b[52:]...), 0o600))
	out, _, code = ferricd(t, "check", dir)
	require.Equal(t, 0, code, out) // garbage at the end that holds no record
	out, _, code = ferricd(t, "check", dir, "--fix")
	require.Equal(t, 0, code, out)
	require.NoError(t, os.Remove(filepath.Join(dir, "manifest.json")))
	_, _, code = ferricd(t, "check", dir)
	require.Equal(t, 1, code)
	out, _, code = ferricd(t, "check", "--help")
	require.Equal(t, 0, code)
	require.Contains(t, out, "ferricd check [--fix] DIR\n")
	for _, args := range [][]string{{"check"}, {"check", dir, dir}, {"check", "--fxi", dir}} {
		requireRefused(t, "usage: ferricd check", args...)
	}
}

func TestDumpCommand(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "--dir", dir)
	for _, args := range [][]string{{"set", "a b", "1"}, {"-n", "2", "rpush", "l", "x", "y"}, {"config", "set", "appendfsync", "always"}, {"set", "c", "d"}} {
		p.tool(t, "", "redis-cli", args...)
	}
	out, errs, code := ferricd(t, "dump", "--text", dir)
	require.Equal(t, 0, code, errs)
	require.Equal(t, "SELECT 0\nset \"a b\" 1\nSELECT 2\nrpush l x y\nSELECT 0\nset c d\n", out)
	out, errs, code = ferricd(t, "dump", dir)
	require.Equal(t, 0, code, errs)
	to := start(t)
	require.Contains(t, to.tool(t, out, "redis-cli", "--pipe"), "errors: 0, replies: 6")
	require.Equal(t, p.tool(t, "", "redis-cli", "dbsize"), to.tool(t, "", "redis-cli", "dbsize"))
	requireRefused(t, "no such file", "dump", filepath.Join(dir, "none"))
}

func TestImportCommand(t *testing.T) {
	name, dir := filepath.Join(t.TempDir(), "x.rdb"), filepath.Join(t.TempDir(), "data")
	b := []byte("REDIS0009\xfe\x03\x00\x03key\x05value\xff\x00\x00\x00\x00\x00\x00\x00\x00")
	require.NoError(t, os.WriteFile(name, b[:15], 0o600))
	requireRefused(t, "cut short", "import", name, "--dir", dir)
	require.NoDirExists(t, dir)
	require.NoError(t, os.WriteFile(name, b, 0o600))
	requireRefused(t, "raise the parameter databases", "import", name, "--dir", dir, "--databases", "2")
	out, errs, code := ferricd(t, "import", name, "--dir", dir)
	require.Equal(t, 0, code, errs)
	require.Equal(t, name+": 1 keys of 31 bytes are in "+dir+"\n", out)
	p := start(t, "--dir", dir)
	require.Equal(t, "value\n", p.tool(t, "", "redis-cli", "-n", "3", "get", "key"))
	requireRefused(t, "already holds data", "import", name, "--dir", dir)
	requireRefused(t, "usage: ferricd import", "import")
	requireRefused(t, "usage: ferricd import", "import", "--dir", dir)
	requireRefused(t, "x.rdb", "import", filepath.Join(dir, "x.rdb"), "--dir", dir)
}

func TestExportCommand(t *testing.T) {
	name, dir, file := filepath.Join(t.TempDir(), "x.rdb"), filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "y.rdb")
	b := []byte("REDIS0009\xfe\x03\x00\x03key\x05value\xff\x00\x00\x00\x00\x00\x00\x00\x00")
	require.NoError(t, os.WriteFile(name, b, 0o600))
	_, errs, code := ferricd(t, "import", name, "--dir", dir)
	require.Equal(t, 0, code, errs)
	for _, version := range []string{"10", "12"} {
		out, errs, code := ferricd(t, "export", file+version, "--rdb-version", version, "--dir", dir)
		require.Equal(t, 0, code, errs)
		require.Equal(t, file+version+": 1 keys\n", out)
		b, err := os.ReadFile(file + version)
		require.NoError(t, err)
		require.Equal(t, "REDIS00"+version, string(b[:9]))
	}
	requireRefused(t, "file already exists", "export", file+"10", "--dir", dir)
	requireRefused(t, "--rdb-version is 10", "export", file, "--rdb-version", "11")
	requireRefused(t, "usage: ferricd export", "export")
}

func TestBackupCommand(t *testing.T) {
	dir, to := t.TempDir(), filepath.Join(t.TempDir(), "to")
	p := start(t, "--dir", dir, "--appendfsync", "always")
	p.tool(t, "", "redis-cli", "set", "k", "v")
	out, errs, code := ferricd(t, "backup", dir, to)
	require.Equal(t, 0, code, errs)
	require.Regexp(t, `: no snapshot and the log up to position [1-9][0-9]*, 2 files, \d+ bytes\n$`, out)
	p.tool(t, "", "redis-cli", "save")
	out, errs, code = ferricd(t, "backup", dir, to+"2")
	require.Equal(t, 0, code, errs)
	require.Regexp(t, `: the snapshot of position [1-9]`, out)
	for _, copied := range []string{to, to + "2"} {
		q := start(t, "--dir", copied)
		require.Equal(t, "v\n", q.tool(t, "", "redis-cli", "get", "k"))
	}
	requireRefused(t, "is not empty", "backup", dir, to)
	requireRefused(t, "usage: ferricd backup", "backup", dir)
}

func TestImportCommandOfLogs(t *testing.T) {
	name, dir := filepath.Join(t.TempDir(), "appendonly.aof"), filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.WriteFile(name, []byte("*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n*2\r\n$4\r\nIN"), 0o600))
	out, errs, code := ferricd(t, "import", name, "--dir", dir)
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, ": 1 keys of 31 bytes are in "+dir+", 10 bytes at the end were not completely written and are left out\n")
	requireRefused(t, "already holds data", "import", name, "--dir", dir)
	require.NoError(t, os.WriteFile(name, []byte("*1\r\n$4\r\nNOPE\r\n"), 0o600))
	requireRefused(t, `offset 0: command "NOPE" does not exist here`, "import", name, "--dir", dir+"2")
	require.NoDirExists(t, dir+"2")
}
