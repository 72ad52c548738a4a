package invariants

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckPanicsOnlyWhenBuiltIn(t *testing.T) {
	require.NotPanics(t, func() { Check(true, "holds") })
	broken := func() { Check(false, "n is negative") }
	if !Enabled {
		require.NotPanics(t, broken)
		return
	}
	require.PanicsWithValue(t, "invariant broken: n is negative", broken)
}
