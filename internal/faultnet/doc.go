// Package faultnet is a TCP proxy with faults, for tests: between two processes it
// delays what passes, keeps it back, resets and half-closes connections, refuses
// new ones, and heals again.
//
//	p, err := faultnet.Listen("127.0.0.1:2379", nil)
//	client.Dial(p.Addr())
//	p.Set(faultnet.Everyone, faultnet.Link{ToTarget: faultnet.Path{Hold: true}})
//	p.Heal()
//
// # What a fault does
//
//	Path.Delay   each byte arrives so much later; what was sent at once arrives at once
//	Path.Hold    nothing passes: neither bytes nor the end of the stream. What is sent is
//	             kept back, at first here and then in the sender's socket, until the hold
//	             ends: that is what a sender sees of a network that drops its packets and
//	             sends them again
//	Link.Refuse  new connections are reset
//	Reset        every connection is reset, once
//	HalfClose    one direction of every connection ends, as by shutdown(2); the other goes on
//
// A connection that comes while either of its directions is held is taken, and the
// target is dialled when that direction is free again.
//
// The two directions have a Path each. Faults are set for everyone or for one peer:
// who a connection belongs to is told by the func given to Listen, so that one link
// of several to the same port can be cut. A peer's own Link replaces that of everyone.
//
// # Bounds
//
// A connection costs five goroutines and keeps back at most 1 MB in each direction;
// then the sender's socket fills. Close ends all of them and waits.
package faultnet
