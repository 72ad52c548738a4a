package command

import "github.com/ferricd/ferricd/resp"

func commandDocs(c *Context) error {
	var rows []*Spec
	if len(c.Args) == 2 {
		rows = All().Top()
	}
	for _, name := range c.Args[2:] {
		if s := All().ByFullName(name); s != nil {
			rows = append(rows, s)
		}
	}
	c.Reply.Map(len(rows))
	for _, s := range rows {
		replyDocs(c.Reply, s)
	}
	return nil
}

// A field is one entry of a map in COMMAND DOCS.
type field struct {
	name  string
	value func(w *resp.Writer)
}

func text(s string) func(*resp.Writer) {
	return func(w *resp.Writer) { w.BulkString(s) }
}

func replyFields(w *resp.Writer, fields []field) {
	w.Map(len(fields))
	for _, f := range fields {
		w.BulkString(f.name)
		f.value(w)
	}
}

// replyDocs writes a command's name and what COMMAND DOCS says about it.
func replyDocs(w *resp.Writer, s *Spec) {
	w.BulkString(s.Lower())
	fields := []field{{"summary", text(s.Summary)}, {"since", text(s.Since)}, {"group", text(string(s.Group))}}
	if s.Complexity != "" {
		fields = append(fields, field{"complexity", text(s.Complexity)})
	}
	if s.Deprecated != "" {
		fields = append(fields, field{"doc_flags", func(w *resp.Writer) { replyWords(w, "", []string{"deprecated"}) }},
			field{"deprecated_since", text(s.Deprecated)})
	}
	if s.ReplacedBy != "" {
		fields = append(fields, field{"replaced_by", text(s.ReplacedBy)})
	}
	if len(s.History) > 0 {
		fields = append(fields, field{"history", func(w *resp.Writer) { replyHistory(w, s.History) }})
	}
	if args := s.Arguments(); len(args) > 0 {
		fields = append(fields, field{"arguments", func(w *resp.Writer) {
			n := keyNumber{last: len(s.Keys) - 1, patterns: s.Gate != nil}
			replyArguments(w, args, &n)
		}})
	}
	if subs := s.Subcommands(); len(subs) > 0 {
		fields = append(fields, field{"subcommands", func(w *resp.Writer) {
			w.Map(len(subs))
			for _, sub := range subs {
				replyDocs(w, sub)
			}
		}})
	}
	replyFields(w, fields)
}

func replyHistory(w *resp.Writer, history []Change) {
	w.Set(len(history))
	for _, h := range history {
		w.Array(2)
		w.BulkString(h.Version)
		w.BulkString(h.Text)
	}
}

// keyNumber counts key arguments, which belong to the key specs in order; the
// last spec has all that are left.
type keyNumber struct {
	next, last int
	patterns   bool // patterns stand for keys, those of the second spec: SORT
}

// of is the key spec that an argument belongs to, if any.
func (k *keyNumber) of(a *Argument) (spec int64, ok bool) {
	switch {
	case k.last < 0:
		return 0, false
	case a.Type == "pattern" && k.patterns:
		k.next = 2
		return 1, true
	case a.Type != "key":
		return 0, false
	}
	n := min(k.next, k.last)
	k.next++
	return int64(n), true
}

func replyArguments(w *resp.Writer, args []Argument, keys *keyNumber) {
	w.Array(len(args))
	for i := range args {
		replyArgument(w, &args[i], keys)
	}
}

func replyArgument(w *resp.Writer, a *Argument, keys *keyNumber) {
	fields := []field{{"name", text(a.Name)}, {"type", text(a.Type)}}
	if n, ok := keys.of(a); ok {
		fields = append(fields, field{"key_spec_index", func(w *resp.Writer) { w.Int(n) }})
	}
	if a.Token != "" {
		fields = append(fields, field{"token", text(a.Token)})
	}
	if flags := a.flagNames(); len(flags) > 0 {
		fields = append(fields, field{"flags", func(w *resp.Writer) { replyWords(w, "", flags) }})
	}
	if len(a.Args) > 0 {
		fields = append(fields, field{"arguments", func(w *resp.Writer) { replyArguments(w, a.Args, keys) }})
	}
	replyFields(w, fields)
}

func (a *Argument) flagNames() []string {
	var names []string
	if a.Optional {
		names = append(names, "optional")
	}
	if a.Multiple {
		names = append(names, "multiple")
	}
	if a.MultipleToken {
		names = append(names, "multiple_token")
	}
	return names
}
