package raftlog

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// TestWitness: what a follower takes counts if it was sent after the question, by this leader.
func TestWitness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w witness
		others := []raft.ServerID{"b", "c"}
		const term = 7
		early := w.now()
		asked := w.now()
		late := w.now()
		holds := func(when string, n int, want bool) {
			t.Helper()
			if got := w.await(others, n, term, asked, time.Second); got != want {
				t.Errorf("%s, %d of two: %v", when, n, got)
			}
		}
		holds("at first", 0, true)
		holds("at first", 1, false)
		w.take("b", term, early)
		holds("after an answer to what was sent before", 1, false)
		w.take("b", term-1, late)
		holds("after an answer to the leader of another term", 1, false)
		w.take("x", term, late)
		holds("after an answer of a stranger", 1, false)
		go func() {
			time.Sleep(time.Second / 2)
			w.take("b", term, late)
			w.take("b", term, early)
		}()
		holds("while the answer comes", 1, true)
		holds("after one answer", 2, false)
		w.take("c", term+1, late)
		holds("after one of a later term", 2, false)
	})
}
