//go:build race && linux

package failover

func init() { buildFlags = append(buildFlags, "-race") }
