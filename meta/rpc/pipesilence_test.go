package rpc

import (
	"testing"
	"time"

	"stele/meta/process/clocktest"
)

// TestSilenceWhateverTheClock: a pipe is silent when nothing has come for its time, not when the clock of the machine is set.
func TestSilenceWhateverTheClock(t *testing.T) {
	now := time.Now()
	later := now.Add(time.Second)
	for _, by := range []time.Duration{0, 5 * time.Hour, -5 * time.Hour} {
		p := &pipeConn{}
		p.hear(now)
		if p.silent(clocktest.Set(later, by)) {
			t.Errorf("silent after a second in which the clock was set by %v", by)
		}
		if !p.silent(clocktest.Set(now.Add(pipeSilence+time.Second), by)) {
			t.Errorf("not silent after its time in which the clock was set by %v", by)
		}
	}
}
