package main

import (
	"fmt"
	"io"

	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/persist"
)

// backup copies a data directory.
func backup(args []string, stdout, stderr io.Writer) int {
	_, names, err := flagged(args, "", 2, "backup DIR TO")
	if err != nil {
		return failed(stderr, "backup", err)
	}
	b, err := persist.Backup(vfs.OS, names[0], names[1])
	if err != nil {
		return failed(stderr, "backup", err)
	}
	snapshot := "no snapshot"
	if b.Snapshot > 0 {
		snapshot = fmt.Sprintf("the snapshot of position %d", b.Snapshot)
	}
	fmt.Fprintf(stdout, "%s: %s and the log up to position %d, %d files, %d bytes\n", names[1], snapshot, b.End, b.Files, b.Bytes)
	return 0
}
