//go:build sim

package sim

import "testing"

// TestLarge plays a thousand BEs with a million tablets; make sim runs it.
func TestLarge(t *testing.T) { play(t, "large") }
