package opctl

import (
	"context"
	"fmt"
	"time"

	"stele/fe/ops"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
)

const (
	emptyPause = 2 * time.Second // between two looks for tablets of which nothing is left
	emptyMax   = 1000            // ordered at a time
	// emptyOwner is who orders them in the operation log: the setting that somebody has switched on.
	emptyOwner = "recover_with_empty_tablet"
)

// recoverEmpty orders an empty replica for each tablet of which nothing is left, when the configuration says so. It is what
// RECOVER DATA … ACCEPT LOSS orders for such a tablet; here nobody is asked again.
func (e *Engine) recoverEmpty(ctx context.Context) error {
	now := e.now()
	if !e.o.Settings().RecoverEmpty || now.Sub(e.emptied) < emptyPause {
		return nil
	}
	e.emptied = now
	cat := e.o.Log.Current()
	if cat.Restoring() != nil { // what looks gone may only not have been heard of
		return nil
	}
	busy := map[types.TabletID]bool{}
	for op := range cat.Ops() {
		if op.Type != 0 && !op.Ended() {
			busy[op.Tablet] = true
		}
	}
	var list []catalog.Op
	for tab := range cat.Tablets() {
		if len(list) < emptyMax && !busy[tab.ID] && e.nothingLeft(cat, tab) {
			if op, ok := e.emptyOp(cat, tab); ok {
				list = append(list, op)
			}
		}
	}
	if len(list) == 0 {
		return nil
	}
	return e.orderEmpty(ctx, list)
}

// nothingLeft reports whether every replica of a tablet is damaged, or gone from its disk, or on a BE that was dropped. A
// BE that is silent may have all of it.
func (e *Engine) nothingLeft(cat *catalog.Catalog, tab *catalog.Tablet) bool {
	for i := range tab.Replicas {
		r := &tab.Replicas[i]
		if _, ok := cat.BE(r.BE); ok && r.Role == types.RoleFollower && !r.Bad && !e.o.Cluster.Lost(r.BE, tab.ID) {
			return false
		}
	}
	return true
}

// emptyOp is the op that has a tablet go on empty; false when no BE can take it.
func (e *Engine) emptyOp(cat *catalog.Catalog, tab *catalog.Tablet) (catalog.Op, bool) {
	be := e.roomiest(cat)
	t, ok := cat.TableByID(tab.Table)
	if be == 0 || !ok {
		return catalog.Op{}, false
	}
	op := ops.New(ops.MakeEmpty)
	op.BE, op.Database, op.Table, op.Tablet, op.Target, op.Owner = be, t.DatabaseID, t.ID, tab.ID, t.Name, emptyOwner
	for other := range cat.TabletsOfTable(t) {
		if other.ID == tab.ID {
			break
		}
		op.Pid++
	}
	op.Lane = ops.Lane(op.Pid, ops.MaxConcurrency)
	op.Message = fmt.Sprintf("lost: tablet %d with all its versions 1 to %d, about %d rows", tab.ID, tab.Version, tab.Rows)
	return op, true
}

// roomiest is the BE that answers, is to stay, and has the fewest replicas; 0 when there is none.
func (e *Engine) roomiest(cat *catalog.Catalog) types.BEID {
	var best types.BEID
	least := 0
	for be := range cat.BEs() {
		known, _ := e.o.Cluster.Get(be.ID)
		if !known.Alive || be.Decommission {
			continue
		}
		n := 0
		for range cat.TabletsOn(be.ID) {
			n++
		}
		if best == 0 || n < least {
			best, least = be.ID, n
		}
	}
	return best
}

// orderEmpty draws the ids of the replicas and puts the ops into the catalog.
func (e *Engine) orderEmpty(ctx context.Context, list []catalog.Op) error {
	out, err := e.o.Log.Propose(ctx, &command.AllocIDs{N: uint64(len(list))})
	if err == nil {
		err = firstError(out)
	}
	if err != nil {
		return fmt.Errorf("draw ids for %d empty replicas: %w", len(list), err)
	}
	ids, ok := out[0].Value.(catalog.AllocResult)
	if !ok {
		return fmt.Errorf("BUG: AllocIDs answered %T", out[0].Value)
	}
	for i := range list {
		list[i].Replica = types.ReplicaID(ids.First + uint64(i))
		e.o.Logger.Warn("nothing is left of a tablet: it goes on empty", "tablet_id", list[i].Tablet, "be_id", list[i].BE, "why", emptyOwner)
	}
	out, err = e.o.Log.Propose(ctx, &command.AddOps{Ops: list, TimeMs: e.now().UnixMilli()})
	if err == nil {
		err = firstError(out)
	}
	if err != nil {
		return fmt.Errorf("order %d empty replicas: %w", len(list), err)
	}
	return nil
}
