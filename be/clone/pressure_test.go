package clone

import (
	"context"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"stele/meta/types"
)

// pressed plays windows of writes and clones against a Pressure.
type pressed struct {
	*Pressure
	now time.Time
}

// play plays windows in which each write takes d, one in four waits for a lock, and clones move something or not. It returns
// the share at the end.
func (p *pressed) play(windows int, d time.Duration, clones bool) float64 {
	share := 0.0
	for range windows {
		p.Observe(time.Second, p.now)
		for range 3 {
			p.Observe(d, p.now)
		}
		if clones {
			share = p.Share(p.now)
		}
		p.now = p.now.Add(pressureWindow)
	}
	return share
}

// TestPressure plays a quiet time, clones that hurt nobody, clones that hurt, and the time after it.
func TestPressure(t *testing.T) {
	p := &pressed{NewPressure(), time.Unix(1000, 0)}
	if got := p.Share(p.now); got != 1 {
		t.Fatalf("share %v when nobody writes", got)
	}
	p.now = p.now.Add(time.Minute)
	p.play(30, 2*time.Millisecond, false)
	if got := p.Share(p.now); got != minShare {
		t.Fatalf("clones begin with a share of %v beside writes", got)
	}
	if got := p.play(60, 2*time.Millisecond, true); got != 1 {
		t.Fatalf("share %v while writes are fast", got)
	}
	if got := p.play(8, 5*time.Millisecond, true); got != minShare {
		t.Fatalf("share %v while writes suffer", got)
	}
	if got := p.play(60, 2*time.Millisecond, true); got != 1 {
		t.Fatalf("share %v after writes are fast again", got)
	}
	p.play(3, 40*time.Millisecond, true)
	p.now = p.now.Add(time.Hour)
	if got := p.Share(p.now); got != 1 {
		t.Fatalf("share %v when nobody writes any more", got)
	}
}

// TestPressureOfAnotherKind: writes that stay slow although clones hardly move are slow for another reason, which must not hold
// up repair for ever.
func TestPressureOfAnotherKind(t *testing.T) {
	p := &pressed{NewPressure(), time.Unix(1000, 0)}
	p.play(30, 2*time.Millisecond, false)
	if got := p.play(pressureStuck/2, 20*time.Millisecond, true); got != minShare {
		t.Fatalf("share %v while writes suffer", got)
	}
	if got := p.play(pressureStuck+60, 20*time.Millisecond, true); got != 1 {
		t.Fatalf("share %v although the clones are not why writes are slow", got)
	}
}

func TestPressureStaysInBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, now := NewPressure(), time.Unix(1000, 0)
		for range rapid.IntRange(0, 200).Draw(t, "events") {
			now = now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond)
			if rapid.Bool().Draw(t, "write") {
				p.Observe(time.Duration(rapid.IntRange(0, 1000).Draw(t, "took"))*time.Millisecond, now)
			}
			if s := p.Share(now); s < minShare || s > 1 || len(p.quiet) > pressureKeep || len(p.writes) > pressureSample {
				t.Fatalf("share %v, %d windows, %d writes", s, len(p.quiet), len(p.writes))
			}
		}
	})
}

// TestThrottle measures that bytes pass at the rate, on each disk apart, and that a change of it counts at once.
func TestThrottle(t *testing.T) {
	perSecond := int64(20 << 20)
	th := NewThrottle(func() int64 { return perSecond }, nil)
	pass := func(disk types.DiskID, bytes int) time.Duration {
		begun := time.Now()
		if err := th.Wait(context.Background(), disk, bytes); err != nil {
			t.Fatal(err)
		}
		return time.Since(begun)
	}
	if took := pass(1, 6<<20); took < 200*time.Millisecond { // a twentieth of a second's passes at once
		t.Errorf("6 MB at 20 MB/s took %v", took)
	}
	perSecond = 0
	pass(1, 1<<40) // unlimited: it would take half a day
	perSecond = 1000
	ctx, cancel := context.WithCancelCause(context.Background())
	gone, waited := errors.New("given up"), make(chan error, 1)
	go func() { waited <- th.Wait(ctx, 1, 1<<30) }()
	pass(2, minBurst) // another disk does not wait for the first
	cancel(gone)
	if err := <-waited; !errors.Is(err, gone) {
		t.Errorf("a wait that is given up ends with %v", err)
	}
}
