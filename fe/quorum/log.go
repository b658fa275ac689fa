// Package quorum is the metadata log as the rest of an FE sees it: whichever FE leads, commands reach it and reads see
// everything that was committed before them.
//
// On the leading FE calls go to its own log. On another one commands travel to the leader, encoded, and their results
// come back; the call returns when this FE has applied them, so that a session sees its own effects. Reads ask the
// leader for its read index, one question for all statements that wait, and then wait until it is applied here.
//
// While no FE leads, calls wait for one, for as long as the settings say and the caller's context lasts; then the
// error is a *NoLeaderError and nothing was done. A call that was under way when the leader changed is made again if
// doing it twice does no harm; otherwise its error is raftlog.ErrOutcomeUnknown. Of a definition, which must not be made twice, the log
// that this FE applies tells what became of it (meta/raftlog/DESIGN.md), and only where it cannot in time the outcome stays unknown.
//
// The package owns no state that outlives the process and decides nothing.
package quorum

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"stele/fe/beclient"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/raftlog"
	"stele/meta/rpc"
	"stele/proto/fepb"
)

// Reasons in errors of the FE that was asked.
const (
	ReasonNotLeader = "not_leader"
	ReasonBusy      = "busy"
	ReasonNoRoom    = "no_room"
	ReasonUnknown   = "outcome_unknown"
	ReasonDropped   = "not_a_member"
)

// NoLeaderError says that a statement needed the leading FE and there was none in time. Nothing was done.
type NoLeaderError struct {
	Waited time.Duration
	Last   error // what the last try met
}

func (e *NoLeaderError) Error() string {
	s := fmt.Sprintf("no frontend has led the cluster for %v", e.Waited.Round(time.Millisecond))
	if e.Last != nil {
		s += ": " + e.Last.Error()
	}
	return s
}

// Unwrap makes the error one that certainly proposed nothing.
func (e *NoLeaderError) Unwrap() error { return &raftlog.ErrNotLeader{} }

// Log is the metadata log, led by this FE or another. It is safe for concurrent use.
type Log struct {
	local   *raftlog.Log
	clients *beclient.Clients
	wait    func() time.Duration // how long to wait for a leader
	rounds  rounds
	member  context.Context // ends when this FE knows that it was dropped from the cluster
	drop    context.CancelFunc
}

// New returns the log of an FE.
func New(local *raftlog.Log, clients *beclient.Clients, wait func() time.Duration) *Log {
	member, drop := context.WithCancel(context.Background())
	return &Log{local: local, clients: clients, wait: wait, member: member, drop: drop}
}

// Dropped is closed when this FE has learnt that it was dropped from the cluster.
func (l *Log) Dropped() <-chan struct{} { return l.member.Done() }

// Drop notes that this FE was dropped, as the catalog or the leading FE says. What waits here for the log ends.
func (l *Log) Drop() { l.drop() }

// Current returns the newest catalog that this FE has applied.
func (l *Log) Current() *catalog.Catalog { return l.local.Current() }

// Leads reports whether this FE leads.
func (l *Log) Leads() bool { return l.local.IsLeader() }

// LeaderAddress returns the rpc address of the leading FE, "" when none is known or this FE leads.
func (l *Log) LeaderAddress() string {
	id, _ := l.local.Leader()
	if id == "" || id == l.local.ID() {
		return ""
	}
	fe, ok := l.Current().FEByName(id)
	if !ok || fe.RPCPort == 0 {
		return ""
	}
	return beclient.Address(fe.Host, fe.RPCPort)
}

// Propose puts commands into the log and returns what each came to; see raftlog.Log.Propose.
func (l *Log) Propose(ctx context.Context, cmds ...command.Command) ([]catalog.Result, error) {
	var out []catalog.Result
	var encoded [][]byte
	follow := l.untraced
	if !twice(cmds) && !commits(cmds) {
		follow = l.traced
	}
	err := l.withLeader(ctx, twice(cmds), 0, func(tctx context.Context) (err error) {
		out, err = follow(ctx, func(trace *raftlog.Trace) ([]catalog.Result, error) {
			return l.local.ProposeTagged(tctx, trace.Tag(), cmds...)
		})
		return err
	}, func(tctx context.Context, fe fepb.FrontendClient) (err error) {
		if encoded == nil {
			if encoded, err = encode(cmds); err != nil {
				return err
			}
		}
		out, err = follow(ctx, func(trace *raftlog.Trace) ([]catalog.Result, error) { return l.forward(ctx, tctx, fe, trace, encoded) })
		return err
	})
	return out, err
}

// untraced makes one try of a proposal.
func (l *Log) untraced(_ context.Context, try func(*raftlog.Trace) ([]catalog.Result, error)) ([]catalog.Result, error) {
	return try(nil)
}

// traced makes one try of a proposal, which it gives up with another leader. If its outcome is not known then, the log that this FE
// applies tells: the next leader begins its term with an entry. What never came into the log is as if no FE had led.
func (l *Log) traced(ctx context.Context, try func(*raftlog.Trace) ([]catalog.Result, error)) ([]catalog.Result, error) {
	trace := l.local.Trace()
	defer trace.End()
	out, err := try(trace)
	if !errors.Is(err, raftlog.ErrOutcomeUnknown) {
		return out, err
	}
	wctx, cancel := context.WithTimeout(ctx, l.wait())
	defer cancel()
	defer context.AfterFunc(l.member, cancel)()
	switch fate, out := trace.Await(wctx); fate {
	case raftlog.Applied:
		return out, nil
	case raftlog.Never:
		return nil, &raftlog.ErrNotLeader{}
	}
	return nil, err
}

// Expect notes that n more statements here are about to propose; see raftlog.Log.Expect.
func (l *Log) Expect(n int) { l.local.Expect(n) }

// ProposeOne proposes one command and returns its result; a refusal is its error.
func (l *Log) ProposeOne(ctx context.Context, cmd command.Command) (any, error) {
	out, err := l.Propose(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return out[0].Value, out[0].Err
}

// AtLeader runs a call where the leading FE is: here, or on another FE. A call whose outcome is not known because the
// leader changed is made again only if again is set.
func (l *Log) AtLeader(ctx context.Context, again bool, here func(context.Context) error, there func(context.Context, fepb.FrontendClient) error) error {
	return l.withLeader(ctx, again, answerGrace, here, func(ctx context.Context, fe fepb.FrontendClient) error {
		if err := there(ctx, fe); err != nil {
			return remote(err)
		}
		return nil
	})
}

// WaitApplied waits until this FE has applied the entry at index, which it never does once it was dropped: then what it
// has applied is the last that it will ever show, and the wait is over.
func (l *Log) WaitApplied(ctx context.Context, index uint64) error {
	err := l.awaitApplied(ctx, index)
	if errors.Is(err, raftlog.ErrDropped) {
		return nil
	}
	return err
}

// awaitApplied is WaitApplied with raftlog.ErrDropped where this FE was dropped meanwhile.
func (l *Log) awaitApplied(ctx context.Context, index uint64) error {
	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.member, cancel)()
	_, err := l.local.WaitApplied(wctx, index)
	if err != nil && ctx.Err() == nil && l.member.Err() != nil {
		return raftlog.ErrDropped
	}
	return err
}

func encode(cmds []command.Command) ([][]byte, error) {
	out := make([][]byte, len(cmds))
	for i, c := range cmds {
		var err error
		if out[i], err = command.Encode(c); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// forward has the leading FE make a proposal, in one try with a context of its own, which ends when the leader moves.
func (l *Log) forward(ctx, tctx context.Context, fe fepb.FrontendClient, trace *raftlog.Trace, encoded [][]byte) ([]catalog.Result, error) {
	resp, err := l.send(tctx, fe, trace, &fepb.ProposeRequest{Fe: l.local.ID(), Commands: encoded})
	if err != nil {
		return nil, remote(err)
	}
	out, err := catalog.DecodeResults(resp.Results)
	if err != nil {
		return nil, err
	}
	if len(out) != len(encoded) {
		return nil, fmt.Errorf("BUG: %d results for %d commands", len(out), len(encoded))
	}
	l.learn(resp.Mark)
	// The commands are in the log: that this FE is late with them is no reason to say otherwise. It may be so because the leader has ended
	// right after its answer, before it told this FE; then it is the next one that does.
	wctx, cancel := context.WithTimeout(ctx, l.wait())
	defer cancel()
	if err := l.WaitApplied(wctx, resp.Index); err != nil && wctx.Err() == nil {
		return nil, err
	}
	return out, nil
}

// send makes a proposal at the leading FE, with the tag of its trace if there is one. An older FE knows no tags: then the trace ends.
func (l *Log) send(ctx context.Context, fe fepb.FrontendClient, trace *raftlog.Trace, req *fepb.ProposeRequest) (*fepb.ProposeResponse, error) {
	if trace == nil {
		return fe.Propose(ctx, req)
	}
	tag := trace.Tag()
	req.Tag, req.Until = tag.ID[:], tag.Until
	resp, err := fe.ProposeTagged(ctx, req)
	if beclient.Unknown(err) {
		trace.End()
		return fe.Propose(ctx, req)
	}
	return resp, err
}

// learn takes over how far the leader says that the log is committed.
func (l *Log) learn(m *fepb.Mark) {
	if m != nil {
		l.local.Learn(raftlog.Mark{Leader: m.Leader, Address: m.Address, Term: m.Term, Index: m.Index, LogTerm: m.LogTerm})
	}
}

// remote reads the error of another FE's answer: what is certain not to have been done is told apart.
func remote(err error) error {
	switch rpc.Reason(err) {
	case ReasonNotLeader:
		return &raftlog.ErrNotLeader{}
	case ReasonBusy:
		return raftlog.ErrBusy
	case ReasonNoRoom:
		return raftlog.ErrNoRoom
	case ReasonUnknown:
		return fmt.Errorf("%w: %w", raftlog.ErrOutcomeUnknown, err)
	case ReasonDropped:
		return fmt.Errorf("%w: %w", raftlog.ErrDropped, err)
	}
	switch {
	case rpc.NotBegun(err): // the process has ended, or has come back on a blank disk: another FE will lead
		return fmt.Errorf("%w: %w", &raftlog.ErrNotLeader{}, err)
	case beclient.Unreachable(err):
		return fmt.Errorf("%w: %w", raftlog.ErrOutcomeUnknown, err)
	}
	return err
}

// twice reports whether commands may be applied twice: what they draw the second time is as good, and what they set
// is set. Commits are not among them: who commits has to know that an earlier try may still be on its way.
func twice(cmds []command.Command) bool {
	for _, c := range cmds {
		switch c.(type) {
		case *command.AllocIDs, *command.AbortTxns, *command.ExpireTxns, *command.ReportReplicas,
			*command.SetConfig, *command.SetFE, *command.ExpireHints, *command.SetRepairHint:
		default:
			return false
		}
	}
	return true
}

// commits reports whether commands hold a commit: who makes it finds out himself what became of it.
func commits(cmds []command.Command) bool {
	return slices.ContainsFunc(cmds, func(c command.Command) bool { return c.Type() == command.TypeCommitTxn })
}

// withLeader runs a call on the leader, wherever it is, until it is answered. A call whose outcome is not known is
// made again only if again is set.
func (l *Log) withLeader(ctx context.Context, again bool, grace time.Duration, here func(context.Context) error, there func(context.Context, fepb.FrontendClient) error) error {
	p := newPatience(l.wait())
	var doubt error // of a try that may have been carried out: no later refusal takes that back
	for {
		moved := l.local.LeaderMoved()
		err := l.try(ctx, moved, grace, here, there)
		if err == nil {
			return nil
		}
		if errors.Is(err, raftlog.ErrDropped) {
			l.drop()
		}
		unknown := errors.Is(err, raftlog.ErrOutcomeUnknown)
		if unknown {
			doubt = err
		}
		var not *raftlog.ErrNotLeader
		refused := errors.As(err, &not) || errors.Is(err, raftlog.ErrBusy)
		switch {
		case ctx.Err() != nil && again: // what it may have done is of no consequence
			return context.Cause(ctx)
		case ctx.Err() != nil:
			return cmp.Or(doubt, context.Cause(ctx))
		case doubt != nil && !again:
			return doubt
		case !unknown && !refused:
			return cmp.Or(doubt, err)
		}
		if p.spent() {
			return cmp.Or[error](doubt, &NoLeaderError{Waited: time.Since(p.begun), Last: err})
		}
		l.pause(ctx, moved)
	}
}

// answerGrace is how long the answer to a statement is waited for after its FE has stopped leading: the statement that
// hands leadership over ends like that.
const answerGrace = 2 * time.Second

// retryPause is the pause between two tries while nothing is heard of a new leader.
const retryPause = 20 * time.Millisecond

// pause waits until another leader is known, or a little.
func (l *Log) pause(ctx context.Context, moved <-chan struct{}) {
	timer := time.NewTimer(retryPause)
	defer timer.Stop()
	select {
	case <-moved:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// try makes one call. One to another FE ends when that FE is known not to lead any more, after a grace in which it may
// still answer: a leader that hangs does not take its callers along.
func (l *Log) try(ctx context.Context, moved <-chan struct{}, grace time.Duration, here func(context.Context) error, there func(context.Context, fepb.FrontendClient) error) error {
	if l.local.IsLeader() {
		return here(ctx)
	}
	if l.member.Err() != nil {
		return raftlog.ErrDropped
	}
	address := l.LeaderAddress()
	if address == "" {
		return &raftlog.ErrNotLeader{}
	}
	fe, err := l.clients.FE(address)
	if err != nil {
		return err
	}
	cctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	defer close(done)
	go func() { // ends with the call
		select {
		case <-moved:
		case <-done:
			return
		}
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-done:
		}
	}()
	err = there(cctx, fe)
	if errors.Is(err, context.Canceled) && ctx.Err() == nil { // cut off, for the leader has moved
		err = fmt.Errorf("%w: %w", raftlog.ErrOutcomeUnknown, err)
	}
	return err
}
