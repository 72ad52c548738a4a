package config

import (
	"math"
	"strings"
)

// ID names one parameter of the table. IDs are what this package exports; they
// mean nothing outside the process.
type ID int

type kind uint8

const (
	kindBool    kind = iota
	kindInt          // an integer within limits
	kindOctal        // the same, written in octal
	kindMemory       // bytes, with units
	kindPercent      // bytes, or a percentage kept as a negative number
	kindEnum         // one word of several, kept as its place among them
	kindFlags        // several words of several, kept as a bit set
	kindString
	kindSpecial   // has its own parser
	kindDirective // stands in a file or on the command line only
)

type flags uint16

const (
	immutable   flags = 1 << iota // fixed once the server has started
	protected                     // CONFIG SET only with enable-protected-configs
	hidden                        // found by its exact name, not by a pattern
	secret                        // never printed
	words                         // takes several words
	idle                          // accepted, but nothing here depends on it
	accumulates                   // several lines of one source add up
	saturates                     // what is too large for 63 bits is the largest value
	ours                          // redis-server does not have it
	veiled                        // CONFIG GET shows nothing instead
)

// A param is a row of the table.
type param struct {
	id       ID
	section  string
	name     string
	alias    string // the older name, just as good
	kind     kind
	flags    flags
	def      string
	min, max int64
	options  []string // of an enum, or of a flag set; the order gives the number

	// check refuses a value that the type alone would accept.
	check func(v value) error
	// checkSet refuses a change at run time that start-up would accept.
	checkSet func(before, after value) error
	// clamp brings a number within bounds silently, as redis-server does for some.
	clamp func(n int64) int64
	// parse replaces the type's parser. old is the value so far.
	parse func(old value, args []string) (value, error)
	// lines gives the arguments of the lines that say v in a file; nil: one line.
	lines func(v value) [][]string

	doc string
}

func (p *param) has(f flags) bool { return p.flags&f != 0 }

// A value is what a parameter is set to. It never changes once stored.
type value struct {
	num  int64
	text string // as CONFIG GET shows it
	obj  any    // what a special parser made of it
}

// table holds all rows in the order of docs/configuration.md. It is filled while
// the package is initialised and read-only afterwards.
var (
	table  []*param
	byName = map[string]*param{}
)

// row adds p to the table. Two rows of one name are a mistake of ours.
func row(section string, p param) ID {
	p.id = ID(len(table))
	p.section = section
	q := &p
	table = append(table, q)
	for _, name := range []string{p.name, p.alias} {
		if name == "" {
			continue
		}
		if byName[name] != nil {
			panic("config: two parameters are named " + name)
		}
		byName[name] = q
	}
	return p.id
}

// A section is a chapter of the table; its methods add rows to it.
type section string

func (s section) bool(name, def string, f flags, doc string) ID {
	return row(string(s), param{name: name, kind: kindBool, def: def, flags: f, doc: doc})
}

func (s section) int(name, def string, min, max int64, f flags, doc string) ID {
	return row(string(s), param{name: name, kind: kindInt, def: def, min: min, max: max, flags: f, doc: doc})
}

func (s section) memory(name, def string, min, max int64, f flags, doc string) ID {
	return row(string(s), param{name: name, kind: kindMemory, def: def, min: min, max: max, flags: f, doc: doc})
}

func (s section) enum(name, def, options string, f flags, doc string) ID {
	return row(string(s), param{name: name, kind: kindEnum, def: def, options: strings.Fields(options), flags: f, doc: doc})
}

func (s section) string(name, def string, f flags, doc string) ID {
	return row(string(s), param{name: name, kind: kindString, def: def, flags: f, doc: doc})
}

func (s section) special(name, def string, f flags, parse func(value, []string) (value, error), doc string) ID {
	return row(string(s), param{name: name, kind: kindSpecial, def: def, flags: f | words, parse: parse, doc: doc})
}

func (s section) octal(name, def string, min, max int64, f flags, doc string) ID {
	return row(string(s), param{name: name, kind: kindOctal, def: def, min: min, max: max, flags: f, doc: doc})
}

func (s section) percent(name, def, doc string) ID {
	return row(string(s), param{name: name, kind: kindPercent, def: def, max: maxLong, doc: doc})
}

func (s section) shutdown(name, doc string) ID {
	id := row(string(s), param{name: name, kind: kindFlags, def: "default", flags: words,
		options: []string{"default", "save", "nosave", "now", "force"}, doc: doc})
	return id.check(func(v value) error {
		return refuse(v.num&ShutdownSave != 0 && v.num&ShutdownNoSave != 0, "shutdown options SAVE and NOSAVE can't be used simultaneously")
	})
}

// include is the directive that reads another file; the reader of files knows it.
func (s section) include() ID {
	return row(string(s), param{name: includeName, kind: kindDirective, doc: "Reads other files at this place; the path may have wildcards."})
}

const includeName = "include"

// refused is a directive that is known and not available.
func (s section) refused(name, why, doc string) ID {
	return row(string(s), param{name: name, kind: kindDirective, flags: words, doc: doc,
		parse: func(value, []string) (value, error) { return value{}, textError(why) }})
}

// with amends the row of id.
func (id ID) with(amend func(p *param)) ID {
	amend(table[id])
	return id
}

func (id ID) alias(name string) ID {
	return id.with(func(p *param) {
		if byName[name] != nil {
			panic("config: two parameters are named " + name)
		}
		p.alias = name
		byName[name] = p
	})
}

func (id ID) check(f func(v value) error) ID {
	return id.with(func(p *param) { p.check = f })
}

func (id ID) clamp(f func(n int64) int64) ID {
	return id.with(func(p *param) { p.clamp = f })
}

func (id ID) lines(f func(v value) [][]string) ID {
	return id.with(func(p *param) { p.lines = f })
}

// Name returns the parameter's name.
func (id ID) Name() string { return table[id].name }

// find looks a name up as people type it.
func find(name string) *param {
	if p := byName[name]; p != nil {
		return p
	}
	return byName[strings.ToLower(name)]
}

// Sensitive reports whether name's value is a secret, which is never to be
// printed or logged.
func Sensitive(name string) bool {
	p := find(name)
	return p != nil && p.has(secret)
}

// textError is an error whose text goes to the client or the user as it is.
type textError string

func (e textError) Error() string { return string(e) }

const (
	maxInt   = math.MaxInt32
	minInt   = math.MinInt32
	maxUint  = math.MaxUint32
	maxLong  = math.MaxInt64
	mebibyte = 1 << 20
)
