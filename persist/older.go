package persist

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/rdb"
	"github.com/ferricd/ferricd/router"
	"github.com/ferricd/ferricd/store"
)

// older says a record in the words of redis-server 7.0: ok is false if it has none
// for it. When fields of hashes expire is not told at all: that they have is.
func older(r router.Record) (told []router.Record, ok bool) {
	spec := command.All().Lookup(r)
	if spec == nil {
		return []router.Record{r}, true
	}
	switch spec.Name {
	case "HPEXPIREAT", "HPERSIST":
		return nil, true
	case "HSETEX":
		return one(hsetOf(r))
	case "MSETEX":
		return setsOf(r)
	case "XDELEX":
		if ids := idsOf(r, 2); ids != nil {
			return one(append(router.Record{[]byte("XDEL"), r[1]}, ids...))
		}
		return nil, false
	case "XACKDEL":
		ids := idsOf(r, 3)
		if ids == nil {
			return nil, false
		}
		return []router.Record{
			append(router.Record{[]byte("XACK"), r[1], r[2]}, ids...),
			append(router.Record{[]byte("XDEL"), r[1]}, ids...),
		}, true
	case "RESTORE", "RESTORE-ASKING":
		return one(restoreOf(r))
	case "BITOP":
		return []router.Record{r}, knownBitOp(r)
	}
	return []router.Record{r}, !newer(spec.Since)
}

func one(r router.Record) ([]router.Record, bool) { return []router.Record{r}, r != nil }

// newer tells whether a version is behind 7.0.
func newer(version string) bool {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, _ := strconv.Atoi(major)
	b, _ := strconv.Atoi(minor)
	return a > 7 || a == 7 && b > 0
}

// word is the position of a keyword, or -1.
func word(r router.Record, from int, w string) int {
	for i := from; i < len(r); i++ {
		if strings.EqualFold(string(r[i]), w) {
			return i
		}
	}
	return -1
}

// hsetOf is HSETEX key [options] FIELDS n name value ... without the options.
func hsetOf(r router.Record) router.Record {
	at := word(r, 2, "FIELDS")
	if at < 0 || at+2 >= len(r) {
		return nil
	}
	return append(router.Record{[]byte("HSET"), r[1]}, r[at+2:]...)
}

// setsOf is MSETEX n key value ... [options]; its conditions have been met.
func setsOf(r router.Record) (sets []router.Record, ok bool) {
	n, err := strconv.Atoi(string(r[1]))
	if err != nil || n < 0 || n > (len(r)-2)/2 {
		return nil, false
	}
	var options router.Record
	for i := 2 + 2*n; i < len(r); i++ {
		switch w := strings.ToUpper(string(r[i])); w {
		case "NX", "XX":
		case "KEEPTTL":
			options = append(options, r[i])
		case "PXAT", "EXAT":
			if i+1 == len(r) {
				return nil, false
			}
			options = append(options, r[i], r[i+1])
			i++
		default: // a time that counts from now would be another one there
			return nil, false
		}
	}
	for i := range n {
		sets = append(sets, append(router.Record{[]byte("SET"), r[2+2*i], r[3+2*i]}, options...))
	}
	return sets, true
}

// idsOf are the entries that a command deletes which looks at no other group, from
// argument i on: [KEEPREF] IDS n id ...
func idsOf(r router.Record, i int) router.Record {
	at := word(r, i, "IDS")
	if at < 0 || at+2 >= len(r) || word(r[:at], i, "DELREF") >= 0 || word(r[:at], i, "ACKED") >= 0 {
		return nil
	}
	return r[at+2:]
}

func knownBitOp(r router.Record) bool {
	for _, op := range []string{"AND", "OR", "XOR", "NOT"} {
		if strings.EqualFold(string(r[1]), op) {
			return true
		}
	}
	return false
}

// restoreOf is RESTORE of a payload that redis-server 7.0 reads.
func restoreOf(r router.Record) router.Record {
	const footer = 10
	payload := r[3]
	if n := len(payload) - footer; n < 0 || binary.LittleEndian.Uint16(payload[n:]) <= rdb.Version {
		return r
	}
	e := rdb.NewEncoder(rdb.Version)
	if rdb.Restore(payload, withoutTimes{e}) != nil {
		return nil
	}
	old, err := e.Payload()
	if err != nil {
		return nil
	}
	told := append(router.Record{}, r...)
	told[3] = bytes.Clone(old)
	return told
}

// withoutTimes leaves out when fields of hashes expire.
type withoutTimes struct{ store.Contents }

// Hash begins a hash.
func (w withoutTimes) Hash(n int, _ bool) { w.Contents.Hash(n, false) }

// Field tells a field.
func (w withoutTimes) Field(name, value []byte, _ int64) { w.Contents.Field(name, value, 0) }
