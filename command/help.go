package command

import "strings"

// help answers HELP of any container from the rows below it.
func help(c *Context) error {
	lines := c.Spec.Parent().help()
	c.Reply.Array(len(lines))
	for _, l := range lines {
		c.Reply.Simple(l)
	}
	return nil
}

// helpFlags are those of every HELP.
const helpFlags = Loading | Stale | AnyNode

const helpWidth = 76

// help is what HELP prints about a container.
func (s *Spec) help() []string {
	lines := []string{s.Name + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"}
	if s.Run != nil {
		lines = append(lines, "(no subcommand)")
		lines = append(lines, wrap(s.Summary, helpWidth)...)
	}
	for _, sub := range s.Subcommands() {
		if sub.Name == s.Name+"|HELP" {
			continue
		}
		lines = append(lines, strings.TrimPrefix(sub.Synopsis(), s.Name+" "))
		lines = append(lines, wrap(sub.Summary, helpWidth)...)
	}
	return append(lines, "HELP", "    Prints this help.")
}

// wrap breaks a text into indented lines of so many bytes, words permitting.
func wrap(text string, width int) []string {
	const indent = "    "
	var lines []string
	line := indent
	for word := range strings.FieldsSeq(text) {
		if line != indent && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
