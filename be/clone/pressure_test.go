package clone

import (
	"context"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"stele/meta/types"
)

// TestPressureFollowsTheSlowest plays a quiet time, a busy disk and the time after it.
func TestPressureFollowsTheSlowest(t *testing.T) {
	p := NewPressure()
	now := time.Unix(1000, 0)
	window := func(n int, d time.Duration) {
		for range n {
			p.Observe(time.Second, now) // one that waits for a lock
			p.Observe(d, now)
			now = now.Add(pressureWindow)
		}
	}
	window(20, 2*time.Millisecond)
	if got := p.Share(now); got != 1 {
		t.Fatalf("share %v while writes are fast", got)
	}
	window(5, 40*time.Millisecond)
	if got := p.Share(now); got != minShare {
		t.Fatalf("share %v while writes suffer", got)
	}
	window(20, 2*time.Millisecond)
	if got := p.Share(now); got != 1 {
		t.Fatalf("share %v after writes are fast again", got)
	}
	window(3, 40*time.Millisecond)
	if got := p.Share(now.Add(time.Hour)); got != 1 {
		t.Fatalf("share %v when nobody writes any more", got)
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
			if s := p.Share(now); s < minShare || s > 1 || len(p.minute) > pressureKeep {
				t.Fatalf("share %v, %d windows", s, len(p.minute))
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
	pass(1, 2<<20) // what may pass at once
	if took := pass(1, 4<<20); took < 150*time.Millisecond {
		t.Errorf("4 MB at 20 MB/s took %v", took)
	}
	if took := pass(2, 1<<20); took > 100*time.Millisecond {
		t.Errorf("another disk waits %v for the first", took)
	}
	perSecond = 0
	if took := pass(1, 1<<30); took > time.Second {
		t.Errorf("unlimited took %v", took)
	}
	perSecond = 1000
	ctx, cancel := context.WithCancelCause(context.Background())
	gone := errors.New("given up")
	time.AfterFunc(10*time.Millisecond, func() { cancel(gone) })
	if err := th.Wait(ctx, 1, 1<<30); !errors.Is(err, gone) {
		t.Errorf("a wait that is given up ends with %v", err)
	}
}
