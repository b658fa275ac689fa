package raftlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"stele/meta/command"
)

// IsLeader reports whether this FE leads and has applied everything of earlier leaders.
func (l *Log) IsLeader() bool {
	term := l.ready.Load()
	return term != 0 && term == l.raft.CurrentTerm()
}

// Leader returns the FE.Name and Raft address of the leader as far as this FE knows, "" = none.
func (l *Log) Leader() (id, addr string) {
	a, i := l.raft.LeaderWithID()
	return string(i), string(a)
}

// LeaderCh returns a new channel that tells when IsLeader changes. It holds only the last word, begins with the
// present one, and is closed by Close.
func (l *Log) LeaderCh() <-chan bool {
	ch := make(chan bool, 1)
	l.subMu.Lock()
	defer l.subMu.Unlock()
	if l.closed {
		close(ch)
		return ch
	}
	ch <- l.ready.Load() != 0
	l.subs = append(l.subs, ch)
	return ch
}

// WaitLeader waits until this FE leads.
func (l *Log) WaitLeader(ctx context.Context) error {
	ch := l.LeaderCh()
	defer l.forget(ch)
	for {
		select {
		case leads, ok := <-ch:
			if !ok {
				return ErrClosed
			}
			if leads {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *Log) forget(ch <-chan bool) {
	l.subMu.Lock()
	defer l.subMu.Unlock()
	for i, s := range l.subs {
		if s == ch {
			l.subs = append(l.subs[:i], l.subs[i+1:]...)
			return
		}
	}
}

// setReady publishes the term that this FE leads, or 0.
func (l *Log) setReady(term uint64) {
	l.subMu.Lock()
	defer l.subMu.Unlock()
	leads := term != 0
	if was := l.ready.Swap(term); was != 0 == leads {
		return
	}
	for _, ch := range l.subs {
		select {
		case <-ch: // the word before, which nobody has read
		default:
		}
		ch <- leads
	}
	l.moved() // the library's word came before the term was established
}

// watchLeadership follows the Raft library's word and establishes each term.
func (l *Log) watchLeadership() {
	defer l.wg.Done()
	defer func() {
		l.setReady(0)
		l.subMu.Lock()
		defer l.subMu.Unlock()
		l.closed = true
		for _, ch := range l.subs {
			close(ch)
		}
		l.subs = nil
	}()
	for {
		select {
		case leads := <-l.notify:
			if !leads {
				l.setReady(0)
			} else if err := l.establish(); err != nil {
				l.cfg.Log.Warn("take over as leader", "err", err)
			}
		case <-l.fsm.failed:
			return
		case <-l.closing:
			return
		}
	}
}

// establish proposes the first commands of a term and waits until they, and so everything before them, are applied.
func (l *Log) establish() error {
	now := l.cfg.Now().UnixMilli()
	term := l.raft.CurrentTerm()
	cmds := []command.Command{&command.NoteLeader{RaftID: l.cfg.ID, Term: term, TimeMs: now}}
	if l.cfg.Bootstrap != nil && l.Current().ClusterID() == "" {
		// Refused, and harmless, when an earlier term has done it and this FE has not applied that yet.
		cmds = append(cmds, l.cfg.Bootstrap)
	}
	data, err := command.Encode(&command.Batch{Commands: cmds})
	if err != nil {
		return err
	}
	future := l.raft.Apply(data, enqueueTimeout)
	if err := future.Error(); err != nil {
		return l.translate(err)
	}
	if err, ok := future.Response().(error); ok {
		return err
	}
	if l.raft.CurrentTerm() != term {
		return ErrOutcomeUnknown // the notice of the newer term is on its way
	}
	l.setReady(term)
	l.cfg.Log.Info("this frontend leads", "term", term)
	return nil
}

// Server is a member of the Raft group.
type Server struct {
	ID    string // FE.Name
	Addr  string // Raft address
	Voter bool   // false = learner
}

// Servers returns the members of the group.
func (l *Log) Servers() ([]Server, error) {
	f := l.raft.GetConfiguration()
	if err := f.Error(); err != nil {
		return nil, l.translate(err)
	}
	var out []Server
	for _, s := range f.Configuration().Servers {
		out = append(out, Server{ID: string(s.ID), Addr: string(s.Address), Voter: s.Suffrage == raft.Voter})
	}
	return out, nil
}

// CheckPeer makes sure that an FE of this cluster listens at a Raft address.
func (l *Log) CheckPeer(ctx context.Context, addr string) error {
	c, err := l.stream.dial(ctx, addr)
	if err != nil {
		return err
	}
	return c.Close()
}

// AddLearner adds an FE that receives the log and does not vote. The FE must be up and of this cluster: the Raft
// library would take any address.
func (l *Log) AddLearner(ctx context.Context, id, addr string) error {
	if !l.IsLeader() {
		return l.notLeaderOrClosed()
	}
	if err := l.CheckPeer(ctx, addr); err != nil {
		return fmt.Errorf("add frontend %s: %w", id, err)
	}
	return l.changeMembers(ctx, func() raft.Future {
		return l.raft.AddNonvoter(raft.ServerID(id), raft.ServerAddress(addr), 0, timeoutOf(ctx))
	})
}

// Promote makes a learner a voter. Do it when the learner has applied about as much as the leader (its AppliedIndex),
// or the group may have to wait for it.
func (l *Log) Promote(ctx context.Context, id string) error {
	servers, err := l.Servers()
	if err != nil {
		return err
	}
	for _, s := range servers {
		if s.ID == id {
			return l.changeMembers(ctx, func() raft.Future {
				return l.raft.AddVoter(raft.ServerID(id), raft.ServerAddress(s.Addr), 0, timeoutOf(ctx))
			})
		}
	}
	return fmt.Errorf("promote frontend %s: it is not in the group", id)
}

// Remove takes an FE out of the group.
func (l *Log) Remove(ctx context.Context, id string) error {
	return l.changeMembers(ctx, func() raft.Future { return l.raft.RemoveServer(raft.ServerID(id), 0, timeoutOf(ctx)) })
}

// TransferLeadership hands leadership to another voter: to the one named, or ("") to the one that has most of the log.
func (l *Log) TransferLeadership(ctx context.Context, id string) error {
	if id == "" {
		return l.await(ctx, l.raft.LeadershipTransfer())
	}
	servers, err := l.Servers()
	if err != nil {
		return err
	}
	for _, s := range servers {
		if s.ID == id {
			return l.await(ctx, l.raft.LeadershipTransferToServer(raft.ServerID(id), raft.ServerAddress(s.Addr)))
		}
	}
	return fmt.Errorf("transfer leadership to frontend %s: it is not in the group", id)
}

// Snapshot writes a snapshot now.
func (l *Log) Snapshot(ctx context.Context) error { return l.await(ctx, l.raft.Snapshot()) }

// Image writes a snapshot now; false when nothing has changed since the last one.
func (l *Log) Image(ctx context.Context) (bool, error) {
	err := l.await(ctx, l.raft.Snapshot())
	if errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return false, nil
	}
	return err == nil, err
}

// AppliedIndex returns the index of the last entry that this FE has applied.
func (l *Log) AppliedIndex() uint64 { return l.fsm.applied.Load() }

// Term returns the current Raft term.
func (l *Log) Term() uint64 { return l.raft.CurrentTerm() }

// LastContact returns when this FE last heard from the leader.
func (l *Log) LastContact() time.Time { return l.raft.LastContact() }

func timeoutOf(ctx context.Context) time.Duration {
	if d, ok := ctx.Deadline(); ok {
		return max(time.Until(d), time.Millisecond)
	}
	return 0
}
