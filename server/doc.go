// Package server puts the parts together and takes them apart again: it is the
// only package that imports them all. Tests start whole servers in process
// with it.
//
// Start: parameters checked → store, latches, coordinators → router → sockets
// → background work (expiry, statistics, sweeper) → "Ready to accept
// connections". Stop: sockets closed to newcomers → running commands finish →
// background work ends → coordinators end.
package server
