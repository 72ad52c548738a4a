package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Load reads the command line, without the program's name, the environment and
// the configuration file:
//
//	[file.conf | -] [--name value ... | --name=value] ...
//
// An option's value may be several words. In the environment FERRICD_NAME sets the
// parameter name, with _ for -, and FERRICD_NAME_FILE names a file that holds its
// value. The command line overrides the environment, that the file, that the
// defaults. The error says in one line what is wrong where; then the values are of
// no use.
func (c *Config) Load(args, environ []string) error {
	path, rest := "", args
	if len(args) > 0 && (args[0] == "-" || !strings.HasPrefix(args[0], "-")) {
		path, rest = args[0], args[1:]
	}
	var all []directive
	for _, read := range []func() ([]directive, error){
		func() ([]directive, error) { return c.readFile(path) },
		func() ([]directive, error) { return readEnvironment(environ) },
		func() ([]directive, error) { return readOptions(rest) },
	} {
		list, err := read()
		if err != nil {
			return err
		}
		all = append(all, list...)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range all {
		if err := c.take(d); err != nil {
			return fmt.Errorf("%s: %w", d.origin, err)
		}
	}
	return nil
}

func (c *Config) readFile(path string) ([]directive, error) {
	var r reader
	switch path {
	case "":
		return nil, nil
	case "-":
		err := r.from("stdin", c.Stdin)
		return r.found, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	c.file.Store(&abs)
	err = r.path(path)
	return r.found, err
}

// take sets the parameter that d is about.
func (c *Config) take(d directive) error {
	p := find(d.name)
	if p == nil {
		return unknown(d.name)
	}
	old := c.load(p)
	if p.has(accumulates) && c.sources[p.id] != d.source {
		old = value{}
	}
	v, err := p.read(old, d.args)
	if err != nil {
		shown := quoteWord(d.name)
		for _, a := range d.args {
			if p.has(secret) {
				a = "(hidden)"
			}
			shown += " " + quoteWord(a)
		}
		return fmt.Errorf("%s: %w", shown, err)
	}
	c.store(p, v)
	c.sources[p.id] = d.source
	return nil
}

// readOptions reads what stands on the command line after the file.
func readOptions(args []string) ([]directive, error) {
	var r reader
	for i := 0; i < len(args); {
		option, isOption := strings.CutPrefix(args[i], "--")
		if !isOption || option == "" {
			return nil, fmt.Errorf("%q: an option begins with --, as in --port 6379", args[i])
		}
		i++
		d := directive{source: fromCommandLine}
		name, text, assigned := strings.Cut(option, "=")
		if assigned {
			d.args = []string{text}
		} else if words := strings.Fields(option); len(words) > 1 {
			// "--port 6379" in one piece, as quoted in some unit files.
			name, d.args = words[0], words[1:]
		}
		d.name, d.origin = name, "--"+name
		for i < len(args) && (!strings.HasPrefix(args[i], "--") || d.takes(args[i])) {
			d.args = append(d.args, args[i])
			i++
		}
		if err := r.directive(d); err != nil {
			return nil, err
		}
	}
	return r.found, nil
}

// takes reports whether arg, which begins with --, is d's value all the same: d
// needs one, has none, and arg is no option.
func (d *directive) takes(arg string) bool {
	p := find(d.name)
	name, _, _ := strings.Cut(arg[2:], "=")
	return p != nil && !p.has(words) && len(d.args) == 0 && find(name) == nil
}

const (
	envPrefix = "FERRICD_"
	envFile   = "_FILE"
)

// links are the variables that container platforms set for a service that happens
// to be called ferricd; they say where it is, not how it is to be.
var links = regexp.MustCompile(`^FERRICD_((.*_)?SERVICE_(HOST|PORT)(_.*)?|(.*_)?PORT_[0-9]+_(TCP|UDP|SCTP)(_.*)?|(.*_)?PORT=(tcp|udp|sctp)://.*|ENV_.*|NAME=/.*)(=.*)?$`)

// readEnvironment reads the variables that are meant for us, in alphabetical
// order.
func readEnvironment(environ []string) ([]directive, error) {
	sorted := slices.Sorted(slices.Values(environ))
	var found []directive
	given := map[*param]string{}
	for _, variable := range sorted {
		key, text, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(key, envPrefix) || links.MatchString(variable) {
			continue
		}
		p, isFile := findVariable(strings.TrimPrefix(key, envPrefix))
		if p == nil {
			return nil, fmt.Errorf("%s: %w", key, unknown(dashed(strings.TrimPrefix(key, envPrefix))))
		}
		if other := given[p]; other != "" {
			return nil, fmt.Errorf("%s: %s sets %s already", key, other, p.name)
		}
		given[p] = key
		if isFile {
			data, err := os.ReadFile(text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			text = strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
		}
		found = append(found, directive{fromEnvironment, key, p.name, []string{text}})
	}
	return found, nil
}

func dashed(name string) string {
	return strings.ReplaceAll(strings.ToLower(name), "_", "-")
}

// findVariable looks up the rest of a variable's name: a parameter, or one with
// _FILE behind it. A parameter that itself ends in -file comes first.
func findVariable(name string) (p *param, isFile bool) {
	if p := findDashed(dashed(name)); p != nil {
		return p, false
	}
	if base, ok := strings.CutSuffix(strings.ToUpper(name), envFile); ok {
		return findDashed(dashed(base)), true
	}
	return nil, false
}

func findDashed(name string) *param {
	for _, p := range table {
		if p.name != includeName && (dashed(p.name) == name || p.alias != "" && dashed(p.alias) == name) {
			return p
		}
	}
	return nil
}
