// Package glob matches Redis' patterns: those of KEYS, SCAN MATCH, PSUBSCRIBE
// and CONFIG GET.
//
//   - any run of bytes, also an empty one
//     ?      one byte
//     [abc]  one byte of the class; [^abc] one that is not; [a-z] a range
//     \x     the byte x, whatever it means elsewhere
//
// The odd corners are Redis' too. A class that is never closed ends with the
// pattern. A range given backwards is turned round, and its bytes are ordered as
// signed ones. A pattern that is not empty does not match the empty string, not
// even "*"; where Redis takes "*" for "all", as KEYS and SCAN do, the caller asks
// All first.
//
// It is not path/filepath's glob (no separators) and not a regular expression.
//
// Matching allocates nothing and takes a bounded number of steps, so that a
// pattern such as a*a*a*a*b from a stranger cannot hold a shard: what would take
// more than the budget does not match. The budget is linear in the lengths and
// generous: while the pattern or the string has at most 64 bytes, or both have
// at most 256, it cannot be reached.
package glob
