package raftlog

import (
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// moves tells that another FE leads, or none.
type moves struct {
	next   atomic.Pointer[chan struct{}] // closed and replaced at each change
	events chan raft.Observation
}

// init makes moves ready for use.
func (m *moves) init() {
	next := make(chan struct{})
	m.next.Store(&next)
	m.events = make(chan raft.Observation, 16)
}

// LeaderMoved returns a channel that is closed when this FE next learns that another FE leads, that none does, or that
// it leads itself.
func (l *Log) LeaderMoved() <-chan struct{} {
	return *l.moves.next.Load()
}

func (l *Log) moved() {
	next := make(chan struct{})
	close(*l.moves.next.Swap(&next))
}

// watchLeader follows what the Raft library says of the leader. An observation that is lost because the channel is
// full is made up for by those in it: only the fact of a change counts.
func (l *Log) watchLeader() {
	defer l.wg.Done()
	observer := raft.NewObserver(l.moves.events, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.LeaderObservation)
		return ok
	})
	l.raft.RegisterObserver(observer)
	defer l.raft.DeregisterObserver(observer)
	for {
		select {
		case <-l.moves.events:
			l.moved()
		case <-l.closing:
			return
		}
	}
}

// HasPeers reports whether this FE shares the log with other voters.
func (l *Log) HasPeers() bool {
	servers, err := l.Servers()
	if err != nil {
		return false
	}
	for _, s := range servers {
		if s.Voter && s.ID != l.cfg.ID {
			return true
		}
	}
	return false
}

// ID returns the name of this FE.
func (l *Log) ID() string { return l.cfg.ID }

// CommitIndex returns the index up to which this FE knows the log to be committed.
func (l *Log) CommitIndex() uint64 { return l.raft.CommitIndex() }
