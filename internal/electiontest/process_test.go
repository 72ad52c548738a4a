package electiontest_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/ferricd/ferricd/internal/electiontest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes real lease times")
	}
	electiontest.Run(t, func(t *testing.T, test func(*testing.T, electiontest.Etcd)) {
		t.Parallel()
		test(t, electiontest.Over(t, electiontest.Process(t)))
	})
}
