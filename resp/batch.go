package resp

import "sync"

// A batch holds so many commands at most, so that others get their turn and
// what a batch holds (the gate, its replies) is let go again.
//
// No command is begun behind batchArgs arguments: a batch that had to be let go
// because it was large would be grown anew for each next one.
const (
	maxBatch  = 512
	batchArgs = 4 * maxBatch
)

// A Batch is a run of whole commands from one client. Its arguments point into
// the connection's read buffer: they are valid until Serve returns, and whoever
// keeps one copies it.
type Batch struct {
	cmds []cmd
	args [][]byte
}

type cmd struct {
	first, argc int // in args
	size        int // bytes on the wire
}

// Len is the number of commands, at least 1 when a handler sees the batch.
func (b *Batch) Len() int { return len(b.cmds) }

// Args returns the name and the arguments of command i; there is at least one.
// The slices must not be changed nor appended to.
func (b *Batch) Args(i int) [][]byte {
	c := &b.cmds[i]
	return b.args[c.first : c.first+c.argc : c.first+c.argc]
}

// Size is the number of bytes command i took on the wire.
func (b *Batch) Size(i int) int { return b.cmds[i].size }

// freshArgs is how many arguments a batch is made for.
const freshArgs = 64

var batchPool = sync.Pool{New: func() any {
	return &Batch{cmds: make([]cmd, 0, 16), args: make([][]byte, 0, freshArgs)}
}}

func (b *Batch) reset() {
	clear(b.args)
	b.cmds, b.args = b.cmds[:0], b.args[:0]
}

// large: a command with very many arguments was in it.
func (b *Batch) large() bool { return cap(b.args) > 2*batchArgs }

func (b *Batch) free() {
	if b.large() {
		return
	}
	b.reset()
	batchPool.Put(b)
}
