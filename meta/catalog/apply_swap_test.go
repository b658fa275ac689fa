package catalog

import (
	"testing"

	"stele/meta/command"
	"stele/meta/types"
)

// TestRowsAreSwapped: a change whose rows are in a copy gives the table the tablets of that in one step, and nothing of it to anybody who is
// not the one that made the copy for this change.
func TestRowsAreSwapped(t *testing.T) {
	b := newBench(t)
	b.must(table("t", 10400, types.QuorumMajority, tabletA))
	b.must(&command.SetRepairHint{Hints: []RepairHint{{Partition: 10401, Table: 10400, Owner: "o", ExpiresMs: 1 << 40}}})
	stale := b.commit(1, r1, r2)
	b.must(&command.BeginChange{Table: 10400, ExpectVersion: 1, UntilMs: 5000})
	owner := TableOwner{FE: "fe1", StartMs: 7, Claim: 3}
	made := table("t", 10420, types.QuorumMajority, 10600)
	made.Table.Owner, made.Table.Schema.Version = &owner, 3
	made.Table.Schema.Columns = []types.Column{{ID: 2, Name: "k2"}, {ID: 3, Name: "v"}}
	made.Table.Schema.Key, made.Table.HashBy = []types.ColumnID{2}, []types.ColumnID{2}
	made.Table.Unique = []UniqueKey{{Name: "u", Columns: []types.ColumnID{3}, Unique: true, Index: 10440}}
	index := table("hidden", 10440, types.QuorumMajority, 10700)
	index.Table.IndexOf, index.Table.Schema.Key, index.Table.Schema.Columns = 10420, []types.ColumnID{3}, []types.Column{{ID: 3, Name: "v"}, {ID: 2, Name: "k2"}}
	made.Indexes = []command.IndexTable{{Table: index.Table, Tablets: index.Tablets}}
	b.must(made)
	filling := &command.CommitTxn{Txn: 2, TimeMs: 2000, Tablets: []command.TxnTablet{{Tablet: 10600, Epoch: 1, OK: []types.ReplicaID{10601, 10602}, Rows: 5}}}
	b.must(filling)

	swap := func() *command.ChangeTable {
		return &command.ChangeTable{Table: 10400, ExpectVersion: 2, Begun: true, LastColumn: 9, Comment: "new", Copy: &command.TableCopy{Table: 10420, Owner: owner}}
	}
	bad := swap()
	bad.Copy.Owner.Claim++
	fails[*ErrRefused](b, bad)
	bad = swap()
	bad.Begun, bad.ExpectVersion = false, 2
	fails[*ErrRefused](b, bad)
	bad = swap()
	bad.Copy.Table = 10999
	fails[*ErrNotFound](b, bad)
	bad = swap()
	bad.Checks = []Check{{Name: "c", Columns: []types.ColumnID{1}}}
	fails[*ErrRefused](b, bad)
	begun := b.c
	b.must(&command.HoldChange{Table: 10400, ExpiredMs: 6000})
	fails[*ErrRefused](b, swap())
	b.c = begun

	res := b.must(swap()).(DropResult)
	if len(res.Tablets) != 1 || res.Tablets[0] != tabletA {
		t.Errorf("dropped are %v", res.Tablets)
	}
	tbl, ok := b.c.Table(10007, "t")
	if !ok || tbl.ID != 10400 || tbl.Altering() != 0 || tbl.Comment != "new" || tbl.LastColumn != 9 || tbl.Schema.Version != 3 ||
		tbl.Schema.TableID != 10400 || tbl.Schema.Key[0] != 2 || tbl.HashBy[0] != 2 || tbl.Parts[0].ID != 10401 || tbl.Parts[0].Tablets[0] != 10600 {
		t.Errorf("the table is %+v", tbl)
	}
	got, ok := b.c.Tablet(10600)
	if !ok || got.Table != 10400 || got.Partition != 10401 || got.Epoch != 2 || got.Rows != 5 || got.Version != 2 {
		t.Errorf("its tablet is %+v", got)
	}
	if hidden, ok := b.c.TableByID(10440); !ok || hidden.IndexOf != 10400 || tbl.Unique[0].Index != 10440 {
		t.Errorf("its unique key is %+v in %+v", tbl.Unique, hidden)
	}
	if _, there := b.c.TableByID(10420); there {
		t.Error("the copy is still there")
	}
	if _, there := b.c.Tablet(tabletA); there {
		t.Error("the old tablet is still there")
	}
	if _, _, known := b.c.TableOfPartition(10421); known {
		t.Error("a partition of the copy is still known")
	}
	if _, hinted := b.c.Hint(10401); !hinted {
		t.Error("the hint of the partition is lost")
	}
	fails[*ErrNotFound](b, stale)
	filling.Txn = 3
	fails[*ErrStaleEpoch](b, filling)
	b.must(&command.DropTable{ID: 10400})
	for _, id := range []types.TabletID{10600, 10700} {
		if _, there := b.c.Tablet(id); there {
			t.Errorf("tablet %d outlives its table", id)
		}
	}
}

// TestPartitionsAreSwapped: a table gets the partitions of its copy, if it still has those that were planned to go.
func TestPartitionsAreSwapped(t *testing.T) {
	b := newBench(t)
	by := &Partitioning{Columns: []types.ColumnID{1}}
	old := table("t", 10400, types.QuorumMajority, tabletA)
	old.Table.Partition = by
	b.must(old)
	b.must(&command.SetRepairHint{Hints: []RepairHint{{Partition: 10401, Table: 10400, Owner: "o", ExpiresMs: 1 << 40}}})
	b.must(&command.BeginChange{Table: 10400, ExpectVersion: 1, UntilMs: 5000})
	owner := TableOwner{FE: "fe1", StartMs: 7, Claim: 3}
	made := table("t", 10420, types.QuorumMajority, 10600)
	made.Table.Owner, made.Table.Schema.Version, made.Table.Partition, made.Table.Buckets, made.Table.HashParts = &owner, 3, by, 1, true
	made.Table.Parts[0].Name, made.Table.Parts[0].Upper = "low", []byte{5}
	made.Table.Parts = append(made.Table.Parts, Partition{ID: 10422, Name: "high", Lower: []byte{5}, Tablets: []types.TabletID{10610}})
	second := table("x", 1, types.QuorumMajority, 10610).Tablets[0]
	made.Tablets = append(made.Tablets, second)
	b.must(made)

	swap := &command.ChangeTable{Table: 10400, ExpectVersion: 2, Begun: true, Copy: &command.TableCopy{Table: 10420, Owner: owner, Instead: []types.PartitionID{10401}}}
	for _, others := range [][]types.PartitionID{nil, {10402}, {10401, 10402}} {
		bad := *swap
		bad.Copy = &command.TableCopy{Table: 10420, Owner: owner, Instead: others}
		fails[*ErrRefused](b, &bad)
	}
	res := b.must(swap).(DropResult)
	if len(res.Tablets) != 1 || res.Tablets[0] != tabletA {
		t.Errorf("dropped are %v", res.Tablets)
	}
	tbl, ok := b.c.Table(10007, "t")
	if !ok || len(tbl.Parts) != 2 || tbl.Parts[0].Name != "low" || tbl.Parts[1].Name != "high" || !tbl.HashParts || tbl.Altering() != 0 || tbl.Schema.TableID != 10400 {
		t.Fatalf("the table is %+v", tbl)
	}
	for _, p := range tbl.Parts {
		if of, _, known := b.c.TableOfPartition(p.ID); !known || of.ID != 10400 {
			t.Errorf("partition %d is of %+v", p.ID, of)
		}
		if tab, ok := b.c.Tablet(p.Tablets[0]); !ok || tab.Table != 10400 || tab.Partition != p.ID || tab.Epoch != 2 {
			t.Errorf("the tablet of %s is %+v", p.Name, tab)
		}
	}
	if _, _, known := b.c.TableOfPartition(10401); known {
		t.Error("the old partition is still known")
	}
	if _, hinted := b.c.Hint(10401); hinted {
		t.Error("the hint of the old partition is still there")
	}
	b.must(&command.DropPartition{Table: 10400, Partition: 10422})
	fails[*ErrRefused](b, &command.DropPartition{Table: 10400, Partition: 10421}) // a table has one
	b.must(&command.DropTable{ID: 10400})
}
