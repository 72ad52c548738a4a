package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/persist"
)

// check tells what is in a data directory: exit code 0 when a server would start
// from it with nothing lost.
func check(args []string, stdout, stderr io.Writer) int {
	fix, names, err := flagged(args, "--fix", 1, "check [--fix] DIR")
	if err != nil {
		return failed(stderr, "check", err)
	}
	tell := func(line string) { fmt.Fprintln(stdout, line) }
	examine := persist.Check
	if fix {
		examine = persist.Repair
	}
	sound, err := examine(vfs.OS, names[0], tell)
	if err != nil {
		return failed(stderr, "check", err)
	}
	if !sound {
		return 1
	}
	return 0
}

// failed says in one line why a subcommand failed, and returns the exit code.
func failed(stderr io.Writer, name string, err error) int {
	fmt.Fprintf(stderr, "ferricd %s: %s\n", name, oneLine(err))
	return 1
}

// flagged takes apart arguments of which one may be a flag, and n are names.
func flagged(args []string, flag string, n int, form string) (set bool, names []string, err error) {
	names = slices.Clone(args)
	if i := slices.Index(names, flag); i >= 0 && flag != "" {
		set, names = true, slices.Delete(names, i, i+1)
	}
	unknown := slices.ContainsFunc(names, func(s string) bool { return s == "" || strings.HasPrefix(s, "-") })
	if len(names) != n || unknown {
		return false, nil, errors.New("usage: ferricd " + form)
	}
	return set, names, nil
}
