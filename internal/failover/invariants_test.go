//go:build invariants && linux

package failover

func init() { buildFlags = append(buildFlags, "-tags", "invariants") }
