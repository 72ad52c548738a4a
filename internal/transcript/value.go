package transcript

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// A Value is one reply. Kind is the type's byte on the wire; a null has the kind
// it was sent as ('$' or '*' in RESP2, '_' in RESP3) and Null set.
type Value struct {
	Kind  byte
	Null  bool
	Str   string  // of everything that has no elements, as sent
	Elems []Value // of arrays, sets and pushes; of maps key, value, key, value …
	Attrs []Value // what an attribute before the value said
}

// IsError tells whether the reply is an error.
func (v Value) IsError() bool { return v.Kind == '-' || v.Kind == '!' }

// String is the reply as redis-cli prints it on a terminal, without the last
// newline; see the package's doc for what differs.
func (v Value) String() string {
	return strings.TrimSuffix(string(v.appendTo(nil, "")), "\n")
}

func (v Value) lines() []string { return strings.Split(v.String(), "\n") }

// appendTo appends the value and a newline; prefix indents all lines but the
// first, which stands behind what the caller has written.
func (v Value) appendTo(b []byte, prefix string) []byte {
	if len(v.Attrs) > 0 {
		b = appendElems(b, Value{Kind: '|', Elems: v.Attrs}, prefix)
		b = append(b, prefix...)
	}
	switch {
	case v.Null && v.Kind == '*':
		return append(b, "(nil array)\n"...)
	case v.Null:
		return append(b, "(nil)\n"...)
	}
	switch v.Kind {
	case '+':
		b = append(b, v.Str...)
	case '-', '!':
		b = append(append(b, "(error) "...), v.Str...)
	case ':':
		b = append(append(b, "(integer) "...), v.Str...)
	case ',':
		b = append(append(b, "(double) "...), v.Str...)
	case '(':
		b = append(append(b, "(big) "...), v.Str...)
	case '#':
		b = append(b, map[string]string{"t": "(true)", "f": "(false)"}[v.Str]...)
	case '=':
		format, text, _ := strings.Cut(v.Str, ":")
		b = appendQuoted(append(b, "(verbatim "+format+") "...), text)
	case '$':
		b = appendQuoted(b, v.Str)
	default:
		return appendElems(b, v, prefix)
	}
	return append(b, '\n')
}

var (
	emptyText = map[byte]string{'*': "(empty array)\n", '%': "(empty hash)\n", '~': "(empty set)\n", '>': "(empty push)\n"}
	numbered  = map[byte]byte{'*': ')', '%': '#', '~': '~', '>': ')', '|': '|'}
)

func appendElems(b []byte, v Value, prefix string) []byte {
	if len(v.Elems) == 0 {
		return append(b, emptyText[v.Kind]...)
	}
	pairs := v.Kind == '%' || v.Kind == '|'
	n := len(v.Elems)
	if pairs {
		n /= 2
	}
	width := len(strconv.Itoa(n))
	inner := prefix + strings.Repeat(" ", width+2)
	for i := range n {
		if i > 0 {
			b = append(b, prefix...)
		}
		b = fmt.Appendf(b, "%*d%c ", width, i+1, numbered[v.Kind])
		if !pairs {
			b = v.Elems[i].appendTo(b, inner)
			continue
		}
		b = v.Elems[2*i].appendTo(b, inner)
		b = append(b[:len(b)-1], " =>"...)
		val := v.Elems[2*i+1].appendTo(nil, inner)
		if bytes.Count(val, []byte{'\n'}) > 1 {
			b = append(append(b, '\n'), inner...)
		} else {
			b = append(b, ' ')
		}
		b = append(b, val...)
	}
	return b
}
