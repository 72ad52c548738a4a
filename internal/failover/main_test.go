//go:build linux

package failover

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	everything = flag.Bool("everything", false, "run what takes long, too")
	measure    = flag.Bool("measure", false, "run the measurements")
	keepLogs   = flag.Bool("logs", false, "show what the processes have said, of passing tests too")
)

const (
	// ttl is the lease of the clusters here, in seconds.
	ttl = 3
	// patience is how long something that must happen may take. Nothing is judged
	// by it: machines are busy.
	patience = 90 * time.Second
)

// scratch holds the built binary.
var scratch string

func TestMain(m *testing.M) {
	flag.Parse()
	var err error
	if scratch, err = os.MkdirTemp("", "failover"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(scratch)
	os.Exit(code)
}

// long skips a test that CI has no time for.
func long(t *testing.T) {
	t.Helper()
	if !*everything {
		t.Skip("it takes long: make failover runs it")
	}
}

// needs skips a test where a program is not installed.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
}

// buildFlags make the nodes as the tests are, with the race detector or with the
// checks that are too dear for serving.
var buildFlags []string

// binary builds ferricd, once.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "ferricd")
	args := append([]string{"build", "-o", path}, buildFlags...)
	cmd := exec.Command("go", append(args, "github.com/ferricd/ferricd/cmd/ferricd")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return path, nil
})
