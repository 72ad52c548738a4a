package persist

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is no log is an error or an end, and what is one is run as it stands there:
// written again and read again it is the same.
func FuzzRedisLog(f *testing.F) {
	word := func(words ...string) (text string) {
		text = fmt.Sprintf("*%d\r\n", len(words))
		for _, w := range words {
			text += fmt.Sprintf("$%d\r\n%s\r\n", len(w), w)
		}
		return text
	}
	f.Add(word("SET", "a", "\r\n"))
	f.Add("#TS:1\r\n" + word("MULTI") + word("SELECT", "3") + word("INCR", "n") + word("EXEC") + word("DEL", ""))
	f.Add(word("MULTI") + word("SET", "a", "1"))
	f.Add(word("set", "k", "v", "px", "5") + word("XCLAIM", "x", "g", "c", "0", "1-1", "TIME", "7"))
	f.Add("*2\r\n$3\r\nDEL\r\n$1000000\r\nx")
	f.Add("*1000000000\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		var once, again []string
		into := func(lines *[]string) *replay {
			return &replay{now: 1000, run: func(db int, now int64, args [][]byte) error {
				if now < 1 {
					t.Fatal("a time before all times")
				}
				*lines = append(*lines, fmt.Sprintf("%d %q", db, args))
				return nil
			}}
		}
		l := newRedisLog(strings.NewReader(text), 0)
		whole, err := into(&once).all(l)
		require.LessOrEqual(t, whole, int64(len(text)))
		require.LessOrEqual(t, l.off, int64(len(text)))
		require.LessOrEqual(t, cap(l.buf), 2*len(text)+256<<10)
		if err == nil {
			require.True(t, whole == int64(len(text)) || strings.Contains(text, "#"))
		}
		// What counts is a log on its own, and all that was run came from it, but for
		// a command after which something could not be read.
		n, err := into(&again).all(newRedisLog(strings.NewReader(text[:whole]), 0))
		require.NoError(t, err)
		require.Equal(t, whole, n)
		require.Equal(t, slices.Clone(once[:len(again)]), again)
	})
}

func FuzzRedisManifest(f *testing.F) {
	f.Add("file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n")
	f.Add("file \"a\\x20b\" seq 9 type h\n#\n\nfile .. seq 1 type b")
	f.Fuzz(func(t *testing.T, text string) {
		files, err := parseRedisManifest([]byte(text))
		require.True(t, err != nil || len(files) > 0)
		for _, name := range files {
			require.NotContains(t, name, "/")
			require.NotContains(t, []string{"", ".", ".."}, name)
		}
	})
}

// The room for a word is made as it comes.
func TestLongWordsAreNotBelieved(t *testing.T) {
	l := newRedisLog(strings.NewReader("*1\r\n$500000000\r\nabc"), 0)
	_, err := l.next()
	require.True(t, errors.Is(err, errTorn))
	require.Less(t, cap(l.buf), 1<<20)
	_, err = newRedisLog(strings.NewReader(""), 0).next()
	require.Equal(t, io.EOF, err)
}
