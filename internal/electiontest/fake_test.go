package electiontest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ferricd/ferricd/election"
	"github.com/ferricd/ferricd/internal/electiontest"
)

// fake is election's own, in which time is the test's.
type fake struct{ *election.Fake }

func (f fake) Admin(cluster string) (*election.Admin, error) {
	return f.Fake.Admin(cluster, electiontest.TTL), nil
}

func (f fake) Restart() {
	f.Freeze()
	time.Sleep(electiontest.TTL / 2)
	f.Thaw()
}

func TestFake(t *testing.T) {
	electiontest.Run(t, func(t *testing.T, test func(*testing.T, electiontest.Etcd)) {
		synctest.Test(t, func(t *testing.T) { test(t, fake{election.NewFake()}) })
	})
}
