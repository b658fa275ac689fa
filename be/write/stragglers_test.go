package write

import (
	"testing"
	"time"
)

// TestStragglers: a BE that owed an answer for the whole grace is not waited for, but once a second, until it answers.
func TestStragglers(t *testing.T) {
	var s stragglers
	now := time.Unix(1000, 0)
	a, b := &peerRequest{address: "a"}, &peerRequest{address: "b", noted: true}
	both := []*peerRequest{a, b}
	steps := []struct {
		name string
		do   func()
		want time.Duration
	}{
		{"nobody is late", func() {}, stragglerGrace},
		{"a was late", func() { s.late(both, now) }, stragglerMoment},
		{"another one is waited for", func() { b.noted = false }, stragglerGrace},
		{"that was late, too", func() { s.late(both, now) }, stragglerMoment},
		{"within the second", func() { now = now.Add(stragglerTry - 1) }, stragglerMoment},
		{"a second later", func() { now = now.Add(1) }, stragglerGrace},
		{"late again", func() { s.late(both, now) }, stragglerMoment},
		{"one has answered", func() { s.heard("a") }, stragglerGrace},
		{"and has it already", func() { a.noted = true }, stragglerMoment},
		{"the other has answered", func() { s.heard("b") }, stragglerGrace},
	}
	for _, step := range steps {
		step.do()
		if got := s.grace(both, now); got != step.want {
			t.Fatalf("%s: %v, want %v", step.name, got, step.want)
		}
	}
	if s.some.Load() {
		t.Error("somebody is late")
	}
}
