package raftlog

import (
	"context"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// membership remembers that this FE is the only voter, so that reads need not ask the Raft library each time.
type membership struct {
	changing atomic.Int32  // changes that were asked for and are not over
	changes  atomic.Uint64 // that are over
	alone    atomic.Pointer[aloneIn]
}

// aloneIn says that this FE was the only voter in a term, after so many changes.
type aloneIn struct{ term, changes uint64 }

// changeMembers asks the Raft library for a change of the group. Only a leader can, so that nobody else changes the group in a
// term of this FE.
func (l *Log) changeMembers(ctx context.Context, ask func() raft.Future) error {
	l.members.changing.Add(1)
	future := ask()
	return l.awaitThen(ctx, future, func() {
		l.members.changes.Add(1)
		l.members.changing.Add(-1)
	})
}

// alone reports whether this FE leads and is the only voter: then nobody else can have committed anything, and what it
// has answered itself it has applied before. It asks for the newest configuration, committed or not, so that a second
// voter counts before it can vote. What it has found stands for the term, unless the group changes.
func (l *Log) alone() bool {
	term, changes := l.ready.Load(), l.members.changes.Load()
	known := l.members.alone.Load()
	if known != nil && *known == (aloneIn{term, changes}) && l.members.changing.Load() == 0 {
		return l.IsLeader()
	}
	if !l.onlyVoter() || !l.IsLeader() {
		return false
	}
	// A change that has begun meanwhile is either still under way, or counted: then this is not believed.
	l.members.alone.Store(&aloneIn{term, changes})
	return true
}

func (l *Log) onlyVoter() bool {
	f := l.raft.GetConfiguration()
	if f.Error() != nil {
		return false
	}
	voters := 0
	for _, s := range f.Configuration().Servers {
		if s.Suffrage != raft.Voter {
			continue
		}
		if string(s.ID) != l.cfg.ID {
			return false
		}
		voters++
	}
	return voters == 1
}
