package command

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/transcript"
	"github.com/ferricd/ferricd/resp"
)

// docsApart are the commands of which COMMAND DOCS tells something else than
// redis-server's, and why.
var docsApart = map[string]string{
	"QUIT":                    "is deprecated since 7.2",
	"GETSET":                  "their text holds marks of their website",
	"COMMAND|GETKEYS":         "theirs leaves the arguments out",
	"COMMAND|GETKEYSANDFLAGS": "theirs leaves the arguments out",
	"DEBUG":                   "theirs leaves the arguments out",
	"CLUSTER":                 "theirs has subcommands, of which none works",
	"CLIENT|KILL":             "has options of 7.2 and says which values SKIPME takes",
	"CONFIG|GET":              "theirs has a block of one",
	"CLIENT|LIST":             "theirs has a block of one",
	"CONFIG|SET":              "theirs has a block of one",
	"PSUBSCRIBE":              "theirs has a block of one",
	"MODULE|LOADEX":           "theirs has a block of one",
	"XINFO|STREAM":            "theirs has a block of one",
	"REPLCONF":                "theirs leaves the arguments out",
	"MIGRATE":                 "theirs calls optional each part of a choice that is, too",
	"BITOP":                   "names the operations, of which there are more since 8.2",
	"GEOHASH":                 "may stand without a member, as theirs of 7.2 says",
	"GEOPOS":                  "may stand without a member, as theirs of 7.2 says",
	"PFMERGE":                 "may stand without a source, as theirs of 7.2 says",
}

// A docsReply is what COMMAND DOCS says of a command that is not prose.
type docsReply struct {
	Since, Group, Deprecated, ReplacedBy string
	Arguments                            []string
}

func pairs(v transcript.Value) map[string]transcript.Value {
	m := map[string]transcript.Value{}
	for i := 0; i+1 < len(v.Elems); i += 2 {
		m[v.Elems[i].Str] = v.Elems[i+1]
	}
	return m
}

func docsOf(v transcript.Value, known map[string]bool) docsReply {
	m := pairs(v)
	d := docsReply{
		Since: m["since"].Str, Group: m["group"].Str, Deprecated: m["deprecated_since"].Str, ReplacedBy: m["replaced_by"].Str,
	}
	d.Arguments = outline(m["arguments"], "", known)
	return d
}

// outline prints a tree of arguments, a line each: type, token, flags and the
// names of values. The names of groups are everybody's own, and so are tokens
// that are not known, which newer versions have.
func outline(v transcript.Value, indent string, known map[string]bool) []string {
	var lines []string
	for _, e := range v.Elems {
		a := pairs(e)
		token := a["token"].Str
		if _, ok := a["token"]; ok && !known[token] {
			continue
		}
		line := indent + a["type"].Str + " " + token
		if len(a["arguments"].Elems) == 0 {
			line += " " + a["name"].Str
		}
		if n, ok := a["key_spec_index"]; ok {
			line += " key " + n.Str
		}
		lines = append(lines, strings.TrimRight(line+" "+strings.Join(sorted(a["flags"]), " "), " "))
		lines = append(lines, outline(a["arguments"], indent+"  ", known)...)
	}
	return lines
}

func tokensOf(v transcript.Value, known map[string]bool) {
	for _, e := range v.Elems {
		a := pairs(e)
		if t, ok := a["token"]; ok {
			known[t.Str] = true
		}
		tokensOf(a["arguments"], known)
	}
}

// COMMAND DOCS says of every command that redis-server knows what redis-server
// says, as far as it is no prose.
func TestDocsAgreeWithRedis(t *testing.T) {
	conn, err := net.Dial("tcp", transcript.StartRedis(t))
	require.NoError(t, err)
	redis := transcript.NewClient(conn, 10*time.Second)
	defer redis.Close()
	compared := 0
	eachRow(t, func(t *testing.T, s *Spec) {
		v, err := redis.Do("COMMAND", "DOCS", s.Lower())
		require.NoError(t, err)
		if len(v.Elems) != 2 || docsApart[s.Name] != "" {
			return
		}
		compared++
		known := map[string]bool{}
		tokensOf(pairs(v.Elems[1])["arguments"], known)
		var w resp.Writer
		w.Reset(2)
		w.Array(2)
		replyDocs(&w, s)
		ours := parseReply(t, w.Bytes())
		assert.Equal(t, docsOf(v.Elems[1], known), docsOf(ours.Elems[1], known))
	})
	assert.Greater(t, compared, len(All().Rows())/2)
	for name := range docsApart {
		assert.True(t, slices.ContainsFunc(All().Rows(), func(s *Spec) bool { return s.Name == name }), "%s is no command", name)
	}
}
