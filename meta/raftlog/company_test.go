package raftlog

import (
	"sync"
	"testing"
	"time"

	"stele/meta/command"
)

func TestWorthWaiting(t *testing.T) {
	for _, c := range []struct {
		name                 string
		last, here, expected int
		want                 bool
	}{
		{"one client", 1, 1, 0, false},
		{"few clients", several - 1, 1, several, false},
		{"many before, nobody on the way", 20, 1, 0, false},
		{"many before, and many on the way", 20, 1, 30, true},
		{"half of them are here", 20, 15, 15, true},
		{"two thirds of them are here", 20, 20, 10, false},
		{"nearly two thirds of them are here", 20, 20, 11, true},
		{"the hint was taken back too often", 20, 1, -3, false},
	} {
		if got := worthWaiting(c.last, c.here, c.expected); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// An entry that waits leaves with the proposal that makes it large enough, not with the ones before.
func TestCompanyLeavesWhenItIsComplete(t *testing.T) {
	c := newCompany()
	c.gone(several)
	c.expected.Store(2)
	var mu sync.Mutex
	here := 2
	waiting := func() int {
		mu.Lock()
		defer mu.Unlock()
		return here
	}
	join := func() {
		mu.Lock()
		here++
		n := here
		mu.Unlock()
		c.joined(n)
	}
	over := make(chan bool)
	expired := make(chan time.Time) // never
	go func() { over <- c.await(waiting, expired, nil) }()
	join()
	select {
	case <-over:
		t.Fatal("it left with 3 while 2 were expected")
	default:
	}
	join()
	if !<-over {
		t.Error("it says that the log is closed")
	}
}

func TestCompanyDoesNotWaitForEver(t *testing.T) {
	c := newCompany()
	c.gone(several)
	c.expected.Store(1000)
	one := func() int { return 1 }
	expired := make(chan time.Time, 1)
	expired <- time.Time{}
	if !c.await(one, expired, nil) {
		t.Error("it says that the log is closed")
	}
	if c.pays(1) {
		t.Error("the next entry would wait for the same statements")
	}
	c.expected.Add(2)
	if !c.pays(1) {
		t.Error("nobody would wait for those that came later")
	}
	c.expected.Store(1)
	c.gone(several)
	c.expected.Store(5)
	if !c.pays(1) {
		t.Error("statements that have gone on are still counted as stuck")
	}
	closing := make(chan struct{})
	close(closing)
	if c.await(one, nil, closing) {
		t.Error("it goes on although the log is closed")
	}
}

// Proposals come through although statements are expected that never propose.
func TestExpectedInVain(t *testing.T) {
	l := open(t, bootstrapped(t, t.TempDir()))
	lead(t, l)
	l.Expect(1000)
	defer l.Expect(-1000)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 5 {
				if _, err := l.ProposeOne(t.Context(), &command.AllocIDs{N: 1}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
