package group

import (
	"testing"
	"time"
)

// TestSilent: an FE is silent from its last answer or call on, and never for longer than this one leads.
func TestSilent(t *testing.T) {
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, c := range map[string]struct {
		leading, seen, asked time.Time
		want                 time.Duration
	}{
		"does not lead":             {time.Time{}, ago(time.Hour), time.Time{}, 0},
		"answers":                   {ago(9 * time.Hour), ago(time.Hour), ago(2 * time.Hour), time.Hour},
		"calls, and is not reached": {ago(9 * time.Hour), ago(2 * time.Hour), ago(time.Hour), time.Hour},
		"of the leader before":      {ago(time.Minute), ago(time.Hour), time.Time{}, time.Minute},
	} {
		g := New(Options{})
		if g.leading = c.leading; !g.leading.IsZero() {
			g.round = now
		}
		g.members["fe2"] = &member{Status: Status{LastSeen: c.seen}, asked: c.asked}
		if got := g.Silent("fe2"); got < c.want || got > c.want+time.Minute/2 {
			t.Errorf("%s: silent for %v, not %v", name, got, c.want)
		}
		g.Called("fe2")
		g.Called("fe3")
		if got := g.Silent("fe2"); got > time.Minute/2 || g.Silent("fe3") != 0 {
			t.Errorf("%s: it has called and is silent for %v", name, got)
		}
	}
}

// TestSilentAfterAPause: a leader that was stopped for long, so that another may lead by now, does not take that for the others' silence,
// whether it looks before it goes round again or after.
func TestSilentAfterAPause(t *testing.T) {
	g := New(Options{})
	heard := time.Now().Add(-2 * time.Hour)
	g.goRound(heard)
	g.members["fe2"] = &member{Status: Status{LastSeen: heard}}
	if got := g.Silent("fe2"); got != 0 {
		t.Errorf("before the next round: silent for %v", got)
	}
	g.goRound(time.Now())
	if got := g.Silent("fe2"); got > time.Minute {
		t.Errorf("after it: silent for %v", got)
	}
}
