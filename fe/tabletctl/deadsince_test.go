package tabletctl

import (
	"testing"
	"time"

	"stele/fe/cluster"
	"stele/meta/process/clocktest"
)

// TestDeadSinceWhateverTheClock: how long a BE is dead is what has gone by, also when the clock of the machine was set before it died.
func TestDeadSinceWhateverTheClock(t *testing.T) {
	began := time.Now()
	w := newWorld(began)
	for _, by := range []time.Duration{0, 5 * time.Hour, -5 * time.Hour} {
		missed := clocktest.Set(began.Add(time.Minute), by)
		now := began.Add(3 * time.Minute) // by a steady clock
		unknown, since := w.deadSince(&cluster.BE{Seen: true, FirstMiss: missed}, now)
		if dead := now.UnixMilli() - since; unknown || dead != 2*time.Minute.Milliseconds() {
			t.Errorf("the clock set by %v: dead for %d ms, unknown %v", by, dead, unknown)
		}
	}
}
