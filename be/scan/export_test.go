package scan

import "testing"

// LanesFrom has aggregations of so many rows use several lanes.
func LanesFrom(t *testing.T, rows int64) {
	was := laneRows
	laneRows = rows
	t.Cleanup(func() { laneRows = was })
}
