// Package pubsub knows who listens to which channels and patterns, and delivers
// what is published.
//
// A Hub is the registry of one server; a Client is one listener's end of it. The
// hub delivers in the goroutine of the publisher, so that each listener gets one
// publisher's messages in order, and holds no lock meanwhile: a Subscriber takes a
// message without waiting, or loses it, and bounds itself what it keeps.
//
// It is not the protocol: how a message looks on the wire, and when it is sent, is
// the Subscriber's business. It keeps nothing: who is not subscribed when a message
// is published does not get it.
package pubsub
