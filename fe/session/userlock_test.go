package session

import (
	"errors"
	"testing"

	"stele/fe/server"
)

func TestUserLocksThatWaitForOneAnotherAreRefused(t *testing.T) {
	u := newUserLocks()
	a, b, c := &Session{}, &Session{}, &Session{}
	take := func(s *Session, name string, want bool) <-chan struct{} {
		t.Helper()
		freed, err := u.try(s, name, true)
		if err != nil || (freed == nil) != want {
			t.Fatalf("%s: taken %v, %v, want %v", name, freed == nil, err, want)
		}
		return freed
	}
	take(a, "x", true)
	take(b, "y", true)
	take(c, "z", true)
	take(a, "y", false)
	freed := take(b, "z", false)
	var known server.MySQLError
	if _, err := u.try(c, "x", true); !errors.As(err, &known) {
		t.Fatalf("a circle of three: %v", err)
	} else if code, _, _ := known.MySQL(); code != 3058 {
		t.Fatalf("a circle of three: error %d", code)
	}
	if _, err := u.try(c, "x", false); err != nil { // who does not wait closes no circle
		t.Fatalf("without waiting: %v", err)
	}
	u.stopWaiting(c)
	if n := u.releaseAll(c); n != 1 {
		t.Fatalf("%d locks released, want 1", n)
	}
	select {
	case <-freed:
	default:
		t.Fatal("who waits was not told")
	}
	take(b, "z", true)
	take(b, "z", true)
	u.stopWaiting(b)
	if n := u.releaseAll(b); n != 3 { // y once, z twice
		t.Fatalf("%d locks released, want 3", n)
	}
	take(a, "y", true)
	if len(u.held) != 2 {
		t.Fatalf("%d names are held, want x and y", len(u.held))
	}
}
