package space

import (
	"errors"
	"math"
	"testing"
	"time"
)

// TestWhatGivesBackGoesDeeper: each kind may begin down to its part of them, and no deeper.
func TestWhatGivesBackGoesDeeper(t *testing.T) {
	available := int64(0)
	g := New(Options{FloodBytes: 800, FloodPercent: 50, Now: time.Now, Measure: func() (int64, int64, error) { return 1 << 40, available, nil }})
	for l, left := range map[Leave]int64{ForMove: 100, ForMerge: 200, ForRemoval: 400, ForFlush: 600, ForRows: 800, ForClone: 1600} {
		available = left + 10
		if err := g.Allows(l, 10); err != nil {
			t.Errorf("%d eighths: %v", l, err)
		}
		if err := g.Allows(l, 11); !errors.Is(err, ErrFull) {
			t.Errorf("%d eighths are broken into: %v", l, err)
		}
	}
}

// TestClaimsAddUp: what takes its bytes little by little counts as a whole until it has ended, for others of its kind.
func TestClaimsAddUp(t *testing.T) {
	g := New(Options{FloodBytes: 80, FloodPercent: 50, Now: time.Now, Measure: func() (int64, int64, error) { return 1 << 40, 100, nil }})
	release, err := g.Claim(ForMove, 50)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Claim(ForMove, 50); !errors.Is(err, ErrFull) || g.Fits(ForMove, 50) || !g.Fits(ForMove, 40) {
		t.Errorf("beside a claim: %v", err)
	}
	if err := g.Allows(ForMove, 50); err != nil {
		t.Errorf("what is written at once: %v", err)
	}
	release()
	if !g.Fits(ForMove, 90) {
		t.Error("a claim that has ended counts")
	}
}

// TestMeasurementIsKept: a disk is asked once a second at most, and what is written meanwhile is counted; a capacity bounds what the file
// system has.
func TestMeasurementIsKept(t *testing.T) {
	now, used := time.Unix(1, 0), int64(0)
	g := New(Options{Dir: t.TempDir(), Capacity: 1000, Used: func() int64 { return used }, FloodBytes: 10, FloodPercent: 100, Now: func() time.Time { return now }})
	free := func(want int64) {
		t.Helper()
		if total, available, err := g.Measure(); err != nil || total != 1000 || available != want {
			t.Errorf("%d of %d, %v; want %d", available, total, err, want)
		}
	}
	free(1000)
	used = 300
	g.Charge(100)
	free(900)
	now = now.Add(fresh + 1)
	free(700)
	used = math.MaxInt32
	now = now.Add(-time.Hour) // the clock was set back
	free(0)
}
