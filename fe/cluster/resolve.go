package cluster

import (
	"context"
	"slices"
	"time"

	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/proto/fepb"
)

// Resolve answers what became of pending transactions. One that is neither decided nor active at any FE is aborted here
// and now, so that it cannot be committed later. One that an FE which does not answer may still work on stays undecided
// until that FE counts as dead: its rows are held back meanwhile, and no longer.
func (l *Ledger) Resolve(ctx context.Context, req *fepb.ResolveRequest) (*fepb.ResolveResponse, error) {
	if _, err := l.log.ReadIndex(ctx); err != nil {
		return nil, err
	}
	cat, err := l.abortForgotten(ctx, req)
	if err != nil {
		return nil, err
	}
	resp := &fepb.ResolveResponse{}
	lacks := false
	for _, it := range req.Items {
		o, v := cat.Outcome(types.TxnID(it.TxnId), types.TabletID(it.TabletId))
		lacks = lacks || o == catalog.OutcomeCommitted && redoBefore(cat, types.TabletID(it.TabletId), v)
		if o == catalog.OutcomeCommitted && missedVersion(cat, types.BEID(req.BeId), types.TabletID(it.TabletId), v) {
			o = catalog.OutcomeAborted
		}
		out := &fepb.ResolveResponse_Item{Outcome: fepb.ResolveResponse_UNDECIDED, Version: uint64(v)}
		switch o {
		case catalog.OutcomeCommitted:
			out.Outcome = fepb.ResolveResponse_COMMITTED
		case catalog.OutcomeAborted:
			out.Outcome = fepb.ResolveResponse_ABORTED
		}
		resp.Items = append(resp.Items, out)
	}
	if lacks {
		l.redo.Poke(types.BEID(req.BeId))
	}
	return resp, nil
}

// abortForgotten aborts what nobody works on any more and returns the catalog in which the rest is decided or active.
func (l *Ledger) abortForgotten(ctx context.Context, req *fepb.ResolveRequest) (*catalog.Catalog, error) {
	cat := l.log.Current()
	var undecided []types.TxnID
	for _, it := range req.Items {
		id := types.TxnID(it.TxnId)
		if o, _ := cat.Outcome(id, types.TabletID(it.TabletId)); o == catalog.OutcomeUndecided {
			undecided = append(undecided, id)
		}
	}
	if len(undecided) == 0 {
		return cat, nil
	}
	slices.Sort(undecided)
	undecided = slices.Compact(undecided)
	active := l.active(ctx, undecided)
	abort := &command.AbortTxns{TimeMs: time.Now().UnixMilli()}
	for _, id := range undecided {
		if !active[id] {
			abort.Txns = append(abort.Txns, id)
		}
	}
	if len(abort.Txns) == 0 {
		return cat, nil
	}
	if err := l.proposeOne(ctx, abort); err != nil {
		return nil, err
	}
	return l.log.Current(), nil
}

// redoBefore reports whether the log has rows of a version of a tablet before v: then a BE that asks about v may wait for those.
func redoBefore(cat *catalog.Catalog, tablet types.TabletID, v types.Version) bool {
	tab, ok := cat.Tablet(tablet)
	if !ok {
		return false
	}
	r := tab.Redo
	for r != nil && r.Version >= v {
		r = r.Prev
	}
	return r != nil
}

// missedVersion reports whether the replica on be may have missed version v. What it holds of the transaction may
// then be a part only: it has to drop that and wait for a clone, as if the transaction were aborted (I3). What it has acknowledged before
// its first gap it keeps: it was counted for the quorum.
func missedVersion(cat *catalog.Catalog, be types.BEID, tablet types.TabletID, v types.Version) bool {
	t, ok := cat.Tablet(tablet)
	if !ok {
		return false
	}
	r := t.Replica(be)
	return r != nil && r.LastFailed >= v && r.Version < v
}
