package lease

import (
	"log/slog"
	"slices"
	"testing"
	"time"
)

// TestLease: a lease runs from when the latest answered question was begun, whatever order the answers come in, and what was lost stays lost.
func TestLease(t *testing.T) {
	now, alone := time.Unix(1000, 0), false
	var ended []uint64
	l := New(Options{What: "names", Patience: 4 * time.Second, Alone: func() bool { return alone }, Now: func() time.Time { return now },
		End: func(c uint64) { ended = append(ended, c) }, Logger: slog.New(slog.DiscardHandler)})
	if l.Runs() {
		t.Error("it runs without a proof")
	}
	l.Prove(now)
	l.Prove(now.Add(-3 * time.Second)) // an answer that was overtaken
	now = now.Add(4*time.Second - 1)
	if !l.Runs() {
		t.Error("it is over too early")
	}
	now = now.Add(1)
	if l.Runs() {
		t.Error("it runs for too long")
	}
	if alone = true; !l.Runs() {
		t.Error("nobody else could have it")
	}
	alone = false
	ending := l.Lose(l.Lose(l.Lose(nil, 7), 8), 7)
	l.Prove(now)
	if l.End(ending); !slices.Equal(ended, []uint64{7, 8}) || !l.Lost(7) || l.Lost(9) {
		t.Errorf("ended %v, lost %v and %v", ended, l.Lost(7), l.Lost(9))
	}
	if l.Ended(7); l.Lost(7) || !l.Lost(8) {
		t.Error("the wrong connection is forgotten")
	}
}
