package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/command"
	"stele/meta/model"
	"stele/meta/types"
)

// world draws commands that fit the catalog often enough to reach deep states, and misfit often enough to be refused.
type world struct {
	t   *rapid.T
	now int64
}

func (w *world) n(name string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(w.t, name) }

func (w *world) chance(percent int) bool { return w.n("chance", 1, 100) <= percent }

func pick[T any](w *world, all []T) (T, bool) {
	var zero T
	if len(all) == 0 {
		return zero, false
	}
	return all[w.n("pick", 0, len(all)-1)], true
}

func (w *world) tablet(c *Catalog) *Tablet {
	if t, ok := pick(w, slices.Collect(c.Tablets())); ok {
		return t
	}
	return &Tablet{ID: 1, Replicas: []Replica{{ID: 1, BE: 1}}}
}

func (w *world) table(c *Catalog) *Table {
	if t, ok := pick(w, slices.Collect(c.AllTables())); ok {
		return t
	}
	return &Table{ID: 1}
}

func (w *world) command(c *Catalog) command.Command {
	w.now += int64(w.n("ms", 0, 3000))
	switch k := w.n("kind", 0, 99); {
	case k < 30:
		return w.commit(c)
	case k < 45:
		return w.report(c)
	case k < 52:
		return &command.AllocIDs{Counter: command.CounterTxns, N: uint64(w.n("txns", 1, 4)), TimeMs: w.now}
	case k < 57:
		t := w.tablet(c)
		be, _ := pick(w, slices.Collect(c.BEs()))
		if be == nil {
			be = &BE{ID: 1}
		}
		return &command.AddReplica{Tablet: t.ID, Replica: Replica{BE: be.ID}, TimeMs: w.now}
	case k < 63:
		t := w.tablet(c)
		r, _ := pick(w, t.Replicas)
		return &command.PromoteReplica{Tablet: t.ID, Replica: r.ID, Version: t.Version - types.Version(w.n("lag", 0, 1))}
	case k < 67:
		t := w.tablet(c)
		r, _ := pick(w, t.Replicas)
		return &command.DropReplica{Tablet: t.ID, Replica: r.ID, Force: w.chance(10), ExpectEpoch: t.Epoch, NewLeader: types.BEID(w.n("be", 10002, 10008))}
	case k < 76:
		return w.leaders(c)
	case k < 79:
		t := w.tablet(c)
		r, _ := pick(w, t.Replicas)
		return &command.SetReplicaBad{Tablet: t.ID, BE: r.BE, Bad: w.chance(50)}
	case k < 80:
		return w.alive(c)
	case k < 82:
		return &command.ExpireTxns{NowMs: w.now, TimeoutMs: 20000, KeepMs: 5000, Notes: w.chance(50)}
	case k < 84:
		return &command.AbortTxns{Txns: []types.TxnID{types.TxnID(w.n("txn", 1, 60))}, TimeMs: w.now}
	default:
		return w.other(c)
	}
}

func (w *world) other(c *Catalog) command.Command {
	switch w.n("other", 0, 44) {
	case 41, 42, 43, 44:
		return w.foreign(c)
	case 0, 1:
		return w.createTable(c)
	case 2:
		return &command.AddBE{BE: BE{Host: "b", Port: w.n("port", 1, 7)}, TimeMs: w.now}
	case 3:
		if w.chance(20) {
			if w.chance(50) {
				return &command.SetDatabaseReplicas{Name: fmt.Sprint("d", w.n("db", 0, 2)), Replicas: w.n("replicas", 0, 4)}
			}
			return &command.AlterDatabase{ID: types.DatabaseID(w.n("db", 10002, 10012)), Collation: types.CollationGeneralCI}
		}
		return &command.CreateDatabase{Name: fmt.Sprint("d", w.n("db", 0, 2))}
	case 4:
		if w.chance(20) {
			return &command.DropDatabase{ID: types.DatabaseID(w.n("db", 10002, 10012))}
		}
		return &command.DropTable{ID: w.table(c).ID}
	case 5, 37:
		return w.addPartition(c)
	case 6:
		t := w.table(c)
		p, _ := pick(w, t.Parts)
		return &command.DropPartition{Table: t.ID, Partition: p.ID}
	case 7:
		t := *w.table(c)
		v := t.Schema.Version
		t.Schema.Version += uint32(w.n("step", 0, 1))
		t.Name = fmt.Sprint("t", w.n("name", 0, 4))
		if w.chance(50) {
			return w.set(&t)
		}
		return &command.AlterTable{Table: t, ExpectVersion: v}
	case 8:
		t := w.table(c)
		p, _ := pick(w, t.Parts)
		return &command.SetRepairHint{Hints: []RepairHint{{Partition: p.ID, Table: t.ID, Owner: "root", AddedMs: w.now, ExpiresMs: w.now + 9000}}}
	case 9:
		return &command.ExpireHints{NowMs: w.now}
	case 10:
		return &command.AddOp{Op: Op{Kind: "drop", StartedMs: w.now}}
	case 11:
		return &command.FinishOp{ID: c.NextID() - 1, State: OpDone, TimeMs: w.now}
	case 12, 13:
		return w.op(c)
	case 14:
		return &command.AllocIDs{Counter: command.CounterAutoInc, Table: w.table(c).ID, N: 5, AtLeast: uint64(w.n("least", 0, 40))}
	case 15, 16, 17:
		return w.addIndex(c)
	case 18:
		return w.publishIndex(c)
	case 19:
		return w.dropIndex(c)
	case 20, 35:
		return w.rename(c)
	case 21, 36:
		return &command.StartBE{BE: types.BEID(w.n("be", 10002, 10007)), StartMs: int64(w.n("start", 1, 3))}
	case 22, 23, 24:
		return w.trim(c)
	case 25, 26, 27:
		return w.view(c)
	case 28, 29:
		return w.beginChange(c)
	case 30, 31:
		return w.changeTable(c)
	case 32, 33, 34:
		return w.holdChange(c)
	}
	return w.truncate(c)
}

// set draws a change of properties; of one table in two a partition is named, perhaps of another table.
func (w *world) set(t *Table) command.Command {
	group, quorum := []string{"", "g"}[w.n("group", 0, 1)], types.WriteQuorum(w.n("quorum", 0, 3))
	cmd := &command.AlterTable{Table: Table{ID: t.ID}, Set: &command.TableSet{Alone: w.chance(50), Replicas: w.n("replicas", 0, 3), Publish: w.chance(30)}}
	switch w.n("set", 0, 2) {
	case 0:
		cmd.Set.Colocate, cmd.Set.ColocatedMs = &group, w.now
	case 1:
		cmd.Set.Quorum = &quorum
	}
	if p, ok := pick(w, t.Parts); ok && w.chance(50) {
		cmd.PartReplicas = []command.PartitionReplicas{{Partition: p.ID + types.PartitionID(w.n("other", 0, 1)), Replicas: w.n("replicas", 1, 3)}}
	}
	return cmd
}

// trim draws what goes of the rows that commits carried, often all.
func (w *world) trim(c *Catalog) command.Command {
	out := &command.TrimRedo{}
	for range w.n("trimmed", 1, 3) {
		t, ok := pick(w, slices.Collect(c.Redoing()))
		if !ok {
			t = w.tablet(c)
		}
		upTo := command.TabletUpTo{Tablet: t.ID, Version: t.Version - types.Version(w.n("kept", 0, 2))}
		if r, ok := pick(w, t.Replicas); ok && w.chance(20) {
			upTo.Missed = append(upTo.Missed, r.ID)
		}
		out.Tablets = append(out.Tablets, upTo)
	}
	return out
}

// rename draws one or two renames, the second perhaps to the name that the first leaves.
func (w *world) rename(c *Catalog) command.Command {
	out := &command.RenameTables{}
	to := fmt.Sprint("t", w.n("name", 0, 4))
	for range w.n("renames", 1, 2) {
		t := w.table(c)
		db, ok := pick(w, slices.Collect(c.Databases()))
		if !ok {
			return out
		}
		r := command.TableRename{Table: t.ID, From: t.DatabaseID, FromName: t.Name, To: db.ID, ToName: to}
		if v, ok := pick(w, viewsOf(c)); ok && w.chance(30) {
			r.Table, r.From, r.FromName = v.ID, v.DatabaseID, v.Name
		}
		out.Renames = append(out.Renames, r)
		to = r.FromName
	}
	return out
}

// alive draws what operators do to replicas.
func (w *world) alive(c *Catalog) command.Command {
	t := w.tablet(c)
	r, _ := pick(w, t.Replicas)
	switch w.n("alive", 0, 11) {
	case 0:
		return &command.AcceptLoss{Tablet: t.ID, Replica: r.ID, Version: t.Version, Epoch: t.Epoch, TimeMs: w.now}
	case 1:
		return &command.AdjustReplicas{Tablet: t.ID, Extra: w.n("extra", -2, 2)}
	case 3:
		id := types.ReplicaID(w.n("drawn", 1, int(c.NextID())))
		return &command.AcceptLoss{Tablet: t.ID, Replica: id, Empty: r.BE, Version: t.Version, Epoch: t.Epoch, TimeMs: w.now}
	case 4:
		return w.tasks(t)
	case 5:
		return &command.SetBELocation{BE: r.BE, Location: []string{"", "rack:r1", "zone:a", "nonsense"}[w.n("location", 0, 3)]}
	case 2:
		return &command.SetBELeading{BE: r.BE, Drained: w.chance(50), Weight: w.n("weight", 0, 300)}
	}
	return &command.SetReplicaAlive{Items: []command.ReplicaAlive{{Tablet: t.ID, BE: r.BE, Alive: w.chance(50)}}, TimeMs: w.now}
}

// tasks draws what the control loop writes down.
func (w *world) tasks(t *Tablet) command.Command {
	c := &command.NoteTasks{}
	for range w.n("ended", 0, 3) {
		c.Ended = append(c.Ended, Task{Tablet: t.ID, FinishedMs: w.now, Err: "e"})
	}
	for range w.n("tried", 0, 2) {
		c.Tried = append(c.Tried, Task{Tablet: t.ID, LastSchedMs: w.now, Attempts: []model.Attempt{{AtMs: w.now, Reason: "r"}}})
	}
	return c
}

// op draws a change of the operation log.
func (w *world) op(c *Catalog) command.Command {
	ops := slices.Collect(c.Ops())
	op, ok := pick(w, ops)
	k := w.n("op", 0, 4)
	if !ok || k == 0 {
		return &command.AddOps{Ops: []Op{{Type: 3, Lane: 1}, {Type: 6}}, TimeMs: w.now}
	}
	switch k {
	case 1:
		return &command.CancelOp{ID: op.ID, Group: w.chance(50), TimeMs: w.now}
	case 2:
		return &command.DeleteOps{ID: op.ID}
	}
	next := *op
	next.State = OpState(w.n("state", 0, 4))
	next.Undo = next.Undo && w.chance(50)
	cmd := &command.UpdateOp{Op: next, TimeMs: w.now}
	if w.chance(30) {
		cmd.Children = []Op{{Type: 9}}
	}
	return cmd
}

func (w *world) commit(c *Catalog) command.Command {
	cmd := &command.CommitTxn{Txn: types.TxnID(w.n("txn", 1, 60)), TimeMs: w.now}
	for range w.n("tablets", 1, 3) {
		t := w.tablet(c)
		part := command.TxnTablet{Tablet: t.ID, Epoch: t.Epoch, Rows: int64(w.n("rows", -3, 9))}
		if w.chance(5) {
			part.Epoch--
		}
		for _, r := range t.Replicas {
			if w.chance(85) {
				part.OK = append(part.OK, r.ID)
			}
		}
		for range max(0, w.n("payloads", -2, 2)) {
			part.Redo = append(part.Redo, bytes.Repeat([]byte{byte(cmd.Txn)}, w.n("payload", 1, 30)))
		}
		if !slices.ContainsFunc(cmd.Tablets, func(p command.TxnTablet) bool { return p.Tablet == t.ID }) {
			cmd.Tablets = append(cmd.Tablets, part)
		}
	}
	return cmd
}

func (w *world) report(c *Catalog) command.Command {
	cmd := &command.ReportReplicas{TimeMs: w.now}
	for range w.n("items", 1, 4) {
		t := w.tablet(c)
		r, _ := pick(w, t.Replicas)
		item := command.ReplicaReport{Tablet: t.ID, Replica: r.ID, BE: r.BE, Disk: 3, Version: t.Version, Bad: w.chance(3)}
		if w.chance(40) {
			item.Version = r.Version
		}
		if w.chance(5) {
			item.Version = types.Version(w.n("version", 0, int(t.Version)+1))
		}
		if w.chance(5) {
			item.LostFrom, item.Version = max(1, r.Version), max(1, r.Version)-1
		}
		cmd.Items = append(cmd.Items, item)
	}
	return cmd
}

func (w *world) leaders(c *Catalog) command.Command {
	cmd := &command.SetLeaders{}
	for range w.n("items", 1, 3) {
		t := w.tablet(c)
		r, _ := pick(w, t.Replicas)
		cmd.Items = append(cmd.Items, command.SetLeader{Tablet: t.ID, BE: r.BE, ExpectEpoch: t.Epoch})
	}
	return cmd
}

// newParts draws tablets for a partition, with ids taken from a reserve that start draws.
func (w *world) newTablets(c *Catalog) (ids []types.TabletID, tablets []Tablet) {
	bes := slices.Collect(c.BEs())
	base := uint64(w.n("reserve", 0, 40))*10 + reserve
	for b := range w.n("buckets", 1, 2) {
		t := Tablet{ID: types.TabletID(base + uint64(b)*5)}
		for i := range min(len(bes), w.n("replicas", 1, 3)) {
			t.Replicas = append(t.Replicas, Replica{ID: types.ReplicaID(uint64(t.ID) + 1 + uint64(i)), BE: bes[(i+b)%len(bes)].ID})
		}
		if len(t.Replicas) > 0 {
			t.Leader = t.Replicas[0].BE
		}
		ids, tablets = append(ids, t.ID), append(tablets, t)
	}
	return ids, tablets
}

const reserve = firstID + 10 // past the first nodes

func (w *world) createTable(c *Catalog) command.Command {
	ids, tablets := w.newTablets(c)
	tid := types.TableID(uint64(ids[0]) + 500)
	tbl := Table{
		ID: tid, DatabaseID: 10003, Name: fmt.Sprint("t", w.n("name", 0, 4)), Buckets: len(ids), Replicas: 3,
		Schema: types.Schema{TableID: tid, Version: 1, Key: []types.ColumnID{1}, Columns: []types.Column{
			{ID: 1, Name: "k", Type: types.ColumnType{Kind: types.KindBigInt, NotNull: true}}, {ID: 2, Name: "v"},
		}},
		HashBy: []types.ColumnID{1}, Quorum: types.WriteQuorum(w.n("quorum", 0, 2)),
		Partition: &Partitioning{Columns: []types.ColumnID{1}},
		Parts:     []Partition{{ID: types.PartitionID(uint64(tid) + 500), Name: "p0", Lower: []byte{1}, Upper: []byte{2}, Tablets: ids}},
	}
	if db, ok := pick(w, slices.Collect(c.Databases())); ok {
		tbl.DatabaseID = db.ID
	}
	if w.chance(30) {
		tbl.Owner = &TableOwner{FE: "fe1", StartMs: 1, Claim: 7}
	}
	return &command.CreateTable{Table: tbl, Tablets: tablets, TimeMs: w.now}
}

func (w *world) addPartition(c *Catalog) command.Command {
	ids, tablets := w.newTablets(c)
	lo := byte(w.n("lower", 0, 5))
	p := Partition{ID: types.PartitionID(uint64(ids[0]) + 1500), Name: fmt.Sprint("p", lo), Lower: []byte{lo}, Upper: []byte{lo + 1}, Tablets: ids}
	t := w.table(c)
	return &command.AddPartition{Table: t.ID, Partition: p, Tablets: tablets, TimeMs: w.now, Indexes: w.indexPartitions(c, t)}
}

func (w *world) truncate(c *Catalog) command.Command {
	ids, tablets := w.newTablets(c)
	t := w.table(c)
	p, _ := pick(w, t.Parts)
	return &command.TruncateTable{ID: t.ID, Parts: []command.TruncatePartition{{Partition: p.ID, Tablets: ids}}, Tablets: tablets, TimeMs: w.now,
		Indexes: w.truncateIndexes(c, t, p.ID)}
}

// start returns a catalog with an FE, five BEs, a database, drawn ids and one table.
func (w *world) start() (*Catalog, []command.Command) {
	cmds := []command.Command{&command.InitCluster{ClusterID: "c1", FE: FE{Name: "fe1", Host: "h"}, TimeMs: 1}}
	for port := range 5 {
		cmds = append(cmds, &command.AddBE{BE: BE{Host: "b", Port: port + 1}, TimeMs: 2})
	}
	cmds = append(cmds, &command.CreateDatabase{Name: "d0"},
		&command.AllocIDs{N: 3000}, &command.AllocIDs{Counter: command.CounterTxns, N: 20, TimeMs: 3})
	c := New()
	for _, cmd := range cmds {
		var err error
		if c, _, err = Apply(c, cmd); err != nil {
			w.t.Fatalf("start: %v", err)
		}
	}
	first := w.createTable(c)
	c, _, err := Apply(c, first)
	if err != nil {
		w.t.Fatalf("start: %v", err)
	}
	return c, append(cmds, first)
}

func snapshotOf(t interface{ Fatalf(string, ...any) }, c *Catalog) []byte {
	var b bytes.Buffer
	if err := c.WriteSnapshot(&b); err != nil {
		t.Fatalf("write snapshot: %v", err)
	}
	return b.Bytes()
}

// TestApplyIsDeterministic: a catalog, one fed by decoded log bytes in batches, and one that was restored from a
// snapshot midway are byte-equal; a refused command changes nothing; the invariants hold after every command.
func TestApplyIsDeterministic(t *testing.T) {
	applied := map[command.Type]int{}
	never := append([]command.Type(nil), mustBeApplied...)
	for round := range 20 { // histories are random: what they must hold comes in the end
		rapid.Check(t, func(rt *rapid.T) {
			rapid.SliceOfN(rapid.Bool(), round, round).Draw(rt, "so that this round draws others, with the same seed")
			checkHistory(rt, applied)
		})
		never = slices.DeleteFunc(never, func(c command.Type) bool { return applied[c] > 0 })
		if len(never) == 0 || t.Failed() {
			return
		}
	}
	t.Errorf("no %v was ever accepted: the test proves nothing of it (%v)", never, applied)
}

// mustBeApplied are commands that histories must hold.
var mustBeApplied = []command.Type{command.TypeCommitTxn, command.TypePromoteReplica, command.TypeDropReplica, command.TypeAddReplica,
	command.TypeSetLeaders, command.TypeCreateTable, command.TypeTruncateTable, command.TypeAddPartition, command.TypeAlterTable, command.TypeRenameTables,
	command.TypeStartBE, command.TypeTrimRedo, command.TypeChangeViews, command.TypeBeginChange,
	command.TypeChangeTable}

// checkHistory plays one history, and counts what was accepted.
func checkHistory(rt *rapid.T, applied map[command.Type]int) {
	checkHistoryOf(rt, applied, (*world).command)
}

// checkHistoryOf is checkHistory of commands that are drawn otherwise.
func checkHistoryOf(rt *rapid.T, applied map[command.Type]int, draw func(*world, *Catalog) command.Command) {
	w := &world{t: rt}
	a, cmds := w.start()
	var restored *Catalog
	steps := rapid.IntRange(5, 150).Draw(rt, "steps")
	half := rapid.IntRange(0, steps).Draw(rt, "half")
	for i := range steps {
		if i == half {
			var err error
			if restored, err = ReadSnapshot(bytes.NewReader(snapshotOf(rt, a))); err != nil {
				rt.Fatalf("restore: %v", err)
			}
		}
		cmd := draw(w, a)
		cmds = append(cmds, cmd)
		next, _, err := Apply(a, cmd)
		if (err != nil) != (next == a) {
			rt.Fatalf("%s: error %v, catalog changed %v", cmd.Type(), err, next != a)
		}
		if err == nil {
			applied[cmd.Type()]++
			checkStep(rt, a, next, cmd)
			checkInvariants(rt, next)
		}
		a = next
		if restored != nil {
			restored, _, _ = Apply(restored, cmd)
		}
	}
	want := snapshotOf(rt, a)
	if b := replay(rt, cmds); !bytes.Equal(snapshotOf(rt, b), want) {
		rt.Fatalf("the replayed catalog differs")
	}
	if restored != nil && !bytes.Equal(snapshotOf(rt, restored), want) {
		rt.Fatalf("the restored catalog differs")
	}
}

// replay applies the commands as a follower does: decoded from log bytes, several to an entry.
func replay(t *rapid.T, cmds []command.Command) *Catalog {
	c := New()
	eachEntry(t, cmds, func(batch command.Command) {
		var res any
		c, res, _ = Apply(c, batch)
		checkResultsTravel(t, res.(BatchResult))
	})
	return c
}

// eachEntry hands over commands as they come out of the log, several to an entry whose bytes are used again.
func eachEntry(t *rapid.T, cmds []command.Command, apply func(command.Command)) {
	for chunk := range slices.Chunk(cmds, 7) {
		raw, err := command.Encode(&command.Batch{Commands: chunk})
		if err != nil {
			t.Fatalf("encode: %v", err)
		}
		batch, err := command.Decode(raw)
		if err != nil {
			t.Fatalf("decode: %v", err)
		}
		apply(batch)
		clear(raw) // a catalog that kept a piece of its entry would show it
	}
}

func checkResultsTravel(t *rapid.T, rs BatchResult) {
	raw, err := EncodeResults(rs)
	if err != nil {
		t.Fatalf("encode results: %v", err)
	}
	back, err := DecodeResults(raw)
	if err != nil {
		t.Fatalf("decode results: %v", err)
	}
	for i := range rs {
		if fmt.Sprintf("%v", rs[i]) != fmt.Sprintf("%v", back[i]) || reflect.TypeOf(rs[i].Err) != reflect.TypeOf(back[i].Err) {
			t.Fatalf("result %+v came back as %+v", rs[i], back[i])
		}
	}
}

func checkStep(t *rapid.T, before, after *Catalog, cmd command.Command) {
	commit, isCommit := cmd.(*command.CommitTxn)
	for now := range after.Tablets() {
		was, ok := before.Tablet(now.ID)
		if !ok {
			continue
		}
		touched := isCommit && slices.ContainsFunc(commit.Tablets, func(p command.TxnTablet) bool { return p.Tablet == now.ID })
		_, decided := before.txns.records.get(txnOf(commit))
		if touched && !decided {
			if now.Version != was.Version+1 {
				t.Fatalf("C1: tablet %d went from version %d to %d", now.ID, was.Version, now.Version)
			}
			checkQuorum(t, after, was, now)
		} else if now.Version != was.Version {
			t.Fatalf("C1: %s moved tablet %d to version %d", cmd.Type(), now.ID, now.Version)
		}
		changed := now.Leader != was.Leader || !slices.Equal(followers(now), followers(was))
		if now.Epoch < was.Epoch || (changed && now.Epoch == was.Epoch) {
			t.Fatalf("C6: tablet %d: epoch %d after %d, changed %v", now.ID, now.Epoch, was.Epoch, changed)
		}
	}
	if isCommit {
		for _, p := range commit.Tablets {
			if o, v := after.Outcome(commit.Txn, p.Tablet); o != OutcomeCommitted || v == 0 {
				if rec, ok := before.txns.records.get(commit.Txn); !ok || rec.Aborted {
					t.Fatalf("C7: outcome of committed transaction %d is %s", commit.Txn, o)
				}
			}
		}
	}
}

func txnOf(c *command.CommitTxn) types.TxnID {
	if c == nil {
		return 0
	}
	return c.Txn
}

func followers(t *Tablet) (ids []types.ReplicaID) {
	for _, r := range t.Replicas {
		if r.Votes() {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

func checkQuorum(t *rapid.T, c *Catalog, was, now *Tablet) {
	have := 0
	for i, r := range now.Replicas {
		if was.Replicas[i].Complete() && r.Complete() {
			have++
		}
		if r.LastFailed == 0 && r.LastSuccess != now.Version {
			t.Fatalf("C5: tablet %d replica %d missed version %d and is not marked", now.ID, r.ID, now.Version)
		}
	}
	tbl, _ := c.TableByID(now.Table)
	if have < tbl.Quorum.Need(len(followers(now))) {
		t.Fatalf("I1: tablet %d committed with %d of %d replicas at %s", now.ID, have, len(followers(now)), tbl.Quorum)
	}
}

func checkInvariants(t *rapid.T, c *Catalog) {
	replicas := 0
	for tab := range c.Tablets() {
		for _, r := range tab.Replicas {
			replicas++
			if r.LastFailed == 0 && r.Version != tab.Version {
				t.Fatalf("C2: tablet %d at %d, replica %d at %d without a gap", tab.ID, tab.Version, r.ID, r.Version)
			}
			if r.LastFailed != 0 && r.Version >= r.LastFailed || r.LastFailed > tab.Version || r.Settled > r.Version {
				t.Fatalf("C2: tablet %d at %d, replica %+v", tab.ID, tab.Version, r)
			}
			indexed, _ := c.onBE.bes.get(r.BE)
			if _, ok := indexed.get(tab.ID); !ok {
				t.Fatalf("tablet %d is not indexed at backend %d", tab.ID, r.BE)
			}
		}
		if r := tab.Replica(tab.Leader); tab.Leader != 0 && (r == nil || !r.Complete()) {
			t.Fatalf("C3: tablet %d is led by backend %d: %+v", tab.ID, tab.Leader, r)
		}
		tbl, ok := c.TableByID(tab.Table)
		if !ok {
			t.Fatalf("tablet %d is of table %d, which is gone", tab.ID, tab.Table)
		}
		at := partitionIndex(tbl, tab.Partition)
		if at < 0 || tbl.Parts[at].Tablets[tab.Bucket] != tab.ID {
			t.Fatalf("tablet %d is not where it says it is", tab.ID)
		}
	}
	checkRedoing(t, c)
	if replicas != c.ReplicaCount() {
		t.Fatalf("%d replicas, %d indexed", replicas, c.ReplicaCount())
	}
	tablets := 0
	for tbl := range c.AllTables() {
		for i := range tbl.Parts {
			tablets += len(tbl.Parts[i].Tablets)
			if owner, _, ok := c.TableOfPartition(tbl.Parts[i].ID); !ok || owner.ID != tbl.ID {
				t.Fatalf("partition %d of table %d is not indexed", tbl.Parts[i].ID, tbl.ID)
			}
		}
		checkKeys(t, c, tbl)
		if byName, ok := c.Table(tbl.DatabaseID, tbl.Name); ok && byName == tbl != tbl.Named() || !ok && tbl.Named() {
			t.Fatalf("table %d: found by its name: %t", tbl.ID, ok)
		}
	}
	checkViews(t, c)
	checkForeignKeys(t, c)
	if tablets != c.TabletCount() || c.parts.len() != partCount(c) {
		t.Fatalf("%d tablets are named, %d stored", tablets, c.TabletCount())
	}
}

func partCount(c *Catalog) (n int) {
	for tbl := range c.AllTables() {
		n += len(tbl.Parts)
	}
	return n
}

// TestSnapshotDamage: every flipped byte and every cut is noticed.
func TestSnapshotDamage(t *testing.T) {
	var good []byte
	rapid.Check(t, func(rt *rapid.T) {
		if good == nil {
			c, _ := (&world{t: rt}).start()
			good = snapshotOf(rt, c)
		}
		bad := bytes.Clone(good)
		if at := rapid.IntRange(0, len(bad)-1).Draw(rt, "at"); rapid.Bool().Draw(rt, "cut") {
			bad = bad[:at]
		} else {
			bad[at] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		}
		if _, err := ReadSnapshot(bytes.NewReader(bad)); !errors.Is(err, ErrCorruptSnapshot) && !errors.Is(err, ErrNewerSnapshot) {
			rt.Fatalf("damage went unnoticed: %v", err)
		}
	})
}
