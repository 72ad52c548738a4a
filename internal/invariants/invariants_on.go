//go:build invariants

package invariants

// Enabled tells whether the checks are built in.
const Enabled = true
