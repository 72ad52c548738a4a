package command

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// RESTORE tells the log a time instead of what is left to it, and what it has not
// stored at all as what it has deleted.
func TestRestoreEventsAndRecords(t *testing.T) {
	const payload = "\x00\xc0\x01\n\x00&x\xe7\xb6\xd1\x01\x11\xfc" // 1
	for _, x := range []struct {
		call    []string
		event   string
		records [][]string
	}{
		{[]string{"k", "0", payload}, "restore", [][]string{{"RESTORE", "k", "0", payload}}},
		{[]string{"k", "5", payload}, "restore", [][]string{{"RESTORE", "k", "1005", payload, "ABSTTL"}}},
		{[]string{"k", "1005", payload, "ABSTTL"}, "restore", [][]string{{"RESTORE", "k", "1005", payload, "ABSTTL"}}},
		{[]string{"there", "5", payload, "REPLACE", "FREQ", "7"}, "restore", [][]string{{"RESTORE", "there", "1005", payload, "REPLACE", "FREQ", "7", "ABSTTL"}}},
		{[]string{"k", "1000", payload, "ABSTTL"}, "", nil},
		{[]string{"there", "1000", payload, "ABSTTL", "REPLACE"}, "del", [][]string{{"DEL", "there"}}},
	} {
		b := newStand(t)
		_, err := b.run(1, "SET", "there", "old")
		require.NoError(t, err)
		records, err := b.run(1000, append([]string{"RESTORE"}, x.call...)...)
		require.NoError(t, err, "%q", x.call)
		require.Equal(t, x.records, records, "%q", x.call)
		event := ""
		for _, e := range b.ctx.Events() {
			event += e.Name
		}
		require.Equal(t, x.event, event, "%q", x.call)
	}
}
