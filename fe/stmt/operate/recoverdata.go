package operate

import (
	"context"
	"fmt"

	"stele/fe/ops"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/syntax"
)

var _ = stmt.Register(stmt.Statement{
	Name: "recover_data", Acts: true,
	Syntax: "{RECOVERDATA|[ADMIN] RECOVER DATA} [DATABASE <db:name>] [DRY RUN] [ACCEPT LOSS]",
	Doc: "After an outage, do what does not come back by itself: have each tablet led by a replica with every committed version, and bring the " +
		"others back into use. One row per tablet that is not whole: what is done, or what it waits for. When no replica with every version " +
		"answers, nothing is done but to say which backend has one, and which versions would be lost without it; ACCEPT LOSS gives those up " +
		"and goes on with the best replica that answers, or with an empty tablet when nothing is left of it anywhere. DRY RUN only tells.",
	Columns: stmt.Cols(`
		db_name    text Database.
		table_name text Table.
		pid        int  Place of the tablet in the table.
		vgroup_id  int  The tablet.
		action     name leader, recover, running (an op is at it), wait, loss (what ACCEPT LOSS would give up), unrecoverable, or empty (what ACCEPT LOSS makes of that).
		endpoint   text BE that is to lead, to come back, or to be waited for.
		lost_from  int  First version that is lost, NULL when none is.
		lost_to    int  Last version that is lost.
		op_id      int  The operation, NULL when nothing is done.
		message    text In words.
	`),
	Rows:     recoverData,
	Examples: []string{"RECOVER DATA", "RECOVER DATA DATABASE db1 DRY RUN", "RECOVER DATA DATABASE db1 ACCEPT LOSS", "recoverdata"},
})

// rescue is what can be done for one tablet.
type rescue struct {
	action   string
	be       types.BEID
	lostFrom types.Version
	lostTo   types.Version
	message  string
	ops      []catalog.Op
}

func recoverData(ctx context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
	var only types.DatabaseID
	if a.Has("db") {
		db, err := e.Database(a.String("db"))
		if err != nil {
			return nil, err
		}
		only = db.ID
	}
	o := newOrder(e, ops.MaxConcurrency)
	var rows []stmt.Row
	var at []int // of rows, the first op of each
	busy := map[types.TabletID]*catalog.Op{}
	for op := range e.Catalog.Ops() {
		if op.Type != 0 && op.Tablet != 0 && op.BE != 0 && !op.Ended() {
			busy[op.Tablet] = op
		}
	}
	for t := range e.Catalog.AllTables() {
		db, ok := e.Catalog.DatabaseByID(t.DatabaseID)
		if !ok || only != 0 && db.ID != only {
			continue
		}
		for pid, tab := range pids(e, t) {
			if op, ok := busy[tab.ID]; ok {
				rows, at = append(rows, stmt.Row{db.Name, t.Name, pid, tab.ID, "running", endpoint(e, op.BE), nil, nil, op.ID, fmt.Sprintf("%s is at it: SHOW TRANSACTION %d", ops.TypeName(op.Type), op.ID)}), append(at, -1)
				continue
			}
			for _, r := range rescueOf(e, tab, a.Has("LOSS")) {
				var from, to any
				if r.lostTo != 0 {
					from, to = r.lostFrom, r.lostTo
				}
				at = append(at, -1)
				if len(r.ops) > 0 {
					at[len(at)-1] = len(o.list)
				}
				for _, op := range r.ops {
					o.add(op, t, pid, tab)
				}
				rows = append(rows, stmt.Row{db.Name, t.Name, pid, tab.ID, r.action, endpoint(e, r.be), from, to, nil, r.message})
			}
		}
	}
	if a.Has("DRY") {
		return rows, nil
	}
	if err := o.draw(ctx); err != nil {
		return nil, err
	}
	first, err := o.propose(ctx)
	for i, n := range at {
		if n >= 0 && err == nil {
			rows[i][8] = first + uint64(n)
		}
	}
	return rows, err
}

// rescueOf says what a tablet needs: a leader with every version, and its other replicas back in use. With auto_failover both
// come by themselves, wherever a complete replica answers.
func rescueOf(e *stmt.Env, tab *catalog.Tablet, accept bool) []rescue {
	best, away := bestCopies(e, tab)
	if best == nil {
		return []rescue{withoutCopy(e, tab, away, accept)}
	}
	var out []rescue
	lead := tab.Replica(tab.Leader)
	if lead == nil || !usable(e, tab, lead) {
		out = append(out, leaderRescue(e, tab, best))
	}
	for i := range tab.Replicas {
		r := &tab.Replicas[i]
		switch {
		case r.ID == best.ID || usable(e, tab, r):
		case !e.Alive(r.BE):
			out = append(out, rescue{action: "wait", be: r.BE, message: "its backend does not answer; nothing is lost"})
		case e.AutoFailover():
			out = append(out, rescue{action: "recover", be: r.BE, message: "comes back by itself: auto_failover is on"})
		default:
			op := ops.New(ops.RecoverTable)
			op.BE = r.BE
			out = append(out, rescue{action: "recover", be: r.BE, ops: []catalog.Op{op}, message: "what it lacks is copied from " + endpoint(e, best.BE)})
		}
	}
	return out
}

// bestCopies finds a replica that answers and has every committed version, one in use first, and one that has them and does
// not answer.
func bestCopies(e *stmt.Env, tab *catalog.Tablet) (here, away *catalog.Replica) {
	for i := range tab.Replicas {
		r := &tab.Replicas[i]
		if r.Role != types.RoleFollower || r.Bad || r.LastFailed != 0 || e.Lost(r.BE, tab.ID) {
			continue
		}
		switch {
		case !e.Alive(r.BE):
			if _, ok := e.Catalog.BE(r.BE); ok { // else it was dropped from the cluster for good
				away = r
			}
		case here == nil || here.OfflineMs != 0 && r.OfflineMs == 0 || r.BE == tab.Leader:
			here = r
		}
	}
	return here, away
}

func leaderRescue(e *stmt.Env, tab *catalog.Tablet, best *catalog.Replica) rescue {
	r := rescue{action: "leader", be: best.BE, message: fmt.Sprintf("it has every version, up to %d at epoch %d", tab.Version, tab.Epoch)}
	if best.OfflineMs != 0 {
		op := ops.New(ops.UpdateTableAlive)
		op.BE, op.Alive = best.BE, true
		r.ops = append(r.ops, op)
	}
	op := ops.New(ops.ChangeLeader)
	op.BE, op.Dest = tab.Leader, best.BE
	if tab.Leader == best.BE || e.AutoFailover() {
		op.BE = 0 // the leader so far is not set aside
	}
	r.ops = append(r.ops, op)
	return r
}

// withoutCopy is what is left to do when no replica that answers has every version.
func withoutCopy(e *stmt.Env, tab *catalog.Tablet, away *catalog.Replica, accept bool) rescue {
	var best *catalog.Replica
	for i := range tab.Replicas {
		r := &tab.Replicas[i]
		if r.Role == types.RoleFollower && !r.Bad && e.Alive(r.BE) && !e.Lost(r.BE, tab.ID) && (best == nil || r.Version > best.Version) {
			best = r
		}
	}
	hope := "no replica has them any more"
	if away != nil {
		hope = endpoint(e, away.BE) + " has every version and does not answer: start it"
	}
	if best == nil {
		if away != nil {
			return rescue{action: "wait", be: away.BE, message: hope + "; if it is gone for good, drop it (ALTER SYSTEM DROP BACKEND … FORCE)"}
		}
		return emptied(e, tab, accept)
	}
	r := rescue{action: "loss", be: best.BE, lostFrom: best.Version + 1, lostTo: tab.Version}
	r.message = fmt.Sprintf("versions %d to %d are on no replica that answers (%s); ACCEPT LOSS gives them up", r.lostFrom, r.lostTo, hope)
	if accept {
		op := ops.New(ops.AcceptLoss)
		op.BE = best.BE
		op.Message = fmt.Sprintf("lost: versions %d to %d of tablet %d", r.lostFrom, r.lostTo, tab.ID)
		r.ops, r.message = []catalog.Op{op}, fmt.Sprintf("versions %d to %d are given up; %s goes on alone until others are made", r.lostFrom, r.lostTo, endpoint(e, best.BE))
	}
	return r
}

// emptied is what is left to do when nothing is left of a tablet: start it anew, with no rows.
func emptied(e *stmt.Env, tab *catalog.Tablet, accept bool) rescue {
	r := rescue{action: "unrecoverable", lostFrom: 1, lostTo: tab.Version}
	if len(tab.Replicas) > 0 {
		r.be = tab.Replicas[0].BE
	}
	r.message = fmt.Sprintf("no replica has any of it: all %d versions, about %d rows, are lost; ACCEPT LOSS makes an empty tablet", tab.Version, tab.Rows)
	be := roomiest(e)
	if !accept || be == 0 {
		return r
	}
	op := ops.New(ops.MakeEmpty)
	op.BE = be
	op.Message = fmt.Sprintf("lost: tablet %d with all its versions 1 to %d, about %d rows", tab.ID, tab.Version, tab.Rows)
	r.action, r.be, r.ops = "empty", be, []catalog.Op{op}
	r.message = fmt.Sprintf("an empty tablet is made on %s: versions 1 to %d, about %d rows, are given up", endpoint(e, be), tab.Version, tab.Rows)
	return r
}

// roomiest is the BE that answers, is to stay, and has the fewest tablets; 0 when there is none.
func roomiest(e *stmt.Env) types.BEID {
	var best types.BEID
	least := 0
	for be := range e.Catalog.BEs() {
		if !e.Alive(be.ID) || be.Decommission {
			continue
		}
		n := 0
		for _, d := range e.Member(be.ID).Disks {
			n += d.Tablets
		}
		if best == 0 || n < least {
			best, least = be.ID, n
		}
	}
	return best
}

// draw gives the ops that make replicas the ids of these.
func (o *order) draw(ctx context.Context) error {
	n := 0
	for i := range o.list {
		if o.list[i].Type == ops.MakeEmpty {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	out, err := o.e.Propose(ctx, &command.AllocIDs{N: uint64(n)})
	if err != nil {
		return opError(errno.OpNotMade, "create op failed: %s", err.Error())
	}
	ids, ok := out[0].Value.(catalog.AllocResult)
	if !ok {
		return fmt.Errorf("BUG: AllocIDs answered %T", out[0].Value)
	}
	for i := range o.list {
		if o.list[i].Type == ops.MakeEmpty {
			o.list[i].Replica = types.ReplicaID(ids.First)
			ids.First++
		}
	}
	return nil
}
