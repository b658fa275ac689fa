package txn

import (
	"context"
	"errors"
	"sync"
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

// TestPatienceIsLookedAtAfterwards: who ends a child of one looks for the parent when the decision may be over and another one have its
// alarm. It finds what it was given.
func TestPatienceIsLookedAtAfterwards(t *testing.T) {
	var ending sync.WaitGroup
	defer ending.Wait()
	for i := range 200 {
		first := patient(context.WithValue(t.Context(), patienceKey{}, i), time.Hour)
		child, end := context.WithCancel(first)
		ending.Go(end)
		<-child.Done()
		first.free()
		second := patient(context.WithValue(t.Context(), patienceKey{}, "another"), 2*time.Hour)
		if first.Value(patienceKey{}) != i || time.Until(first.end) > time.Hour {
			t.Fatalf("one that is over has the value %v and ends in %v", first.Value(patienceKey{}), time.Until(first.end))
		}
		second.free()
	}
}

// TestPatienceRingsTooSoon: the timer of a use before, or of none, ends nothing; the present use ends in its own time.
func TestPatienceRingsTooSoon(t *testing.T) {
	p := patient(t.Context(), time.Hour)
	p.alarm.ring()
	if p.Err() != nil || p.alarm.rings.IsZero() {
		t.Fatalf("after a ring that came too soon: %v, the timer runs: %v", p.Err(), !p.alarm.rings.IsZero())
	}
	p.alarm.mu.Lock()
	p.alarm.used = false
	p.alarm.mu.Unlock()
	p.alarm.ring()
	if p.Err() != nil || !p.alarm.rings.IsZero() {
		t.Fatalf("after a ring that nobody waits for: %v, the timer runs: %v", p.Err(), !p.alarm.rings.IsZero())
	}
	p.alarm.mu.Lock()
	p.alarm.used, p.alarm.end = true, time.Now().Add(-time.Second)
	p.alarm.mu.Unlock()
	p.alarm.ring()
	p.alarm.ring() // as one that was on its way when the time was up
	if !errors.Is(p.Err(), context.DeadlineExceeded) {
		t.Fatalf("after its time: %v", p.Err())
	}
	<-p.Done()
	p.free()
}
