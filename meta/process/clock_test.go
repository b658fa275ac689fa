package process

import (
	"testing"
	"time"

	"stele/meta/process/clocktest"
)

// TestSteady: a steady clock goes on with the time that goes by, when the clock of the machine is set forward and back as well.
func TestSteady(t *testing.T) {
	machine := time.Now()
	began := machine.UnixMilli()
	clock := steady(func() time.Time { return machine })
	for n, by := range []time.Duration{0, 5 * time.Hour, -7 * time.Hour, 2 * time.Hour} {
		machine = clocktest.Set(machine.Add(time.Second), by)
		if went := clock().UnixMilli() - began; went != int64(n+1)*1000 {
			t.Errorf("after %d s, set by %v: %d ms", n+1, by, went)
		}
	}
}
