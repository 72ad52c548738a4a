package command

import (
	"slices"

	"github.com/ferricd/ferricd/config"
)

// Protect refuses a protected command to whom its parameter does not admit.
func (s *Spec) Protect(cfg *config.Config, cl *Client) error {
	name, id, option := "DEBUG", config.EnableDebugCommand, "enable-debug-command"
	if s.parent != nil && s.parent.Name == "MODULE" {
		name, id, option = "MODULE", config.EnableModuleCommand, "enable-module-command"
	}
	if cfg.Allows(id, cl.IsLocal()) {
		return nil
	}
	return Errorf("ERR %s command not allowed. If the %s option is set to \"local\", you can run it from a local connection, "+
		"otherwise you need to set this option in the configuration file, and then restart the server.", name, option)
}

var redacted = []byte("(redacted)")

// Redact returns the arguments of a call without the secrets among them, for
// those whom nobody means to tell: MONITOR and the slow log.
func (s *Spec) Redact(args [][]byte) [][]byte {
	var secret func(i int) bool
	switch s.Name {
	case "AUTH":
		secret = func(i int) bool { return i > 0 && len(args) <= 3 }
	case "HELLO":
		secret = func(i int) bool {
			return i > 2 && foldEqual(args[i-1], "AUTH") && i+1 < len(args) || i > 3 && foldEqual(args[i-2], "AUTH")
		}
	case "CONFIG|SET":
		secret = func(i int) bool { return i > 2 && i%2 == 1 && config.Sensitive(string(args[i-1])) }
	case "MIGRATE":
		secret = func(i int) bool { return i > 6 && migrateSecret(args, i) }
	default:
		return args
	}
	shown := slices.Clone(args)
	for i := range args {
		if secret(i) {
			shown[i] = redacted
		}
	}
	return shown
}

// migrateSecret tells whether argument i of MIGRATE belongs to AUTH or AUTH2.
func migrateSecret(args [][]byte, i int) bool {
	for at := 6; at < i; at++ {
		n := 0
		switch {
		case foldEqual(args[at], "KEYS"):
			return false
		case foldEqual(args[at], "AUTH"):
			n = 1
		case foldEqual(args[at], "AUTH2"):
			n = 2
		}
		if i <= at+n {
			return true
		}
		at += n
	}
	return false
}
