package command

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/internal/transcript"
	"github.com/ferricd/ferricd/resp"
)

// eachRow runs a subtest for every command and subcommand.
func eachRow(t *testing.T, fn func(t *testing.T, s *Spec)) {
	for _, s := range All().Rows() {
		t.Run(s.Lower(), func(t *testing.T) { fn(t, s) })
	}
}

func TestRowsAreComplete(t *testing.T) {
	eachRow(t, func(t *testing.T, s *Spec) {
		assert.True(t, strings.HasSuffix(s.Summary, "."), "summary %q", s.Summary)
		assert.NotEmpty(t, s.Since)
		assert.NotEmpty(t, s.Group)
		assert.NotZero(t, s.Arity)
		assert.Equal(t, s.Has(Container), s.Run == nil, "what has no handler is a container, and the reverse")
		assert.Zero(t, s.Flags&MovableKeys, "movablekeys is derived")
		if s.Parent() == nil && s.Has(Container) {
			assert.NotEmpty(t, s.Subcommands())
		}
	})
}

// What a call may do follows from its keys: who reads does not write, and who
// has keys does one of the two.
func TestWriteOrRead(t *testing.T) {
	eachRow(t, func(t *testing.T, s *Spec) {
		assert.False(t, s.Has(Write) && s.Has(Readonly), "both write and readonly")
		if s.hasKeys() && s.Group != Transactions {
			assert.True(t, s.Has(Write) || s.Has(Readonly), "keys, but neither write nor readonly")
		}
		if s.Has(DenyOOM) {
			assert.True(t, s.Has(Write), "denyoom without write")
		}
		for _, k := range s.Keys {
			assert.Equal(t, 1, len(intersect(k.Access.Names(), "RO", "RW", "OW", "RM"))+len(intersect(k.Access.Names(), "not_key")),
				"a key spec has one of RO, RW, OW and RM")
			if s.Has(Readonly) && !s.Has(MayReplicate) { // PFCOUNT notes its result in the value
				assert.Zero(t, k.Access&(RW|OW|RM), "a reader with a key spec that writes")
			}
		}
	})
}

func intersect(all []string, some ...string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return !slices.Contains(some, s) })
}

// A sampler draws calls from a usage line and notes which words are keys.
type sampler struct {
	*rapid.T
	args  [][]byte
	keys  []int
	times int // how often all that repeats is repeated
}

func (s *sampler) word(w string) { s.args = append(s.args, []byte(w)) }

func (s *sampler) all(args []Argument) {
	for i := range args {
		a := &args[i]
		if a.Optional && !rapid.Bool().Draw(s.T, a.Name) {
			continue
		}
		n := 1
		if a.Multiple {
			n = s.times
		}
		for i := range n {
			if a.Token != "" && (i == 0 || a.MultipleToken) {
				s.word(a.Token)
			}
			s.value(a)
		}
	}
}

func (s *sampler) value(a *Argument) {
	switch {
	case a.Type == typeOneOf:
		s.all([]Argument{rapid.SampledFrom(a.Args).Draw(s.T, a.Name)})
	case a.Type == typeBlock:
		s.all(a.Args)
	case a.Type == typePureToken:
		if a.Token == "" {
			s.word("")
		}
	case a.Name == "numkeys":
		s.word(fmt.Sprint(s.times))
	case a.Type == "key":
		s.keys = append(s.keys, len(s.args))
		s.word(fmt.Sprintf("key%d", len(s.args)))
	case a.Type == "integer":
		s.word("1")
	default:
		s.word("v")
	}
}

// Usage, arity and key specs say the same: whatever the usage line allows has an
// allowed number of arguments, and the key specs find just what it calls keys.
func TestUsageAgreesWithArityAndKeys(t *testing.T) {
	eachRow(t, func(t *testing.T, s *Spec) {
		args, err := ParseUsage(s.Usage)
		require.NoError(t, err)
		require.Equal(t, smallest(s, args), abs(s.Arity), "arity against the usage's least")
		lax := len(s.Subcommands()) > 0 || s.Name == "QUIT" || s.Name == "PSYNC" // which ignore what follows
		require.Equal(t, s.Arity > 0, fixed(args) && !lax, "a fixed arity, and a usage that leaves no choice")
		if s.Has(Container) {
			return // such a call names no subcommand
		}
		rapid.Check(t, func(t *rapid.T) {
			sam := &sampler{T: t, times: rapid.IntRange(1, 3).Draw(t, "times")}
			for w := range strings.SplitSeq(s.Name, "|") {
				sam.word(w)
			}
			sam.all(args)
			require.True(t, s.ArityOK(len(sam.args)), "%q", sam.args)
			var found []int
			require.NoError(t, s.EachKey(sam.args, func(i int, _ Access) { found = append(found, i) }))
			slices.Sort(found)
			require.Equal(t, sam.keys, found, "keys of %q", sam.args)
		})
	})
}

func abs(n int) int { return max(n, -n) }

// smallest is the length of the shortest call that the usage allows.
func smallest(s *Spec, args []Argument) int {
	n := 1 + strings.Count(s.Name, "|")
	if s.Has(Container) {
		n++
	}
	for i := range args {
		n += args[i].smallest()
	}
	return n
}

func (a *Argument) smallest() int {
	n := 0
	switch {
	case a.Optional:
		return 0
	case a.Type == typeOneOf:
		n = a.Args[0].smallest()
		for i := range a.Args {
			n = min(n, a.Args[i].smallest())
		}
	case a.Type == typeBlock:
		for i := range a.Args {
			n += a.Args[i].smallest()
		}
	default:
		n = 1
	}
	if a.Token != "" && a.Type != typePureToken {
		n++
	}
	return n
}

// fixed tells whether all calls have the same length.
func fixed(args []Argument) bool {
	for i := range args {
		a := &args[i]
		if a.Optional || a.Multiple {
			return false
		}
		switch a.Type {
		case typeBlock:
			if !fixed(a.Args) {
				return false
			}
		case typeOneOf:
			for j := range a.Args {
				if !fixed(a.Args[j:j+1]) || a.Args[j].smallest() != a.Args[0].smallest() {
					return false
				}
			}
		}
	}
	return true
}

func TestEveryCommandHasATranscript(t *testing.T) {
	var calls strings.Builder
	files, err := filepath.Glob("testdata/*/*.txt")
	require.NoError(t, err)
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		calls.WriteString(strings.ToUpper(string(b)))
	}
	eachRow(t, func(t *testing.T, s *Spec) {
		call := "> " + strings.ReplaceAll(s.Name, "|", " ")
		assert.True(t, strings.Contains(calls.String(), call+" ") || strings.Contains(calls.String(), call+"\n"),
			"no transcript runs it")
	})
}

// Every command that takes integers has a transcript that sends it those at the
// ends of what 64 bits hold.
func TestIntegersAtTheirEndsAreInTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.txt")
	require.NoError(t, err)
	calls := map[string]string{} // by row
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		for line := range strings.Lines(string(b)) {
			_, call, ok := strings.Cut(line, "> ")
			if !ok {
				continue
			}
			words := bytes.Fields([]byte(call))
			if s := All().Lookup(words); s != nil {
				calls[s.Name] += line
			}
		}
	}
	eachRow(t, func(t *testing.T, s *Spec) {
		args, err := ParseUsage(s.Usage)
		require.NoError(t, err)
		if !takesIntegers(args) {
			return
		}
		assert.Contains(t, calls[s.Name], " -9223372036854775808")
		assert.Contains(t, calls[s.Name], " 9223372036854775807")
	})
}

func takesIntegers(args []Argument) bool {
	return slices.ContainsFunc(args, func(a Argument) bool {
		return a.Type == "integer" || a.Type == "unix-time" || takesIntegers(a.Args)
	})
}

// What COMMAND INFO tells of a command, sets in alphabetical order.
type commandInfoReply struct {
	Arity, First, Last, Step string
	Flags, ACL, Tips         []string
	Keys                     []string
}

func infoOf(v transcript.Value) commandInfoReply {
	e := v.Elems
	return commandInfoReply{
		Arity: e[1].Str, First: e[3].Str, Last: e[4].Str, Step: e[5].Str,
		Flags: sorted(e[2]), ACL: sorted(e[6]), Tips: sorted(e[7]), Keys: keySpecs(e[8]),
	}
}

func sorted(v transcript.Value) []string {
	words := []string{}
	for _, e := range v.Elems {
		words = append(words, e.Str)
	}
	slices.Sort(words)
	return words
}

// keySpecs prints key specifications without their notes, which everybody words
// as they like.
func keySpecs(v transcript.Value) []string {
	specs := []string{}
	for _, e := range v.Elems {
		var parts []string
		for i := 0; i < len(e.Elems); i += 2 {
			switch name := e.Elems[i].Str; name {
			case "notes":
			case "flags":
				parts = append(parts, fmt.Sprint(sorted(e.Elems[i+1])))
			default:
				parts = append(parts, name+"\n"+e.Elems[i+1].String())
			}
		}
		specs = append(specs, strings.Join(parts, "\n"))
	}
	return specs
}

// parseReply reads one reply as a client does.
func parseReply(t *testing.T, b []byte) transcript.Value {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	go func() {
		defer far.Close()
		_, _ = far.Write(b)
	}()
	v, err := transcript.NewClient(near, 10*time.Second).Receive(false)
	require.NoError(t, err)
	return v
}

// longer are commands that take more arguments since Redis 7.2, and their arity
// before.
var longer = map[string]string{"ZRANK": "3", "ZREVRANK": "3"}

// COMMAND INFO says of every command that redis-server knows what redis-server
// says.
func TestInfoAgreesWithRedis(t *testing.T) {
	conn, err := net.Dial("tcp", transcript.StartRedis(t))
	require.NoError(t, err)
	redis := transcript.NewClient(conn, 10*time.Second)
	defer redis.Close()
	known := 0
	eachRow(t, func(t *testing.T, s *Spec) {
		v, err := redis.Do("COMMAND", "INFO", s.Lower())
		require.NoError(t, err)
		if v.Elems[0].Null {
			return
		}
		known++
		var w resp.Writer
		w.Reset(2)
		replyInfo(&w, s)
		theirs, ours := infoOf(v.Elems[0]), infoOf(parseReply(t, w.Bytes()))
		if a := longer[s.Name]; a != "" && a == theirs.Arity {
			ours.Arity = a
		}
		assert.Equal(t, theirs, ours)
	})
	assert.Greater(t, known, len(All().Rows())/2)
}
