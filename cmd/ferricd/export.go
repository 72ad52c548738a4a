package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/ferricd/ferricd/server"
)

// rdbVersions are those of the format that can be written: for Redis from 7.0 and
// from 7.4 on.
var rdbVersions = map[string]int{"10": 10, "12": 12}

// export writes a data directory as a file of Redis.
func export(args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	version := rdbVersions["10"]
	if i := slices.Index(args, "--rdb-version"); i >= 0 {
		known := false
		if i+1 < len(args) {
			version, known = rdbVersions[args[i+1]]
		}
		if !known {
			return failed(stderr, "export", fmt.Errorf("--rdb-version is 10, for Redis from 7.0 on, or 12, from 7.4 on"))
		}
		args = slices.Delete(slices.Clone(args), i, i+2)
	}
	cfg, file, err := fileAndConfig(args, environ, stdin, "export FILE [--rdb-version 10 | 12] [/path/to/ferricd.conf] [options]")
	if err != nil {
		return failed(stderr, "export", err)
	}
	keys, err := server.Export(cfg, file, version, func(note string) { fmt.Fprintln(stderr, "ferricd export:", note) })
	if err != nil {
		return failed(stderr, "export", err)
	}
	fmt.Fprintf(stdout, "%s: %d keys\n", file, keys)
	return 0
}
