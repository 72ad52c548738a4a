package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Whatever stands in a file, reading it ends with values that a rewritten file
// says again, or with an error of one line.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		"", "port 1\n", "# c\n\nhz 11\r\nsave 900 1\nsave 300 10\n", "requirepass \"a\\x41\\\"\n", "requirepass 'a\\'b' c", "maxmemory 99999999999999999999gb",
		"client-output-buffer-limit normal 1 2 3 pubsub 1mb 1kb 0", "bind \"\"\nbind a  b", "notify-keyspace-events KEAmn", "user x\n", "latency-tracking-info-percentiles 1e-7 0x1p-2",
		"unixsocketperm 777\nshards 8", "HZ\t 11\x00\v", "dbfilename \"a\n", "proc-title-template {title}{", "oom-score-adj-values -1 +2 03", "dir .\ndir ''",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for line := range strings.SplitSeq(text, "\n") {
			if args, _ := splitLine(line); len(args) > 0 && strings.EqualFold(args[0], includeName) {
				return // other files are not ours to read
			}
		}
		c := New()
		c.Stdin = strings.NewReader(text)
		if err := c.Load([]string{"-"}, nil); err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		path := filepath.Join(t.TempDir(), "f.conf")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		c.file.Store(&path)
		require.NoError(t, c.Rewrite())
		again := New()
		require.NoError(t, again.Load([]string{path}, nil))
		requireSame(t, c, again)

		// The same from nothing: every line is one that Rewrite wrote.
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		require.NoError(t, c.Rewrite())
		again = New()
		require.NoError(t, again.Load([]string{path}, nil))
		requireSame(t, c, again)
	})
}

// Any bytes survive being written as a word and read again.
func TestQuotedWordsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOf(rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "words")
		quoted := []string{"name"}
		for _, w := range words {
			quoted = append(quoted, quoteWord(w))
		}
		got, err := splitLine(strings.Join(quoted, " "))
		require.NoError(t, err)
		require.Equal(t, append([]string{"name"}, words...), got)
	})
}
