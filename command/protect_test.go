package command

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/config"
)

// Whoever shows calls to others shows no secret, and changes none of the arguments.
func TestRedactHidesSecrets(t *testing.T) {
	for call, shown := range map[string]string{
		"AUTH s3cret":                        "AUTH (redacted)",
		"auth me s3cret":                     "auth (redacted) (redacted)",
		"AUTH a b c":                         "AUTH a b c",
		"HELLO":                              "HELLO",
		"HELLO 3 AUTH me s3cret SETNAME x":   "HELLO 3 AUTH (redacted) (redacted) SETNAME x",
		"hello 3 SETNAME x auth me s3cret":   "hello 3 SETNAME x auth (redacted) (redacted)",
		"HELLO 3 AUTH me":                    "HELLO 3 AUTH me",
		"MIGRATE h 1 k 0 9 AUTH s3cret KEYS": "MIGRATE h 1 k 0 9 AUTH (redacted) KEYS",
		"migrate h 1 k 0 9 COPY auth2 me s3cret keys auth x": "migrate h 1 k 0 9 COPY auth2 (redacted) (redacted) keys auth x",
		"CONFIG SET requirepass s3cret hz 1":                 "CONFIG SET requirepass (redacted) hz 1",
		"config set hz 1 MASTERAUTH s3cret":                  "config set hz 1 MASTERAUTH (redacted)",
		"CONFIG SET hz requirepass":                          "CONFIG SET hz requirepass",
		"SET requirepass s3cret":                             "SET requirepass s3cret",
	} {
		args := bytes.Fields([]byte(call))
		got := table.Lookup(args).Redact(args)
		require.Equal(t, shown, string(bytes.Join(got, []byte(" "))))
		require.Equal(t, call, string(bytes.Join(args, []byte(" "))))
	}
	args := bytes.Fields([]byte("GET k"))
	require.Zero(t, testing.AllocsPerRun(10, func() { table.Lookup(args).Redact(args) }))
}

func TestProtectedCommandsAskTheirParameter(t *testing.T) {
	local := NewClient(1, nil)
	for row, option := range map[string]string{"DEBUG": "enable-debug-command", "MODULE|LOAD": "enable-module-command"} {
		s := table.ByFullName([]byte(row))
		require.True(t, s.Has(Protected))
		for value, allowed := range map[string]bool{"no": false, "local": true, "yes": true} {
			cfg := config.New()
			require.NoError(t, cfg.Load([]string{"--" + option, value}, nil))
			err := s.Protect(cfg, local)
			require.Equal(t, allowed, err == nil, "%s with %s %s", row, option, value)
			if err != nil {
				require.True(t, strings.HasPrefix(err.Error(), "ERR "+strings.Split(row, "|")[0]+" command not allowed. If the "+option))
			}
		}
	}
}
