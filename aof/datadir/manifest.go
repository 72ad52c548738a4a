package datadir

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/ferricd/ferricd/internal/vfs"
)

// Format is the newest format of a data directory that this version knows.
const Format = 1

// maxManifest bounds what is read as a manifest.
const maxManifest = 16 << 20

// An ID is 16 random bytes, written in hex.
type ID [16]byte

func (id ID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText writes hex.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads it.
func (id *ID) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(id) {
		return fmt.Errorf("%q is not %d bytes in hex", text, len(id))
	}
	copy(id[:], b)
	return nil
}

// A Manifest is what a data directory says of itself.
type Manifest struct {
	Format   int    `json:"format"`
	Cluster  ID     `json:"cluster"`   // who has this log; drawn at birth
	HashSeed ID     `json:"hash_seed"` // secret: who knows it can aim at one shard
	Node     ID     `json:"node"`      // which copy of the log this is; drawn at birth, and when a repair has taken something away
	Files    []File `json:"files,omitempty"`

	Member bool   `json:"member,omitempty"` // the directory has been in a cluster of several nodes
	Epoch  uint64 `json:"epoch,omitempty"`  // the highest that the node has heard of

	// PendingLog, if not 0, is where a log begins that does not count yet: the
	// snapshot of its beginning is not durable.
	PendingLog uint64 `json:"pending_log,omitempty"`

	// Fields of later versions of the same format, kept as they are.
	unknown map[string]json.RawMessage
}

// A File is a sealed file of the directory.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

func newManifest() Manifest {
	m := Manifest{Format: Format}
	_, _ = rand.Read(m.Cluster[:]) // it never fails: the process ends instead
	_, _ = rand.Read(m.HashSeed[:])
	m.NewNode()
	return m
}

// NewNode makes the directory another copy of its log: what was known of the old one
// no longer holds.
func (m *Manifest) NewNode() { _, _ = rand.Read(m.Node[:]) }

func (m Manifest) clone() Manifest {
	m.Files = slices.Clone(m.Files)
	m.unknown = maps.Clone(m.unknown)
	return m
}

// known are the fields that Manifest has.
var known = []string{"format", "cluster", "hash_seed", "node", "files", "member", "epoch", "pending_log"}

// Encode is the text of a manifest.
func (m Manifest) Encode() ([]byte, error) { return m.encode() }

func (m Manifest) encode() ([]byte, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	maps.Copy(fields, m.unknown)
	text, err = json.MarshalIndent(fields, "", "  ")
	return append(text, '\n'), err
}

// decodeManifest looks at the format before it looks at anything else: what else
// there is in a newer one nobody knows.
func decodeManifest(text []byte) (Manifest, error) {
	var version struct {
		Format *int `json:"format"`
	}
	m := Manifest{}
	if err := json.Unmarshal(text, &version); err != nil {
		return m, err
	}
	switch {
	case version.Format == nil || *version.Format < 1:
		return m, fmt.Errorf("it names no format")
	case *version.Format > Format:
		return m, fmt.Errorf("the directory has format %d, written by a newer version of ferricd; this one knows formats up to %d", *version.Format, Format)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, err
	}
	if m.Cluster == (ID{}) || m.HashSeed == (ID{}) {
		return m, fmt.Errorf("it lacks the cluster or the hash seed")
	}
	if err := json.Unmarshal(text, &m.unknown); err != nil {
		return m, err
	}
	for _, name := range known {
		delete(m.unknown, name)
	}
	return m, nil
}

// ReadManifest reads the manifest of a directory, which another process may hold.
func ReadManifest(fsys vfs.FS, path string) (Manifest, error) {
	name := filepath.Join(path, manifestName)
	text, err := vfs.ReadFile(fsys, name, maxManifest)
	if err != nil {
		return Manifest{}, fmt.Errorf("the manifest cannot be read: %w", err)
	}
	m, err := decodeManifest(text)
	if err != nil {
		return Manifest{}, fmt.Errorf("the manifest %s cannot be used: %w", name, err)
	}
	return m, nil
}
