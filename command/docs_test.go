package command

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/transcript"
)

const docsFile = "../docs/commands.md"

// docs/commands.md is what the table says; -update writes it.
func TestDocs(t *testing.T) {
	want := commandsDoc()
	if transcript.Updating() {
		require.NoError(t, os.WriteFile(docsFile, []byte(want), 0o644))
	}
	have, err := os.ReadFile(docsFile)
	require.NoError(t, err, "run go test ./command -run TestDocs -update")
	lines := strings.Split(string(have), "\n")
	for i, line := range strings.Split(want, "\n") {
		require.Less(t, i, len(lines), "lines are missing: run go test ./command -run TestDocs -update")
		require.Equal(t, line, lines[i], "line %d: run go test ./command -run TestDocs -update", i+1)
	}
	require.Len(t, have, len(want), "there is more than the table says")
}

func commandsDoc() string {
	groups := map[Group][]*Spec{}
	var names []Group
	for _, s := range All().Rows() {
		if s.Has(Container) {
			continue
		}
		if groups[s.Group] == nil {
			names = append(names, s.Group)
		}
		groups[s.Group] = append(groups[s.Group], s)
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString("# Commands\n\n<!-- Written by go test ./command -run TestDocs -update. -->\n\n")
	fmt.Fprintf(&b, "%d commands, %d with their subcommands. *Since* is the version of Redis, or of the\n"+
		"server named, that brought the command.\n", len(All().Top()), len(All().Rows()))
	for _, g := range names {
		rows := groups[g]
		slices.SortFunc(rows, func(a, b *Spec) int { return strings.Compare(a.Name, b.Name) })
		fmt.Fprintf(&b, "\n## %s\n\n| command | what it does | complexity | since |\n|---|---|---|---|\n", g)
		for _, s := range rows {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n",
				cell(s.Synopsis()), cell(s.Summary), cell(s.Complexity), s.Since)
		}
	}
	return b.String()
}

// cell escapes what would end a table's cell.
func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
