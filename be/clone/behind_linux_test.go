package clone

import (
	"errors"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// TestBehind: beside users a clone works on one thread of its own, else on that of its caller.
func TestBehind(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	here, users := syscall.Gettid(), false
	work := &behind{users: func() bool { return users }}
	defer work.end()
	threads := func() (of [2]int) {
		for i := range of {
			if err := work.do(func() error { of[i] = syscall.Gettid(); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		return of
	}
	if got := threads(); got != [2]int{here, here} {
		t.Errorf("nobody else has work, and a clone of thread %d works on %v", here, got)
	}
	users = true
	if got := threads(); got[0] == here || got[0] != got[1] {
		t.Errorf("beside users a clone of thread %d works on %v", here, got)
	}
	failed := errors.New("failed")
	for range 2 {
		if err := work.do(func() error { return failed }); !errors.Is(err, failed) {
			t.Errorf("an error became %v", err)
		}
		users = false
	}
	if got := threads(); got != [2]int{here, here} {
		t.Errorf("users are gone, and a clone of thread %d works on %v", here, got)
	}
}

// TestPanicBehind: what damage makes of a decoder is an error on either thread.
func TestPanicBehind(t *testing.T) {
	for _, users := range []bool{false, true} {
		work := &behind{users: func() bool { return users }}
		var none []int
		if err := work.do(func() error { _ = none[3]; return nil }); err == nil {
			t.Errorf("users %v: a panic is no error", users)
		}
		work.end()
	}
}

// TestPressureOfUsers: they are there while they read, and for a moment after each request.
func TestPressureOfUsers(t *testing.T) {
	p, now := NewPressure(), time.Unix(1000, 0)
	want := func(what string, want bool) {
		t.Helper()
		if got := p.Users(now); got != want {
			t.Errorf("%s: users %v", what, got)
		}
	}
	want("nobody has asked for anything", false)
	p.Begin()
	now = now.Add(time.Hour)
	want("a read is under way", true)
	p.End(now)
	want("a read has ended", true)
	now = now.Add(pressureRest + 1)
	want("a read ended long ago", false)
	p.Observe(time.Millisecond, now)
	want("a write has ended", true)
	now = now.Add(pressureRest + 1)
	want("a write ended long ago", false)
}
