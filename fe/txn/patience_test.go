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
