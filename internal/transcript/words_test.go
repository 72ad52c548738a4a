package transcript

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		line string
		want []string
	}{
		{"", nil},
		{"  \t ", nil},
		{"SET k v", []string{"SET", "k", "v"}},
		{`SET k ""`, []string{"SET", "k", ""}},
		{`SET "a b" 'c d'`, []string{"SET", "a b", "c d"}},
		{`"\n\r\t\a\b\\\"\q"`, []string{"\n\r\t\a\b\\\"q"}},
		{`"\x00\xFf\xg0"`, []string{"\x00\xffxg0"}},
		{`'\n\''`, []string{`\n'`}},
		{`a\nb`, []string{`a\nb`}},
		{`pre"fix"`, []string{"prefix"}},
	} {
		got, err := split(c.line)
		require.NoError(t, err, c.line)
		require.Equal(t, c.want, got, c.line)
	}
	for _, line := range []string{`"open`, `'open`, `"a"b`, `'a'"b"`, `"a\"`} {
		_, err := split(line)
		require.Error(t, err, line)
	}
}

func TestQuotedIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.SliceOf(rapid.Byte()), 1, 4).Draw(t, "words")
		var line []byte
		var want []string
		for _, w := range words {
			line = append(appendQuoted(line, string(w)), ' ')
			want = append(want, string(w))
		}
		got, err := split(string(line))
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}
