package replica

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/aof"
)

// samples has one message of each kind, and more where fields can be empty.
func samples() []message {
	id := Identity{Name: "a", ID: "1f", Incarnation: "2e"}
	const name = "log-00000000000000000300.fer"
	return []message{
		&hello{version: Version, purpose: PurposeStream, cluster: "c0", id: id, epoch: 7, nonce: [nonceSize]byte{1, 31: 2}},
		&hello{version: Version, purpose: PurposeProxy, id: id, extra: []byte("db=3")},
		&proof{macs: [][macSize]byte{{1}, {31: 2}}},
		&welcome{mac: [macSize]byte{3}, epoch: 7, cluster: "c0"},
		&refuse{code: 6, text: "no", leader: "b", epoch: 8},
		&position{},
		&position{history: []aof.EpochStart{{Epoch: 3}, {Epoch: 5, First: 200}}, end: 400},
		&resume{epoch: 7, from: 400},
		&cutBack{epoch: 7, to: 300},
		&needCopy{},
		&fullCopy{epoch: 7},
		&files{list: []FileInfo{{Name: name, Size: 252, SHA256: [hashSize]byte{4}, Sealed: true}}},
		&request{list: []Want{{Name: name, Offset: 52}}},
		&chunk{name: name, offset: 52, data: []byte("abc")},
		&filesDone{lsn: 500, epoch: 6, cluster: "c0"},
		&installed{lsn: 500},
		&frames{first: 400, data: []byte("frames")},
		&segment{first: 406, epoch: 7},
		&heartbeat{end: 406, commit: 400, now: 1700000000000},
		&drop{before: 200},
		&snapshotHint{},
		&goodbye{reason: "bye", next: "b"},
		&alive{},
		&ack{epoch: 7, received: 406, applied: 400, durable: 300, now: 1700000000000},
	}
}

// A pipe is a connection into memory.
type pipe struct {
	net.Conn
	bytes.Buffer
}

func (p *pipe) Read(b []byte) (int, error)  { return p.Buffer.Read(b) }
func (p *pipe) Write(b []byte) (int, error) { return p.Buffer.Write(b) }
func (p *pipe) Close() error                { return nil }

func wired(t require.TestingT, m message) []byte {
	var p pipe
	require.NoError(t, (&wire{c: &p}).send(m))
	return p.Bytes()
}

const everyKind = kindSet(math.MaxUint32)

// TestFormat holds on to the bytes of the wire: who changes them changes Version.
func TestFormat(t *testing.T) {
	var b strings.Builder
	seen := map[kind]bool{}
	for _, m := range samples() {
		seen[m.kind()] = true
		fmt.Fprintf(&b, "%s\n%s\n", describe(m), hex.Dump(wired(t, m)))
	}
	require.Len(t, seen, int(kinds)-1)
	path := filepath.Join("testdata", fmt.Sprintf("format-%d", Version))
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
}

func TestMessagesComeThrough(t *testing.T) {
	big := bytes.Repeat([]byte("frame "), 3*growth/5)
	list := append(samples(), &frames{first: 9, data: big}, &chunk{name: "x", data: big[:maxChunk]}, &alive{})
	var p pipe
	out, in := &wire{c: &p}, &wire{r: &p}
	for _, m := range list {
		require.NoError(t, out.send(m))
	}
	for _, m := range list {
		got, err := in.receive(everyKind)
		require.NoError(t, err)
		require.Equal(t, m, got)
	}
	_, err := in.receive(everyKind)
	require.Equal(t, io.EOF, err)
	require.LessOrEqual(t, cap(in.in), growth, "what a huge message needed is let go")
}

// TestDamageIsFound: no byte of a message can be changed unnoticed, but those that
// the frames of the log protect themselves.
func TestDamageIsFound(t *testing.T) {
	for _, m := range samples() {
		good := wired(t, m)
		for i := range good {
			bad := bytes.Clone(good)
			bad[i] ^= 0x10
			got, err := (&wire{r: bytes.NewReader(bad)}).receive(everyKind)
			if f, ok := got.(*frames); ok && err == nil && i >= headSize+8 {
				require.Equal(t, uint64(400), f.first)
				continue
			}
			require.Error(t, err, "%s, byte %d", m.kind(), i)
		}
		for n := range good {
			_, err := (&wire{r: bytes.NewReader(good[:n])}).receive(everyKind)
			require.Error(t, err, "%s, %d bytes of it", m.kind(), n)
		}
	}
}

// payloadOf frames a payload as a peer may that does not keep to the bounds.
func payloadOf(k kind, b []byte) []byte {
	head := make([]byte, headSize)
	binary.LittleEndian.PutUint32(head, uint32(len(b)))
	binary.LittleEndian.PutUint32(head[4:], checksum(k, covered(k, b)))
	head[8] = byte(k)
	return append(head, b...)
}

func TestBoundsHold(t *testing.T) {
	u16 := func(n int) []byte { return binary.LittleEndian.AppendUint16(nil, uint16(n)) }
	u32 := func(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, c := range []struct {
		name  string
		kind  kind
		bytes []byte
	}{
		{"a history of a thousand million", kindPosition, u32(1000 << 20)},
		{"a history of one too many", kindPosition, join(u32(maxEpochs+1), make([]byte, (maxEpochs+1)*16+8))},
		{"a list of files longer than the message", kindFiles, join(u32(maxFiles), make([]byte, 100))},
		{"a request of too many", kindRequest, join(u32(maxFiles+1), make([]byte, (maxFiles+1)*10))},
		{"a name that is too long", kindChunk, join(u16(maxName+1), make([]byte, 2*maxName))},
		{"a chunk that is too long", kindChunk, join(u16(1), []byte("x"), make([]byte, 8), make([]byte, maxChunk+1))},
		{"an offset below zero", kindChunk, join(u16(1), []byte("x"), bytes.Repeat([]byte{0xff}, 8))},
		{"no proof", kindProof, []byte{0}},
		{"three proofs", kindProof, append([]byte{3}, make([]byte, 3*macSize)...)},
		{"a flag that is neither", kindFiles, join(u32(1), u16(1), []byte("x"), make([]byte, 8+hashSize), []byte{2})},
		{"bytes behind the end", kindAlive, []byte{0}},
		{"a hello of something else", kindHello, append([]byte("GET / HT"), make([]byte, 60)...)},
		{"no kind", 0, nil},
		{"an unknown kind", kinds, nil},
	} {
		_, err := (&wire{r: bytes.NewReader(payloadOf(c.kind, c.bytes))}).receive(everyKind)
		require.ErrorIs(t, err, ErrProtocol, c.name)
	}
	m, err := decode(kindFiles, append(u32(maxFiles), make([]byte, 100)...))
	require.ErrorIs(t, err, ErrProtocol)
	require.Nil(t, m.(*files).list, "nothing is made for elements that have not come")

	other := wired(t, samples()[0])
	binary.LittleEndian.PutUint16(other[headSize+8:], Version+1)
	binary.LittleEndian.PutUint32(other[4:], checksum(kindHello, other[headSize:]))
	_, err = (&wire{r: bytes.NewReader(other)}).receive(everyKind)
	require.ErrorIs(t, err, ErrVersion)
	require.NotErrorIs(t, err, ErrProtocol)
}

// TestOwnFieldsAreBounded: what the other side would refuse is not sent.
func TestOwnFieldsAreBounded(t *testing.T) {
	long := strings.Repeat("x", maxName+1)
	for _, m := range []message{
		&hello{version: Version, cluster: long},
		&hello{version: Version, extra: make([]byte, maxExtra+1)},
		&proof{},
		&proof{macs: make([][macSize]byte, maxSecrets+1)},
		&position{history: make([]aof.EpochStart, maxEpochs+1)},
		&files{list: make([]FileInfo, maxFiles+1)},
		&chunk{name: "x", data: make([]byte, maxChunk+1)},
		&goodbye{next: long},
	} {
		var p pipe
		w := &wire{c: &p}
		require.Error(t, w.send(m), m.kind())
		require.Zero(t, p.Len())
		require.Error(t, w.send(&alive{}), "nothing follows an error")
	}
}

// hungry counts what is asked of it before it gives up.
type hungry struct{ asked int }

func (h *hungry) Read(b []byte) (int, error) {
	h.asked = max(h.asked, len(b))
	return 0, io.ErrUnexpectedEOF
}

// TestPromisesAllocateNothing: four gigabytes that are announced cost what has come.
func TestPromisesAllocateNothing(t *testing.T) {
	head := payloadOf(kindFrames, nil)
	binary.LittleEndian.PutUint32(head, maxFramesPayload)
	h := &hungry{}
	w := &wire{r: io.MultiReader(bytes.NewReader(head), h)}
	_, err := w.receive(followerTakes)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.LessOrEqual(t, h.asked, growth)

	_, err = (&wire{r: bytes.NewReader(head)}).receive(leaderTakes)
	require.ErrorIs(t, err, ErrProtocol, "a follower has no frames to send")
	require.LessOrEqual(t, kindHello.maxPayload(), uint32(8<<10), "before the secret is shown")
}

// TestASilentPeerIsLeft on both sides: who sends nothing, and who takes nothing.
func TestASilentPeerIsLeft(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	w := newWire(near)
	require.NoError(t, w.begin(time.Millisecond, time.Millisecond))
	_, err := w.receive(everyKind)
	require.ErrorIs(t, err, ErrSilent)
	require.ErrorIs(t, w.send(&alive{}), ErrSilent)
}

func TestDrawnMessagesComeThrough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringN(0, 20, maxName)
		epochs := rapid.Custom(func(t *rapid.T) aof.EpochStart {
			return aof.EpochStart{Epoch: rapid.Uint64().Draw(t, "epoch"), First: rapid.Uint64().Draw(t, "first")}
		})
		infos := rapid.Custom(func(t *rapid.T) FileInfo {
			return FileInfo{
				Name: word.Draw(t, "name"), Size: rapid.Int64Min(0).Draw(t, "size"),
				SHA256: [hashSize]byte(rapid.SliceOfN(rapid.Byte(), hashSize, hashSize).Draw(t, "hash")), Sealed: rapid.Bool().Draw(t, "sealed"),
			}
		})
		m := []message{
			&position{history: rapid.SliceOfN(epochs, 1, 30).Draw(t, "history"), end: rapid.Uint64().Draw(t, "end")},
			&files{list: rapid.SliceOfN(infos, 1, 30).Draw(t, "files")},
			&refuse{code: rapid.Uint16().Draw(t, "code"), text: rapid.StringN(0, 100, maxText).Draw(t, "text"), leader: word.Draw(t, "leader")},
			&frames{first: rapid.Uint64().Draw(t, "first"), data: rapid.SliceOfN(rapid.Byte(), 1, 3*smallMessage).Draw(t, "data")},
		}[rapid.IntRange(0, 3).Draw(t, "kind")]
		got, err := (&wire{r: bytes.NewReader(wired(t, m))}).receive(everyKind)
		require.NoError(t, err)
		require.Equal(t, m, got)
	})
}

// FuzzMessage: no payload panics, and one that is taken is the only encoding of
// what it says.
func FuzzMessage(f *testing.F) {
	for _, m := range samples() {
		b, err := encode(nil, m)
		require.NoError(f, err)
		f.Add(uint8(m.kind()), b)
	}
	f.Fuzz(func(t *testing.T, k uint8, b []byte) {
		m, err := decode(kind(k), bytes.Clone(b))
		if err != nil {
			require.True(t, errors.Is(err, ErrProtocol) || errors.Is(err, ErrVersion), err)
			return
		}
		again, err := encode(nil, m)
		require.NoError(t, err)
		require.True(t, bytes.Equal(b, again), "%x, then %x", b, again)
	})
}

// FuzzHello: whatever an unknown peer sends is refused or is a handshake.
func FuzzHello(f *testing.F) {
	f.Add(append(wired(f, samples()[0]), wired(f, samples()[2])...))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		w := &wire{r: bytes.NewReader(b)}
		a := &acceptor{mine: &hello{version: Version, id: Identity{ID: "2"}}, secrets: bytesOf([]string{"s"})}
		for range 4 {
			e := event(nil)
			m, err := w.receive(acceptorTakes)
			if e = m; err != nil {
				e = malformed{err}
			}
			for _, o := range a.step(e) {
				switch o := o.(type) {
				case judge, accepted:
					t.Fatal("it has guessed the secret")
				case send:
					_, err := encode(nil, o.m)
					require.NoError(t, err)
				case fail:
					return
				}
			}
		}
		t.Fatal("it goes on and on")
	})
}

// FuzzSession: no order of messages makes a machine panic or go on behind its end.
func FuzzSession(f *testing.F) {
	var all []byte
	for _, m := range samples() {
		all = append(all, wired(f, m)...)
	}
	f.Add(true, all)
	f.Add(false, all)
	f.Fuzz(func(t *testing.T, leads bool, b []byte) {
		w := &wire{r: bytes.NewReader(b)}
		var m stepper = &follower{epoch: 7}
		if leads {
			m = &leader{epoch: 7}
		} else {
			m.step(stands{end: 400})
		}
		for {
			e := event(nil)
			got, err := w.receive(everyKind)
			if e = got; err != nil {
				e = malformed{err}
			}
			for _, o := range m.step(e) {
				if _, over := o.(fail); over {
					return
				}
			}
			require.NoError(t, err, "it goes on with a peer that is gone")
		}
	})
}
