package report

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"
)

// TestLeadersByTerm: of two FEs that claim to lead, the one of the higher term is reported to.
func TestLeadersByTerm(t *testing.T) {
	r := New(Options{})
	for _, step := range []struct {
		term      uint64
		addresses []string
		want      string
		fresh     bool // a full report is due at once
	}{
		{3, []string{"a", "b"}, "a", true},
		{3, []string{"a", "b", "c"}, "a", false},
		{2, []string{"b", "a"}, "a", false}, // replaced, and does not know it yet
		{4, nil, "a", false},
		{4, []string{"b", "a"}, "b", true},
		{5, []string{"b", "a"}, "b", true}, // it has led, lost office and leads again: it has forgotten what it knew
	} {
		r.nextFull = time.Now().Add(time.Hour)
		r.Addresses(step.term, step.addresses)
		if got := r.addresses[0]; got != step.want {
			t.Errorf("%+v: reports go to %s", step, got)
		}
		if got := r.nextFull.IsZero(); got != step.fresh {
			t.Errorf("%+v: a full report is due: %v", step, got)
		}
	}
}

// TestCallEndsWithTheLeader: a call that waits for an FE that hangs ends when another one leads, and the next FE is asked
// when one refuses.
func TestCallEndsWithTheLeader(t *testing.T) {
	r := New(Options{})
	r.Addresses(1, []string{"hangs"})
	begun := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		_, err := call(context.Background(), r, func(ctx context.Context, _ string) (int, error) {
			close(begun)
			<-ctx.Done()
			return 0, ctx.Err()
		})
		ended <- err
	}()
	<-begun
	r.Addresses(2, []string{"refuses", "answers"})
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the call ended with %v", err)
		}
	case <-time.After(callTimeout / 2):
		t.Fatal("the call still waits for the leader before")
	}
	var asked []string
	got, err := call(context.Background(), r, func(_ context.Context, address string) (int, error) {
		asked = append(asked, address)
		if address == "refuses" {
			return 0, errors.New("not the leader")
		}
		return 7, nil
	})
	if got != 7 || err != nil || !slices.Equal(asked, []string{"refuses", "answers"}) {
		t.Errorf("%d, %v after asking %v", got, err, asked)
	}
}

// TestAgain: an FE that misses replicas is told everything once more at once, not at the end of the interval.
func TestAgain(t *testing.T) {
	r := New(Options{Full: time.Hour})
	now := time.Now()
	if full, _, _ := r.due(now); !full {
		t.Fatal("the first report is not full")
	}
	if full, _, sequence := r.due(now.Add(time.Second)); full || sequence != 0 {
		t.Fatal("another full report is due before its time")
	}
	r.All()
	select {
	case <-r.wake:
	default:
		t.Error("nobody is woken")
	}
	if full, _, sequence := r.due(now.Add(time.Second)); !full || sequence != 2 {
		t.Errorf("full %v, sequence %d", full, sequence)
	}
	if full, _, _ := r.due(now.Add(2 * time.Second)); full {
		t.Error("it goes on after that")
	}
}
