package raftlog

import (
	"testing"
	"time"

	"stele/meta/command"
)

// TestCrashIsNotWaitedFor: with timings under which silence is noticed after ten seconds at the earliest, a leader whose
// process has ended is replaced well before, and a follower that ends changes nothing.
func TestCrashIsNotWaitedFor(t *testing.T) {
	logs := group(t, func(cfg *Config) {
		if cfg.ID != "fe1" { // the first one has to elect itself
			cfg.Timings.Heartbeat, cfg.Timings.Election = 10*time.Second, 10*time.Second
		}
	})
	propose(t, logs[0], &command.CreateDatabase{Name: "before"})
	term := logs[0].Term()
	begun := time.Now()
	if err := logs[0].Close(); err != nil {
		t.Fatal(err)
	}
	next := leaderOf(t, logs[1], logs[2])
	propose(t, next, &command.CreateDatabase{Name: "after"})
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("a leader that has crashed was replaced after %v", took)
	} else {
		t.Logf("replaced within %v", took)
	}
	if next.Term() == term {
		t.Error("the new leader has the term of the old one")
	}
	if _, ok := next.Current().Database("before"); !ok {
		t.Error("what the crashed leader has committed is lost")
	}
}
