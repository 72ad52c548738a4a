package election

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// The keys, without the prefix of the cluster.
const (
	keyMeta     = "meta"
	keyInSync   = "insync"
	keyLeader   = "leader"
	keyHandover = "handover"
	prefixNodes = "nodes/"
)

// What is accepted from etcd. Other programs may write there.
const (
	maxName  = 255
	maxNodes = 1024
	maxValue = 64 << 10
)

func prefixOf(cluster string) string { return "/ferricd/" + cluster + "/" }

// CheckName tells why a name of a cluster or a node cannot be part of a key, or nil.
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("a name must not be empty")
	case len(name) > maxName:
		return fmt.Errorf("a name has at most %d bytes", maxName)
	}
	for _, r := range name {
		if !strings.ContainsRune("-_.:", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return fmt.Errorf("the name %q may have letters, digits and -_.: only", name)
		}
	}
	return nil
}

// meta is the cluster itself. What is added to a create revision to make an epoch is
// fixed with the id, by who founds it.
type meta struct {
	Cluster string `json:"cluster"`
	First   string `json:"first"`
	Base    uint64 `json:"base"`
}

// handover says who is to lead after the leader of an epoch.
type handover struct {
	To   string `json:"to"`
	From uint64 `json:"from"`
}

// An entry is a key's value and what etcd knows about it.
type entry struct {
	value             []byte
	created, modified int64 // revisions
	lease             int64
}

// An image is all keys of a cluster at one revision.
type image struct {
	revision int64
	entries  map[string]entry
}

// state is an image that has been understood.
type state struct {
	image
	exists   bool
	meta     meta
	inSync   []Member
	leader   *Node
	handover *handover
	nodes    []NodeStatus
}

func (s *state) created(key string) int64  { return s.entries[key].created }
func (s *state) modified(key string) int64 { return s.entries[key].modified }
func (s *state) lease(key string) int64    { return s.entries[key].lease }

func (s *state) node(name string) *NodeStatus {
	i := slices.IndexFunc(s.nodes, func(n NodeStatus) bool { return n.Name == name })
	if i < 0 {
		return nil
	}
	return &s.nodes[i]
}

func (s *state) epoch() uint64 {
	if s.leader == nil {
		return 0
	}
	return s.meta.Base + uint64(s.created(keyLeader))
}

// successor is who is to lead next: a hint that is not of an earlier leadership.
func (s *state) successor() string {
	if s.handover == nil || s.leader != nil && s.handover.From != s.epoch() {
		return ""
	}
	return s.handover.To
}

// understand reads an image. A node whose entry is malformed counts as absent; with
// any other key there is no telling who may lead.
func understand(m image) (*state, error) {
	s := &state{image: m}
	for key, e := range m.entries {
		var err error
		switch {
		case key == keyMeta:
			s.exists = true
			err = decode(e.value, &s.meta)
		case key == keyInSync:
			if err = decode(e.value, &s.inSync); err == nil {
				err = checkMembers(s.inSync)
			}
		case key == keyLeader:
			s.leader = new(Node)
			if err = decode(e.value, s.leader); err == nil {
				err = CheckName(s.leader.Name)
			}
		case key == keyHandover:
			s.handover = new(handover)
			err = decode(e.value, s.handover)
		case strings.HasPrefix(key, prefixNodes):
			var n NodeStatus
			if decode(e.value, &n) == nil && prefixNodes+n.Name == key && CheckName(n.Name) == nil && len(s.nodes) < maxNodes {
				s.nodes = append(s.nodes, n)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %v", ErrMalformed, key, err)
		}
	}
	slices.SortFunc(s.nodes, func(a, b NodeStatus) int { return strings.Compare(a.Name, b.Name) })
	return s, nil
}

func checkMembers(members []Member) error {
	if len(members) > maxNodes {
		return fmt.Errorf("%d members are too many", len(members))
	}
	seen := map[string]bool{}
	for _, m := range members {
		if err := CheckName(m.Name); err != nil {
			return err
		}
		if seen[m.Name] {
			return fmt.Errorf("%s is named twice", m.Name)
		}
		seen[m.Name] = true
	}
	return nil
}

// decode reads one JSON value and nothing after it. Fields it does not know may be a
// later version's.
func decode(b []byte, into any) error {
	if len(b) > maxValue {
		return fmt.Errorf("%d bytes are too many", len(b))
	}
	if b = bytes.TrimSpace(b); bytes.Equal(b, []byte("null")) {
		return fmt.Errorf("the value is null")
	}
	return json.Unmarshal(b, into)
}

// encode writes what decode reads. The types are ours and can be written.
func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "{}"
	}
	return string(b)
}

func (s *state) view() View {
	v := View{
		Exists: s.exists, Cluster: s.meta.Cluster, First: s.meta.First,
		Leader: s.leader, Epoch: s.epoch(),
		InSync: s.inSync, Nodes: s.nodes, Handover: s.successor(),
	}
	return v
}
