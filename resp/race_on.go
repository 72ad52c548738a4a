//go:build race

package resp

// underRace: the race detector learns from the system calls of package syscall
// what happens before what, so a loop makes those.
const underRace = true
