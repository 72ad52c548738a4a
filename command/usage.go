package command

import (
	"fmt"
	"slices"
	"strings"
)

// An Argument is one node of the tree that COMMAND DOCS shows for a usage line.
//
// The line is read so:
//
//	WORD, 'word'   a token, sent as it stands
//	name, name:t   a value; its type follows from the name, or is t if t is a type
//	[x]            x may be left out
//	<a | b>        one of them; [a | b]: at most one
//	{a b}          both, in this order
//	x...           x once or more often
//
// A token belongs to the value behind it, or to all of several values, with
// which it then makes a block. A group may be given a name, <a | b>:name;
// otherwise it bears those of its parts.
type Argument struct {
	Name  string
	Type  string // as Redis names it: key, integer, pure-token, oneof, block …
	Token string

	Optional      bool
	Multiple      bool
	MultipleToken bool // when repeated, with its token

	Args []Argument // of a oneof or a block
}

const (
	typePureToken = "pure-token"
	typeOneOf     = "oneof"
	typeBlock     = "block"
)

// ParseUsage reads a usage line.
func ParseUsage(line string) ([]Argument, error) {
	p := &usageParser{words: usageWords(line)}
	args, err := p.sequence()
	if err == nil && p.peek() != "" {
		err = fmt.Errorf("unexpected %q", p.peek())
	}
	if err != nil {
		return nil, fmt.Errorf("command: usage %q: %w", line, err)
	}
	return args, nil
}

const usageMarks = "[]<>{}|"

// usageWords splits a line into marks, repetitions, group names and words.
func usageWords(line string) []string {
	var words []string
	for len(line) > 0 {
		n := 1
		switch c := line[0]; {
		case c == ' ':
			line = line[1:]
			continue
		case strings.HasPrefix(line, "..."):
			n = 3
		case c == '\'':
			n = 1 + strings.IndexByte(line[1:], '\'') + 1
			n = max(n, 2)
		case strings.IndexByte(usageMarks, c) < 0:
			n = strings.IndexAny(line, " "+usageMarks)
			if n < 0 {
				n = len(line)
			}
			if dots := strings.Index(line[:n], "..."); dots > 0 {
				n = dots
			}
		}
		n = min(n, len(line))
		words, line = append(words, line[:n]), line[n:]
	}
	return words
}

type usageParser struct {
	words []string
	depth int
}

func (p *usageParser) peek() string {
	if len(p.words) == 0 {
		return ""
	}
	return p.words[0]
}

func (p *usageParser) next() string {
	w := p.peek()
	if w != "" {
		p.words = p.words[1:]
	}
	return w
}

// sequence reads what stands side by side, up to a mark that ends it, and gives
// tokens to the values they belong to.
func (p *usageParser) sequence() ([]Argument, error) {
	var items []Argument
	for {
		switch p.peek() {
		case "", "]", ">", "}", "|":
			return joinTokens(items), nil
		}
		a, err := p.item()
		if err != nil {
			return nil, err
		}
		items = append(items, a)
	}
}

// item reads one argument and what stands behind it: a group's name, dots.
func (p *usageParser) item() (a Argument, err error) {
	w := p.next()
	switch w {
	case "[":
		a, err = p.group("]")
		a.Optional = true
	case "<":
		a, err = p.group(">")
	case "{":
		a, err = p.group("}")
	default:
		a, err = usageWord(w)
	}
	if err != nil {
		return a, err
	}
	if name, ok := strings.CutPrefix(p.peek(), ":"); ok && name != "" {
		a.Name = name
		p.next()
	}
	if p.peek() == "..." {
		p.next()
		a.MultipleToken = a.Token != "" && a.Type != typePureToken
		a.Multiple = true
	}
	return a, nil
}

// group reads the alternatives up to the closing mark.
func (p *usageParser) group(end string) (Argument, error) {
	const deepest = 16
	if p.depth++; p.depth > deepest {
		return Argument{}, fmt.Errorf("nested too deep")
	}
	defer func() { p.depth-- }()
	var alts []Argument
	for {
		seq, err := p.sequence()
		if err != nil {
			return Argument{}, err
		}
		if len(seq) == 0 {
			return Argument{}, fmt.Errorf("nothing before %q", p.peek())
		}
		alts = append(alts, block(seq))
		switch w := p.next(); {
		case w == end && len(alts) == 1:
			return alts[0], nil
		case w == end:
			return Argument{Name: joinNames(alts), Type: typeOneOf, Args: alts}, nil
		case w != "|" || end == "}":
			return Argument{}, fmt.Errorf("%q instead of %q", w, end)
		}
	}
}

// block makes one argument of a sequence.
func block(seq []Argument) Argument {
	if len(seq) == 1 {
		return seq[0]
	}
	return Argument{Name: joinNames(seq), Type: typeBlock, Args: seq}
}

func joinNames(args []Argument) string {
	names := make([]string, len(args))
	for i, a := range args {
		names[i] = a.Name
	}
	return strings.Join(names, "-")
}

func usageWord(w string) (Argument, error) {
	if len(w) >= 2 && w[0] == '\'' && w[len(w)-1] == '\'' {
		lit := w[1 : len(w)-1]
		name := lit
		if name == "" {
			name = "empty"
		}
		return Argument{Name: name, Type: typePureToken, Token: lit}, nil
	}
	name, kind, typed := strings.Cut(w, ":")
	if typed && !slices.Contains(valueTypes, kind) {
		name, typed = w, false
	}
	switch c := w[0]; {
	case w == strings.ToUpper(w) && ('A' <= c && c <= 'Z' || !isAlnum(c) && c != '\'' && c != '.' && c != ':'):
		return Argument{Name: strings.ToLower(w), Type: typePureToken, Token: w}, nil
	case c < 'a' || c > 'z':
		return Argument{}, fmt.Errorf("%q is neither token nor value", w)
	}
	if !typed {
		kind = usageType(name)
	}
	return Argument{Name: name, Type: kind}, nil
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// joinTokens gives each token the value behind it. With several values it makes
// a block.
func joinTokens(items []Argument) []Argument {
	var args []Argument
	for i := 0; i < len(items); i++ {
		a := items[i]
		if a.Type != typePureToken || a.Multiple || a.Optional {
			args = append(args, a)
			continue
		}
		run := i + 1
		for run < len(items) && isValue(items[run]) {
			run++
		}
		switch run - i {
		case 1:
			args = append(args, a)
		case 2:
			v := items[i+1]
			v.Token = a.Token
			args = append(args, v)
			i++
		default:
			args = append(args, Argument{Name: a.Name, Type: typeBlock, Token: a.Token, Args: items[i+1 : run]})
			i = run - 1
		}
	}
	return args
}

// isValue tells whether a token before a may take it.
func isValue(a Argument) bool {
	return !a.Optional && a.Type != typePureToken && a.Token == ""
}

var valueTypes = []string{"key", "string", "integer", "double", "pattern", "unix-time"}

// usageTypes are the names whose values are not plain strings.
var usageTypes = map[string][]string{
	"key": {"source", "destination", "src", "dst", "key1", "key2"},
	"integer": {
		"bit", "bits", "client-id", "count", "cursor", "db", "decrement", "destination-db", "end", "frequency",
		"increment", "index", "index1", "index2", "len", "limit", "milliseconds", "min-idle-time", "numkeys",
		"numreplicas", "offset", "port", "protover", "rank", "seconds", "start", "stop", "ttl", "version", "weight",
	},
	"double":    {"height", "latitude", "longitude", "max", "min", "radius", "score", "timeout", "width"},
	"pattern":   {"pattern"},
	"unix-time": {"unix-time-seconds", "unix-time-milliseconds"},
}

func usageType(name string) string {
	for kind, names := range usageTypes {
		if slices.Contains(names, name) {
			return kind
		}
	}
	if strings.HasSuffix(name, "key") {
		return "key"
	}
	return "string"
}
