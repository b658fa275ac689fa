package raftlog

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// A follower hears how far the log is committed with the next message of the leader, some milliseconds late when
// nothing else happens. One that has just asked the leader something cannot wait that long: with the answer comes a Mark,
// which is all that an empty message of the leader would have said. The follower hands it to its own Raft as that
// message. Raft checks it as any other: the term, and that its own log has the entry that the mark names.

// Mark says how far the log was committed when the leader of a term said so.
type Mark struct {
	Leader  string // FE.Name
	Address string // Raft address
	Term    uint64
	Index   uint64
	LogTerm uint64 // of the entry at Index
}

// Mark returns how far the log is committed; ok is false on an FE that does not lead.
func (l *Log) Mark() (m Mark, ok bool) {
	term := l.ready.Load()
	if term == 0 {
		return m, false
	}
	var entry raft.Log
	if err := l.logs.GetLog(l.raft.CommitIndex(), &entry); err != nil {
		return m, false // it is in a snapshot already: then nobody waits for it
	}
	if l.ready.Load() != term || l.raft.CurrentTerm() != term {
		return m, false
	}
	return Mark{Leader: l.cfg.ID, Address: l.cfg.Advertise, Term: term, Index: entry.Index, LogTerm: entry.Term}, true
}

// learns holds the newest mark that is not learnt yet; those before it say less.
type learns struct {
	mu   sync.Mutex
	next *Mark
	wake chan struct{}
}

func newLearns() learns { return learns{wake: make(chan struct{}, 1)} }

// Learn takes in a mark of the leader. It does not wait.
func (l *Log) Learn(m Mark) {
	if m.Index <= l.raft.CommitIndex() {
		return
	}
	l.learns.mu.Lock()
	if n := l.learns.next; n == nil || m.Term > n.Term || m.Term == n.Term && m.Index > n.Index {
		l.learns.next = &m
	}
	l.learns.mu.Unlock()
	select {
	case l.learns.wake <- struct{}{}:
	default:
	}
}

// A mark may be here before the entry that it names: other FEs are a majority without this one. It waits for the entry
// then, looking every markPoll for markWait; after that the leader's next message does as well.
const (
	markPoll = 500 * time.Microsecond
	markWait = 50 * time.Millisecond
)

// nextMark returns the newest mark when its entry is here, or nil when it says nothing new by then.
func (l *Log) nextMark() *Mark {
	for begun := time.Now(); ; {
		l.learns.mu.Lock()
		m := l.learns.next
		here := m == nil || m.Index <= l.raft.LastIndex()
		if here || time.Since(begun) > markWait {
			l.learns.next = nil
		}
		l.learns.mu.Unlock()
		switch {
		case m == nil || m.Index <= l.raft.CommitIndex():
			return nil
		case here:
			return m
		case time.Since(begun) > markWait:
			return nil
		}
		timer := time.NewTimer(markPoll)
		select {
		case <-timer.C:
		case <-l.closing:
			timer.Stop()
			return nil
		}
	}
}

// learnAll hands marks to Raft, one at a time.
func (l *Log) learnAll() {
	defer l.wg.Done()
	for {
		select {
		case <-l.learns.wake:
		case <-l.closing:
			return
		}
		m := l.nextMark()
		if m == nil {
			continue
		}
		req := &raft.AppendEntriesRequest{
			RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(m.Leader), Addr: []byte(m.Address)},
			Term:      m.Term, PrevLogEntry: m.Index, PrevLogTerm: m.LogTerm, LeaderCommitIndex: m.Index,
		}
		var resp raft.AppendEntriesResponse
		if err := l.transport.AppendEntries(raft.ServerID(l.cfg.ID), l.transport.LocalAddr(), req, &resp); err != nil {
			l.cfg.Log.Debug("learn how far the log is committed", "err", err) // the leader's next message tells
		}
	}
}
