package raftlog

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// witness tells which followers have answered a message that was sent after some moment.
//
// The library's VerifyLeader counts the next answer of each follower, also one to a message that was sent before the question. A leader that
// was paused finds such answers when it goes on, while a leader that was elected meanwhile has committed. So whoever reads makes sure that a
// majority has answered what was sent after the read began (read index, Ongaro's thesis, section 6.4). Order within this process is all
// that counts here, no clock.
type witness struct {
	mu       sync.Mutex
	moment   uint64
	answered map[raft.ServerID]answered
	news     chan struct{} // closed at the next answer; nil = nobody waits
}

// answered is the latest message of a term that a follower has taken as the leader's.
type answered struct {
	term, sent uint64
}

// now returns a moment that comes after all those before.
func (w *witness) now() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.moment++
	return w.moment
}

// take notes that a follower has taken a message as the leader's.
func (w *witness) take(id raft.ServerID, term, sent uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a := w.answered[id]; term < a.term || term == a.term && sent <= a.sent {
		return
	}
	if w.answered == nil {
		w.answered = map[raft.ServerID]answered{}
	}
	w.answered[id] = answered{term, sent}
	if w.news != nil {
		close(w.news)
		w.news = nil
	}
}

// await waits until n of the followers have taken a message of the term that was sent after a moment; false when they have not in time.
func (w *witness) await(followers []raft.ServerID, n int, term, after uint64, patience time.Duration) bool {
	var timer *time.Timer
	for {
		news, enough := w.count(followers, n, term, after)
		if enough {
			return true
		}
		if timer == nil {
			timer = time.NewTimer(patience)
			defer timer.Stop()
		}
		select {
		case <-news:
		case <-timer.C:
			return false
		}
	}
}

// count reports whether that is so now, and what to wait for otherwise.
func (w *witness) count(followers []raft.ServerID, n int, term, after uint64) (news <-chan struct{}, enough bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range followers {
		if a := w.answered[id]; a.term == term && a.sent > after {
			n--
		}
	}
	if n <= 0 {
		return nil, true
	}
	if w.news == nil {
		w.news = make(chan struct{})
	}
	return w.news, false
}
