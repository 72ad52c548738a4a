package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/server"
)

// importFile makes a data directory of a file of Redis.
func importFile(args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	cfg, file, err := fileAndConfig(args, environ, stdin, "import FILE [/path/to/ferricd.conf] [options]")
	if err != nil {
		return failed(stderr, "import", err)
	}
	done, err := server.Import(cfg, file, func(note string) { fmt.Fprintln(stderr, "ferricd import:", note) })
	if err != nil {
		return failed(stderr, "import", err)
	}
	fmt.Fprintf(stdout, "%s: %d keys of %d bytes are in %s", file, done.Keys, done.Bytes, cfg.String(config.Dir))
	if done.Expired > 0 {
		fmt.Fprintf(stdout, ", %d keys had expired", done.Expired)
	}
	if done.Dropped > 0 {
		fmt.Fprintf(stdout, ", %d bytes at the end were not completely written and are left out", done.Dropped)
	}
	fmt.Fprintln(stdout)
	return 0
}

// fileAndConfig takes apart the name of a file, followed by what a server is
// started with.
func fileAndConfig(args, environ []string, stdin io.Reader, form string) (*config.Config, string, error) {
	if len(args) == 0 || args[0] == "" || strings.HasPrefix(args[0], "-") {
		return nil, "", errors.New("usage: ferricd " + form)
	}
	cfg, err := load(args[1:], environ, stdin)
	return cfg, args[0], err
}
