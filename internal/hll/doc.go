// Package hll holds HyperLogLogs in the form in which Redis keeps them in a
// string: 16384 registers, either six bits each (dense) or as runs of equal ones
// (sparse), behind a header that remembers the last count. The same additions
// make the same bytes as there, so that a value may be copied between servers
// and counts the same on both.
//
// It knows no keys and no replies. Whoever calls it decides where the bytes lie;
// what it is given need not be a HyperLogLog, and a damaged one is an error.
package hll
