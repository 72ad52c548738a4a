package command

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// dump prints a tree in a form of its own, so that tests can compare.
func dump(args []Argument) string {
	var parts []string
	for _, a := range args {
		s := a.Name + ":" + a.Type
		if a.Token != "" {
			s = a.Token + "=" + s
		}
		if len(a.Args) > 0 {
			s += "(" + dump(a.Args) + ")"
		}
		if a.Optional {
			s += "?"
		}
		if a.Multiple {
			s += "*"
		}
		if a.MultipleToken {
			s += "*"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, " ")
}

func TestParseUsage(t *testing.T) {
	for _, c := range []struct{ usage, want string }{
		{"", ""},
		{"key", "key:key"},
		{"key...", "key:key*"},
		{"[key...]", "key:key?*"},
		{"{key value}...", "key-value:block(key:key value:string)*"},
		{"key seconds [NX | XX]", "key:key seconds:integer nx-xx:oneof(NX=nx:pure-token XX=xx:pure-token)?"},
		{"key increment:double", "key:key increment:double"},
		{"ip:port", "ip:port:string"},
		{"cursor [MATCH pattern]", "cursor:integer MATCH=pattern:pattern?"},
		{"[LIMIT offset count]", "LIMIT=limit:block(offset:integer count:integer)?"},
		{"[GET pattern]...", "GET=pattern:pattern?**"},
		{"WEIGHTS weight...", "WEIGHTS=weight:integer*"},
		{"[COUNT count [ANY]]", "count-any:block(COUNT=count:integer ANY=any:pure-token?)?"},
		{"<LEFT | RIGHT>:where", "where:oneof(LEFT=left:pure-token RIGHT=right:pure-token)"},
		{"FILTERBY <MODULE m | ACLCAT c>", "FILTERBY=m-c:oneof(MODULE=m:string ACLCAT=c:string)"},
		{"<key | ''>", "key-empty:oneof(key:key empty:pure-token)"},
		{"STREAMS key... id...", "STREAMS=streams:block(key:key* id:string*)"},
		{"unit <'m' | 'km'>", "unit:string m-km:oneof(m=m:pure-token km=km:pure-token)"},
		{"[= | ~] threshold", "=-~:oneof(==" + "=:pure-token ~=~:pure-token)? threshold:string"},
	} {
		args, err := ParseUsage(c.usage)
		require.NoError(t, err, c.usage)
		assert.Equal(t, c.want, dump(args), c.usage)
	}
}

func TestParseUsageRefuses(t *testing.T) {
	for _, usage := range []string{
		"[", "]", "[key", "<a | b", "<a b]", "<|>", "[]", "{a | b}", "key]", "'open", "...", "9lives", "Key", strings.Repeat("[", 40) + "a",
	} {
		_, err := ParseUsage(usage)
		assert.Error(t, err, usage)
	}
}

// Any text is either refused or a tree, never a panic.
func TestParseUsageAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOf(rapid.SampledFrom([]string{
			"[", "]", "<", ">", "{", "}", "|", "...", "key", "WORD", "'w'", ":name", "count", " ", "'", ".", ":",
		})).Draw(t, "words")
		_, _ = ParseUsage(strings.Join(words, ""))
		_, _ = ParseUsage(strings.Join(words, " "))
	})
}

func TestSynopsis(t *testing.T) {
	s := Spec{Name: "CLIENT|X", Usage: "n:integer ip:port [A | B]:which {c d:double}:pair..."}
	assert.Equal(t, "CLIENT X n ip:port [A | B] {c d}...", s.Synopsis())
	s = Spec{Name: "X", Usage: "[{=}:equal | {~}:about]:in_words <{$}:new_id | id>:id"}
	assert.Equal(t, "X [= | ~] <$ | id>", s.Synopsis())
}
