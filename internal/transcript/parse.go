package transcript

import (
	"fmt"
	"regexp"
	"strings"
)

type action int

const (
	command action = iota // send words, expect a reply
	raw                   // send bytes, expect a reply
	later                 // expect what arrives next
	parks
	silent
	closes
)

// A step is one line that does something, and the reply written below it.
type step struct {
	line   int // its number, from 1
	client int
	action action
	text   string // the line
	words  []string
	want   []string // as written below the line
	fresh  []string // what takes its place in an update
}

// sendOnly tells that no reply is to be awaited.
func (s *step) sendOnly() bool { return len(s.want) == 1 && s.want[0] == noReply }

const noReply = "(no reply)"

// A script is a parsed file.
type script struct {
	lines []string
	steps []*step

	resp3, ours, debug bool
	config             [][2]string
}

var (
	sendLine  = regexp.MustCompile(`^([1-9]?)([>!]) (.*)$`)
	checkLine = regexp.MustCompile(`^([1-9]) (parks|silent|closes)$`)
	laterLine = regexp.MustCompile(`^([1-9]):$`)
)

func parse(text string) (*script, error) {
	s := &script{lines: strings.Split(strings.TrimSuffix(text, "\n"), "\n")}
	var open *step // takes the lines of its reply
	for i, line := range s.lines {
		st, err := parseStep(line)
		switch {
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		case st != nil:
			st.line = i + 1
			s.steps = append(s.steps, st)
			open = st
		case strings.HasPrefix(line, "#!"):
			if len(s.steps) > 0 {
				return nil, fmt.Errorf("line %d: a directive must stand before the first command", i+1)
			}
			if err := s.directive(line[2:]); err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
		case line == "" || line[0] == '#':
			open = nil
		case open == nil:
			return nil, fmt.Errorf("line %d: %q belongs to no command", i+1, line)
		default:
			open.want = append(open.want, line)
		}
	}
	return s, s.check()
}

func parseStep(line string) (*step, error) {
	if m := laterLine.FindStringSubmatch(line); m != nil {
		return &step{client: clientOf(m[1]), action: later, text: line}, nil
	}
	if m := checkLine.FindStringSubmatch(line); m != nil {
		a := map[string]action{"parks": parks, "silent": silent, "closes": closes}[m[2]]
		return &step{client: clientOf(m[1]), action: a, text: line}, nil
	}
	m := sendLine.FindStringSubmatch(line)
	if m == nil {
		return nil, nil
	}
	st := &step{client: clientOf(m[1]), text: line}
	var err error
	if st.words, err = split(m[3]); err != nil {
		return nil, err
	}
	if len(st.words) == 0 {
		return nil, fmt.Errorf("no command")
	}
	if m[2] == "!" {
		st.action = raw
		if len(st.words) != 1 {
			return nil, fmt.Errorf("one quoted word is sent raw, not %d", len(st.words))
		}
	}
	return st, nil
}

func clientOf(digit string) int {
	if digit == "" {
		return 1
	}
	return int(digit[0] - '0')
}

func (s *script) directive(text string) error {
	words, err := split(text)
	if err != nil {
		return err
	}
	switch {
	case len(words) == 1 && words[0] == "resp3":
		s.resp3 = true
	case len(words) == 1 && words[0] == "ours":
		s.ours = true
	case len(words) == 1 && words[0] == "debug":
		s.debug = true
	case len(words) == 3 && words[0] == "config":
		s.config = append(s.config, [2]string{words[1], words[2]})
	default:
		return fmt.Errorf("unknown directive %q", text)
	}
	return nil
}

// check refuses what could never fail, and gives the commands that a "parks"
// follows the reply they have.
func (s *script) check() error {
	if len(s.steps) == 0 {
		return fmt.Errorf("no command in it")
	}
	for i, st := range s.steps {
		if len(st.want) > 0 && st.action >= parks {
			return fmt.Errorf("line %d: %q has no reply", st.line, st.text)
		}
		if next := s.next(i); next != nil && next.action == parks && st.action <= raw {
			if len(st.want) > 0 {
				return fmt.Errorf("line %d: %q is to park but has a reply", st.line, st.text)
			}
			st.want = []string{noReply}
		}
	}
	return nil
}

// next is the next step of the client of step i.
func (s *script) next(i int) *step {
	for _, st := range s.steps[i+1:] {
		if st.client == s.steps[i].client {
			return st
		}
	}
	return nil
}
