package config

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The harness for transcripts, which the comparisons with redis-server use, has
// declared -update.
func update() bool {
	f := flag.Lookup("update")
	return f != nil && f.Value.String() == "true"
}

const docsPath = "../docs/configuration.md"

const docsHead = `# Configuration

<!-- Written by go test ./config -run TestDocs -update; the table is in config/params_*.go. -->

ferricd is configured as redis-server is:

    ferricd [file.conf | -] [--name value ...]

A parameter is set, strongest first, by

1. ` + "`CONFIG SET name value`" + ` while the server runs,
2. the command line: ` + "`--name value`, `--name=value`" + `; several words until the next option,
3. the environment: ` + "`FERRICD_NAME`, with `_` for `-`; or `FERRICD_NAME_FILE`" + `, the path of a file with the value, for secrets,
4. the configuration file, in redis.conf's syntax with ` + "`include`" + `,
5. its default.

` + "`CONFIG REWRITE`" + ` writes what holds back into the file, except what the environment says.
A name that is not known stops the start with a suggestion.

Sizes take units: ` + "`1k` is 1000 bytes, `1kb` 1024, likewise `m`, `mb`, `g` and `gb`" + `.

The names are redis-server's, but for those marked *ours*. *Settable* says whether CONFIG SET changes
the parameter; *protected* ones need ` + "`enable-protected-configs`" + `. What is marked *no effect* is accepted so that
files and tools work; the server names those that are set in one line when it starts.
`

var docsOrder = []section{network, tls, guard, process, memory, objects, contention, watching, persistence, nodes, replication, cluster, scripts}

func docs() string {
	var b strings.Builder
	b.WriteString(docsHead)
	for _, s := range docsOrder {
		fmt.Fprintf(&b, "\n## %s\n\n| name | type | default | settable | meaning |\n|---|---|---|---|---|\n", s)
		for _, p := range table {
			if p.section == string(s) && !p.has(hidden) {
				b.WriteString(p.docsRow())
			}
		}
	}
	return b.String()
}

func (p *param) docsRow() string {
	name := "`" + p.name + "`"
	if p.alias != "" {
		name += " (`" + p.alias + "`)"
	}
	doc := p.doc
	if p.has(ours) {
		doc = "*Ours.* " + doc
	}
	if p.has(idle) {
		doc = "*No effect.* " + doc
	}
	if p.kind == kindDirective && p.name != includeName {
		doc = "*Refused.* " + doc
	}
	settable := "yes"
	switch {
	case p.kind == kindDirective:
		settable = "–"
	case p.has(immutable):
		settable = "no"
	case p.has(protected):
		settable = "protected"
	}
	def := "–"
	if p.kind != kindDirective {
		def = "`" + p.fileText() + "`"
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s |\n", name, p.typeName(), def, settable, strings.ReplaceAll(doc, "|", `\|`))
}

// fileText is the default as a file would have it.
func (p *param) fileText() string {
	switch {
	case p.def == "":
		return `""`
	case p.kind == kindMemory:
		return formatMemory(p.defaultValue().num)
	}
	return p.def
}

func (p *param) typeName() string {
	limits := func(kind, min string) string {
		if p.max == maxLong {
			return kind + " ≥ " + min
		}
		return kind + " " + min + "…" + strconv.FormatInt(p.max, 10)
	}
	switch p.kind {
	case kindBool:
		return "yes or no"
	case kindInt:
		return limits("integer", strconv.FormatInt(p.min, 10))
	case kindOctal:
		return fmt.Sprintf("octal %o…%o", p.min, p.max)
	case kindMemory:
		return limits("size", formatMemory(p.min))
	case kindPercent:
		return "size or percentage"
	case kindEnum:
		return "`" + strings.Join(p.options, "` `") + "`"
	case kindFlags:
		return "some of `" + strings.Join(p.options, "` `") + "`"
	case kindDirective:
		return "directive"
	}
	if p.has(words) {
		return "words"
	}
	return "text"
}

func TestDocsShowTheTable(t *testing.T) {
	if update() {
		require.NoError(t, os.WriteFile(docsPath, []byte(docs()), 0o644))
	}
	got, err := os.ReadFile(docsPath)
	require.NoError(t, err)
	require.Equal(t, docs(), string(got), "run the test with -update")
}

// The rules that rows must keep, and that no type checks.
func TestRowsAreSound(t *testing.T) {
	for _, p := range table {
		require.Contains(t, docsOrder, section(p.section), p.name)
		require.True(t, strings.HasSuffix(p.doc, "."), "%s: a sentence, please", p.name)
		require.Same(t, p, find(p.name))
		require.Equal(t, strings.ToLower(p.name), p.name)
		if p.kind == kindDirective {
			continue
		}
		v := p.defaultValue()
		again, err := p.read(value{}, []string{v.text})
		require.NoError(t, err, p.name)
		require.True(t, v.same(again), "%s: what CONFIG GET shows can be set", p.name)
		if p.kind == kindInt || p.kind == kindMemory || p.kind == kindOctal {
			require.Equal(t, p.def, v.text, "%s: the default is written as CONFIG GET shows it", p.name)
		}
		if p.kind == kindEnum {
			require.Contains(t, p.options, p.def, p.name)
		}
	}
	require.Equal(t, len(docsOrder), len(slices.Compact(slices.Clone(docsOrder))))
}
