package main_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rss is the memory of the server's process, in bytes.
func (p *process) rss(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Skip("no /proc here")
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			kb, err := strconv.ParseInt(f[1], 10, 64)
			require.NoError(t, err)
			return kb << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// ticks is the processor time that the server has used, in the kernel's ticks.
func (p *process) ticks(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		t.Skip("no /proc here")
	}
	f := strings.Fields(string(b)[strings.LastIndexByte(string(b), ')')+2:])
	user, err := strconv.Atoi(f[11])
	require.NoError(t, err)
	sys, err := strconv.Atoi(f[12])
	require.NoError(t, err)
	return user + sys
}

func (p *process) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// alive sends a command on a fresh connection and wants its reply.
func (p *process) alive(t *testing.T) {
	t.Helper()
	c := p.dial(t)
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(10*time.Second)))
	_, err := io.WriteString(c, "INCR alive\r\n")
	require.NoError(t, err)
	line, err := bufio.NewReader(c).ReadString('\n')
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(line, ":"), line)
}

// descriptors makes room for n connections, or skips.
func descriptors(t *testing.T, n uint64) {
	var l syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l))
	if l.Max < n+200 {
		t.Skipf("only %d descriptors are to be had", l.Max)
	}
	l.Cur = l.Max
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l))
}

func TestIdleConnections(t *testing.T) {
	const n = 10000
	descriptors(t, n)
	p := start(t, "--maxclients", "10010")
	before := p.rss(t)
	for range n {
		p.dial(t)
	}
	p.alive(t)
	each := (p.rss(t) - before) / n
	t.Logf("an idle connection costs %d bytes", each)
	require.Less(t, each, int64(32<<10))
	// At rest means at rest: with all of them connected, a second costs next to nothing.
	require.Eventually(t, func() bool {
		was := p.ticks(t)
		time.Sleep(time.Second)
		return p.ticks(t)-was <= 3
	}, 20*time.Second, time.Millisecond, "an idle server uses the processor")
}

func TestHalfSentRequestsCostWhatWasSent(t *testing.T) {
	p := start(t)
	before := p.rss(t)
	for range 200 {
		_, err := io.WriteString(p.dial(t), "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$500000000\r\nhalf")
		require.NoError(t, err)
	}
	p.alive(t)
	require.Less(t, p.rss(t)-before, int64(64<<20))
}

func TestClientsThatNeverRead(t *testing.T) {
	p := start(t)
	c := p.dial(t)
	big := strings.Repeat("x", 1<<20)
	_, err := fmt.Fprintf(c, "*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n%s\r\n", len(big), big)
	require.NoError(t, err)
	line, err := bufio.NewReader(c).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "+OK\r\n", line)
	before := p.rss(t)
	for range 20 {
		deaf := p.dial(t)
		require.NoError(t, deaf.SetWriteDeadline(time.Now().Add(5*time.Second)))
		_, err := io.WriteString(deaf, strings.Repeat("GET big\r\n", 1000))
		require.NoError(t, err)
	}
	for range 50 {
		p.alive(t)
	}
	per := (p.rss(t) - before) / 20
	t.Logf("a client that does not read costs %d bytes", per)
	require.Less(t, per, int64(16<<20))
}
