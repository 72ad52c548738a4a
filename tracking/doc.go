// Package tracking remembers for client-side caches which client has read which
// key, and who wants to hear of all keys with a prefix.
//
// Nothing that a client may have cached becomes wrong without its being told, by
// the order of two steps on either side: a reader calls Remember before it looks at
// the value, a writer calls Forget after its change can be seen. If the writer does
// not find the reader, the reader has not looked yet, and will see the change.
//
// A key is its name alone: a change in one database concerns those who have read a
// key of that name in another, as in Redis.
//
// It names clients and reaches none of them; what they are sent, and when, is the
// router's business.
package tracking
