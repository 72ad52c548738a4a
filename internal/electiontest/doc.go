// Package electiontest says what every etcd must let an election be: Run tries a
// package election over the fake, over a real etcd as a process, and, from a module of
// its own, over a current etcd embedded in the test.
//
// Process starts the etcd that is installed.
package electiontest
