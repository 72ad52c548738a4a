package server_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// anyZSet is anything about sorted sets and places.
func anyZSet(r *rand.Rand) []string {
	key := func() string { return fmt.Sprint("z", r.IntN(5)) }
	member := func() string { return fmt.Sprint("m", r.IntN(200)) }
	score := func() string { return fmt.Sprint(float64(r.IntN(400))/4 - 50) }
	degrees := func() string { return fmt.Sprint(float64(r.IntN(160)) - 80.123) }
	calls := []string{
		"ZADD <key> <score> <member> <score> <member> <score> <member>",
		"ZADD <key> <score> <member> <score> <member> <score> <member>",
		"ZADD <key> NX <score> <member>",
		"ZADD <key> XX GT CH <score> <member>",
		"ZADD <key> INCR 0.1 <member>",
		"ZINCRBY <key> <score> <member>",
		"ZREM <key> <member> <member>",
		"ZPOPMIN <key>",
		"ZPOPMAX <key> 3",
		"ZMPOP 2 <key> <key> MIN COUNT 2",
		"ZREMRANGEBYRANK <key> 10 20",
		"ZREMRANGEBYSCORE <key> <score> <score>",
		"ZUNIONSTORE <key> 2 <key> <key> WEIGHTS 0.3 0.7",
		"ZINTERSTORE <key> 2 <key> <key> AGGREGATE MAX",
		"ZDIFFSTORE <key> 2 <key> <key>",
		"ZRANGESTORE <key> <key> 0 150",
		"GEOADD <key> <degrees> <degrees> <member>",
		"GEOSEARCHSTORE <key> <key> FROMLONLAT <degrees> <degrees> BYRADIUS 5000 km STOREDIST",
		"GEORADIUS <key> <degrees> <degrees> 7000 km STORE <key>",
		"RENAME <key> <key>",
		"COPY <key> <key> REPLACE",
		"PEXPIRE <key> 20",
		"DEL <key>",
	}
	var argv []string
	for w := range strings.SplitSeq(calls[r.IntN(len(calls))], " ") {
		switch w {
		case "<key>":
			w = key()
		case "<member>":
			w = member()
		case "<score>":
			w = score()
		case "<degrees>":
			w = degrees()
		}
		argv = append(argv, w)
	}
	return argv
}
