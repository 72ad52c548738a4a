package main

import (
	"io"

	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/persist"
)

// dump prints a data directory as commands.
func dump(args []string, stdout, stderr io.Writer) int {
	text, names, err := flagged(args, "--text", 1, "dump [--text] DIR")
	if err == nil {
		err = persist.Dump(vfs.OS, names[0], stdout, text)
	}
	if err != nil {
		return failed(stderr, "dump", err)
	}
	return 0
}
