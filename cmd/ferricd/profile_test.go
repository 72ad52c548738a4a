package main_test

import (
	"flag"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/testserver"
)

var record = flag.Int("record", 0, "serve so many thousand calls of each kind, to be profiled by go test -cpuprofile")

// TestRecordProfile serves the mix that make pgo profiles: the server is in this process, and
// the client is not. Deeper pipelines get more calls, so that each depth has its share.
func TestRecordProfile(t *testing.T) {
	if *record == 0 {
		t.Skip("-record is not set")
	}
	benchmark, err := exec.LookPath("redis-benchmark")
	require.NoError(t, err)
	for _, transport := range []string{"loop", "goroutine"} {
		s := testserver.Start(t, "--transport", transport)
		for _, depth := range []int{1, 16, 64} {
			run := func(call ...string) {
				calls := *record * 1000 * min(depth, 8)
				if transport == "goroutine" {
					calls /= 4 // of what TLS and other systems need
				}
				args := []string{"-p", strconv.Itoa(s.Port()), "-c", "50", "-r", "100000", "-P", strconv.Itoa(depth), "-n", strconv.Itoa(calls), "-q"}
				out, err := exec.Command(benchmark, append(args, call...)...).CombinedOutput()
				require.NoError(t, err, "%s", out)
			}
			value := strings.Repeat("v", 64)
			for _, call := range []string{
				"SET string:__rand_int__ " + value, "GET string:__rand_int__", "GET string:__rand_int__", "SET string:__rand_int__ " + value,
				"INCR number:__rand_int__", "INCR number", "LPUSH list:__rand_int__ " + value, "LPUSH list " + value, "RPOP list",
				"HSET hash:__rand_int__ field " + value, "HSET hash field:__rand_int__ " + value, "HGET hash field:__rand_int__",
				"ZADD zset:__rand_int__ 1 member", "ZADD zset __rand_int__ member:__rand_int__", "ZSCORE zset member:__rand_int__",
				"SADD set:__rand_int__ member", "SADD set member:__rand_int__", "SISMEMBER set member:__rand_int__",
				"DEL string:__rand_int__", "EXPIRE number:__rand_int__ 1000", "LRANGE list 0 50",
			} {
				run(strings.Fields(call)...)
			}
		}
	}
}
