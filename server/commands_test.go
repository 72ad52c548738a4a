package server

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/internal/transcript"
)

// Every command that the table names is there: called with as few arguments as it
// takes, it says something else than that it is not known or not supported.
func TestEveryCommandAnswers(t *testing.T) {
	s := open(t, Options{})
	for _, row := range command.All().Rows() {
		if row.Run == nil || row.Name == "SYNC" || row.Has(command.InCluster) {
			continue // its subcommands have rows of their own; it answers with a file, as tests with redis-cli see
		}
		argv := strings.Split(row.Name, "|")
		least := max(row.Arity, -row.Arity)
		if row.Name == "SHUTDOWN" || row.Name == "DEBUG" {
			least++ // it would do what it is for
		}
		for len(argv) < least {
			argv = append(argv, "0.01") // a timeout that ends, where one is wanted
		}
		if row.Name == "DEBUG" {
			argv[1] = "SLEEP"
		}
		conn, err := net.Dial("tcp", s.Addr())
		require.NoError(t, err)
		v, err := transcript.NewClient(conn, 10*time.Second).Do(argv...)
		require.NoError(t, conn.Close())
		require.NoError(t, err, row.Name)
		text := strings.ToLower(v.String())
		require.NotContains(t, text, "unknown command", row.Name)
		require.NotContains(t, text, "unknown subcommand", row.Name)
		require.NotContains(t, text, "not supported", row.Name)
		require.NotContains(t, text, "wrong number of arguments for", row.Name)
	}
}
