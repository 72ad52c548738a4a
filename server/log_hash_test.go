package server_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// anyHash is anything about hashes and sets.
func anyHash(r *rand.Rand) []string {
	words := map[string]func() string{
		"<hash>":   func() string { return fmt.Sprint("h", r.IntN(4)) },
		"<set>":    func() string { return fmt.Sprint("t", r.IntN(5)) },
		"<field>":  func() string { return fmt.Sprint("f", r.IntN(40)) },
		"<member>": func() string { return fmt.Sprint(r.IntN(300)) },
		"<word>":   func() string { return fmt.Sprint("w", r.IntN(200)) },
		"<value>":  func() string { return fmt.Sprint(r.IntN(1000)) },
		"<ms>":     func() string { return fmt.Sprint(r.IntN(20)) },
	}
	argv := strings.Fields(hashCalls[r.IntN(len(hashCalls))])
	for i, w := range argv {
		if fn := words[w]; fn != nil {
			argv[i] = fn()
		}
	}
	return argv
}

var hashCalls = []string{
	"HSET <hash> <field> <value> <field> <value> <field> <value>",
	"HSET <hash> <field> <value>",
	"HSETNX <hash> <field> <value>",
	"HDEL <hash> <field> <field>",
	"HINCRBY <hash> <field> <value>",
	"HINCRBYFLOAT <hash> <field> 0.1",
	"HPEXPIRE <hash> <ms> FIELDS 3 <field> <field> <field>",
	"HPEXPIRE <hash> <ms> NX FIELDS 2 <field> <field>",
	"HPEXPIRE <hash> <ms> GT FIELDS 2 <field> <field>",
	"HPERSIST <hash> FIELDS 2 <field> <field>",
	"HGETEX <hash> PX <ms> FIELDS 2 <field> <field>",
	"HGETEX <hash> PERSIST FIELDS 2 <field> <field>",
	"HSETEX <hash> PX <ms> FIELDS 2 <field> <value> <field> <value>",
	"HSETEX <hash> FNX PX <ms> FIELDS 1 <field> <value>",
	"HSETEX <hash> KEEPTTL FIELDS 1 <field> <value>",
	"HGETDEL <hash> FIELDS 2 <field> <field>",
	"RENAME <hash> <hash>",
	"COPY <hash> <hash> REPLACE",
	"MOVE h1 1",
	"PEXPIRE h0 20",
	"SADD <set> <member> <member> <member> <member>",
	"SADD <set> <word> <word> <member>",
	"SREM <set> <member> <word>",
	"SPOP <set>",
	"SPOP <set> 7",
	"SMOVE <set> <set> <member>",
	"SUNIONSTORE <set> <set> <set>",
	"SINTERSTORE <set> <set> <set>",
	"SDIFFSTORE <set> <set> <set>",
	"COPY <set> <set> REPLACE",
	"PEXPIRE t0 20",
	"DEL t0 h0",
}
