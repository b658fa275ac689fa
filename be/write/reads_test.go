package write

import (
	"testing"
	"time"
)

// TestSlowReads: looks that wait for the disk are told from looks during which the processor was elsewhere, by the share of the time
// that they take.
func TestSlowReads(t *testing.T) {
	for _, c := range []struct {
		name        string
		took, every time.Duration
		n           int
		slow        bool          // at the end
		over        time.Duration // when it surely is no more
	}{
		{"nothing slow", 0, time.Millisecond, 0, false, 0},
		{"processor elsewhere", 4 * time.Millisecond, 100 * time.Millisecond, 50, false, 0},
		{"one long pause", 40 * time.Millisecond, time.Second, 1, false, 0},
		{"disk that hangs", 2 * time.Second, 2 * time.Second, 1, true, slowFor},
		{"slow disk, one reader", 5 * time.Millisecond, 6 * time.Millisecond, 100, true, slowFor},
		{"slow disk, many readers", 5 * time.Millisecond, time.Millisecond, 1000, true, slowFor},
		{"slow disk, one look in ten", 10 * time.Millisecond, 20 * time.Millisecond, 20, true, slowFor},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s reads
			now := time.Now()
			for range c.n {
				now = now.Add(c.every)
				s.note(now, c.took)
			}
			if got := s.slow(now); got != c.slow {
				t.Fatalf("slow: %v, want %v", got, c.slow)
			}
			if s.slow(now.Add(c.over)) {
				t.Fatalf("slow still %v later", c.over)
			}
		})
	}
}
