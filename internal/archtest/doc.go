// Package archtest holds the rules of the house as a test: who may import whom
// and why, which packages a name is too vague for, how long a file and a
// function may grow, and that every package says what it is.
//
// It is a test only; there is nothing in it to import. A new package needs a row
// in rules_test.go, and writing that row is the moment to think about its place.
package archtest
