package command

import "github.com/ferricd/ferricd/store"

// What the consumers of a group have got is logged as XCLAIM with all that it
// has led to, as what is then pending for whom cannot be found out again.

var (
	argvXClaim, argvXGroup, argvXAck = []byte("XCLAIM"), []byte("XGROUP"), []byte("XACK")
	argvSetID, argvEntriesRead       = []byte("SETID"), []byte("ENTRIESREAD")
	argvCreateConsumer               = []byte("CREATECONSUMER")
	argvTime, argvRetryCount         = []byte("TIME"), []byte("RETRYCOUNT")
	argvForce, argvJustID, argvZero  = []byte("FORCE"), []byte("JUSTID"), []byte("0")
)

// A claimRecord makes the records of entries that one consumer has got: those
// that it got equally often at the same time share one.
type claimRecord struct {
	c                    *Context
	key, group, consumer []byte
	ids                  [][]byte
	at, count            int64
}

func (r *claimRecord) add(id store.StreamID, at, count int64) {
	if len(r.ids) > 0 && (at != r.at || count != r.count) {
		r.close()
	}
	r.at, r.count = at, count
	r.ids = append(r.ids, r.c.idWord(id))
}

// close ends the record, if there is one.
func (r *claimRecord) close() {
	if len(r.ids) == 0 {
		return
	}
	argv := make([][]byte, 0, len(r.ids)+11)
	argv = append(argv, argvXClaim, r.key, r.group, r.consumer, argvZero)
	argv = append(argv, r.ids...)
	argv = append(argv, argvTime, r.c.Decimal(r.at), argvRetryCount, r.c.Decimal(r.count), argvForce, argvJustID)
	r.c.Effect(argv...)
	r.ids = r.ids[:0]
}

// effectGroupID logs how far a group has read.
func (c *Context) effectGroupID(key []byte, g *store.Group) {
	c.Effect(argvXGroup, argvSetID, key, []byte(g.Name()), c.idWord(g.LastID()), argvEntriesRead, c.Decimal(g.Read()))
}

// effectConsumer logs that a consumer was made, of which nothing may be pending.
func (c *Context) effectConsumer(key, group, consumer []byte) {
	c.Effect(argvXGroup, argvCreateConsumer, key, group, consumer)
}

// effectAck logs that an entry is no longer pending.
func (c *Context) effectAck(key, group []byte, id store.StreamID) {
	c.Effect(argvXAck, key, group, c.idWord(id))
}

// newConsumer adds a consumer to a group.
func (c *Context) newConsumer(key []byte, g *store.Group, name []byte) *store.Consumer {
	c.Notify(NotifyStream, "xgroup-createconsumer", key)
	return g.CreateConsumer(name, c.Now)
}
