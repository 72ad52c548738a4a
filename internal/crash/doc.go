// Package crash holds the tests that crash whole servers under load and look at
// what is left: a child process that is killed, by its parent or by itself at a
// failpoint, and a server on a file layer that forgets what was not synced.
//
// Every client owns some keys and keeps what it has sent and what was answered.
// What a crash leaves must be what the first k of its calls make, for one k that no
// acknowledged call is beyond: nothing is missing, nothing came twice, nothing is
// half done. What they make is asked of a reference server that does not crash.
//
// It is tests only; there is nothing in it to import.
package crash
