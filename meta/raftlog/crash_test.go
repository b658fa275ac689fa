package raftlog

import (
	"testing"
	"time"

	"stele/meta/command"
)

// TestCrashIsNotWaitedFor: with timings under which silence is noticed after ten seconds at the earliest, a leader whose
// process has ended is replaced well before, and a follower that ends changes nothing. Two followers that stand for election
// in the same moment split the vote and wait like everybody, so there is more than one try.
func TestCrashIsNotWaitedFor(t *testing.T) {
	const tries = 3
	for range tries {
		took := replaced(t)
		t.Logf("replaced within %v", took)
		if took < 8*time.Second {
			return
		}
	}
	t.Errorf("a leader that has crashed was replaced by silence alone, %d times", tries)
}

// replaced has the leader of a new group crash, and returns after which time another one leads.
func replaced(t *testing.T) time.Duration {
	logs := group(t, func(cfg *Config) {
		cfg.Timings.Heartbeat, cfg.Timings.Election = 10*time.Second, 10*time.Second
	})
	propose(t, logs[0], &command.CreateDatabase{Name: "before"})
	term := logs[0].Term()
	begun := time.Now()
	if err := logs[0].Close(); err != nil {
		t.Fatal(err)
	}
	next := leaderOf(t, logs[1], logs[2])
	propose(t, next, &command.CreateDatabase{Name: "after"})
	took := time.Since(begun)
	if next.Term() == term {
		t.Error("the new leader has the term of the old one")
	}
	if _, ok := next.Current().Database("before"); !ok {
		t.Error("what the crashed leader has committed is lost")
	}
	return took
}
