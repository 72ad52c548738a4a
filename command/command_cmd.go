package command

import (
	"github.com/ferricd/ferricd/internal/glob"
	"github.com/ferricd/ferricd/resp"
)

func commandAll(c *Context) error {
	rows := All().Top()
	c.Reply.Array(len(rows))
	for _, s := range rows {
		replyInfo(c.Reply, s)
	}
	return nil
}

func commandCount(c *Context) error {
	c.Reply.Int(int64(len(All().Top())))
	return nil
}

func commandInfo(c *Context) error {
	if len(c.Args) == 2 {
		return commandAll(c)
	}
	c.Reply.Array(len(c.Args) - 2)
	for _, name := range c.Args[2:] {
		if s := All().ByFullName(name); s != nil {
			replyInfo(c.Reply, s)
		} else {
			c.Reply.Null()
		}
	}
	return nil
}

// replyInfo writes what COMMAND INFO shows of one command.
func replyInfo(w *resp.Writer, s *Spec) {
	legacy := s.LegacyKeys()
	w.Array(10)
	w.BulkString(s.Lower())
	w.Int(int64(s.Arity))
	replyWords(w, "", s.FlagNames())
	w.Int(int64(legacy.First))
	w.Int(int64(legacy.Last))
	w.Int(int64(legacy.Step))
	replyWords(w, "@", s.ACL().Names())
	w.Set(len(s.Tips))
	for _, t := range s.Tips {
		w.BulkString(t)
	}
	w.Set(len(s.Keys))
	for i := range s.Keys {
		replyKeySpec(w, &s.Keys[i])
	}
	if len(s.Subcommands()) == 0 {
		w.Set(0) // as Redis does, though a list of them is an array
		return
	}
	w.Array(len(s.Subcommands()))
	for _, sub := range s.Subcommands() {
		replyInfo(w, sub)
	}
}

// replyWords writes a set of simple strings.
func replyWords(w *resp.Writer, prefix string, words []string) {
	w.Set(len(words))
	for _, word := range words {
		w.Simple(prefix + word)
	}
}

func replyKeySpec(w *resp.Writer, k *KeySpec) {
	if k.Notes != "" {
		w.Map(4)
		w.BulkString("notes")
		w.BulkString(k.Notes)
	} else {
		w.Map(3)
	}
	w.BulkString("flags")
	replyWords(w, "", k.Access.Names())
	w.BulkString("begin_search")
	switch {
	case k.find != nil:
		replySearch(w, "unknown", 0)
	case k.keyword != "":
		replySearch(w, "keyword", 2)
		w.BulkString("keyword")
		w.BulkString(k.keyword)
		replyField(w, "startfrom", k.from)
	default:
		replySearch(w, "index", 1)
		replyField(w, "index", k.index)
	}
	w.BulkString("find_keys")
	switch {
	case k.find != nil:
		replySearch(w, "unknown", 0)
	case k.counted:
		replySearch(w, "keynum", 3)
		replyField(w, "keynumidx", 0)
		replyField(w, "firstkey", 1)
		replyField(w, "keystep", k.step)
	default:
		replySearch(w, "range", 3)
		replyField(w, "lastkey", k.last)
		replyField(w, "keystep", k.step)
		replyField(w, "limit", k.limit)
	}
}

// replySearch announces one half of a key specification: so many fields follow.
func replySearch(w *resp.Writer, kind string, fields int) {
	w.Map(2)
	w.BulkString("type")
	w.BulkString(kind)
	w.BulkString("spec")
	w.Map(fields)
}

func replyField(w *resp.Writer, name string, n int) {
	w.BulkString(name)
	w.Int(int64(n))
}

func commandList(c *Context) error {
	keep := func(*Spec) bool { return true }
	switch {
	case len(c.Args) == 2:
	case len(c.Args) != 5 || !c.Is(2, "FILTERBY"):
		return ErrSyntax
	default:
		value := c.Args[4]
		switch {
		case c.Is(3, "MODULE"):
			keep = func(*Spec) bool { return false }
		case c.Is(3, "ACLCAT"):
			cat := categoryByName(value)
			keep = func(s *Spec) bool { return s.ACL()&cat != 0 }
		case c.Is(3, "PATTERN"):
			pattern := string(value)
			keep = func(s *Spec) bool { return glob.MatchStringFold(pattern, s.Lower()) }
		default:
			return ErrSyntax
		}
	}
	var names []string
	for _, s := range All().Rows() {
		if keep(s) {
			names = append(names, s.Lower())
		}
	}
	if len(c.Args) == 2 {
		c.Reply.Set(len(names))
	} else {
		c.Reply.Array(len(names))
	}
	for _, n := range names {
		c.Reply.BulkString(n)
	}
	return nil
}

// categoryByName is the category of this name, in any case, or none.
func categoryByName(name []byte) Category {
	for i, n := range categoryNames {
		if equalFold(name, n) {
			return 1 << i
		}
	}
	return 0
}

func commandGetKeys(c *Context) error { return c.tellKeys(false) }

func commandGetKeysAndFlags(c *Context) error { return c.tellKeys(true) }

// tellKeys finds the keys in the command that stands behind the subcommand.
func (c *Context) tellKeys(withFlags bool) error {
	args := c.Args[2:]
	s := All().Lookup(args)
	switch {
	case s == nil:
		return ErrKeysCommand
	case !s.hasKeys():
		return ErrKeysNone
	case !s.ArityOK(len(args)):
		return ErrKeysArity
	}
	at, access, err := s.toldKeys(args)
	if err != nil {
		return err
	}
	c.Reply.Array(len(at))
	for n, i := range at {
		if !withFlags {
			c.Reply.Bulk(args[i])
			continue
		}
		c.Reply.Array(2)
		c.Reply.Bulk(args[i])
		replyWords(c.Reply, "", (access[n] &^ VariableFlags).Names())
	}
	return nil
}

// toldKeys are the places of the keys in args. A spec that is in no doubt where
// keys begin must find one, even if the call would do without.
func (s *Spec) toldKeys(args [][]byte) (at []int, access []Access, err error) {
	for k := range s.Keys {
		ks := &s.Keys[k]
		if ks.Access&NotKey != 0 {
			continue
		}
		before, a := len(at), ks.accessBy(args)
		err = ks.each(args, func(i int) { at, access = append(at, i), append(access, a) })
		if err != nil || len(at) == before && ks.keyword == "" && ks.find == nil {
			return nil, nil, ErrKeysArgs
		}
	}
	if len(at) == 0 && !s.Has(NoMandatoryKeys) {
		return nil, nil, ErrKeysArgs
	}
	return at, access, nil
}

var commandCommands = []Spec{
	{
		Name: "COMMAND", Arity: -1, Group: ServerGroup, Since: "2.8.13",
		Complexity: "O(N) with N the number of commands",
		Flags:      Loading | Stale | AnyNode, Categories: CatConnection, Run: commandAll,
		Tips:    []string{"nondeterministic_output_order"},
		Summary: "Describes all commands to clients.",
	},
	{
		Name: "COMMAND|COUNT", Arity: 2, Group: ServerGroup, Since: "2.8.13", Complexity: "O(1)",
		Flags: Loading | Stale | AnyNode, Categories: CatConnection, Run: commandCount,
		Summary: "Counts the commands.",
	},
	{
		Name: "COMMAND|DOCS", Usage: "[command-name...]", Arity: -2, Group: ServerGroup, Since: "7.0.0",
		Complexity: "O(N) with N the number of commands asked for",
		Flags:      Loading | Stale | AnyNode, Categories: CatConnection, Run: commandDocs,
		Tips:    []string{"nondeterministic_output_order"},
		Summary: "Explains commands to people: summary, history and arguments; all commands when none is named.",
	},
	{
		Name: "COMMAND|GETKEYS", Usage: "command arg...", Arity: -4, Group: ServerGroup, Since: "2.8.13",
		Complexity: "O(N) with N the number of arguments",
		Flags:      Loading | Stale | AnyNode, Categories: CatConnection, Run: commandGetKeys,
		Summary: "Finds the keys in a whole command.",
	},
	{
		Name: "COMMAND|GETKEYSANDFLAGS", Usage: "command arg...", Arity: -4, Group: ServerGroup, Since: "7.0.0",
		Complexity: "O(N) with N the number of arguments",
		Flags:      Loading | Stale | AnyNode, Categories: CatConnection, Run: commandGetKeysAndFlags,
		Summary: "Finds the keys in a whole command, with what it does to them.",
	},
	{
		Name: "COMMAND|HELP", Arity: 2, Group: ServerGroup, Since: "5.0.0", Complexity: "O(1)",
		Flags: helpFlags, Categories: CatConnection, Run: help,
		Summary: "Prints this help.",
	},
	{
		Name: "COMMAND|INFO", Usage: "[command-name...]", Arity: -2, Group: ServerGroup, Since: "2.8.13",
		Complexity: "O(N) with N the number of commands asked for",
		Flags:      Loading | Stale | AnyNode, Categories: CatConnection, Run: commandInfo,
		Tips:    []string{"nondeterministic_output_order"},
		History: []Change{{"7.0.0", "Describes all commands when none is named."}},
		Summary: "Describes commands to clients.",
	},
	{
		Name: "COMMAND|LIST", Usage: "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]", Arity: -2,
		Group: ServerGroup, Since: "7.0.0", Complexity: "O(N) with N the number of commands",
		Flags: Loading | Stale | AnyNode, Categories: CatConnection, Run: commandList,
		Tips:    []string{"nondeterministic_output_order"},
		Summary: "Lists the names of commands.",
	},
}
