package proxy

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/resp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ends are the places at which replies end in s, taken in pieces of the given sizes in
// turn.
func ends(s string, sizes ...int) (at []int, kinds, words string, err error) {
	var sc scanner
	for i, k := 0, 0; i < len(s); k++ {
		piece := s[i:min(len(s), i+sizes[k%len(sizes)])]
		for len(piece) > 0 {
			n, done, err := sc.next([]byte(piece))
			if err != nil {
				return at, kinds, words, err
			}
			i += n
			piece = piece[n:]
			if done {
				at, kinds, words = append(at, i), kinds+string(sc.kind), words+string(sc.word)+" "
			}
		}
	}
	return at, kinds, words, nil
}

func TestRepliesEnd(t *testing.T) {
	for _, c := range []struct {
		in, kinds, words string
		at               []int
	}{
		{"+OK\r\n", "+", "OK ", []int{5}},
		{"-MASTERDOWN Link\r\n:1\r\n", "-:", "MASTERDOWN Link 1 ", []int{18, 22}},
		{"$3\r\na\r\n\r\n", "$", "a\r\n ", []int{9}},
		{"$0\r\n\r\n$-1\r\n_\r\n", "$$_", "   ", []int{6, 11, 14}},
		{"*2\r\n$1\r\na\r\n*1\r\n:1\r\n+x\r\n", "*+", "a x ", []int{19, 23}},
		{"*0\r\n*-1\r\n%0\r\n~0\r\n", "**%~", "    ", []int{4, 9, 13, 17}},
		{"%1\r\n+k\r\n*2\r\n:1\r\n:2\r\n", "%", "k ", []int{20}},
		{"|1\r\n+k\r\n+v\r\n+OK\r\n", "|", "k ", []int{17}},
		{">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:2\r\n", ">", "subscribe ", []int{30}},
		{"=6\r\ntxt:a\n\r\n", "=", "txt:a\n ", []int{12}},
		{"#t\r\n,1.5\r\n(12\r\n!3\r\nERR\r\n", "#,(!", "t 1.5 12 ERR ", []int{4, 10, 15, 24}},
		{"+" + strings.Repeat("x", 100) + "\r\n:7\r\n", "+:", strings.Repeat("x", headRoom-1) + " 7 ", []int{103, 107}},
	} {
		for _, sizes := range [][]int{{1 << 20}, {1}, {2, 3}, {7}} {
			at, kinds, words, err := ends(c.in, sizes...)
			require.NoError(t, err, "%q", c.in)
			require.Equal(t, c.at, at, "%q %v", c.in, sizes)
			require.Equal(t, c.kinds, kinds, "%q", c.in)
			require.Equal(t, c.words, words, "%q", c.in)
		}
	}
}

func TestWhatIsNoReply(t *testing.T) {
	for _, s := range []string{
		"\r\n", "hello\r\n", "+OK\n", "$x\r\n", "$-2\r\n", "$1\r\nab\r\n", "$1\r\na\n\r", "*-2\r\n", "~-1\r\n", "%-1\r\n", ">-1\r\n",
		":x\r\n", ":\r\n", "$\r\n", "\n", "$9223372036854775807\r\n", "*9999999999999\r\n", "*1\r\n*1099511627776\r\n*1099511627776\r\n",
		"$" + strings.Repeat("0", 60) + "\r\n",
	} {
		_, _, _, err := ends(s, 3)
		require.ErrorIs(t, err, errProtocol, "%q", s)
	}
}

// drawReply writes a reply as the server would.
func drawReply(t *rapid.T, w *resp.Writer, depth int) {
	most := 12
	if depth > 3 {
		most = 8
	}
	switch rapid.IntRange(0, most).Draw(t, "kind") {
	case 0:
		w.OK()
	case 1:
		w.Error("ERR " + rapid.StringMatching(`[a-z]{0,60}`).Draw(t, "text"))
	case 2:
		w.Int(rapid.Int64().Draw(t, "int"))
	case 3:
		w.Bulk(rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "bulk"))
	case 4:
		w.Null()
	case 5:
		w.NullArray()
	case 6:
		w.Bool(rapid.Bool().Draw(t, "bool"))
	case 7:
		w.Double(rapid.Float64().Draw(t, "double"))
	case 8:
		w.Verbatim("txt", rapid.String().Draw(t, "text"))
	default:
		n := rapid.IntRange(0, 4).Draw(t, "n")
		switch rapid.IntRange(0, 3).Draw(t, "aggregate") {
		case 0:
			w.Array(n)
		case 1:
			w.Set(n)
		case 2:
			w.Push(n)
		case 3:
			w.Map(n)
			n *= 2
		}
		for range n {
			drawReply(t, w, depth+1)
		}
	}
}

// However replies are cut into pieces, each ends where the server ended it.
func TestRepliesEndWhereTheyWereEnded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w resp.Writer
		w.Reset(rapid.IntRange(2, 3).Draw(t, "proto"))
		var want []int
		for range rapid.IntRange(1, 5).Draw(t, "replies") {
			drawReply(t, &w, 0)
			want = append(want, w.Len())
		}
		at, _, _, err := ends(string(w.Bytes()), rapid.SliceOfN(rapid.IntRange(1, 50), 1, 10).Draw(t, "sizes")...)
		if err != nil || !equal(at, want) {
			t.Fatalf("%q: %v, %v, want %v", w.Bytes(), at, err, want)
		}
	})
}

func equal(a, b []int) bool {
	var x, y []byte
	for _, n := range a {
		x = strconv.AppendInt(append(x, ' '), int64(n), 10)
	}
	for _, n := range b {
		y = strconv.AppendInt(append(y, ' '), int64(n), 10)
	}
	return bytes.Equal(x, y)
}

func FuzzScan(f *testing.F) {
	for _, s := range []string{"+OK\r\n", "*2\r\n$1\r\na\r\n:1\r\n", "|1\r\n+k\r\n+v\r\n%1\r\n_\r\n#t\r\n", "$5\r\nhello\r\n-ERR x\r\n"} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		whole, kinds, words, err := ends(string(b), len(b)+1)
		size = max(1, size%64)
		at, k, w, e := ends(string(b), size)
		if (err == nil) != (e == nil) || !equal(at, whole) || k != kinds || w != words {
			t.Fatalf("%q: %v %q %q %v in one piece, %v %q %q %v in pieces of %d", b, whole, kinds, words, err, at, k, w, e, size)
		}
	})
}

func TestHelloIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[!-~]{0,60}`)
		o := &resp.Origin{
			Node: text.Draw(t, "node"), ID: rapid.Uint64().Draw(t, "id"), Addr: text.Draw(t, "addr"), Name: text.Draw(t, "name"),
			LibName: text.Draw(t, "lib"), LibVer: text.Draw(t, "ver"), User: text.Draw(t, "user"),
			DB: rapid.IntRange(0, 1<<20).Draw(t, "db"), Proto: rapid.IntRange(2, 3).Draw(t, "proto"), Authenticated: rapid.Bool().Draw(t, "auth"),
		}
		b := EncodeHello(o)
		got, err := DecodeHello(b)
		if err != nil || *got != *o {
			t.Fatalf("%+v, %v, want %+v", got, err, o)
		}
		if _, err := DecodeHello(b[:len(b)-1]); err == nil {
			t.Fatal("cut short and taken")
		}
		if _, err := DecodeHello(append(b, 0)); err == nil {
			t.Fatal("too long and taken")
		}
	})
	long := strings.Repeat("x", 10000)
	b := EncodeHello(&resp.Origin{Node: long, Addr: "a b", Name: long, LibName: long, LibVer: long, User: long})
	require.LessOrEqual(t, len(b), HelloMost)
	o, err := DecodeHello(b)
	require.NoError(t, err)
	require.Equal(t, "a_b", o.Addr)
	require.True(t, strings.HasPrefix(long, o.Name))
	for _, bad := range []string{"", "\x01", "\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00", "\x01\x04\x00\x00\x00\x00\x00\x00\x00\x00", "\x01\x00\x00\x00\x01\n\x00\x00\x00\x00\x00"} {
		_, err := DecodeHello([]byte(bad))
		require.ErrorIs(t, err, ErrHello, "%q", bad)
	}
}

func FuzzHello(f *testing.F) {
	f.Add(EncodeHello(&resp.Origin{Node: "n", Addr: "1.2.3.4:5", Name: "x", DB: 3, Proto: 3, Authenticated: true}))
	f.Add([]byte{1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := DecodeHello(b)
		if err != nil {
			return
		}
		again, err := DecodeHello(EncodeHello(o))
		if err != nil {
			t.Fatal(err)
		}
		if max(len(o.Node), len(o.Addr), len(o.Name), len(o.LibName), len(o.LibVer), len(o.User)) < 600 && *again != *o {
			t.Fatalf("%+v, %+v", o, again)
		}
	})
}
