package command

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// What every node of a cluster answers by itself, containers with all below them.
const anyNode = `asking auth bgrewriteaof bgsave client cluster command config debug echo failover hello info lastsave latency lolwut
	memory|doctor memory|help memory|malloc-stats memory|purge memory|stats module monitor object|help ping psync pubsub|help quit readonly
	readwrite replconf replicaof reset role save select sentinel shutdown slaveof slowlog sync time xgroup|help xinfo|help`

// Of these the leader's answer is wanted.
const leadersOwn = `client|caching client|getredir client|tracking client|trackinginfo`

// A follower answers by itself what is about the node, or the connection to it, and
// nothing that is about the data.
func TestAnyNodeAnswersWhatIsNotData(t *testing.T) {
	own, theirs := strings.Fields(anyNode), strings.Fields(leadersOwn)
	var seen []string
	eachRow(t, func(t *testing.T, s *Spec) {
		parent, _, _ := strings.Cut(s.Lower(), "|")
		name := s.Lower()
		if slices.Contains(own, parent) {
			name = parent
		}
		want := slices.Contains(own, name) && !slices.Contains(theirs, s.Lower())
		seen = append(seen, name, s.Lower())
		if s.Run != nil {
			assert.Equal(t, want, s.Has(AnyNode))
		}
		if s.Has(AnyNode) {
			assert.False(t, s.hasKeys() || s.Has(Write))
		}
		assert.Equal(t, parent == "sentinel", s.Has(InCluster))
	})
	for _, name := range append(own, theirs...) {
		assert.Contains(t, seen, name)
	}
}
