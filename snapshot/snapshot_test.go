package snapshot

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/store"
)

const testNow = int64(1_000_000)

// do runs fn as one call with the gate closed.
func do(ks *store.Keyspace, db int, fn func(tx *store.Tx)) {
	var tx store.Tx
	tx.Begin(ks, store.Alone, db, testNow, nil)
	defer tx.End()
	fn(&tx)
	tx.Publish()
}

func memory() Options { return Options{FS: vfs.NewMem(), Dir: "data"} }

func take(t require.TestingT, ks *store.Keyspace, o Options, lsn uint64) Result {
	require.NoError(t, o.FS.MkdirAll(o.Dir, vfs.DirPerm))
	job, err := Begin(ks, o, Header{LSN: lsn, Epoch: 3, Time: testNow})
	require.NoError(t, err)
	r, err := job.Run(context.Background())
	require.NoError(t, err)
	return r
}

// commands reads a snapshot as lines, "db: NAME key ...".
func commands(t require.TestingT, o Options, name string) (lines []string) {
	_, err := Read(o.FS, o.path(name), func(db int, args [][]byte) error {
		line := fmt.Sprint(db, ":")
		for _, a := range args {
			line += " " + string(a)
		}
		lines = append(lines, line)
		return nil
	}, nil)
	require.NoError(t, err)
	return lines
}

func TestWhatIsThereIsWritten(t *testing.T) {
	ks := store.New(store.Options{Shards: 2, Databases: 4})
	do(ks, 3, func(tx *store.Tx) {
		tx.SetString([]byte("s"), []byte("text"), testNow+5)
		l, _ := tx.EditList([]byte("l"), true)
		l.PushBack([]byte("a"))
		l.PushBack([]byte("1"))
		tx.SetExpiry([]byte("l"), 77)
	})
	o := memory()
	r := take(t, ks, o, 12)
	require.Equal(t, "snapshot-00000000000000000012.fer", r.Name)
	require.ElementsMatch(t, []string{"3: SET s text PXAT 1000005", "3: RPUSH l a 1", "3: PEXPIREAT l 77"}, commands(t, o, r.Name))
	info, broken, err := Newest(o, nil)
	require.NoError(t, err)
	require.Empty(t, broken)
	require.Equal(t, Info{Name: o.path(r.Name), Header: Header{LSN: 12, Epoch: 3, Time: testNow, Databases: 4}, Counts: r.Counts}, info)
	require.Equal(t, Counts{Keys: 2, Commands: 3, Chunks: 1, Bytes: info.Bytes}, info.Counts)
}
