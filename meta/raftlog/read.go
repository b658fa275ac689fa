package raftlog

import (
	"context"
	"sync"

	"github.com/hashicorp/raft"
)

// readRounds lets concurrent callers of ReadIndex share one round of heartbeats. A caller joins the round that has not
// begun yet, because one under way may have been confirmed before the call.
type readRounds struct {
	mu      sync.Mutex
	next    *readRound
	running bool
}

type readRound struct {
	done      chan struct{}
	committed uint64
	err       error
}

// ReadIndex returns an index such that a catalog at or past it holds everything that was committed, on any FE,
// before the call. Only the leader can tell; it makes sure with one round of heartbeats that it still leads. On return
// this FE itself has applied the index.
func (l *Log) ReadIndex(ctx context.Context) (uint64, error) {
	if !l.IsLeader() {
		return 0, l.notLeaderOrClosed()
	}
	if l.alone() {
		return l.Current().Index(), nil
	}
	r := l.joinRead()
	select {
	case <-r.done:
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-l.closing:
		return 0, ErrClosed
	}
	if r.err != nil {
		return 0, r.err
	}
	c, err := l.WaitApplied(ctx, r.committed)
	if err != nil {
		return 0, err
	}
	return c.Index(), nil
}

func (l *Log) joinRead() *readRound {
	l.reads.mu.Lock()
	defer l.reads.mu.Unlock()
	if l.reads.next == nil {
		l.reads.next = &readRound{done: make(chan struct{})}
	}
	if !l.reads.running {
		l.reads.running = true
		// It ends when nobody waits. Close does not wait for it: the library may leave a future open at shutdown.
		go l.runReads()
	}
	return l.reads.next
}

func (l *Log) runReads() {
	for {
		l.reads.mu.Lock()
		r := l.reads.next
		l.reads.next = nil
		l.reads.running = r != nil
		l.reads.mu.Unlock()
		if r == nil {
			return
		}
		r.committed, r.err = l.confirmed()
		close(r.done)
	}
}

// confirmed returns the commit index of this FE once it is certain that it led when that was read: a majority has taken a message of its
// term that was sent later (witness).
func (l *Log) confirmed() (committed uint64, err error) {
	term, began := l.ready.Load(), l.witness.now()
	committed = l.raft.CommitIndex()
	f := l.raft.GetConfiguration()
	if err := f.Error(); err != nil {
		return 0, l.translate(err)
	}
	var followers []raft.ServerID
	votes, mine := 0, 0
	for _, s := range f.Configuration().Servers {
		switch {
		case s.Suffrage != raft.Voter:
			continue
		case string(s.ID) == l.cfg.ID:
			mine = 1
		default:
			followers = append(followers, s.ID)
		}
		votes++
	}
	if err := l.translate(l.raft.VerifyLeader().Error()); err != nil { // it sends the messages
		return 0, err
	}
	if !l.witness.await(followers, votes/2+1-mine, term, began, l.cfg.Timings.Heartbeat) {
		return 0, l.notLeader()
	}
	if term == 0 || term != l.raft.CurrentTerm() {
		// A new term of this same FE: its commit index may still be behind that of the term before.
		return 0, l.notLeader()
	}
	return committed, nil
}
