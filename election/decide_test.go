package election

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// image makes one of lines "key@created/modified#lease value".
func imageOf(t *testing.T, revision int64, text string) *state {
	t.Helper()
	m := image{revision: revision, entries: map[string]entry{}}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		head, value, _ := strings.Cut(line, " ")
		var key string
		var e entry
		key, revisions, ok := strings.Cut(head, "@")
		require.True(t, ok, line)
		_, err := fmt.Sscanf(revisions, "%d/%d#%d", &e.created, &e.modified, &e.lease)
		require.NoError(t, err, line)
		e.value = []byte(value)
		m.entries[key] = e
	}
	s, err := understand(m)
	require.NoError(t, err)
	return s
}

// String shows a transaction as a person reads it.
func (t txn) String() string {
	var b strings.Builder
	for _, w := range t.when {
		fmt.Fprintf(&b, "if %s %s %d\n", w.key, [...]string{"created", "modified", "leased"}[w.of], w.is)
	}
	for _, w := range t.then {
		switch {
		case w.erase:
			fmt.Fprintf(&b, "delete %s\n", w.key)
		case w.lease != 0:
			fmt.Fprintf(&b, "put %s #%d %s\n", w.key, w.lease, w.value)
		default:
			fmt.Fprintf(&b, "put %s %s\n", w.key, w.value)
		}
	}
	return b.String()
}

func requireTxn(t *testing.T, want string, got txn, err error) {
	t.Helper()
	require.NoError(t, err)
	var b strings.Builder
	for line := range strings.Lines(want) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\n")
		}
	}
	require.Equal(t, b.String(), got.String())
}

const (
	a1 = `{"name":"a","id":"da","incarnation":"a-1","client":"a:6379","replication":"a:16379"}`
	b1 = `{"name":"b","id":"db","incarnation":"b-1","client":"b:6379","replication":"b:16379"}`
)

func TestFoundingIsOneTransaction(t *testing.T) {
	s := imageOf(t, 10, `
		meta@3/3#0 {"cluster":"","first":"","base":0}
		insync@3/3#0 []
	`)
	got, err := s.campaign(node("a"), 77, claim)
	requireTxn(t, `
		if leader created 0
		if insync modified 3
		if meta modified 3
		put leader #77 `+a1+`
		put meta {"cluster":"c1","first":"","base":0}
		put insync [{"name":"a","id":"da"}]
	`, got, err)
}

func TestAnElectionChangesTheLeaderAlone(t *testing.T) {
	s := imageOf(t, 10, `
		meta@3/4#0 {"cluster":"c1","first":"","base":0}
		insync@3/8#0 [{"name":"a","id":"da"},{"name":"b","id":"db"}]
		handover@9/9#5 {"to":"b","from":4}
	`)
	got, err := s.campaign(node("b"), 78, claim)
	requireTxn(t, `
		if leader created 0
		if insync modified 8
		if meta modified 4
		put leader #78 `+b1+`
		delete handover
	`, got, err)
}

func TestWhoMayNotLead(t *testing.T) {
	const founded = `meta@3/4#0 {"cluster":"c1","first":"","base":5}
		insync@3/8#0 [{"name":"a","id":"da"},{"name":"b","id":"db"}]
	`
	const fresh = `meta@3/3#0 {"cluster":"","first":"","base":0}
		insync@3/3#0 []
	`
	const named = `meta@3/3#0 {"cluster":"","first":"b","base":0}
	`
	for _, c := range []struct {
		etcd  string
		claim Claim
		id    string // of the directory, when it is not da
		want  error
	}{
		{"", claim, "", ErrNoCluster},
		{founded, claim, "", nil},
		{founded + `leader@9/9#4 ` + b1, claim, "", ErrTaken},
		{founded, Claim{Cluster: "c2"}, "", ErrOtherCluster},
		{founded, Claim{}, "", ErrOtherCluster},
		{founded, claim, "dx", ErrNotInSync},
		{founded, Claim{Cluster: "c1", MinEpoch: 15}, "", nil}, // 5 + 10 + 1 comes next
		{founded, Claim{Cluster: "c1", MinEpoch: 16}, "", ErrRolledBack},
		{founded + `handover@9/9#4 {"to":"b","from":1}
			nodes/b@9/9#5 ` + b1, claim, "", ErrHeldBack},
		{founded + `handover@9/9#4 {"to":"b","from":1}`, claim, "", nil}, // b is not alive
		{founded + `handover@9/9#4 {"to":"x","from":1}
			nodes/x@9/9#5 {"name":"x","id":"dx"}`, claim, "", nil}, // x could not win
		{founded + `handover@9/9#4 {"to":"a","from":1}`, claim, "", nil},
		{`meta@3/4#0 {"cluster":"c1","first":"","base":5}`, claim, "", ErrNotInSync},
		{fresh, claim, "", nil},
		{fresh, Claim{Cluster: "c1", Member: true}, "", ErrNotFirst},
		{fresh, Claim{}, "", ErrNotFirst},
		{named, claim, "", ErrNotFirst},
		{strings.ReplaceAll(named, `"b"`, `"a"`), Claim{Cluster: "c1", Member: true}, "", nil},
		{fresh + `insync@4/4#0 [{"name":"b","id":"db"}]`, claim, "", ErrNotInSync},
	} {
		me := node("a")
		if c.id != "" {
			me.ID = c.id
		}
		_, err := imageOf(t, 10, c.etcd).campaign(me, 77, c.claim)
		if c.want == nil {
			require.NoError(t, err, "%s %+v", c.etcd, c.claim)
		} else {
			require.ErrorIs(t, err, c.want, "%s %+v", c.etcd, c.claim)
		}
	}
}

// Whatever data has seen before, what it wins is higher.
func TestTheBaseLiftsEpochs(t *testing.T) {
	s := imageOf(t, 10, `meta@3/3#0 {"cluster":"","first":"a","base":0}`)
	for _, c := range []struct {
		claim Claim
		base  uint64
	}{
		{Claim{Cluster: "c1"}, 0},
		{Claim{Cluster: "c1", MinEpoch: 10}, 0},
		{Claim{Cluster: "c1", MinEpoch: 500}, 490},
		{Claim{Cluster: "c1", MinEpoch: 500, Member: true}, 1 << 32},
		{Claim{Cluster: "c1", MinEpoch: 1<<32 + 7, Member: true}, 2 << 32},
	} {
		got, err := s.campaign(node("a"), 77, c.claim)
		require.NoError(t, err)
		i := slices.IndexFunc(got.then, func(w write) bool { return w.key == keyMeta })
		var m meta
		require.NoError(t, json.Unmarshal([]byte(got.then[i].value), &m))
		require.Equal(t, c.base, m.Base)
		require.Greater(t, m.Base+uint64(s.revision)+1, c.claim.MinEpoch)
	}
}

func TestWhatALeaderWrites(t *testing.T) {
	requireTxn(t, `
		if leader created 9
		if insync modified 12
		put insync [{"name":"a","id":"da"}]
	`, setInSync(9, 12, both[:1]), nil)
	requireTxn(t, `
		if leader created 9
		delete leader
	`, resign(9, 14, "", 0), nil)
	requireTxn(t, `
		if leader created 9
		delete leader
		put handover #5 {"to":"b","from":14}
	`, resign(9, 14, "b", 5), nil)
	requireTxn(t, `
		if nodes/a leased 77
		put nodes/a #77 `+strings.TrimSuffix(a1, "}")+`,"role":"leader","epoch":14,"lsn":3,"lag":0}
	`, tell(node("a"), Status{Role: "leader", Epoch: 14, LSN: 3}, 77), nil)
}

func TestRegistering(t *testing.T) {
	const meta = `meta@3/4#0 {"cluster":"c1"}
	`
	told := Status{Role: "follower", Lag: -1}
	value := strings.TrimSuffix(a1, "}") + `,"role":"follower","epoch":0,"lsn":0,"lag":-1}`
	got, err := imageOf(t, 10, meta).enrol(node("a"), told, 77, false)
	requireTxn(t, `
		if nodes/a modified 0
		if meta created 3
		put nodes/a #77 `+value, got, err)
	// The leader key of the process before it goes in the same instant.
	before := strings.ReplaceAll(a1, "a-1", "a-0")
	s := imageOf(t, 10, meta+"leader@8/8#5 "+before+"\nnodes/a@7/9#5 "+before)
	got, err = s.enrol(node("a"), told, 77, false)
	requireTxn(t, `
		if nodes/a modified 9
		if meta created 3
		if leader created 8
		put nodes/a #77 `+value+`
		delete leader`, got, err)
	_, err = s.enrol(node("a"), told, 77, true)
	require.ErrorIs(t, err, ErrReplaced)
	other := node("a")
	other.ID = "dx"
	_, err = s.enrol(other, told, 77, false)
	require.ErrorIs(t, err, ErrNameTaken)
	_, err = imageOf(t, 10, "").enrol(node("a"), told, 77, false)
	require.ErrorIs(t, err, ErrNoCluster)
	// A leader of this name with another directory is none of its business.
	s = imageOf(t, 10, meta+"leader@8/8#5 "+strings.ReplaceAll(a1, "da", "dx"))
	got, err = s.enrol(node("a"), told, 77, false)
	require.NoError(t, err)
	require.NotContains(t, got.String(), "leader")
}

// Other programs write to etcd too, and so do people.
func TestWhatNoFerricdWrote(t *testing.T) {
	for _, c := range []struct{ key, value string }{
		{keyMeta, "x"}, {keyMeta, "null"}, {keyMeta, "[]"}, {keyMeta, `{"base":-1}`}, {keyMeta, `{} {}`},
		{keyInSync, "null"}, {keyInSync, `[{"name":""}]`}, {keyInSync, `[{"name":"a","id":"1"},{"name":"a","id":"2"}]`},
		{keyLeader, `{"name":"a/b"}`}, {keyLeader, "[]"}, {keyHandover, "1"},
		{keyMeta, `"` + strings.Repeat("x", maxValue) + `"`},
	} {
		_, err := understand(image{entries: map[string]entry{c.key: {value: []byte(c.value)}}})
		require.ErrorIs(t, err, ErrMalformed, "%s %s", c.key, c.value)
	}
	s, err := understand(image{entries: map[string]entry{
		"nodes/a": {value: []byte(b1)}, "nodes/b": {value: []byte(b1)}, "nodes/c": {value: []byte("x")}, "other": {value: []byte("x")},
	}})
	require.NoError(t, err)
	require.Equal(t, []NodeStatus{{Node: node("b")}}, s.nodes)
}

func FuzzUnderstand(f *testing.F) {
	f.Add(`{"cluster":"c1","first":"a","base":3}`, `[{"name":"a","id":"da"}]`, a1, `{"to":"b","from":4}`, b1)
	f.Add(`{}`, `[]`, `{}`, `{}`, `null`)
	f.Fuzz(func(t *testing.T, meta, inSync, leader, hand, other string) {
		m := image{revision: 9, entries: map[string]entry{}}
		for key, value := range map[string]string{keyMeta: meta, keyInSync: inSync, keyLeader: leader, keyHandover: hand, "nodes/b": other} {
			if value != "" {
				m.entries[key] = entry{value: []byte(value), created: 3, modified: 4}
			}
		}
		s, err := understand(m)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		v := s.view()
		require.Equal(t, meta != "", v.Exists)
		for _, n := range v.Nodes {
			require.Equal(t, "b", n.Name)
		}
		// Who wins was a member, or founds.
		if got, err := s.campaign(node("a"), 7, claim); err == nil {
			require.True(t, v.Holds(Member{"a", "da"}) || v.Cluster == "" && len(v.InSync) == 0, got.String())
			require.Nil(t, v.Leader)
		}
	})
}
