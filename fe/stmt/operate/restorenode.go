package operate

import (
	"context"
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"

	"stele/fe/group"
	"stele/fe/ops"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/syntax"
)

var restoreColumns = stmt.Cols(`
	part       name mnode, vnode or qnode; none when there is nothing to restore.
	name       text The FE, the table with the place of the tablet in it, or the BE.
	vgroup_id  int  The tablet of a vnode.
	action     name restore, running (it is on its way already), wait, lost (what UNSAFE would make empty), emptied, or nothing.
	source     text Where it comes from: the replica that is copied, or the FEs that have the metadata.
	progress   text How far a copy under way is.
	op_id      int  The operation that does it, NULL when none was made.
	message    text In words.
`)

const restoreTail = " One row per part; DRY RUN only tells. Ask again to see how far it is: what runs already is not ordered twice, and when all is back the " +
	"answer is one row: nothing to restore."

var _ = stmt.Register(stmt.Statement{
	Name: "restore_dnode", Acts: true,
	Syntax: "{RESTORE DNODE <id:int> [UNSAFE] [DRY RUN] | EXPLAIN RESTORE DNODE <id:int> [UNSAFE]}",
	Doc: "After a BE and the FE on its machine came back with empty data directories: give them back what the catalog says is theirs. The FE joins again " +
		"as a learner and then votes, the replicas are cloned from the others, the query role is there again. What has no other copy is named and left " +
		"as it is; UNSAFE makes it anew, empty. EXPLAIN is DRY RUN." + restoreTail,
	Columns: restoreColumns,
	Rows: func(ctx context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		be, err := dnode(e, a)
		if err != nil {
			return nil, err
		}
		if err := heard(e, be); err != nil {
			return nil, err // before anything is begun
		}
		r := &restoration{e: e, dry: a.Has("DRY") || a.Has("EXPLAIN"), unsafe: a.Has("UNSAFE")}
		for _, fe := range mnodesOf(e, be) {
			r.mnodeOfNode(ctx, fe)
		}
		for _, fe := range strayMnodes(e, be) {
			if blankMnode(e, fe) {
				r.add("mnode", mnodeAddress(fe), nil, "wait", "", "", fmt.Sprintf("nobody has said whether it is of dnode %d: RESTORE MNODE ON DNODE %d restores it, "+
					"ALTER MNODE %d ON DNODE %d says so for good", be.ID, fe.ID, fe.ID, be.ID))
			}
		}
		if err := r.vnodes(ctx, be); err != nil {
			return nil, err
		}
		return r.answer(ctx, fmt.Sprint(be.ID))
	},
	Examples: []string{"RESTORE DNODE 10002", "RESTORE DNODE 10002 DRY RUN", "RESTORE DNODE 10002 UNSAFE", "EXPLAIN RESTORE DNODE 10002"},
})

var _ = stmt.Register(stmt.Statement{
	Name: "restore_mnode", Acts: true,
	Syntax: "RESTORE MNODE ON DNODE <id:int> [DRY RUN]",
	Doc: "Let the FE on the machine of a dnode (or the FE with that id of SHOW MNODES), which has come back with an empty meta_dir and waits, into the cluster " +
		"again in the role that it had. Its old self is taken out of the Raft group first, because it has forgotten whom it voted for." + restoreTail,
	Columns: restoreColumns,
	Rows: func(ctx context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		fe, err := mnodeOn(e, a.Int("id"))
		if err != nil {
			return nil, err
		}
		r := &restoration{e: e, dry: a.Has("DRY")}
		if alive, why := mnodeAlive(e, fe); !alive && !blankMnode(e, fe) {
			return nil, stmt.Refusal("mnode %d (%s) does not answer, nor does it ask to join: start it, with an empty meta_dir and fe_helpers if its metadata is lost (%s)",
				fe.ID, mnodeAddress(fe), why)
		}
		r.mnodeOfNode(ctx, fe)
		return r.answer(ctx, mnodeAddress(fe))
	},
	Examples: []string{"RESTORE MNODE ON DNODE 10002", "RESTORE MNODE ON DNODE 3 DRY RUN"},
})

var _ = stmt.Register(stmt.Statement{
	Name: "restore_vnode", Acts: true,
	Syntax:  "RESTORE VNODE ON DNODE <id:int> [UNSAFE] [DRY RUN]",
	Doc:     "Bring the replicas back that a BE has lost with its disks: RESTORE DNODE for the replicas alone." + restoreTail,
	Columns: restoreColumns,
	Rows: func(ctx context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		be, err := dnode(e, a)
		if err != nil {
			return nil, err
		}
		if err := heard(e, be); err != nil {
			return nil, err
		}
		r := &restoration{e: e, dry: a.Has("DRY"), unsafe: a.Has("UNSAFE")}
		if err := r.vnodes(ctx, be); err != nil {
			return nil, err
		}
		return r.answer(ctx, fmt.Sprint(be.ID))
	},
	Examples: []string{"RESTORE VNODE ON DNODE 10002", "RESTORE VNODE ON DNODE 10002 UNSAFE"},
})

var _ = stmt.Register(stmt.Statement{
	Name: "restore_qnode", Acts: true,
	Syntax: "RESTORE QNODE ON DNODE <id:int>",
	Doc: "Bring the query role of a BE back. The role is kept by the cluster and not by the BE, so a BE that answers has it already; the answer says so." +
		restoreTail,
	Columns: restoreColumns,
	Rows: func(ctx context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		be, err := dnode(e, a)
		switch {
		case err != nil:
			return nil, err
		case be.QueryMs == 0:
			return nil, stmt.Refusal("dnode %d has no qnode: CREATE QNODE ON DNODE %d makes one", be.ID, be.ID)
		case !e.Alive(be.ID):
			return nil, stmt.Refusal("dnode %d (%s) is offline", be.ID, endpoint(e, be.ID))
		}
		return (&restoration{e: e}).answer(ctx, fmt.Sprint(be.ID))
	},
	Examples: []string{"RESTORE QNODE ON DNODE 10002"},
})

// restoration collects what a RESTORE does.
type restoration struct {
	e           *stmt.Env
	dry, unsafe bool
	rows        []stmt.Row
	order       *order
	at          []int                     // rows of the ops of order
	done        bool                      // something was begun
	busy        map[types.TabletID]string // tablets that are worked on already, and how far that is
}

func (r *restoration) add(part, name string, vgroup any, action, source, progress, message string) {
	r.rows = append(r.rows, stmt.Row{part, name, vgroup, action, source, progress, nil, message})
}

// answer sends the ops, and keeps the statement in the log of operations if it did something.
func (r *restoration) answer(ctx context.Context, target string) ([]stmt.Row, error) {
	if len(r.rows) == 0 {
		r.add("none", target, nil, "nothing", "", "", "nothing to restore")
		return r.rows, nil
	}
	if r.dry {
		return r.rows, nil
	}
	if r.order != nil && len(r.order.list) > 0 {
		first, err := r.order.propose(ctx)
		if err != nil {
			return nil, err
		}
		for i, row := range r.at {
			r.rows[row][6] = first + uint64(i)
		}
		r.done = true
	}
	if r.done {
		return r.rows, stmt.Note(ctx, r.e, "restore", target)
	}
	return r.rows, nil
}

// blankMnode reports whether an FE of the catalog asks to join as one without metadata.
func blankMnode(e *stmt.Env, fe *catalog.FE) bool {
	for _, w := range waiting(e) {
		if w.Host == fe.Host && w.RaftPort == fe.RaftPort {
			return true
		}
	}
	return fe.Pending
}

// mnodeAlive reports whether an FE answers; why says what is known of one that does not.
func mnodeAlive(e *stmt.Env, fe *catalog.FE) (alive bool, why string) {
	if e.Frontends == nil {
		return false, "the FEs of the cluster are not known here"
	}
	for _, f := range e.Frontends() {
		if f.Name == fe.Name {
			return f.Alive, f.Err
		}
	}
	return false, "nothing is known of it"
}

// mnodeOfNode restores an FE that is blank, and says of one that is away that it has to be started.
func (r *restoration) mnodeOfNode(ctx context.Context, fe *catalog.FE) {
	if blankMnode(r.e, fe) {
		r.mnode(ctx, fe)
		return
	}
	if alive, why := mnodeAlive(r.e, fe); !alive {
		r.add("mnode", mnodeAddress(fe), nil, "wait", "", "", fmt.Sprintf("it does not answer (%s): start it, with an empty meta_dir if its own is lost", why))
	}
}

// mnode has an FE taken out and planned anew: a voter without its log must not vote under its old name.
func (r *restoration) mnode(ctx context.Context, fe *catalog.FE) {
	at := mnodeAddress(fe)
	const source = "the other mnodes"
	switch {
	case fe.Pending:
		r.add("mnode", at, nil, "running", source, "", "it gets the metadata: SHOW MNODES tells how far it is")
		return
	case r.dry:
		r.add("mnode", at, nil, "restore", source, "", "it would join again as "+group.Role(fe))
		return
	case r.e.Group == nil:
		r.add("mnode", at, nil, "wait", source, "", "the FEs of the cluster are not known here")
		return
	}
	ms := r.e.Now.UnixMilli()
	again := catalog.FE{Name: fmt.Sprintf("%s_%d_%d", fe.Host, fe.RaftPort, ms), Host: fe.Host, RaftPort: fe.RaftPort, Observer: fe.Observer}
	if _, there := r.e.Catalog.BE(fe.DNode); there {
		again.DNode = fe.DNode
	}
	if err := r.e.Group.Replace(ctx, fe, &command.PlanFE{FE: again, TimeMs: ms}); err != nil {
		r.add("mnode", at, nil, "wait", source, "", err.Error())
		return
	}
	r.done = true
	r.add("mnode", at, nil, "restore", source, "", "it joins as a learner, then as "+group.Role(fe)+": SHOW MNODES tells how far it is")
}

// heard refuses a BE that is offline, or has not told yet what it holds.
func heard(e *stmt.Env, be *catalog.BE) error {
	m := e.Member(be.ID)
	switch {
	case !e.Alive(be.ID):
		why := ""
		if m.Err != "" {
			why = " (" + m.Err + ")"
		}
		return stmt.Refusal("dnode %d (%s) is offline%s: start it first. It may have empty storage_root_paths", be.ID, endpoint(e, be.ID), why)
	case !m.Heard():
		return stmt.Refusal("dnode %d (%s) has not told yet what it holds: try again in some seconds", be.ID, endpoint(e, be.ID))
	}
	return nil
}

// vnodes has the replicas on a BE made again that it does not have.
func (r *restoration) vnodes(ctx context.Context, be *catalog.BE) error {
	r.order = newOrder(r.e, ops.MaxConcurrency)
	r.watch()
	for t := range r.e.Catalog.AllTables() {
		for pid, tab := range pids(r.e, t) {
			rep := tab.Replica(be.ID)
			if rep == nil || usable(r.e, tab, rep) && !r.absent(tab, rep) {
				continue
			}
			if err := r.vnode(ctx, t, pid, tab, rep); err != nil {
				return err
			}
		}
	}
	return nil
}

// absent reports whether a BE has just said that it does not have a replica; it counts as lost when it says so again.
func (r *restoration) absent(tab *catalog.Tablet, rep *catalog.Replica) bool {
	_, reported := r.e.Reported(rep.BE, tab.ID)
	return !reported && r.e.Now.Sub(r.e.Member(rep.BE).LastReport) < time.Minute
}

func (r *restoration) vnode(ctx context.Context, t *catalog.Table, pid int, tab *catalog.Tablet, rep *catalog.Replica) error {
	name := fmt.Sprintf("%s[%d]", t.Name, pid)
	here, away := r.otherCopies(tab, rep.BE)
	progress, busy := r.busy[tab.ID]
	switch {
	case busy:
		r.add("vnode", name, tab.ID, "running", "", progress, "its copy is on its way already")
	case here != nil:
		op := ops.New(ops.RecoverTable)
		op.BE = rep.BE
		r.at = append(r.at, len(r.rows))
		r.order.add(op, t, pid, tab)
		r.add("vnode", name, tab.ID, "restore", endpoint(r.e, here.BE), "", "every version is copied, up to "+tab.Version.String())
	case away != nil:
		r.add("vnode", name, tab.ID, "wait", endpoint(r.e, away.BE), "", "only this backend has every version, and it does not answer: start it")
	case !r.unsafe:
		r.add("vnode", name, tab.ID, "lost", "", "", fmt.Sprintf("no other replica has its rows, up to version %d: UNSAFE gives them up and makes it anew, empty; "+
			"RECOVER DATA tells what others have of it", tab.Version))
	default:
		return r.empty(ctx, t, pid, tab, rep)
	}
	return nil
}

// otherCopies is bestCopies of the other BEs.
func (r *restoration) otherCopies(tab *catalog.Tablet, be types.BEID) (here, away *catalog.Replica) {
	others := *tab
	others.Replicas = nil
	for i := range tab.Replicas {
		if tab.Replicas[i].BE != be {
			others.Replicas = append(others.Replicas, tab.Replicas[i])
		}
	}
	return bestCopies(r.e, &others)
}

// watch notes which tablets an op, or a clone of the scheduler, is at work on, and how far that is.
func (r *restoration) watch() {
	r.busy = map[types.TabletID]string{}
	for op := range r.e.Catalog.Ops() {
		if op.Tablet != 0 && op.Type != 0 && !op.Ended() {
			r.busy[op.Tablet] = fmt.Sprintf("operation %d", op.ID)
		}
	}
	if r.e.Control == nil {
		return
	}
	for _, t := range r.e.Control.Running() {
		r.busy[t.Tablet] = fmt.Sprintf("%d of %d bytes", t.BytesDone, t.BytesTotal)
	}
}

// empty gives up what was on the only replica: it is made again without rows under its old id, and then becomes all that
// there is of its tablet, as RECOVER DATA ACCEPT LOSS would have it.
func (r *restoration) empty(ctx context.Context, t *catalog.Table, pid int, tab *catalog.Tablet, rep *catalog.Replica) error {
	name := fmt.Sprintf("%s[%d]", t.Name, pid)
	if r.dry {
		r.add("vnode", name, tab.ID, "emptied", "", "", fmt.Sprintf("its rows up to version %d would be given up", tab.Version))
		return nil
	}
	p, ok := stmt.PlaceOf(r.e.Catalog, tab)
	if !ok || r.e.Backend == nil {
		return stmt.Refusal("tablet %d cannot be made anew from here", tab.ID)
	}
	// First the catalog: from here on nobody takes the replica for complete, whatever comes in between.
	lost := &command.ReportReplicas{Items: []command.ReplicaReport{{Tablet: tab.ID, BE: rep.BE, Replica: rep.ID, LostFrom: 1}}, TimeMs: r.e.Now.UnixMilli()}
	if _, err := r.e.Propose(ctx, lost); err != nil {
		return err
	}
	client, err := r.e.Backend(rep.BE)
	if err != nil {
		return err
	}
	schema, err := cbor.Marshal(&t.Schema)
	if err != nil {
		return fmt.Errorf("encode schema: %w", err)
	}
	_, err = client.CreateReplicas(ctx, &bepb.CreateReplicasRequest{Schema: schema, Medium: uint32(t.MediumOf(p.Part)),
		Items: []*bepb.CreateReplicasRequest_Item{{TabletId: uint64(tab.ID), TableId: uint64(tab.Table), PartitionId: uint64(tab.Partition),
			ReplicaId: uint64(rep.ID), Epoch: uint64(tab.Epoch)}}})
	if err != nil {
		return stmt.Refusal("tablet %d could not be made anew on dnode %d: %s", tab.ID, rep.BE, err)
	}
	op := ops.New(ops.AcceptLoss)
	op.BE, op.Message = rep.BE, fmt.Sprintf("lost: all rows of tablet %d up to version %d", tab.ID, tab.Version)
	r.at = append(r.at, len(r.rows))
	r.order.add(op, t, pid, tab)
	r.add("vnode", name, tab.ID, "emptied", "", "", fmt.Sprintf("its rows up to version %d are given up", tab.Version))
	return nil
}
