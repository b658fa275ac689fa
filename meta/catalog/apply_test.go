package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"stele/meta/command"
	"stele/meta/model"
	"stele/meta/types"
)

// bench is a catalog under test: BEs 10002…10006, database 10007, ids up to 11000 and transactions up to 100 drawn.
type bench struct {
	t *testing.T
	c *Catalog
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, c: New()}
	b.must(&command.InitCluster{ClusterID: "c", FE: FE{Name: "fe1"}, TimeMs: 1})
	for i := range 5 {
		b.must(&command.AddBE{BE: BE{Host: fmt.Sprint("h", i), Port: 9060}})
	}
	b.must(&command.CreateDatabase{Name: "d"})
	b.must(&command.AllocIDs{N: 1000})
	b.must(&command.AllocIDs{Counter: command.CounterTxns, N: 100, TimeMs: 1000})
	return b
}

// TestDatabaseCollation: ALTER DATABASE changes nothing but the collation, of a database that there is.
func TestDatabaseCollation(t *testing.T) {
	b := newBench(t)
	id := b.must(&command.CreateDatabase{Name: "c", Collation: types.CollationGeneralCI}).(IDResult).ID
	before, _ := b.c.Database("c")
	b.must(&command.AlterDatabase{ID: types.DatabaseID(id), Collation: types.CollationUnicodeCI})
	after, _ := b.c.Database("c")
	if want := (Database{ID: before.ID, Name: "c", Collation: types.CollationUnicodeCI}); *after != want || before.Collation != types.CollationGeneralCI {
		t.Errorf("%+v became %+v", *before, *after)
	}
	if _, _, err := Apply(b.c, &command.AlterDatabase{ID: 99}); err == nil {
		t.Error("a database that is not there was altered")
	}
}

// TestDatabaseReplicas: a database keeps how many replicas its new tables get, whatever else of it changes, also one that the same batch makes.
func TestDatabaseReplicas(t *testing.T) {
	b := newBench(t)
	id := b.must(&command.CreateDatabase{Name: "r"}).(IDResult).ID
	b.must(&command.SetDatabaseReplicas{Name: "r", Replicas: 2})
	b.must(&command.AlterDatabase{ID: types.DatabaseID(id), Collation: types.CollationUnicodeCI})
	db, _ := b.c.Database("r")
	if want := (Database{ID: types.DatabaseID(id), Name: "r", Collation: types.CollationUnicodeCI, Replicas: 2}); *db != want {
		t.Errorf("%+v", *db)
	}
	for _, wrong := range []*command.SetDatabaseReplicas{{Name: "absent", Replicas: 2}, {Name: "r", Replicas: -1}, {Name: "r", Replicas: 1000}} {
		if _, _, err := Apply(b.c, wrong); err == nil {
			t.Errorf("%+v was applied", *wrong)
		}
	}
}

func (b *bench) must(cmd command.Command) any {
	b.t.Helper()
	next, res, err := Apply(b.c, cmd)
	if err != nil {
		b.t.Fatalf("%s: %v", cmd.Type(), err)
	}
	b.c = next
	return res
}

// fails applies a command that must be refused with an error of E's type.
func fails[E error](b *bench, cmd command.Command) E {
	b.t.Helper()
	next, _, err := Apply(b.c, cmd)
	var want E
	if !errors.As(err, &want) {
		b.t.Fatalf("%s: got %v, want %T", cmd.Type(), err, want)
	}
	if next != b.c {
		b.t.Fatalf("%s was refused and changed the catalog", cmd.Type())
	}
	return want
}

const (
	tabletA = types.TabletID(10500)
	r1, r2  = types.ReplicaID(10501), types.ReplicaID(10502)
	r3      = types.ReplicaID(10503)
	be1     = types.BEID(10002)
	be2     = types.BEID(10003)
	be3     = types.BEID(10004)
	be4     = types.BEID(10005)
)

func table(name string, id types.TableID, q types.WriteQuorum, tablet types.TabletID) *command.CreateTable {
	return &command.CreateTable{
		Table: Table{
			ID: id, DatabaseID: 10007, Name: name, Quorum: q, Replicas: 3,
			Schema: types.Schema{TableID: id, Version: 1, Key: []types.ColumnID{1}, Columns: []types.Column{{ID: 1, Name: "k"}}},
			Parts:  []Partition{{ID: types.PartitionID(id + 1), Name: name, Tablets: []types.TabletID{tablet}}},
		},
		Tablets: []Tablet{{ID: tablet, Leader: be1, Replicas: []Replica{
			{ID: types.ReplicaID(tablet + 1), BE: be1}, {ID: types.ReplicaID(tablet + 2), BE: be2}, {ID: types.ReplicaID(tablet + 3), BE: be3},
		}}},
	}
}

func (b *bench) tablet() *Tablet {
	t, ok := b.c.Tablet(tabletA)
	if !ok {
		b.t.Fatal("the tablet is gone")
	}
	return t
}

func (b *bench) commit(txn types.TxnID, ok ...types.ReplicaID) *command.CommitTxn {
	return &command.CommitTxn{Txn: txn, TimeMs: 2000, Tablets: []command.TxnTablet{{Tablet: tabletA, Epoch: b.tablet().Epoch, OK: ok, Rows: 1}}}
}

func TestCommitQuorum(t *testing.T) {
	for _, tc := range []struct {
		name   string
		quorum types.WriteQuorum
		before func(*bench)
		ok     []types.ReplicaID
		have   int // -1 = commits
		need   int
	}{
		{"majority of three", types.QuorumMajority, nil, []types.ReplicaID{r1, r2}, -1, 0},
		{"one of three is no majority", types.QuorumMajority, nil, []types.ReplicaID{r1}, 1, 2},
		{"one is enough for ONE", types.QuorumOne, nil, []types.ReplicaID{r1}, -1, 0},
		{"two are not ALL", types.QuorumAll, nil, []types.ReplicaID{r1, r2}, 2, 3},
		{"a gap does not count", types.QuorumMajority, func(b *bench) { b.must(b.commit(1, r1, r2)) }, []types.ReplicaID{r1, r3}, 1, 2},
		{"a closed gap counts", types.QuorumMajority, func(b *bench) {
			b.must(b.commit(1, r1, r2))
			b.must(&command.ReportReplicas{Items: []command.ReplicaReport{{Tablet: tabletA, Replica: r3, BE: be3, Version: 2}}})
		}, []types.ReplicaID{r1, r3}, -1, 0},
		{"bad does not count", types.QuorumMajority, func(b *bench) {
			b.must(&command.SetReplicaBad{Tablet: tabletA, Replica: r2, Bad: true})
		}, []types.ReplicaID{r1, r2}, 1, 2},
		{"a learner does not count", types.QuorumMajority, func(b *bench) {
			b.must(&command.AddReplica{Tablet: tabletA, Replica: Replica{ID: 10600, BE: be4}})
			b.must(&command.ReportReplicas{Items: []command.ReplicaReport{{Tablet: tabletA, BE: be4, Version: 1}}})
		}, []types.ReplicaID{r1, 10600}, 1, 2},
		{"a replica named twice counts once", types.QuorumMajority, nil, []types.ReplicaID{r1, r1}, 1, 2},
		{"a stranger does not count", types.QuorumMajority, nil, []types.ReplicaID{r1, 999}, 1, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			b.must(table("t", 10400, tc.quorum, tabletA))
			if tc.before != nil {
				tc.before(b)
			}
			want := b.tablet().Version + 1
			if tc.have >= 0 {
				if e := fails[*ErrQuorum](b, b.commit(9, tc.ok...)); e.Have != tc.have || e.Need != tc.need || e.Tablet != tabletA {
					t.Errorf("got %+v, want %d<%d", e, tc.have, tc.need)
				}
				return
			}
			res := b.must(b.commit(9, tc.ok...)).(CommitResult)
			if !slices.Equal(res.Tablets, []TabletVersion{{Tablet: tabletA, Version: want}}) {
				t.Errorf("got %+v, want version %d", res, want)
			}
		})
	}
}

func TestCommitIsAtomicAndFenced(t *testing.T) {
	b := newBench(t)
	b.must(table("t", 10400, types.QuorumMajority, tabletA))
	b.must(table("u", 10410, types.QuorumMajority, 10510))
	both := b.commit(1, r1, r2, r3)
	both.Tablets = append(both.Tablets, command.TxnTablet{Tablet: 10510, Epoch: 1, OK: []types.ReplicaID{10511}})
	_ = fails[*ErrQuorum](b, both)                 // the second tablet lacks its quorum: the first does not step
	_ = fails[*ErrRefused](b, b.commit(2, r2, r3)) // the leader does not have it
	_ = fails[*ErrRefused](b, b.commit(500, r1, r2))
	res := b.must(&command.SetLeaders{Items: []command.SetLeader{
		{Tablet: tabletA, BE: be2, ExpectEpoch: 1}, {Tablet: 10510, BE: be2, ExpectEpoch: 7}, {Tablet: 10510, BE: be4},
	}}).(LeadersResult)
	if res.Epochs[0] != 2 || res.Errs[0] != nil || res.Errs[1] == nil || res.Errs[2] == nil {
		t.Errorf("leaders: %+v", res)
	}
	stale := b.commit(1, r1, r2, r3)
	stale.Tablets[0].Epoch = 1
	if e := fails[*ErrStaleEpoch](b, stale); e.Current != 2 || e.Given != 1 {
		t.Errorf("got %+v", e)
	}
	first := b.must(b.commit(1, r1, r2, r3)).(CommitResult)
	again := b.must(b.commit(1, r1)).(CommitResult)
	if !again.Again || !slices.Equal(first.Tablets, again.Tablets) || b.tablet().Version != 2 {
		t.Errorf("a second commit of one transaction: %+v, version %d", again, b.tablet().Version)
	}
}

func TestCatchUpWhileWritesGoOn(t *testing.T) {
	b := newBench(t)
	b.must(table("t", 10400, types.QuorumMajority, tabletA))
	b.must(b.commit(1, r1, r2))     // version 2: r3 misses it
	b.must(b.commit(2, r1, r2, r3)) // version 3: r3 has it above its gap
	b.must(b.commit(3, r1, r2, r3))
	if r := b.tablet().ReplicaByID(r3); r.Version != 1 || r.LastFailed != 2 || r.LastSuccess != 4 {
		t.Fatalf("lagging replica %+v", r)
	}
	res := b.must(&command.ReportReplicas{Items: []command.ReplicaReport{{Tablet: tabletA, Replica: r3, BE: be3, Version: 2}}}).(ReportResult)
	if r := b.tablet().ReplicaByID(r3); r.Version != 4 || r.LastFailed != 0 || r.Settled != 2 || len(res.CaughtUp) != 1 {
		t.Fatalf("after its gap is closed %+v, %+v", r, res)
	}
	b.must(&command.ReportReplicas{Items: []command.ReplicaReport{{Tablet: tabletA, Replica: r3, BE: be3, Version: 2, LostFrom: 4}}})
	if r := b.tablet().ReplicaByID(r3); r.Version != 3 || r.LastFailed != 4 {
		t.Fatalf("after it lost version 4 %+v", r)
	}
	if res := b.must(&command.ReportReplicas{Items: []command.ReplicaReport{
		{Tablet: tabletA, Replica: r3, BE: be1, Version: 4}, {Tablet: tabletA, Replica: r3, BE: be3, Version: 9}, {Tablet: 1, BE: be3},
	}}).(ReportResult); res.Ignored != 3 || res.Changed != 0 {
		t.Errorf("reports about what is not there: %+v", res)
	}
}

func TestLeaderThatFallsBehindIsDeposed(t *testing.T) {
	b := newBench(t)
	b.must(table("t", 10400, types.QuorumMajority, tabletA))
	res := b.must(&command.ReportReplicas{Items: []command.ReplicaReport{{Tablet: tabletA, BE: be1, Version: 1, Bad: true}}}).(ReportResult)
	if tab := b.tablet(); tab.Leader != 0 || tab.Epoch != 2 || !slices.Equal(res.Deposed, []types.TabletID{tabletA}) {
		t.Errorf("leader %d, epoch %d, %+v", tab.Leader, tab.Epoch, res)
	}
	if r := b.must(&command.SetLeaders{Items: []command.SetLeader{{Tablet: tabletA, BE: be1}}}).(LeadersResult); r.Errs[0] == nil {
		t.Error("a bad replica may lead")
	}
}

func TestPromoteAndDrop(t *testing.T) {
	b := newBench(t)
	b.must(table("t", 10400, types.QuorumMajority, tabletA))
	b.must(b.commit(1, r1, r2, r3))
	b.must(&command.AddReplica{Tablet: tabletA, Replica: Replica{ID: 10600, BE: be4}})
	_ = fails[*ErrRefused](b, &command.AddReplica{Tablet: tabletA, Replica: Replica{BE: be4}})
	_ = fails[*ErrNotReady](b, &command.PromoteReplica{Tablet: tabletA, Replica: 10600, Version: 1})
	b.must(b.commit(2, r1, r2, r3)) // the learner misses version 3 while it is filled to 2
	_ = fails[*ErrNotReady](b, &command.PromoteReplica{Tablet: tabletA, Replica: 10600, Version: 2})
	if e := b.must(&command.PromoteReplica{Tablet: tabletA, Replica: 10600, Version: 3}).(EpochResult); e.Epoch != 2 {
		t.Errorf("epoch %d after the promotion", e.Epoch)
	}
	_ = fails[*ErrStaleEpoch](b, &command.DropReplica{Tablet: tabletA, Replica: r2, ExpectEpoch: 1})
	if e := b.must(&command.DropReplica{Tablet: tabletA, Replica: r1, ExpectEpoch: 2, NewLeader: be4}).(EpochResult); e.Leader != be4 || e.Epoch != 3 {
		t.Errorf("after the leader was dropped: %+v", e)
	}
	b.must(&command.DropReplica{Tablet: tabletA, Replica: r2})
	b.must(&command.SetReplicaBad{Tablet: tabletA, Replica: r3, Bad: true})
	_ = fails[*ErrLastCopy](b, &command.DropReplica{Tablet: tabletA, Replica: 10600})
	b.must(&command.DropReplica{Tablet: tabletA, Replica: 10600, Force: true})
	if got := slices.Collect(b.c.TabletsOn(be4)); len(got) != 0 {
		t.Errorf("backend 4 is still said to have %d tablets", len(got))
	}
	_ = fails[*ErrRefused](b, &command.DropBE{BE: be3})
	b.must(&command.DropBE{BE: be3, Force: true})
}

func TestTxnOutcomes(t *testing.T) {
	b := newBench(t)
	b.must(table("t", 10400, types.QuorumMajority, tabletA))
	b.must(b.commit(1, r1, r2, r3))
	b.must(&command.AbortTxns{Txns: []types.TxnID{1, 2}, TimeMs: 3000})
	_ = fails[*ErrTxnAborted](b, b.commit(2, r1, r2, r3))
	outcome := func(txn types.TxnID, want Outcome, version types.Version) {
		t.Helper()
		if o, v := b.c.Outcome(txn, tabletA); o != want || v != version {
			t.Errorf("transaction %d: %s %d, want %s %d", txn, o, v, want, version)
		}
	}
	outcome(1, OutcomeCommitted, 2)
	outcome(2, OutcomeAborted, 0)
	outcome(3, OutcomeUndecided, 0)
	outcome(101, OutcomeUnknown, 0) // not drawn yet here
	b.must(&command.AllocIDs{Counter: command.CounterTxns, N: 10, TimeMs: 60_000})
	res := b.must(&command.ExpireTxns{NowMs: 70_000, TimeoutMs: 30_000, KeepMs: 30_000}).(ExpireResult)
	if res.Aborted != 98 || res.Forgotten != 1 {
		t.Errorf("expire: %+v", res)
	}
	outcome(3, OutcomeAborted, 0)
	outcome(101, OutcomeUndecided, 0)
	outcome(1, OutcomeCommitted, 2) // no replica has reported version 2 as durable: somebody may ask
	if e := fails[*ErrTxnAborted](b, b.commit(3, r1, r2, r3)); !e.Expired {
		t.Errorf("got %+v", e)
	}
	report := func(be types.BEID) {
		b.must(&command.ReportReplicas{Items: []command.ReplicaReport{{Tablet: tabletA, BE: be, Version: 2}}})
	}
	report(be1)
	report(be2)
	if res := b.must(&command.ExpireTxns{NowMs: 70_000, TimeoutMs: 30_000, KeepMs: 30_000}).(ExpireResult); res.Forgotten != 0 {
		t.Error("forgotten while a complete replica may ask")
	}
	report(be3)
	if res := b.must(&command.ExpireTxns{NowMs: 70_000, TimeoutMs: 30_000, KeepMs: 30_000}).(ExpireResult); res.Forgotten != 1 {
		t.Error("remembered though nobody can ask")
	}
	_ = fails[*ErrTxnAborted](b, b.commit(1, r1, r2, r3)) // decided, and its outcome forgotten: never again
	b.must(b.commit(105, r1, r2, r3))
}

// TestExpiryWhateverTheClocks: a transaction is aborted when it has been open for the timeout by the clock of who leads, also one of an FE whose
// clock is hours behind, and one over which the clock of the leading FE was set, or another FE with another clock leads.
func TestExpiryWhateverTheClocks(t *testing.T) {
	const hour, tick = 3_600_000, 30_000
	b := newBench(t)
	b.must(table("t", 10400, types.QuorumMajority, tabletA))
	now := int64(100 * hour)
	next := types.TxnID(101)
	expire := func() (aborted uint64) {
		t.Helper()
		return b.must(&command.ExpireTxns{NowMs: now, TimeoutMs: hour, KeepMs: hour, Notes: true}).(ExpireResult).Aborted
	}
	draw := func(clock int64) types.TxnID {
		t.Helper()
		b.must(&command.AllocIDs{Counter: command.CounterTxns, N: 1, TimeMs: clock})
		next++
		return next - 1
	}
	runs := func(what string, id types.TxnID, want bool) {
		t.Helper()
		if o, _ := b.c.Outcome(id, tabletA); o == OutcomeUndecided != want {
			t.Errorf("%s: transaction %d is %s", what, id, o)
		}
	}
	expire()
	behind, ahead := draw(now-5*hour), draw(now+2*hour)
	now += tick
	expire()
	runs("of an FE that is behind", behind, true)
	late := draw(now - 5*hour)
	for _, set := range []int64{7 * hour, -20 * hour, 40 * hour} {
		now += set
		expire()
		runs("the clock was set", behind, true)
		runs("the clock was set", late, true)
	}
	for range hour / tick {
		now += tick
		expire()
	}
	runs("after an hour", behind, false)
	runs("after an hour", ahead, false)
	runs("after an hour", late, false)
	b.must(b.commit(draw(now), r1, r2, r3))
	for range 20 * hour / tick { // nobody writes
		now += tick
		expire()
	}
	if marks := len(b.c.txns.marks); marks > hour/tick+2 {
		t.Errorf("%d marks after hours in which nobody wrote", marks)
	}
}

func TestSchemaCommands(t *testing.T) {
	b := newBench(t)
	create := table("t", 10400, types.QuorumMajority, tabletA)
	b.must(create)
	_ = fails[*ErrExists](b, table("t", 10420, types.QuorumMajority, 10520))
	b.must(table("T", 10430, types.QuorumMajority, 10530)) // names of tables are case-sensitive
	_ = fails[*ErrExists](b, table("x", 10440, types.QuorumMajority, tabletA))
	_ = fails[*ErrRefused](b, table("x", 99999, types.QuorumMajority, 10540)) // an id that was never drawn
	renamed := create.Table
	renamed.Name, renamed.Schema.Version = "renamed", 2
	_ = fails[*ErrSchemaChanged](b, &command.AlterTable{Table: renamed, ExpectVersion: 5})
	b.must(&command.AlterTable{Table: renamed, ExpectVersion: 1, PartReplicas: []command.PartitionReplicas{{Partition: 10401, Replicas: 2}}})
	if _, ok := b.c.Table(10007, "t"); ok {
		t.Error("the old name is still there")
	}
	if tbl, ok := b.c.Table(10007, "renamed"); !ok || tbl.Parts[0].Replicas != 2 || len(tbl.Parts[0].Tablets) != 1 {
		t.Errorf("renamed table %+v", tbl)
	}
	twice := create.Table.Schema
	twice.Columns = append(slices.Clone(twice.Columns), types.Column{ID: 2, Name: "K"})
	twice.Version = 3
	renamed.Schema = twice
	_ = fails[*ErrRefused](b, &command.AlterTable{Table: renamed, ExpectVersion: 2}) // names of columns are not
	_ = fails[*ErrRefused](b, &command.DropPartition{Table: 10400, Partition: 10401})
	b.must(&command.SetRepairHint{Hints: []RepairHint{{Partition: 10401, ExpiresMs: 5}}})
	_ = fails[*ErrNotFound](b, &command.SetRepairHint{Hints: []RepairHint{{Partition: 1}}})
	if res := b.must(&command.DropDatabase{ID: 10007}).(DropResult); len(res.Tablets) != 2 || b.c.TabletCount() != 0 || b.c.ReplicaCount() != 0 {
		t.Errorf("after DROP DATABASE: %+v, %d tablets", res, b.c.TabletCount())
	}
	if hints := slices.Collect(b.c.Hints()); len(hints) != 0 {
		t.Errorf("hints of a dropped table: %+v", hints)
	}
}

func TestCountersAndOps(t *testing.T) {
	b := newBench(t)
	b.must(table("t", 10400, types.QuorumMajority, tabletA))
	auto := func(n, least uint64) AllocResult {
		return b.must(&command.AllocIDs{Counter: command.CounterAutoInc, Table: 10400, N: n, AtLeast: least}).(AllocResult)
	}
	for i, got := range []AllocResult{auto(3, 0), auto(2, 100), auto(0, 50), auto(1, 0)} {
		if want := []AllocResult{{1, 3}, {100, 2}, {102, 0}, {102, 1}}[i]; got != want {
			t.Errorf("draw %d: %+v, want %+v", i, got, want)
		}
	}
	for range MaxOps + 5 {
		b.must(&command.AddOp{Op: Op{Kind: "k"}})
	}
	ops := slices.Collect(b.c.Ops())
	if len(ops) != MaxOps {
		t.Errorf("%d ops are kept, want %d", len(ops), MaxOps)
	}
	last := ops[len(ops)-1]
	b.must(&command.FinishOp{ID: last.ID, State: OpDone, Message: "fine", TimeMs: 9})
	_ = fails[*ErrRefused](b, &command.FinishOp{ID: last.ID, State: OpFailed})
	b.must(&command.AddOp{Op: Op{Kind: "k"}})
	if _, ok := b.c.Op(last.ID); ok {
		t.Error("a finished op stayed while running ones were there")
	}
}

func TestSnapshotRoundTrip(t *testing.T) {
	b := newBench(t)
	b.must(table("t", 10400, types.QuorumMajority, tabletA))
	b.must(b.commit(1, r1, r2))
	b.must(&command.SetConfig{Key: "k", Value: "v"})
	b.must(&command.ChangeAccounts{Changes: []command.AccountChange{{Verb: command.AccountAlter, Account: model.RootName,
		Login: &command.Login{Plugin: "p", Auth: []byte{1}}}}})
	b.must(&command.SetRepairHint{Hints: []RepairHint{{Partition: 10401, Owner: "root", ExpiresMs: 5}}})
	b.must(&command.AddOp{Op: Op{Kind: "k"}})
	b.must(&command.NoteLeader{RaftID: "fe1", Term: 3, TimeMs: 4})
	c := b.c.WithIndex(77)
	raw := snapshotOf(t, c)
	back, err := ReadSnapshot(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(raw, snapshotOf(t, back)) || back.Index() != 77 || back.Leader() != c.Leader() {
		t.Error("the snapshot came back otherwise")
	}
	tab, _ := back.Tablet(tabletA)
	if was := b.tablet(); !reflect.DeepEqual(tab, was) {
		t.Errorf("tablet %+v, was %+v", tab, was)
	}
	if o, v := back.Outcome(1, tabletA); o != OutcomeCommitted || v != 2 {
		t.Errorf("outcome after restore: %s %d", o, v)
	}
}

func TestTablesExchangeTheirNames(t *testing.T) {
	b := newBench(t)
	b.must(table("a", 10400, types.QuorumMajority, tabletA))
	b.must(table("b", 10420, types.QuorumMajority, 10520))
	rename := func(id types.TableID, from, to string) command.TableRename {
		return command.TableRename{Table: id, From: 10007, FromName: from, To: 10007, ToName: to}
	}
	swap := &command.RenameTables{Renames: []command.TableRename{rename(10400, "a", "x"), rename(10420, "b", "a"), rename(10400, "x", "b")}}
	b.must(swap)
	for name, id := range map[string]types.TableID{"a": 10420, "b": 10400} {
		if got, ok := b.c.Table(10007, name); !ok || got.ID != id {
			t.Errorf("%s is table %+v, want %d", name, got, id)
		}
	}
	if _, ok := b.c.Table(10007, "x"); ok {
		t.Error("the name in between is still there")
	}
	_ = fails[*ErrNotFound](b, swap) // the tables do not have the names any more
	before := b.c
	_ = fails[*ErrExists](b, &command.RenameTables{Renames: []command.TableRename{rename(10400, "b", "y"), rename(10420, "a", "y")}})
	if b.c != before {
		t.Error("a refused rename left its first part behind")
	}
	_ = fails[*ErrNotFound](b, &command.RenameTables{Renames: []command.TableRename{{Table: 10400, From: 10007, FromName: "b", To: 1, ToName: "b"}}})
}

func TestListsShareNoValue(t *testing.T) {
	b := newBench(t)
	of := func(name string, id, tablet uint64, keys ...string) (Partition, []Tablet) {
		p := Partition{ID: types.PartitionID(id), Name: name, Tablets: []types.TabletID{types.TabletID(tablet)}}
		for _, k := range keys {
			p.Listed = append(p.Listed, Listed{Key: []byte(k)})
		}
		return p, table("", types.TableID(id), types.QuorumMajority, types.TabletID(tablet)).Tablets
	}
	create := func(keys ...string) *command.CreateTable {
		c := table("l", 10400, types.QuorumMajority, tabletA)
		c.Table.Partition = &Partitioning{Columns: []types.ColumnID{1}, List: true}
		p, _ := of("p", uint64(c.Table.Parts[0].ID), uint64(tabletA), keys...)
		c.Table.Parts = []Partition{p}
		return c
	}
	_ = fails[*ErrRefused](b, create())
	_ = fails[*ErrRefused](b, create("b", "a"))
	b.must(create("a", "c"))
	add := func(id, tablet uint64, keys ...string) *command.AddPartition {
		p, tablets := of("q", id, tablet, keys...)
		for i := range tablets {
			tablets[i].Table, tablets[i].Partition = 10400, p.ID
		}
		return &command.AddPartition{Table: 10400, Partition: p, Tablets: tablets}
	}
	_ = fails[*ErrRefused](b, add(10460, 10560, "b", "c"))
	b.must(add(10470, 10570, "b", "d"))
	parts, _ := b.c.TableByID(10400)
	if len(parts.Parts) != 2 || !parts.Parts[1].Lists([]byte("d")) || parts.Parts[1].Lists([]byte("c")) || parts.Parts[0].TakesAlike(&parts.Parts[1]) {
		t.Errorf("partitions %+v", parts.Parts)
	}
}
