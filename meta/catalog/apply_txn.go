package catalog

import (
	"slices"

	"stele/meta/command"
	"stele/meta/types"
)

type (
	beID = types.BEID
	feID = types.FEID
)

func (d *draft) applyTxn(cmd command.Command) (any, error, bool) {
	var result any
	var err error
	switch c := cmd.(type) {
	case *command.CommitTxn:
		result, err = d.commitTxn(c)
	case *command.AbortTxns:
		result, err = d.abortTxns(c)
	case *command.ExpireTxns:
		if c.Notes {
			d.txns.note(c.NowMs)
		}
		aborted := d.txns.raiseFloor(d.o, c.NowMs-c.TimeoutMs)
		result = ExpireResult{Aborted: aborted, Forgotten: d.forget(c.NowMs - c.KeepMs)}
	default:
		return nil, nil, false
	}
	return result, err, true
}

// commitTxn is the point where a write becomes true. All is checked before anything changes.
func (d *draft) commitTxn(c *command.CommitTxn) (any, error) {
	if rec, ok := d.txns.records.get(c.Txn); ok && !rec.Aborted {
		return CommitResult{Txn: c.Txn, Tablets: rec.Tablets, Again: true}, nil
	} else if ok {
		return nil, &ErrTxnAborted{Txn: c.Txn}
	}
	if c.Txn == 0 || c.Txn >= d.txns.next {
		return nil, refused("transaction id %d was not drawn from the catalog", c.Txn)
	}
	if d.txns.isDecided(c.Txn) {
		return nil, &ErrTxnAborted{Txn: c.Txn, Expired: true}
	}
	if d.restore != nil {
		return nil, &ErrRestoring{Waiting: d.restore.Waiting}
	}
	if len(d.locks) > 0 || c.Locks != 0 {
		if err := d.checkLocks(c); err != nil {
			return nil, err
		}
	}
	if len(c.Tablets) == 0 {
		return nil, refused("transaction %d touches no tablet", c.Txn)
	}
	for i := range c.Tablets {
		if err := d.checkCommit(&c.Tablets[i]); err != nil {
			return nil, err
		}
	}
	for _, g := range c.Guards {
		if err := d.checkGuard(g); err != nil {
			return nil, err
		}
	}
	if namesTwice(c.Tablets) {
		return nil, refused("transaction %d names a tablet twice", c.Txn)
	}
	if err := checkRedo(c); err != nil {
		return nil, err
	}
	rec := txnRecord{TimeMs: c.TimeMs, Tablets: make([]TabletVersion, 0, len(c.Tablets))}
	for i := range c.Tablets {
		rec.Tablets = append(rec.Tablets, TabletVersion{Tablet: c.Tablets[i].Tablet, Version: d.step(&c.Tablets[i], c)})
	}
	d.txns.decide(d.o, c.Txn, rec)
	return CommitResult{Txn: c.Txn, Tablets: rec.Tablets}, nil
}

// namesTwice reports whether a tablet is among the parts of a transaction twice.
func namesTwice(parts []command.TxnTablet) bool {
	if len(parts) == 1 {
		return false
	}
	seen := make(map[types.TabletID]struct{}, len(parts))
	for i := range parts {
		seen[parts[i].Tablet] = struct{}{}
	}
	return len(seen) != len(parts)
}

// checkGuard says whether what a transaction has locked shared on a tablet is still locked: its leader is the one that was asked.
func (d *draft) checkGuard(g command.TxnGuard) error {
	t, ok := d.tablets.get(g.Tablet)
	if !ok {
		return notFound("tablet", g.Tablet)
	}
	if g.Epoch != t.Epoch {
		return &ErrStaleEpoch{Tablet: t.ID, Given: g.Epoch, Current: t.Epoch}
	}
	return nil
}

// checkCommit says whether a transaction may step one tablet: no replica knows of later versions than the catalog, its epoch is current (I2), the leader has the rowset (its
// key checks must see everything), and enough complete replicas have it (I1).
func (d *draft) checkCommit(part *command.TxnTablet) error {
	t, ok := d.tablets.get(part.Tablet)
	if !ok {
		return notFound("tablet", part.Tablet)
	}
	if part.Newest > t.Version {
		return &ErrOlder{Tablet: t.ID, Version: t.Version, Newest: part.Newest}
	}
	if part.Epoch != t.Epoch {
		return &ErrStaleEpoch{Tablet: t.ID, Given: part.Epoch, Current: t.Epoch}
	}
	table, ok := d.tables.get(t.Table)
	if !ok {
		return notFound("table", t.Table)
	}
	have, followers := 0, 0
	leaderHas := false
	for i := range t.Replicas {
		r := &t.Replicas[i]
		if r.Votes() {
			followers++
		}
		if r.Complete() && slices.Contains(part.OK, r.ID) {
			have++
			leaderHas = leaderHas || r.BE == t.Leader
		}
	}
	if need := max(table.Quorum.Need(followers), part.Need); have < need {
		return &ErrQuorum{Tablet: t.ID, Have: have, Need: need}
	}
	if !leaderHas {
		return refused("tablet %d: its leader, backend %d, does not have the write", t.ID, t.Leader)
	}
	return nil
}

// step gives a tablet its next version and marks who has it. A replica with an earlier gap stays where it is, but
// what it stored is remembered in LastSuccess: once the gap is closed it is up to date (see report).
func (d *draft) step(part *command.TxnTablet, c *command.CommitTxn) types.Version {
	old, _ := d.tablets.get(part.Tablet)
	t := cloneTablet(old)
	t.Version++
	t.Rows += part.Rows
	for i := range t.Replicas {
		r := &t.Replicas[i]
		if !slices.Contains(part.OK, r.ID) {
			r.LastFailed, r.LastFailedMs = t.Version, c.TimeMs
			continue
		}
		r.LastSuccess = t.Version
		if r.LastFailed == 0 {
			r.Version = t.Version
		}
	}
	if len(part.Redo) > 0 {
		d.keepRedo(t, c.Txn, part.Redo)
	}
	d.tablets = d.tablets.set(d.o, t.ID, t)
	return t.Version
}

func (d *draft) abortTxns(c *command.AbortTxns) (any, error) {
	var res AbortResult
	for _, id := range c.Txns {
		if id == 0 || id >= d.txns.next {
			return nil, refused("transaction id %d was not drawn from the catalog", id)
		}
		if d.txns.isDecided(id) {
			if rec, ok := d.txns.records.get(id); ok && !rec.Aborted {
				res.Committed = append(res.Committed, id)
			}
			continue
		}
		d.txns.decide(d.o, id, txnRecord{TimeMs: c.TimeMs, Aborted: true})
	}
	return res, nil
}

func cloneTablet(t *Tablet) *Tablet {
	c := *t
	c.Replicas = slices.Clone(t.Replicas)
	return &c
}
