package txn

import (
	"context"
	"errors"
	"testing"
	"time"
)

type patienceKey struct{}

// TestPatience: it ends when its time is up and not with its parent, and one that is used again knows nothing of the time before.
func TestPatience(t *testing.T) {
	parent, cancel := context.WithCancel(context.WithValue(t.Context(), patienceKey{}, 7))
	cancel()
	for range 100 {
		p := patient(parent, time.Hour)
		if p.Err() != nil || p.Value(patienceKey{}) != 7 {
			t.Fatalf("at the beginning: %v, value %v", p.Err(), p.Value(patienceKey{}))
		}
		select {
		case <-p.Done():
			t.Fatal("it is over at the beginning")
		default:
		}
		p.free()
		late := patient(parent, time.Millisecond)
		child, stop := context.WithTimeout(late, time.Hour)
		<-child.Done()
		if !errors.Is(late.Err(), context.DeadlineExceeded) || !errors.Is(child.Err(), context.DeadlineExceeded) {
			t.Fatalf("at the end: %v, its child %v", late.Err(), child.Err())
		}
		stop()
		late.free()
	}
}

// TestPatienceRingsTooSoon: the timer of a use before, or of none, ends nothing; the present use ends in its own time.
func TestPatienceRingsTooSoon(t *testing.T) {
	p := patient(t.Context(), time.Hour)
	p.ring()
	if p.Err() != nil || p.rings.IsZero() {
		t.Fatalf("after a ring that came too soon: %v, the timer runs: %v", p.Err(), !p.rings.IsZero())
	}
	p.mu.Lock()
	p.used = false
	p.mu.Unlock()
	p.ring()
	if p.Err() != nil || !p.rings.IsZero() {
		t.Fatalf("after a ring that nobody waits for: %v, the timer runs: %v", p.Err(), !p.rings.IsZero())
	}
	p.mu.Lock()
	p.used, p.end = true, time.Now().Add(-time.Second)
	p.mu.Unlock()
	p.ring()
	p.ring() // as one that was on its way when the time was up
	if !errors.Is(p.Err(), context.DeadlineExceeded) {
		t.Fatalf("after its time: %v", p.Err())
	}
	<-p.Done()
	p.free()
}
