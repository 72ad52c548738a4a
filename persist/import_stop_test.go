package persist

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/rdb"
)

// Who is told to stop leaves nothing behind.
func TestStoppedConversion(t *testing.T) {
	var b bytes.Buffer
	w := rdb.NewWriter(&b, rdb.Version)
	w.Key(rdb.Key{Name: []byte("k"), Idle: -1, Freq: -1}).String([]byte("v"))
	require.NoError(t, w.Close())
	for _, stop := range []error{ErrStopped, nil} {
		fsys := vfs.NewMem()
		require.NoError(t, fsys.MkdirAll("d", vfs.DirPerm))
		c := conversion{o: ImportOptions{FS: fsys, Dir: "d", Databases: 1}, goOn: func() error { return stop }}
		require.ErrorIs(t, c.file(bytes.NewReader(b.Bytes())), stop)
		entries, err := fsys.ReadDir("d")
		require.NoError(t, err)
		require.Equal(t, stop != nil, len(entries) == 0)
	}
}
