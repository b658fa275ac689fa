package txn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/raftlog"
	"stele/meta/types"
)

// Commit makes the transaction durable and visible. A *RetryError says that it is aborted, an *UnknownError that
// nobody here can tell. An explicit transaction that lost a leader is written again under the new one before it gives
// up. One that another session has locked a table of is as it was: it may be committed again when that is over (IsLocked), or rolled back. A commit does not end with ctx: a client that leaves must not make its outcome unknown.
func (t *Txn) Commit(ctx context.Context) error {
	if t.failed {
		return errors.Join(errors.New("BUG: commit of a transaction that failed half done"), t.Rollback(ctx))
	}
	if t.Empty() {
		t.c.over(t.id)
		return nil
	}
	if t.wroteNothing() {
		return t.Rollback(ctx)
	}
	dctx := patient(ctx, t.c.settings().WriteTimeout)
	defer dctx.free()
	for {
		result, err := t.decide(dctx)
		if err == nil {
			t.c.publish(ctx, t, result.Tablets)
			return nil
		}
		var retry *RetryError
		if !errors.As(err, &retry) {
			return err
		}
		if _, locked := IsLocked(err); locked {
			return err
		}
		t.tellOlder(dctx, err)
		if !t.done.complete() || retry.Gone {
			return errors.Join(err, t.Rollback(dctx))
		}
		t.c.Await(dctx, err, awaitCommit)
		if rerr := t.renew(dctx, t.done.statements); rerr != nil || dctx.Err() != nil {
			return errors.Join(err, rerr, t.Rollback(dctx))
		}
	}
}

// tellOlder has a catalog that does not know of a version which a replica knows of be restored: until that is over nothing is committed.
func (t *Txn) tellOlder(ctx context.Context, err error) {
	var older *catalog.ErrOlder
	if !errors.As(err, &older) {
		return
	}
	sh, cat := t.shares.get(older.Tablet), t.c.log.Current()
	tab, ok := cat.Tablet(older.Tablet)
	if sh == nil || !ok {
		return
	}
	for i := range tab.Replicas {
		r := &tab.Replicas[i]
		if r.ID != sh.newest.replica {
			continue
		}
		proof := command.ReplicaReport{Tablet: tab.ID, Replica: r.ID, BE: r.BE, Disk: r.Disk, Version: sh.newest.version}
		out, perr := t.c.log.Propose(ctx, &command.RestoreInPlace{Proof: proof, TimeMs: time.Now().UnixMilli()})
		if perr == nil {
			perr = out[0].Err
		}
		t.c.logger.Error("the metadata is older than what a backend holds: nothing is committed before all backends have told what they hold "+
			"(ADMIN SHOW METADATA RESTORE)", "be_id", r.BE, "tablet_id", tab.ID, "version", sh.newest.version, "catalog_version", older.Version, "err", perr)
	}
}

// awaitCommit is how long a refused commit waits for a new leader before its writes are sent again.
const awaitCommit = 500 * time.Millisecond

// decide proposes the commit until it is known what came of it. The command may be applied twice: the second time it
// answers what the first one did. From the second time on an abort follows it in the same entry: where the commit is
// refused, an earlier one that is still on its way must be refused as well.
func (t *Txn) decide(ctx context.Context) (catalog.CommitResult, error) {
	one := [1]command.Command{t.command()}
	cmds := one[:]
	for unknown := false; ; {
		if unknown && len(cmds) == 1 {
			cmds = append(cmds, t.abort())
		}
		out, err := t.c.log.Propose(ctx, cmds...)
		if err == nil && unknown && forgotten(out[0].Err) {
			t.c.over(t.id)
			return catalog.CommitResult{}, &UnknownError{Txn: t.id, Err: out[0].Err}
		}
		if err == nil {
			return t.decided(out[0])
		}
		if !unknown && notProposed(err) {
			return catalog.CommitResult{}, &RetryError{Err: err}
		}
		if errors.Is(err, raftlog.ErrDropped) { // nobody takes another try, or tells
			return t.cutOff(unknown, err)
		}
		if errors.Is(err, raftlog.ErrNoRoom) && (!unknown || t.revoke(ctx)) { // that takes an operator
			return catalog.CommitResult{}, errors.Join(err, t.Rollback(ctx))
		}
		unknown = true
		// Another FE may lead by now; then its log tells, once it is here.
		if tablets, ok := t.c.log.Current().TxnTablets(t.id); ok {
			t.c.over(t.id)
			return catalog.CommitResult{Txn: t.id, Tablets: tablets, Again: true}, nil
		}
		select {
		case <-time.After(decidePause):
			if !errors.Is(err, raftlog.ErrClosed) {
				continue
			}
		case <-ctx.Done():
		}
		t.c.over(t.id)
		return catalog.CommitResult{}, &UnknownError{Txn: t.id, Err: err}
	}
}

// forgotten reports whether a refusal may be of a transaction that is committed: the log remembers outcomes for a while by its clock, which may be far
// ahead of the one of this FE.
func forgotten(err error) bool {
	var aborted *catalog.ErrTxnAborted
	return errors.As(err, &aborted) && aborted.Expired
}

func (t *Txn) abort() *command.AbortTxns {
	return &command.AbortTxns{Txns: []types.TxnID{t.id}, TimeMs: time.Now().UnixMilli()}
}

// revoke has the log, which takes no commits now, refuse an earlier try. It is false when that was the commit, or nobody can tell.
func (t *Txn) revoke(ctx context.Context) bool {
	out, err := t.c.log.Propose(ctx, t.abort())
	if err != nil || out[0].Err != nil {
		return false
	}
	result, ok := out[0].Value.(catalog.AbortResult)
	return ok && len(result.Committed) == 0
}

// cutOff ends a commit on an FE that was dropped from the cluster. The leading FE has aborted, or will, what was not
// proposed: nobody works on it any more.
func (t *Txn) cutOff(unknown bool, err error) (catalog.CommitResult, error) {
	t.c.over(t.id)
	if unknown {
		err = &UnknownError{Txn: t.id, Err: err}
	}
	return catalog.CommitResult{}, err
}

// decidePause is the pause between two questions for the outcome of a commit.
const decidePause = 50 * time.Millisecond

// notProposed reports whether an error of Propose says that the command is certainly not in the log.
func notProposed(err error) bool {
	var not *raftlog.ErrNotLeader
	return errors.As(err, &not) || errors.Is(err, raftlog.ErrBusy) || errors.Is(err, raftlog.ErrClosed)
}

func (t *Txn) command() *command.CommitTxn {
	one := &struct { // piece of memory, for most
		cmd     command.CommitTxn
		tablets [1]command.TxnTablet
	}{}
	cmd := &one.cmd
	cmd.Locks = t.locks
	cmd.Txn, cmd.TimeMs, cmd.Tablets = t.id, time.Now().UnixMilli(), slices.Grow(one.tablets[:0], t.shares.len())
	for sh := range t.shares.all() {
		if sh.seq == 0 {
			continue
		}
		cmd.Tablets = append(cmd.Tablets, command.TxnTablet{Tablet: sh.tablet, Epoch: sh.epoch, OK: sh.ok, Rows: sh.rows, Redo: sh.redo.payloads,
			Newest: t.news(sh), Need: sh.need})
	}
	if len(cmd.Tablets) < t.shares.len() {
		cmd.Guards = t.guards()
	}
	slices.SortFunc(cmd.Tablets, func(a, b command.TxnTablet) int { return int(int64(a.Tablet) - int64(b.Tablet)) })
	return cmd
}

// news is the version that a replica of a tablet knows of and the catalog of this FE does not, 0 = there is none: the FE has caught up with it, as
// it nearly always has.
func (t *Txn) news(sh *share) types.Version {
	if sh.newest.version == 0 {
		return 0
	}
	if tab, ok := t.c.log.Current().Tablet(sh.tablet); ok && tab.Version >= sh.newest.version {
		return 0
	}
	return sh.newest.version
}

// decided reads what the catalog said to the commit.
func (t *Txn) decided(r catalog.Result) (catalog.CommitResult, error) {
	if r.Err != nil {
		return catalog.CommitResult{}, t.refused(r.Err)
	}
	t.c.over(t.id)
	result, ok := r.Value.(catalog.CommitResult)
	if !ok {
		return result, fmt.Errorf("BUG: CommitTxn answered %T", r.Value)
	}
	return result, nil
}

// refused says which tablet was in the way of a commit, so that a retry knows what to wait for.
func (t *Txn) refused(err error) *RetryError {
	retry := &RetryError{Err: err}
	var stale *catalog.ErrStaleEpoch
	var quorum *catalog.ErrQuorum
	var older *catalog.ErrOlder
	var none *catalog.ErrNotFound
	var unlocked *catalog.ErrUnlocked
	switch {
	case errors.As(err, &stale):
		retry.Tablet = stale.Tablet
	case errors.As(err, &quorum):
		retry.Tablet = quorum.Tablet
	case errors.As(err, &older):
		retry.Tablet = older.Tablet
	case errors.As(err, &none), errors.As(err, &unlocked):
		retry.Gone = true
	}
	if sh := t.shares.get(retry.Tablet); sh != nil {
		retry.Epoch = sh.epoch
	}
	return retry
}

// Await returns when what made a *RetryError may be over, or after d: a retry that spins helps nobody, and one that
// sleeps while a new leader is there already costs the user time.
func (c *Coordinator) Await(ctx context.Context, err error, d time.Duration) {
	var retry *RetryError
	errors.As(err, &retry)
	end := time.NewTimer(d)
	defer end.Stop()
	tick := time.NewTicker(awaitTick)
	defer tick.Stop()
	for {
		select {
		case <-end.C:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
			if retry != nil && retry.Tablet != 0 && c.moved(retry.Tablet, retry.Epoch) {
				return
			}
		}
	}
}

const awaitTick = 5 * time.Millisecond

// moved reports whether a tablet has a live leader at another epoch, or is no more.
func (c *Coordinator) moved(id types.TabletID, was types.Epoch) bool {
	tab, ok := c.log.Current().Tablet(id)
	return !ok || tab.Epoch != was && tab.Leader != 0 && c.live.Alive(tab.Leader)
}
