package replica

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// headSize is that of u32 length of the payload, u32 CRC32C, u8 kind.
	headSize = 9
	// piece is what must pass within one timeout: who takes less is silent.
	piece = 64 << 10
	// growth bounds what is allocated for bytes that have been promised only.
	growth = 1 << 20
	// Frames up to smallMessage are copied behind their header and go out in one write.
	smallMessage = 32 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A wire sends and receives messages over a connection. One goroutine receives,
// any number sends. After the first error of either side nothing goes on, since a
// message may be half through.
type wire struct {
	c net.Conn
	r io.Reader

	// How long nothing may pass; 0 before the handshake has ended, when one
	// deadline holds for all of it.
	readTimeout, writeTimeout time.Duration

	in []byte // owned by the receiver

	mu     sync.Mutex
	out    []byte
	broken error
}

func newWire(c net.Conn) *wire { return &wire{c: c, r: c} }

// begin ends the time of the handshake: from here on each read and write has its
// own timeout, and reads are gathered.
func (w *wire) begin(read, write time.Duration) error {
	if err := w.c.SetDeadline(time.Time{}); err != nil {
		return err
	}
	w.readTimeout, w.writeTimeout = read, write
	w.r = bufio.NewReaderSize(timedReader{w}, piece)
	return nil
}

type timedReader struct{ w *wire }

func (t timedReader) Read(p []byte) (int, error) {
	if err := t.w.c.SetReadDeadline(time.Now().Add(t.w.readTimeout)); err != nil {
		return 0, err
	}
	return t.w.c.Read(p)
}

// covered is the part of a payload that the message's checksum covers. The frames
// of the log have their own, which the follower checks before it logs them.
func covered(k kind, payload []byte) []byte {
	if k == kindFrames {
		return payload[:min(8, len(payload))]
	}
	return payload
}

func checksum(k kind, b []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte{byte(k)}, castagnoli), castagnoli, b)
}

// receive returns the next message if its kind is one of those that are taken.
// What it holds of frames and chunks is valid until the next call.
func (w *wire) receive(takes kindSet) (message, error) {
	var head [headSize]byte
	if _, err := io.ReadFull(w.r, head[:]); err != nil {
		return nil, silence(err)
	}
	n, sum, k := binary.LittleEndian.Uint32(head[:]), binary.LittleEndian.Uint32(head[4:]), kind(head[8])
	if !takes.has(k) {
		return nil, violation("%s, which has no place here", k)
	}
	if n > k.maxPayload() {
		return nil, violation("%d bytes announced for a %s", n, k)
	}
	payload, err := w.payload(int(n))
	if err != nil {
		return nil, silence(err)
	}
	if checksum(k, covered(k, payload)) != sum {
		return nil, violation("the checksum of a %s does not fit", k)
	}
	return decode(k, payload)
}

// payload reads n bytes, and allocates only as they come.
func (w *wire) payload(n int) ([]byte, error) {
	if cap(w.in) > growth && n <= growth {
		w.in = nil // what one huge frame needed is not kept
	}
	b := w.in[:0]
	for len(b) < n {
		more := min(n-len(b), growth)
		at := len(b)
		b = append(b, make([]byte, more)...)
		if _, err := io.ReadFull(w.r, b[at:]); err != nil {
			return nil, err
		}
	}
	w.in = b
	return b, nil
}

// silence tells a timeout from other errors.
func silence(err error) error {
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrSilent, err)
	}
	return err
}

// send writes one message. After an error nothing more is sent: half of a message
// may have gone. Who sends ends the session then.
func (w *wire) send(m message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return w.broken
	}
	w.broken = w.write(m)
	return w.broken
}

func (w *wire) write(m message) error {
	var data []byte
	if big, ok := m.(*frames); ok && len(big.data) > smallMessage {
		data, m = big.data, &frames{first: big.first}
	}
	var head [headSize]byte
	out, err := encode(append(w.out[:0], head[:]...), m)
	if err != nil {
		return err
	}
	w.out = out
	if cap(out) > growth {
		w.out = nil
	}
	k, body := m.kind(), out[headSize:]
	n := uint64(len(body)) + uint64(len(data))
	if n > uint64(k.maxPayload()) {
		return fmt.Errorf("%w: %d bytes", ErrTooLarge, n)
	}
	binary.LittleEndian.PutUint32(out, uint32(n))
	binary.LittleEndian.PutUint32(out[4:], checksum(k, covered(k, body)))
	out[8] = byte(k)
	if err := w.pieces(out); err != nil {
		return err
	}
	return w.pieces(data)
}

func (w *wire) pieces(b []byte) error {
	for len(b) > 0 {
		if w.writeTimeout > 0 {
			if err := w.c.SetWriteDeadline(time.Now().Add(w.writeTimeout)); err != nil {
				return err
			}
		}
		n, err := w.c.Write(b[:min(piece, len(b))])
		if err != nil {
			return silence(err)
		}
		b = b[n:]
	}
	return nil
}

// A kindSet says which messages are taken.
type kindSet uint32

func kindsOf(list ...kind) (s kindSet) {
	for _, k := range list {
		s |= 1 << k
	}
	return s
}

func (s kindSet) has(k kind) bool { return k < kinds && s&(1<<k) != 0 }

var (
	dialerTakes   = kindsOf(kindHello, kindWelcome, kindRefuse)
	acceptorTakes = kindsOf(kindHello, kindProof)
	leaderTakes   = kindsOf(kindRefuse, kindPosition, kindNeedCopy, kindRequest, kindInstalled, kindAlive, kindAck)
	followerTakes = kindsOf(kindRefuse, kindContinue, kindCutBack, kindFullCopy, kindFiles, kindChunk,
		kindFilesDone, kindFrames, kindSegment, kindHeartbeat, kindDrop, kindSnapshotHint, kindGoodbye)
)
