package process

import (
	"runtime/debug"
	"testing"
)

// TestGCPercent: the least counts, whoever comes first.
func TestGCPercent(t *testing.T) {
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { gc.lowest = 0; debug.SetGCPercent(before) })
	for _, c := range []struct{ asked, want int }{{400, 400}, {300, 300}, {350, 300}, {20, 20}} {
		GCPercent(c.asked)
		if got := debug.SetGCPercent(c.want); got != c.want {
			t.Errorf("after %d it is %d, not %d", c.asked, got, c.want)
		}
	}
}
