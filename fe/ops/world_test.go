package ops

import (
	"fmt"
	"testing"

	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/model"
	"stele/meta/types"
)

// world is a cluster in memory: the real catalog, and BEs that copy in no time.
type world struct {
	cat    *catalog.Catalog
	nowMs  int64
	tablet types.TabletID
	bes    []types.BEID
	dead   map[types.BEID]int64
	start  map[types.BEID]int64
	has    map[types.BEID]held
	calls  []Call
	slow   bool // copies take for ever
	// between is called after the effects of a step and before its record is kept; nil = nothing.
	between func(op *model.Op)
	// stale BEs have not been heard of lately: what is known of them may be of an earlier process.
	stale map[types.BEID]bool
}

// held is what a BE has on its disk.
type held struct {
	replica types.ReplicaID
	version types.Version
}

func newWorld(t testing.TB, replicas, bes int) *world {
	w := &world{cat: catalog.New(), nowMs: 1000, dead: map[types.BEID]int64{}, start: map[types.BEID]int64{}, has: map[types.BEID]held{}, stale: map[types.BEID]bool{}}
	w.must(t, &command.InitCluster{ClusterID: "c", FE: model.FE{Name: "f"}})
	for i := range bes {
		w.must(t, &command.AddBE{BE: model.BE{Host: fmt.Sprint("b", i+1), Port: 9050}})
	}
	for be := range w.cat.BEs() {
		w.bes = append(w.bes, be.ID)
	}
	w.must(t, &command.CreateDatabase{Name: "d"})
	db, _ := w.cat.Database("d")
	first := w.cat.NextID()
	w.must(t, &command.AllocIDs{N: 20}, &command.AllocIDs{Counter: command.CounterTxns, N: 1 << 20, TimeMs: 1})
	tab := model.Tablet{ID: types.TabletID(first + 2), Table: types.TableID(first), Partition: types.PartitionID(first + 1), Version: 1, Epoch: 1, Leader: w.bes[0]}
	for i := range replicas {
		r := model.Replica{ID: types.ReplicaID(first + 3 + uint64(i)), BE: w.bes[i], Disk: 1, Version: 1, LastSuccess: 1, Settled: 1}
		tab.Replicas = append(tab.Replicas, r)
		w.has[r.BE] = held{r.ID, 1}
	}
	w.tablet = tab.ID
	w.must(t, &command.CreateTable{TimeMs: 1, Tablets: []model.Tablet{tab}, Table: model.Table{ID: tab.Table, DatabaseID: db.ID, Name: "t", Buckets: 1,
		Replicas: replicas, HashBy: []types.ColumnID{1}, Schema: types.Schema{TableID: tab.Table, Version: 1, Key: []types.ColumnID{1},
			Columns: []types.Column{{ID: 1, Name: "id", Type: types.ColumnType{Kind: types.KindInt, NotNull: true}}}},
		Parts: []model.Partition{{ID: tab.Partition, Name: "t", Replicas: replicas, Tablets: []types.TabletID{tab.ID}}}}})
	return w
}

func (w *world) must(t testing.TB, cmds ...command.Command) {
	t.Helper()
	for _, cmd := range cmds {
		if err := w.apply(cmd); err != nil {
			t.Fatalf("%s: %v", cmd.Type(), err)
		}
	}
}

func (w *world) apply(cmd command.Command) error {
	next, res, err := catalog.Apply(w.cat, cmd)
	if err != nil {
		return err
	}
	w.cat = next
	if l, ok := res.(catalog.LeadersResult); ok {
		return l.Errs[0]
	}
	return nil
}

func (w *world) tab() *model.Tablet {
	t, _ := w.cat.Tablet(w.tablet)
	return t
}

func (w *world) alive(be types.BEID) bool { return w.dead[be] == 0 }

// write commits one transaction if the tablet takes it, and reports whether it did.
func (w *world) write(txn types.TxnID) bool {
	tab := w.tab()
	cmd := &command.CommitTxn{Txn: txn, TimeMs: w.nowMs, Tablets: []command.TxnTablet{{Tablet: tab.ID, Epoch: tab.Epoch}}}
	if lead := tab.Replica(tab.Leader); lead == nil || !w.alive(lead.BE) {
		return false
	}
	var took []types.BEID
	for i := range tab.Replicas {
		r := &tab.Replicas[i]
		if r.OfflineMs == 0 && w.alive(r.BE) && w.has[r.BE].replica == r.ID {
			cmd.Tablets[0].OK = append(cmd.Tablets[0].OK, r.ID)
			took = append(took, r.BE)
		}
	}
	if w.apply(cmd) != nil {
		return false
	}
	for _, be := range took {
		if h := w.has[be]; h.version+1 == w.tab().Version {
			w.has[be] = held{h.replica, h.version + 1}
		}
	}
	return true
}

// copy does what the scheduler does for a tablet that is ordered: it fills learners and replicas in use that lag.
func (w *world) copy() {
	tab := w.tab()
	for i := range tab.Replicas {
		r := &tab.Replicas[i]
		if !w.alive(r.BE) || r.OfflineMs != 0 || r.Bad || r.Complete() {
			continue
		}
		if src := w.facts().source(r.BE); src == nil || !w.alive(src.BE) || w.has[src.BE].replica != src.ID {
			continue
		}
		if w.slow || r.Role == types.RoleFollower && w.has[r.BE].replica != r.ID {
			continue
		}
		w.has[r.BE] = held{r.ID, tab.Version}
		_ = w.apply(&command.ReportReplicas{Items: []command.ReplicaReport{{Tablet: tab.ID, Replica: r.ID, BE: r.BE, Version: tab.Version}}, TimeMs: w.nowMs})
		_ = w.apply(&command.PromoteReplica{Tablet: tab.ID, Replica: r.ID, Version: tab.Version})
	}
}

func (w *world) facts() *Facts {
	tab := w.tab()
	f := &Facts{NowMs: w.nowMs, Tablet: tab, Want: 3, Nodes: map[types.BEID]Node{}, Seen: map[types.BEID]Seen{}, Leaders: map[types.BEID]int{}, Timeout: 600_000}
	if table, i, ok := w.cat.TableOfPartition(tab.Partition); ok {
		f.Want = table.Parts[i].Replicas
	}
	for be := range w.cat.BEs() {
		f.Nodes[be.ID] = Node{Endpoint: fmt.Sprintf("%s:%d", be.Host, be.Port), Alive: w.alive(be.ID) || w.stale[be.ID], Fresh: !w.stale[be.ID], DeadSinceMs: w.dead[be.ID], StartMs: w.start[be.ID]}
	}
	for i := range tab.Replicas {
		r := &tab.Replicas[i]
		h := w.has[r.BE]
		same := h.replica == r.ID
		f.Seen[r.BE] = Seen{Heard: true, Reported: same, Lost: !same && r.Role == types.RoleFollower && w.alive(r.BE), Version: h.version, OldestRetained: 1}
		if w.stale[r.BE] { // it seems to have all that the catalog counts on, whatever is the case
			f.Seen[r.BE] = Seen{Reported: true, Version: r.Version, OldestRetained: 1}
		}
	}
	return f
}

// round does what the engine does in one: it carries on what may run, and takes back what was cancelled.
func (w *world) round() {
	w.nowMs += 100
	var open []*model.Op
	for op := range w.cat.Ops() {
		if op.Undo {
			w.effect(op, Undo(*op, w.facts()))
		} else if !op.Ended() {
			open = append(open, op)
		}
	}
	for _, op := range Runnable(open) {
		if op.NextMs > w.nowMs {
			continue
		}
		d := Step(*op, w.facts())
		if op.State == model.OpInited && d.Op.State != model.OpFailed { // as the engine: it is known as begun before anything is done
			begun := *op
			begun.State, begun.StartedMs, begun.DeadlineMs = model.OpRunning, d.Op.StartedMs, d.Op.DeadlineMs
			_ = w.apply(&command.UpdateOp{Op: begun, TimeMs: w.nowMs})
			if now, ok := w.cat.Op(op.ID); ok && now.State == model.OpRunning {
				op, d = now, Step(*now, w.facts())
			}
		}
		w.effect(op, d)
	}
	w.copy()
}

func (w *world) effect(op *model.Op, d Decision) {
	w.calls = append(w.calls, d.Calls...)
	for _, c := range d.Calls {
		if c.Create && w.has[c.BE].replica == 0 {
			w.has[c.BE] = held{c.Replica, 1}
		}
		if c.Fill != 0 {
			w.has[c.BE] = held{c.Replica, c.Fill}
		}
	}
	for _, cmd := range d.Effects {
		if err := w.apply(cmd); err != nil {
			d = Refused(*op, w.facts(), err.Error())
			break
		}
	}
	if w.between != nil {
		w.between(op)
	}
	for _, drop := range d.Drops {
		if w.has[drop.BE].replica == drop.Replica {
			delete(w.has, drop.BE)
		}
	}
	next := d.Op
	next.Rev = op.Rev
	_ = w.apply(&command.UpdateOp{Op: next, Children: d.Children, TimeMs: w.nowMs})
}

// order adds ops to the log as one statement.
func (w *world) order(t testing.TB, list ...model.Op) uint64 {
	t.Helper()
	for i := range list {
		list[i].Tablet, list[i].Target = w.tablet, "t"
	}
	first := w.cat.NextID()
	w.must(t, &command.AddOps{Ops: list, TimeMs: w.nowMs})
	return first
}

// settle runs rounds until nothing is open.
func (w *world) settle(t testing.TB) {
	t.Helper()
	for i := range 400 {
		if i > 50 { // what waits for something that never comes ends by its deadline
			w.nowMs += 100_000
		}
		w.round()
		busy := false
		for op := range w.cat.Ops() {
			busy = busy || op.Undo || !op.Ended()
		}
		if !busy {
			return
		}
	}
	for op := range w.cat.Ops() {
		t.Logf("%s %s at %s: %s %s", TypeName(op.Type), StateName(op.State), CurrentTask(op), op.Waiting, op.LastError)
	}
	t.Fatal("the ops do not end")
}

func op(typ model.OpType, be types.BEID) model.Op {
	o := New(typ)
	o.BE = be
	return o
}
