package command

import (
	"bytes"
	"fmt"
	"strings"
)

// groups are the slices at the feet of the files.
var groups = [][]Spec{
	commandCommands,
	dumpCommands,
	expireCommands,
	genericCommands,
	objectCommands,
	scanCommands,
	stringCommands,
	transactionCommands,
	stringSetCommands,
	stringCompareCommands,
	stringIncrCommands,
	stringLCSCommands,
	bitmapCommands,
	bitOpCommands,
	bitFieldCommands,
	hllCommands,
	clusterCommands,
	configCommands,
	hashCommands,
	hashIncrCommands,
	hashWalkCommands,
	hashExpireCommands,
	hashExCommands,
	setCommands,
	setRandomCommands,
	setCombineCommands,
	connectionCommands,
	clientCommands,
	trackingCommands,
	pubsubCommands,
	debugCommands,
	latencyCommands,
	listBlockingCommands,
	listEndCommands,
	listIndexCommands,
	memoryCommands,
	migrateCommands,
	serverCommands,
	persistenceCommands,
	replicationCommands,
	failoverCommands,
	sentinelCommands,
	slowlogCommands,
	sortCommands,
	streamCommands,
	streamReadCommands,
	streamGroupCommands,
	streamClaimCommands,
	streamInfoCommands,
	streamDeleteCommands,
	geoCommands,
	geoSearchCommands,
	zsetBlockingCommands,
	zsetCommands,
	zsetCombineCommands,
	zsetPopCommands,
	zsetRangeCommands,
}

// A Table finds commands by name.
type Table struct {
	byName map[string]*Spec
	rows   []*Spec // by ID, subcommands included
	top    []*Spec
}

// table is made in init: COMMAND's handlers, which are in it, look at it.
var table *Table

func init() { table = newTable(groups) }

// All is the command table.
func All() *Table { return table }

// Rows are all commands and subcommands, by ID.
func (t *Table) Rows() []*Spec { return t.rows }

// Top are the commands without the subcommands.
func (t *Table) Top() []*Spec { return t.top }

const longestName = 32

// Find returns the command called name, in any case, or nil.
func (t *Table) Find(name []byte) *Spec {
	var up [longestName]byte
	if len(name) > len(up) {
		return nil
	}
	for i, c := range name {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		up[i] = c
	}
	return t.byName[string(up[:len(name)])]
}

// ByFullName returns the command or subcommand that COMMAND INFO calls name
// ("get", "client|kill"), in any case, or nil.
func (t *Table) ByFullName(name []byte) *Spec {
	parent, sub, ok := bytes.Cut(name, []byte("|"))
	s := t.Find(parent)
	if s == nil || !ok {
		return s
	}
	return s.Sub(sub)
}

// Lookup returns the row that a call runs: the subcommand's, if it names one.
func (t *Table) Lookup(args [][]byte) *Spec {
	s := t.Find(args[0])
	if s == nil || s.subs == nil || len(args) < 2 {
		return s
	}
	return s.Sub(args[1])
}

// Sub returns the subcommand called name, in any case. A container that also
// runs by itself answers for names that it does not know.
func (s *Spec) Sub(name []byte) *Spec {
	if sub := s.subs[strings.ToUpper(string(name))]; sub != nil {
		return sub
	}
	return nil
}

func newTable(groups [][]Spec) *Table {
	t := &Table{byName: map[string]*Spec{}}
	for _, g := range groups {
		for i := range g {
			t.add(&g[i])
		}
	}
	return t
}

func (t *Table) add(s *Spec) {
	if s.Name != strings.ToUpper(s.Name) || len(s.Name) > longestName || t.byName[s.Name] != nil {
		panic(fmt.Sprintf("command: bad or repeated name %q", s.Name))
	}
	s.id = len(t.rows)
	s.lower = strings.ToLower(s.Name)
	s.path = s.derivePath()
	s.keyPos = s.deriveKeyPos()
	t.rows = append(t.rows, s)
	parent, sub, ok := strings.Cut(s.Name, "|")
	if !ok {
		t.byName[s.Name] = s
		t.top = append(t.top, s)
		return
	}
	p := t.byName[parent]
	if p == nil {
		panic(fmt.Sprintf("command: %q stands before its container", s.Name))
	}
	if p.subs == nil {
		p.subs = map[string]*Spec{}
	}
	s.parent = p
	p.subs[sub] = s
	p.subSeq = append(p.subSeq, s)
}

// derivePath: a call claims if it writes, or if it reads more than one key.
func (s *Spec) derivePath() Path {
	switch {
	case s.Flags&Exclusive != 0:
		return Alone
	case s.Flags&EveryShard != 0:
		return Walk
	case !s.hasKeys() && s.Refs == nil, s.Flags&ByCalls != 0:
		return Local
	case s.Flags&(Write|Claims) == 0 && s.deriveKeyPos() > 0:
		return Read
	}
	return Claim
}

func (s *Spec) deriveKeyPos() int {
	if len(s.Keys) != 1 || s.Refs != nil {
		return 0
	}
	k := s.Keys[0]
	if k.keyword != "" || k.counted || k.find != nil || k.last != 0 || k.Access&NotKey != 0 {
		return 0
	}
	return k.index
}

// foldEqual compares an argument with an upper-case word, in any case.
func foldEqual(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i := range len(word) {
		c := b[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}
