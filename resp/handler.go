package resp

// A Handler is what the server does with what comes in. All methods but Closed
// are called by the connection's own goroutine, one at a time.
type Handler interface {
	// Open is called before the first byte is read (after the handshake, with
	// TLS). It may set c.Data, and may end the connection with RejectAndClose. It
	// must not wait: with event loops the accepting goroutine calls it, and nobody
	// else is let in meanwhile.
	Open(c *Conn)
	// Serve runs the commands of a batch in order and writes their replies to
	// c.Reply. It stops early when c.Closing says so. It holds nothing that
	// others wait for when it returns, nor when it calls Flush, FlushIfLarge
	// or BeforePark.
	Serve(c *Conn, b *Batch)
	// ProtocolError tells that the client broke the protocol; the error reply
	// and the close are not the handler's business. text is what follows
	// "ERR " in the reply.
	ProtocolError(c *Conn, text string)
	// Closed is the last call for a connection that was opened, made once when
	// nothing can be sent or received any more.
	Closed(c *Conn)
}

// A Toucher is a Handler that wants to know what it will be given next. A loop tells
// it before a turn in which several connections are run, so that it can load what
// their commands will look at, and the cache misses overlap. It is no promise: what
// runs first may change what is to run. Touch changes nothing, holds nothing and
// waits for nothing, and loops call it at the same time.
type Toucher interface {
	Touch(ready []*Conn)
}

// Next is what Serve is going to be called with. It is for Touch only.
func (c *Conn) Next() *Batch { return c.batch }
