package archtest

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestTheHouseKeepsItsRules(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(root, "go.mod"))
	faults, err := check(os.DirFS(root))
	require.NoError(t, err)
	for _, f := range faults {
		t.Error(f)
	}
}

// TestRowsAgree keeps the table itself in order: what a row forbids with a
// reason it does not allow, and arrows point down only.
func TestRowsAgree(t *testing.T) {
	may := map[string][]string{}
	for _, r := range rows {
		require.NotContains(t, may, r.pkg, "two rows")
		may[r.pkg] = r.may
		require.True(t, r.because != "" || slices.Contains(r.may, "*"), r.pkg)
		for never := range r.never {
			require.NotContains(t, r.may, never, r.pkg)
		}
	}
	var below func(pkg string, above []string)
	below = func(pkg string, above []string) {
		require.NotContains(t, above, pkg, "a circle")
		for _, p := range may[pkg] {
			below(p, append(above, pkg))
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(may)) {
		below(pkg, nil)
	}
}

func TestBrokenRulesAreFound(t *testing.T) {
	long := strings.Repeat("\n", maxFileLines)
	body := strings.Repeat("\tprintln()\n", maxFuncLines)
	const doc = "// Package x is documented.\n"
	for _, c := range []struct{ name, text, fault string }{
		{"store/a.go", doc + "package store\nimport _ \"" + module + "/resp\"", "store knows no protocol"},
		{"rmw/a.go", doc + "package rmw\nimport _ \"" + module + "/command\"", "rmw knows no commands"},
		{"rmw/a.go", doc + "package rmw\nimport _ \"" + module + "/metrics\"", "it runs a func under latches"},
		{"latch/a.go", doc + "package latch\nimport _ \"" + module + "/rmw\"", "knows its owners as numbers"},
		{"internal/glob/a.go", doc + "package glob\nimport _ \"" + module + "/internal/clock\"", internalBecause},
		{"internal/new/a.go", doc + "package new\nimport _ \"" + module + "/store\"", internalBecause},
		{"fresh/a.go", doc + "package fresh\nimport _ \"" + module + "/store\"", "fresh has no row"},
		{"server/a.go", doc + "package server\nimport _ \"github.com/tidwall/redcon\"", "must not face the network"},
		{"server/a.go", doc + "package server\nimport _ \"go.etcd.io/etcd/client/v3\"", "without etcd"},
		{"server/a.go", doc + "package server\nimport _ \"github.com/stretchr/testify/require\"", "for tests"},
		{"server/a.go", doc + "package server\nimport _ \"example.com/new\"", "the module has no row"},
		{"server/a_test.go", "package server\nimport _ \"example.com/new\"", "the module has no row"},
		{"server/a.go", doc + "package server\nimport _ \"testing\"", "flags of tests"},
		{"server/util/a.go", doc + "package util", `"util" does not say`},
		{"server/a.go", "package server", "server: the package has no comment"},
		{"server/a.go", doc + "package server" + long, "lines, at most 600"},
		{"server/a.go", doc + "package server\nfunc f() {\n" + body + "}", "func f has 82 lines, at most 80"},
	} {
		faults, err := check(fstest.MapFS{c.name: {Data: []byte(c.text)}})
		require.NoError(t, err, c.name)
		require.Len(t, faults, 1, "%s: %s", c.name, c.fault)
		require.Contains(t, faults[0], c.fault)
	}
}

func TestWhatIsAllowedPasses(t *testing.T) {
	const doc = "// Package x is documented.\n"
	faults, err := check(fstest.MapFS{
		"go.mod":                        {Data: []byte("module x")},
		"command/doc.go":                {Data: []byte(doc + "package command\nimport _ \"" + module + "/config\"")},
		"command/a.go":                  {Data: []byte("package command\nimport _ \"" + module + "/internal/glob\"")},
		"command/a_test.go":             {Data: []byte("package command\nimport _ \"" + module + "/server\"\nimport _ \"pgregory.net/rapid\"")},
		"command/testdata/a.go":         {Data: []byte("package util")},
		".hidden/a.go":                  {Data: []byte("package util")},
		"server/doc.go":                 {Data: []byte(doc + "package server\nimport _ \"" + module + "/rmw\"\nimport _ \"os\"")},
		"internal/transcript/a.go":      {Data: []byte(doc + "package transcript\nimport _ \"testing\"")},
		"resp/doc.go":                   {Data: []byte(doc + "package resp\nimport _ \"github.com/tidwall/redcon\"")},
		"election/doc.go":               {Data: []byte(doc + "package election\nimport _ \"go.etcd.io/etcd/client/v3\"")},
		"internal/clock/doc.go":         {Data: []byte(doc + "package clock")},
		"internal/invariants/on.go":     {Data: []byte("//go:build invariants\n\npackage invariants")},
		"internal/invariants/doc.go":    {Data: []byte(doc + "package invariants")},
		"store/a.go":                    {Data: []byte(doc + "package store\nimport _ \"" + module + "/internal/invariants\"")},
		"store/long_test.go":            {Data: []byte("package store" + strings.Repeat("\n", maxFileLines))},
		"command/testdata/broken.go":    {Data: []byte("not Go")},
		"docs/a.txt":                    {Data: []byte("text")},
		"internal/testserver/server.go": {Data: []byte(doc + "package testserver\nimport _ \"" + module + "/server\"")},
	})
	require.NoError(t, err)
	require.Empty(t, faults)
}
