// Package differ draws random calls from the command table and sends them to
// two servers, ferricd and a redis-server, whose replies must be the same.
//
// A call is drawn from its row's usage line, with values that tend to be nasty
// and a few keys of each type, and is sometimes spoiled: a word dropped, doubled,
// moved or replaced. What neither may answer alike, for chance or the clock
// decides, is compared by what must hold of it. After each sequence the two
// keyspaces are walked and compared. A sequence that shows a difference is
// shortened as long as it still does, and printed as a transcript.
//
// It is a test harness, and no judge of what is right: what differs on purpose
// is listed, with the reason, by those who use it.
package differ
