package fe

import (
	"context"
	"errors"
	"fmt"

	"stele/fe/userlock"
	"stele/meta/raftlog"
	"stele/proto/fepb"
)

// openUserLocks makes the locks of GET_LOCK.
func (n *node) openUserLocks() {
	n.lockTable = userlock.NewTable(n.leadForLocks)
	n.userLocks = userlock.NewKeeper(userlock.Options{FE: n.name, StartMs: n.started.UnixMilli(), Call: n.askForLock, Term: n.meta.Term,
		End: func(connection uint64) { n.killHere(connection, false) }, Logger: n.log})
}

// leadForLocks makes sure that this FE leads.
func (n *node) leadForLocks(ctx context.Context) (userlock.Lead, error) {
	term := n.meta.Term()
	if _, err := n.meta.ReadIndex(ctx); err != nil {
		return userlock.Lead{}, err
	}
	if n.meta.Term() != term {
		return userlock.Lead{}, &raftlog.ErrNotLeader{}
	}
	lead := userlock.Lead{Term: term}
	for fe := range n.meta.Current().FEs() {
		lead.Members = append(lead.Members, userlock.Member{Name: fe.Name, Ended: n.group.EndedAt(fe.Name)})
	}
	return lead, nil
}

// askForLock asks the leading FE, which may be this one.
func (n *node) askForLock(ctx context.Context, req *fepb.UserLockRequest) (resp *fepb.UserLockResponse, err error) {
	err = n.quorum.AtLeader(ctx, true, func(ctx context.Context) (err error) {
		resp, err = n.lockTable.Do(ctx, req)
		return err
	}, func(ctx context.Context, fe fepb.FrontendClient) (err error) {
		resp, err = fe.UserLock(ctx, req)
		return err
	})
	if errors.Is(err, raftlog.ErrOutcomeUnknown) {
		err = fmt.Errorf("%w: %w", userlock.ErrUnsure, err)
	}
	return resp, err
}
