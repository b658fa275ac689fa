package catalog

import (
	"testing"

	"stele/meta/command"
	"stele/meta/types"
)

// TestSetKeepsWhatOthersChange: properties that were worked out before another statement of the same instant do not undo it.
func TestSetKeepsWhatOthersChange(t *testing.T) {
	b := newBench(t)
	b.must(table("t", 10400, types.QuorumMajority, tabletA))
	set := func(s command.TableSet, parts ...command.PartitionReplicas) *command.AlterTable {
		return &command.AlterTable{Table: Table{ID: 10400}, Set: &s, PartReplicas: parts}
	}
	group, none, all, ssd := "g", "", types.QuorumAll, types.MediumSSD
	planned := []*command.AlterTable{
		set(command.TableSet{Quorum: &all}),
		set(command.TableSet{Medium: &ssd}),
		set(command.TableSet{Replicas: 2, Alone: true}, command.PartitionReplicas{Partition: 10401, Replicas: 2}),
	}
	b.must(&command.RenameTables{Renames: []command.TableRename{{Table: 10400, From: 10007, FromName: "t", To: 10007, ToName: "u"}}})
	b.must(&command.AlterColumns{Table: 10400, ExpectVersion: 1, LastColumn: 2, Columns: []types.Column{{ID: 1, Name: "k"}, {ID: 2, Name: "v"}}})
	for _, c := range planned {
		b.must(c)
	}
	got, ok := b.c.Table(10007, "u")
	if !ok || len(got.Schema.Columns) != 2 || got.Quorum != all || got.Medium != ssd || got.Replicas != 2 || got.Parts[0].Replicas != 2 {
		t.Errorf("after all of them: %+v", got)
	}
	if _, ok := b.c.Table(10007, "t"); ok {
		t.Error("the rename was undone")
	}

	b.must(set(command.TableSet{Colocate: &group, ColocatedMs: 7}))
	fails[*ErrRefused](b, planned[2]) // it was worked out for a table of no group
	b.must(set(command.TableSet{Replicas: 3}, command.PartitionReplicas{Partition: 10401, Replicas: 3}))
	b.must(set(command.TableSet{Colocate: &none}))
	b.must(planned[2])
	fails[*ErrNotFound](b, set(command.TableSet{}, command.PartitionReplicas{Partition: 10402, Replicas: 2}))
	bad := types.WriteQuorum(99)
	fails[*ErrRefused](b, set(command.TableSet{Quorum: &bad}))
}

// TestSetJoinsOnlyAFittingGroup: of two tables that join a group at once the second must fit the first.
func TestSetJoinsOnlyAFittingGroup(t *testing.T) {
	b := newBench(t)
	b.must(table("t", 10400, types.QuorumMajority, tabletA))
	b.must(table("u", 10430, types.QuorumMajority, 10530))
	group := "g"
	join := func(id types.TableID) *command.AlterTable {
		return &command.AlterTable{Table: Table{ID: id}, Set: &command.TableSet{Colocate: &group, ColocatedMs: 7}}
	}
	replicas := func(n int, parts ...command.PartitionReplicas) *command.AlterTable {
		return &command.AlterTable{Table: Table{ID: 10430}, Set: &command.TableSet{Replicas: n}, PartReplicas: parts}
	}
	b.must(replicas(5))
	fails[*ErrRefused](b, join(10430)) // its partition has another number
	b.must(replicas(5, command.PartitionReplicas{Partition: 10431, Replicas: 5}))
	b.must(join(10400))
	fails[*ErrRefused](b, join(10430))
	first, _ := b.c.TableByID(10400)
	b.must(replicas(first.Replicas, command.PartitionReplicas{Partition: 10431, Replicas: first.Replicas}))
	b.must(join(10430))
}

// TestTablesOfSessions: a table of a session has no name, so that others may have its name, until it is published; and it goes with its
// database.
func TestTablesOfSessions(t *testing.T) {
	b := newBench(t)
	own := table("t", 10400, types.QuorumMajority, tabletA)
	own.Table.Owner = &TableOwner{FE: "fe1", StartMs: 5, Claim: 9}
	b.must(own)
	if _, ok := b.c.Table(10007, "t"); ok || b.c.TableCount() != 0 {
		t.Error("a table of a session is found by its name")
	}
	publish := &command.AlterTable{Table: Table{ID: 10400}, Set: &command.TableSet{Publish: true}}
	b.must(table("t", 10430, types.QuorumMajority, 10530))
	fails[*ErrExists](b, publish)
	fails[*ErrNotFound](b, &command.RenameTables{Renames: []command.TableRename{{Table: 10400, From: 10007, FromName: "t", To: 10007, ToName: "u"}}})
	b.must(&command.DropTable{ID: 10430})
	stranger := *own.Table.Owner
	stranger.Claim++
	fails[*ErrRefused](b, &command.DropTable{ID: 10400, Owner: &stranger})
	if got, ok := b.c.TableByID(10400); !ok || got.Owner == nil {
		t.Fatal("the table of the session went with its namesake")
	}
	b.must(publish)
	if got, ok := b.c.Table(10007, "t"); !ok || got.ID != 10400 || got.Owner != nil {
		t.Errorf("published: %+v", got)
	}
	fails[*ErrRefused](b, publish)
	fails[*ErrRefused](b, &command.DropTable{ID: 10400, Owner: own.Table.Owner}) // others may have written to it

	own = table("t", 10460, types.QuorumMajority, 10560)
	own.Table.Owner = &TableOwner{FE: "fe1", StartMs: 5, Claim: 9}
	b.must(own)
	if res := b.must(&command.DropDatabase{ID: 10007}).(DropResult); len(res.Tablets) != 2 || b.c.TabletCount() != 0 {
		t.Errorf("after DROP DATABASE: %+v, %d tablets", res, b.c.TabletCount())
	}
}

// TestPublishedTableFitsItsGroup: two tables of a group may be filled at the same time, and only those that fit each other come out.
func TestPublishedTableFitsItsGroup(t *testing.T) {
	b := newBench(t)
	for i, id := range []types.TableID{10400, 10430} {
		own := table(string(rune('a'+i)), id, types.QuorumMajority, types.TabletID(id)+100)
		own.Table.Owner, own.Table.Colocate = &TableOwner{FE: "fe1", StartMs: 5, Claim: uint64(id)}, "g"
		own.Table.Buckets = 1 + i
		b.must(own)
	}
	b.must(&command.AlterTable{Table: Table{ID: 10400}, Set: &command.TableSet{Publish: true}})
	fails[*ErrRefused](b, &command.AlterTable{Table: Table{ID: 10430}, Set: &command.TableSet{Publish: true}})
	if _, ok := b.c.Table(10007, "b"); ok {
		t.Error("a table with other buckets than its group is known")
	}
}
