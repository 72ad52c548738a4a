package crash

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ferricd/ferricd/internal/transcript"
)

// show is all that is to be told of a key but times that differ from server to
// server.
func (c *client) show(to *transcript.Client, key string) (string, error) {
	calls := [][]string{{"DEBUG", "DIGEST-VALUE", key}, {"PEXPIRETIME", key}}
	switch key {
	case c.key("hash"):
		fields := []string{"HPEXPIRETIME", key, "FIELDS", "12"}
		for i := range 12 {
			fields = append(fields, fmt.Sprint("f", i))
		}
		calls = append(calls, fields)
	case c.key("stream"):
		calls = append(calls, []string{"XINFO", "GROUPS", key}, []string{"XINFO", "STREAM", key}, []string{"XPENDING", key, "g", "-", "+", "1000"})
	}
	for _, argv := range calls {
		if err := to.Send(argv...); err != nil {
			return "", err
		}
	}
	var b strings.Builder
	for _, argv := range calls {
		v, err := to.Receive(false)
		if err != nil {
			return "", err
		}
		switch {
		case argv[0] == "XPENDING":
			for i := range v.Elems {
				v.Elems[i].Elems = slices.Delete(v.Elems[i].Elems, 2, 3) // how long ago
			}
		case argv[1] == "STREAM" && len(v.Elems) > 6:
			v.Elems = slices.Delete(v.Elems, 2, 6) // how it lies in memory
		}
		fmt.Fprintln(&b, strings.Join(argv, " "))
		fmt.Fprintln(&b, v)
	}
	return b.String(), nil
}

func (c *client) showAll(to *transcript.Client) (map[string]string, error) {
	all := map[string]string{}
	for _, key := range c.keys {
		text, err := c.show(to, key)
		if err != nil {
			return nil, err
		}
		all[key] = text
	}
	return all, nil
}

// A verdict is what was found out of one client after a crash.
type verdict struct {
	kept            int // so many calls of this life are there
	atLeast, atMost int // so often the shared counter was incremented
}

// check finds out how many of the client's calls a crashed server still has: at
// least the first lo. The reference is brought to the same state.
func (c *client) check(addr string, lo int) (v verdict, err error) {
	to, err := c.connect(addr)
	if err != nil {
		return v, err
	}
	defer to.Close()
	got, err := c.showAll(to)
	if err != nil {
		return v, err
	}
	for _, k := range c.calls[:lo] {
		if err := c.apply(to, k); err != nil {
			return v, err
		}
	}
	want, err := c.showAll(c.ref)
	if err != nil {
		return v, err
	}
	acked := difference(want, got)
	for v.kept = lo; difference(want, got) != ""; v.kept++ {
		if v.kept == len(c.calls) {
			return v, fmt.Errorf("client %d: none of the states after %d to %d calls is there; after %d, %s\nlast: %q",
				c.id, lo, len(c.calls), lo, acked, c.calls[max(0, lo-1):])
		}
		k := c.calls[v.kept]
		if err := c.apply(to, k); err != nil {
			return v, err
		}
		for _, key := range k.touched {
			if want[key], err = c.show(c.ref, key); err != nil {
				return v, err
			}
		}
	}
	for i, k := range c.calls {
		if v.atMost += k.shared; i < v.kept {
			v.atLeast += k.shared
		}
	}
	return v, nil
}

// difference shows the first key that differs, "" if none does.
func difference(want, got map[string]string) string {
	for key, text := range want {
		if got[key] != text {
			return fmt.Sprintf("%s should be\n%s\nand is\n%s", key, text, got[key])
		}
	}
	return ""
}

// apply lets the reference make a call. Of one that pops by chance and was not
// answered, the crashed server tells what it did.
func (c *client) apply(to *transcript.Client, k *call) error {
	if k.pops != "" && k.acked.IsZero() {
		var missing []string
		is, err := to.Do("SMEMBERS", k.pops)
		if err != nil {
			return err
		}
		was, err := c.ref.Do("SMEMBERS", k.pops)
		if err != nil {
			return err
		}
		for _, m := range was.Elems {
			if !slices.ContainsFunc(is.Elems, func(e transcript.Value) bool { return e.Str == m.Str }) {
				missing = append(missing, m.Str)
			}
		}
		if len(missing) != 1 {
			return nil // then it has done nothing, or what is wrong will be seen
		}
		k.popped(transcript.Value{Str: missing[0]})
	}
	v, err := run(c.ref, k.argvs)
	if err == nil && v.IsError() {
		err = fmt.Errorf("the reference answers %s to %q", v.Str, k.argvs)
	}
	return err
}

// String shows a call in a failure.
func (k *call) String() string {
	words := fmt.Sprintf("%q", k.argvs)
	return words[:min(len(words), 300)]
}
