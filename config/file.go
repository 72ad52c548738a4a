package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

const (
	maxFileSize = 16 << 20
	maxIncludes = 16 // one inside the other
)

// A directive is a name with its words, from a line of a file, a variable or an
// option.
type directive struct {
	source source
	origin string // where it stands, for errors
	name   string
	args   []string
}

// A reader gathers the directives of a file and of what it includes.
type reader struct {
	depth int
	found []directive
}

// path reads the file at path.
func (r *reader) path(path string) error {
	if r.depth++; r.depth > maxIncludes {
		return fmt.Errorf("%s: files include each other more than %d deep", path, maxIncludes)
	}
	defer func() { r.depth-- }()
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("can't open the configuration file: %w", err)
	}
	defer f.Close()
	return r.from(path, f)
}

func (r *reader) from(name string, in io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(in, maxFileSize+1))
	if err != nil {
		return fmt.Errorf("can't read the configuration file: %w", err)
	}
	if len(data) > maxFileSize {
		return fmt.Errorf("%s: a configuration file has at most %d bytes", name, maxFileSize)
	}
	for i, text := range strings.Split(string(data), "\n") {
		origin := fmt.Sprintf("%s:%d", name, i+1)
		args, err := splitLine(text)
		if err != nil {
			return fmt.Errorf("%s: %w", origin, err)
		}
		if len(args) == 0 {
			continue
		}
		if err := r.directive(directive{fromFile, origin, args[0], args[1:]}); err != nil {
			return err
		}
	}
	return nil
}

// directive takes d, or what the files hold that it includes.
func (r *reader) directive(d directive) error {
	if !strings.EqualFold(d.name, includeName) {
		r.found = append(r.found, d)
		return nil
	}
	if len(d.args) != 1 {
		return fmt.Errorf("%s: %s: %w", d.origin, includeName, errWrongNumber)
	}
	paths, err := included(d.args[0])
	if err != nil {
		return fmt.Errorf("%s: %s %q: %w", d.origin, includeName, d.args[0], err)
	}
	for _, path := range paths {
		before := len(r.found)
		if err := r.path(path); err != nil {
			return fmt.Errorf("%s: %w", d.origin, err)
		}
		for i := before; i < len(r.found); i++ {
			r.found[i].source = d.source
		}
	}
	return nil
}

// included expands a pattern, which may match nothing; a plain path must exist.
func included(path string) ([]string, error) {
	if !strings.ContainsAny(path, "*?[") {
		return []string{path}, nil
	}
	return filepath.Glob(path)
}

const errQuotes = textError("Unbalanced quotes in configuration line")

// splitLine splits a line into words. Blanks separate them; quotes hold a word
// together, double ones with escapes such as \n and \x0a, single ones with \' only.
// An empty line and a comment have no words.
func splitLine(text string) ([]string, error) {
	text = strings.Trim(text, " \t\r\n")
	if strings.HasPrefix(text, "#") {
		return nil, nil
	}
	var args []string
	for {
		text = strings.TrimLeft(text, " \t\r\n\v\f\x00")
		if text == "" {
			return args, nil
		}
		word, rest, ok := cutWord(text)
		if !ok {
			return nil, errQuotes
		}
		args = append(args, word)
		text = rest
	}
}

func isBlank(c byte) bool { return strings.IndexByte(" \t\r\n\v\f\x00", c) >= 0 }

// cutWord takes the first word off s. A quote may begin inside a word; it ends it.
func cutWord(s string) (word, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\'':
			quoted, n, ok := cutQuoted(s[i+1:], c)
			if !ok {
				return "", "", false
			}
			b.WriteString(quoted)
			rest = s[i+1+n:]
			return b.String(), rest, rest == "" || isBlank(rest[0])
		case isBlank(c):
			return b.String(), s[i:], true
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", true
}

// cutQuoted reads up to the closing quote and returns how many bytes that took.
func cutQuoted(s string, quote byte) (text string, n int, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote:
			return b.String(), i + 1, true
		case c == '\\' && quote == '\'' && i+1 < len(s) && s[i+1] == '\'':
			b.WriteByte('\'')
			i++
		case c == '\\' && quote == '"' && i+1 < len(s):
			c, width := unescape(s[i+1:])
			b.WriteByte(c)
			i += width
		default:
			b.WriteByte(c)
		}
	}
	return "", 0, false
}

// unescape reads what stands after a backslash: the byte meant, and its width.
func unescape(s string) (c byte, width int) {
	if s[0] == 'x' && len(s) >= 3 {
		hi, ok1 := unhex(s[1])
		lo, ok2 := unhex(s[2])
		if ok1 && ok2 {
			return hi<<4 | lo, 3
		}
	}
	if i := strings.IndexByte("nrtba", s[0]); i >= 0 {
		return "\n\r\t\b\a"[i], 1
	}
	return s[0], 1
}

func unhex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// quoteWord writes s so that splitLine reads it back as one word.
func quoteWord(s string) string {
	plain := s != "" && s[0] != '#'
	for i := 0; i < len(s) && plain; i++ {
		plain = s[i] > ' ' && s[i] < 0x7f && s[i] != '"' && s[i] != '\'' && s[i] != '\\'
	}
	if plain {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
