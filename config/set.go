package config

import (
	"fmt"
	"slices"
	"strings"
)

// A hook is what somebody does about a change.
type hook struct {
	ids   []ID
	apply func() error
}

// OnChange has apply called after Set has changed at least one of ids, once per
// Set. The new values can be read already. When it returns an error the old values
// are put back, and apply is called again for these. apply must not call Set, Load,
// Rewrite, Ignored or OnChange.
func (c *Config) OnChange(apply func() error, ids ...ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hooks = append(c.hooks, hook{ids, apply})
}

// A change is one pair of a CONFIG SET.
type change struct {
	p      *param
	name   string // of the two, the one that was used
	text   string
	before value
	source source
}

func (ch *change) failed(err error) error {
	return fmt.Errorf("CONFIG SET failed (possibly related to argument '%s') - %w", ch.name, err)
}

// Set answers CONFIG SET for a client that is local or not: names and values by
// turns. Either all are set or none is. The error is Redis' text without the code.
func (c *Config) Set(local bool, args ...string) (err error) {
	if len(args)%2 != 0 {
		return textError("syntax error")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	changes, err := c.changes(local, args)
	if err != nil {
		return err
	}
	done := false
	defer func() {
		if !done {
			c.restore(changes)
		}
	}()
	for i := range changes {
		ch := &changes[i]
		old := ch.before
		if ch.p.has(accumulates) {
			old = value{}
		}
		v, err := ch.p.read(old, []string{ch.text})
		if err == nil && ch.p.checkSet != nil {
			err = ch.p.checkSet(ch.before, v)
		}
		if err != nil {
			return ch.failed(err)
		}
		c.store(ch.p, v)
		c.sources[ch.p.id] = fromSet
	}
	if err := c.apply(changes); err != nil {
		return err
	}
	done = true
	return nil
}

// changes finds the parameters that args name, and the first reason why they
// cannot be set, whatever the values.
func (c *Config) changes(local bool, args []string) ([]change, error) {
	var list []change
	for i := 0; i < len(args); i += 2 {
		p := find(args[i])
		if p == nil || p.kind == kindDirective {
			return nil, textError("Unknown option or number of arguments for CONFIG SET - '" + args[i] + "'")
		}
		ch := change{p: p, name: strings.ToLower(args[i]), text: args[i+1], before: c.load(p), source: c.sources[p.id]}
		again := func(other change) bool { return other.name == ch.name }
		switch {
		case p.has(immutable):
			return nil, ch.failed(textError("can't set immutable config"))
		case p.has(protected) && !c.Allows(EnableProtectedConfigs, local):
			return nil, ch.failed(textError("can't set protected config"))
		case slices.ContainsFunc(list, again):
			return nil, ch.failed(textError("duplicate parameter"))
		}
		list = append(list, ch)
	}
	return list, nil
}

func (c *Config) restore(changes []change) {
	for _, ch := range slices.Backward(changes) {
		c.store(ch.p, ch.before)
		c.sources[ch.p.id] = ch.source
	}
}

// apply calls the hooks of what has changed. After a failure it puts the old
// values back and calls those hooks again that have run; their errors have nowhere
// to go, since the first one is the answer.
func (c *Config) apply(changes []change) error {
	for i, h := range c.hooks {
		ch := h.first(c, changes)
		if ch == nil {
			continue
		}
		err := h.apply()
		if err == nil {
			continue
		}
		ran := c.hooks[:i+1]
		touched := slices.DeleteFunc(slices.Clone(ran), func(h hook) bool { return h.first(c, changes) == nil })
		c.restore(changes)
		for _, h := range touched {
			_ = h.apply()
		}
		return ch.failed(err)
	}
	return nil
}

// first returns the first of changes that h is about and that did change.
func (h hook) first(c *Config, changes []change) *change {
	for i := range changes {
		ch := &changes[i]
		if slices.Contains(h.ids, ch.p.id) && !ch.before.same(c.load(ch.p)) {
			return ch
		}
	}
	return nil
}

// same compares what two values of one parameter say.
func (v value) same(w value) bool { return v.num == w.num && v.text == w.text }

// Adjust stores a number that the server found out by itself, such as the number
// of clients for which there are descriptors. No hook is called.
func (c *Config) Adjust(id ID, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store(table[id], table[id].numberValue(n))
}
