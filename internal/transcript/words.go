package transcript

import (
	"errors"
	"strings"
)

var errQuotes = errors.New("unbalanced quotes")

// split cuts a line into words by redis-cli's rules.
func split(line string) ([]string, error) {
	var words []string
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return words, nil
		}
		word, rest, err := cutWord(line)
		if err != nil {
			return nil, err
		}
		words, line = append(words, word), rest
	}
}

// cutWord reads the word that line begins with; a quoted part ends the word.
func cutWord(line string) (word, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		c := line[i]
		if c == ' ' || c == '\t' {
			return b.String(), line[i:], nil
		}
		if c != '"' && c != '\'' {
			b.WriteByte(c)
			continue
		}
		n, err := unquote(&b, line[i:])
		if err != nil {
			return "", "", err
		}
		rest := line[i+n:]
		if rest != "" && rest[0] != ' ' && rest[0] != '\t' {
			return "", "", errQuotes
		}
		return b.String(), rest, nil
	}
	return b.String(), "", nil
}

// unquote appends what the quoted text at the start of s means and tells how
// long it is, quotes included.
func unquote(b *strings.Builder, s string) (n int, err error) {
	quote := s[0]
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote:
			return i + 1, nil
		case c != '\\' || i+1 == len(s):
			b.WriteByte(c)
		case quote == '\'':
			if s[i+1] == '\'' {
				i++
			}
			b.WriteByte(s[i])
		default:
			i += escape(b, s[i+1:])
		}
	}
	return 0, errQuotes
}

// escape appends the byte that stands behind a backslash in double quotes and
// tells how much of s it took.
func escape(b *strings.Builder, s string) int {
	if s[0] == 'x' && len(s) >= 3 {
		hi, lo := hexDigit(s[1]), hexDigit(s[2])
		if hi >= 0 && lo >= 0 {
			b.WriteByte(byte(hi<<4 | lo))
			return 3
		}
	}
	c := s[0]
	if i := strings.IndexByte("nrtba", c); i >= 0 {
		c = "\n\r\t\b\a"[i]
	}
	b.WriteByte(c)
	return 1
}

func hexDigit(c byte) int {
	if 'A' <= c && c <= 'F' {
		c += 'a' - 'A'
	}
	return strings.IndexByte("0123456789abcdef", c)
}

// appendQuoted appends s in double quotes, as redis-cli shows it.
func appendQuoted(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case ' ' <= c && c <= '~':
			b = append(b, c)
		default:
			if j := strings.IndexByte("\n\r\t\b\a", c); j >= 0 {
				b = append(b, '\\', "nrtba"[j])
			} else {
				b = append(b, '\\', 'x', digits[c>>4], digits[c&15])
			}
		}
	}
	return append(b, '"')
}
