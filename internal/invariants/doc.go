// Package invariants switches the checks that are too dear for a serving
// process: build or test with -tags invariants to have them.
//
// A check is written as
//
//	if invariants.Enabled {
//		invariants.Check(n >= 0, "store: negative size")
//	}
//
// so that without the tag the compiler drops it, condition included. What must
// hold in every build, such as a bound on input, does not belong here: it is an
// ordinary error.
package invariants

// Check panics with msg when cond is false and the checks are built in.
func Check(cond bool, msg string) {
	if Enabled && !cond {
		panic("invariant broken: " + msg)
	}
}
