package command

// Persistence is what keeps the data on disk.
type Persistence interface {
	// Save writes a snapshot and returns when it is durable.
	Save() error
	// SaveLater starts a snapshot, or has one started as soon as what runs is done.
	SaveLater()
	// Saving tells whether a snapshot is being written.
	Saving() bool
	// LastSave is when the last snapshot became durable, in Unix seconds.
	LastSave() int64
	// Logging tells whether writes are logged.
	Logging() bool
	// ReloadData replaces what is in memory by what is on disk: by a snapshot that it
	// takes first, or by the last one and the log.
	ReloadData(snapshot bool) error
}

func save(c *Context) error {
	if c.Server.Saving() {
		return ErrSaving
	}
	if err := c.Server.Save(); err != nil {
		return err
	}
	c.Reply.OK()
	return nil
}

func bgsave(c *Context) error {
	scheduled := c.InExec
	if len(c.Args) > 1 {
		if len(c.Args) > 2 || !c.Is(1, "SCHEDULE") {
			return ErrSyntax
		}
	}
	if c.Server.Saving() {
		if len(c.Args) == 1 && !c.InExec {
			return ErrSaving
		}
		scheduled = true
	}
	c.Server.SaveLater()
	if scheduled {
		c.Reply.Simple("Background saving scheduled")
	} else {
		c.Reply.Simple("Background saving started")
	}
	return nil
}

// bgrewriteaof is a snapshot too: the log before it goes.
func bgrewriteaof(c *Context) error {
	scheduled := c.InExec || c.Server.Saving()
	c.Server.SaveLater()
	if scheduled {
		c.Reply.Simple("Background append only file rewriting scheduled")
	} else {
		c.Reply.Simple("Background append only file rewriting started")
	}
	return nil
}

func lastSave(c *Context) error {
	c.Reply.Int(c.Server.LastSave())
	return nil
}

// waitAOF waits until what the connection wrote is on the disk here, and on those
// of followers. Who follows by PSYNC does not tell what is on its.
func waitAOF(c *Context) error {
	local, err := c.IntIn(1, 0, 1, WireError("ERR value is out of range, value must between 0 and 1"))
	if err != nil {
		return err
	}
	replicas, err := c.Positive(2)
	if err != nil {
		return err
	}
	ms, ok := ParseInt(c.Args[3])
	part, follows := c.follows()
	switch {
	case !ok:
		return WireError("ERR timeout is not an integer or out of range")
	case ms < 0:
		return ErrTimeoutNeg
	case follows:
		return errWaitReplica("WAITAOF")
	case local > 0 && !c.Server.Logging():
		return WireError("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.")
	}
	if !c.MayWait() {
		local, replicas = 0, 0 // what is durable already counts
	}
	ctx, cancel := c.atMost(ms)
	defer cancel()
	if local > 0 {
		_ = c.Client.Session.AwaitLog(ctx.Done()) // asked again below
	}
	n, err := c.Server.AwaitReplicas(ReplicaWait{Client: c.Client, Want: replicas, Durable: true, Epoch: part.Epoch, Stop: ctx.Done()})
	if err != nil {
		return err
	}
	done := int64(0)
	if c.Server.Logging() && c.Client.Session.AwaitLog(closed) == nil {
		done = 1
	}
	c.Reply.Array(2)
	c.Reply.Int(done)
	c.Reply.Int(int64(n))
	return nil
}

// closed is for those who only look.
var closed = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// debugReload loads what a snapshot of this moment holds.
func debugReload(c *Context) error {
	if len(c.Args) > 2 {
		return WireError("ERR DEBUG RELOAD takes no option here: it saves, empties memory and loads")
	}
	return c.reload(true)
}

func debugLoadAOF(c *Context) error {
	if !c.Server.Logging() {
		return WireError("ERR DEBUG LOADAOF needs appendonly yes")
	}
	return c.reload(false)
}

func (c *Context) reload(snapshot bool) error {
	if c.InExec {
		return ErrNotInMulti
	}
	if err := c.Server.ReloadData(snapshot); err != nil {
		return err
	}
	c.Reply.OK()
	return nil
}

var persistenceCommands = []Spec{
	{
		Name: "SAVE", Arity: 1, Group: ServerGroup, Since: "1.0.0", Complexity: "O(N) where N is the total number of keys in all databases",
		Flags: Admin | NoScript | NoAsyncLoading | NoMulti | OffGate | AnyNode, Run: save,
		Summary: "Writes a snapshot, and answers when it is on the disk; others are served meanwhile.",
	},
	{
		Name: "BGSAVE", Usage: "[SCHEDULE]", Arity: -1, Group: ServerGroup, Since: "1.0.0", Complexity: "O(1)",
		Flags: Admin | NoScript | NoAsyncLoading | OffGate | AnyNode, Run: bgsave,
		History: []Change{{"3.2.2", "SCHEDULE was added."}},
		Summary: "Starts to write a snapshot.",
	},
	{
		Name: "BGREWRITEAOF", Arity: 1, Group: ServerGroup, Since: "1.0.0", Complexity: "O(1)",
		Flags: Admin | NoScript | NoAsyncLoading | OffGate | AnyNode, Run: bgrewriteaof,
		Summary: "Starts to write a snapshot, after which the log before it goes.",
	},
	{
		Name: "LASTSAVE", Arity: 1, Group: ServerGroup, Since: "1.0.0", Complexity: "O(1)",
		Flags: Loading | Stale | Fast | AnyNode, Categories: CatAdmin | CatDangerous, Tips: []string{"nondeterministic_output"}, Run: lastSave,
		Summary: "Tells when data was last saved.",
	},
	{
		Name: "WAITAOF", Usage: "numlocal:integer numreplicas:integer timeout:integer", Arity: 4, Group: Generic, Since: "7.2.0", Complexity: "O(1)",
		Flags: NoScript | OffGate, Categories: CatConnection | CatNotGroup,
		Tips: []string{"request_policy:all_shards", "response_policy:agg_min"}, Run: waitAOF,
		Summary: "Waits until what the connection wrote is on the disk.",
	},
}
