package config

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

const errWrongNumber = textError("wrong number of arguments")

// read makes a value of the words given for p. old is what p is so far.
func (p *param) read(old value, args []string) (value, error) {
	if p.has(words) {
		if len(args) == 1 {
			args = splitWords(args[0])
		}
	} else if len(args) != 1 {
		return value{}, errWrongNumber
	}
	v, err := p.readKind(old, args)
	if err != nil {
		return value{}, err
	}
	if p.check != nil {
		if err := p.check(v); err != nil {
			return value{}, err
		}
	}
	return v, nil
}

func (p *param) readKind(old value, args []string) (value, error) {
	if p.parse != nil {
		return p.parse(old, args)
	}
	switch p.kind {
	case kindBool:
		return readBool(args[0])
	case kindEnum:
		return p.readEnum(args[0])
	case kindFlags:
		return p.readFlags(args)
	case kindString:
		return value{text: args[0]}, nil
	default:
		return p.readNumber(args[0])
	}
}

func readBool(s string) (value, error) {
	switch {
	case strings.EqualFold(s, "yes"):
		return value{num: 1, text: "yes"}, nil
	case strings.EqualFold(s, "no"):
		return value{text: "no"}, nil
	}
	return value{}, textError("argument must be 'yes' or 'no'")
}

func (p *param) oneOf() error {
	return textError("argument(s) must be one of the following: " + strings.Join(p.options, ", "))
}

func (p *param) option(s string) int {
	for i, o := range p.options {
		if strings.EqualFold(s, o) {
			return i
		}
	}
	return -1
}

func (p *param) readEnum(s string) (value, error) {
	i := p.option(s)
	if i < 0 {
		return value{}, p.oneOf()
	}
	return value{num: int64(i), text: p.options[i]}, nil
}

// readFlags reads a set of words. The first option is the name of the empty set.
func (p *param) readFlags(args []string) (value, error) {
	var v value
	if len(args) == 0 {
		return v, p.oneOf()
	}
	for _, a := range args {
		i := p.option(a)
		if i < 0 {
			return value{}, p.oneOf()
		}
		if i > 0 {
			v.num |= 1 << (i - 1)
		}
	}
	v.text = p.options[0]
	var set []string
	for i, o := range p.options[1:] {
		if v.num&(1<<i) != 0 {
			set = append(set, o)
		}
	}
	if len(set) > 0 {
		v.text = strings.Join(set, " ")
	}
	return v, nil
}

func (p *param) readNumber(s string) (value, error) {
	n, err := p.number(s)
	if err != nil {
		return value{}, err
	}
	percent := p.kind == kindPercent && n < 0
	if !percent && (n < p.min || n > p.max) {
		return value{}, p.outOfRange()
	}
	if p.clamp != nil {
		n = p.clamp(n)
	}
	return p.numberValue(n), nil
}

func (p *param) outOfRange() error {
	base := 10
	if p.kind == kindOctal {
		base = 8
	}
	return textError(fmt.Sprintf("argument must be between %s and %s inclusive",
		strconv.FormatInt(p.min, base), strconv.FormatInt(p.max, base)))
}

func (p *param) numberValue(n int64) value {
	switch {
	case p.kind == kindOctal:
		return value{num: n, text: strconv.FormatInt(n, 8)}
	case p.kind == kindPercent && n < 0:
		return value{num: n, text: strconv.FormatInt(-n, 10) + "%"}
	}
	return value{num: n, text: strconv.FormatInt(n, 10)}
}

func (p *param) number(s string) (int64, error) {
	switch p.kind {
	case kindMemory:
		n, ok := parseMemory(s)
		switch {
		case !ok:
			return 0, textError("argument must be a memory value")
		case n <= maxLong:
			return int64(n), nil
		case p.has(saturates):
			return maxLong, nil
		}
		return 0, p.outOfRange()
	case kindOctal:
		if n, err := strconv.ParseInt(s, 8, 64); err == nil {
			return n, nil
		}
		return 0, textError("argument couldn't be parsed as an octal number")
	case kindPercent:
		return parsePercent(s)
	}
	// Only the one canonical spelling of an integer counts: no sign, blank or zero too many.
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != s {
		return 0, textError("argument couldn't be parsed into an integer")
	}
	return n, nil
}

func parsePercent(s string) (int64, error) {
	bad := textError("argument must be a memory or percent value")
	digits, isPercent := strings.CutSuffix(s, "%")
	if !isPercent {
		if n, ok := parseMemory(s); ok {
			return int64(min(n, maxLong)), nil
		}
		return 0, bad
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return 0, bad
	}
	if n > 100 {
		return 0, textError("percentage argument must be less or equal to 100")
	}
	return -int64(n), nil
}

// parseMemory reads "100mb": digits and a unit, of which k, m, g count in
// thousands and kb, mb, gb in 1024s. No digits at all are 0, as in redis-server.
// What does not fit is the largest value.
func parseMemory(s string) (uint64, bool) {
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	var unit uint64
	switch strings.ToLower(s[end:]) {
	case "", "b":
		unit = 1
	case "k":
		unit = 1000
	case "kb":
		unit = 1 << 10
	case "m":
		unit = 1000 * 1000
	case "mb":
		unit = 1 << 20
	case "g":
		unit = 1000 * 1000 * 1000
	case "gb":
		unit = 1 << 30
	default:
		return 0, false
	}
	if end == 0 {
		return 0, true
	}
	n, err := strconv.ParseUint(s[:end], 10, 64)
	if err != nil {
		return math.MaxUint64, true
	}
	if hi, lo := bits.Mul64(n, unit); hi == 0 {
		return lo, true
	}
	return math.MaxUint64, true
}

// formatMemory writes n with the largest unit that says it exactly.
func formatMemory(n int64) string {
	switch {
	case n > 0 && n%(1<<30) == 0:
		return strconv.FormatInt(n>>30, 10) + "gb"
	case n > 0 && n%(1<<20) == 0:
		return strconv.FormatInt(n>>20, 10) + "mb"
	case n > 0 && n%(1<<10) == 0:
		return strconv.FormatInt(n>>10, 10) + "kb"
	}
	return strconv.FormatInt(n, 10)
}

// splitWords splits at every single space. Two spaces make an empty word, which
// then is refused where it stands: as in redis-server.
func splitWords(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, " ")
}

// Fields splits the text of a parameter of several words, such as bind.
func Fields(s string) []string { return strings.Fields(s) }
