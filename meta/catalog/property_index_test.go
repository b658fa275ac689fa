package catalog

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/command"
	"stele/meta/types"
)

// addIndex adds a plain key, or a unique one with its hidden table.
func (w *world) addIndex(c *Catalog) command.Command {
	t := w.table(c)
	cmd := &command.AddIndex{Table: t.ID, ExpectVersion: t.Schema.Version, TimeMs: w.now,
		Key: UniqueKey{Name: fmt.Sprint("k", w.n("key", 0, 3)), Columns: []types.ColumnID{1}}}
	if w.chance(20) {
		return cmd
	}
	index := Table{DatabaseID: t.DatabaseID, IndexOf: t.ID, HashBy: []types.ColumnID{1}, Replicas: t.Replicas, Quorum: t.Quorum,
		Partition: t.Partition, Schema: types.Schema{Version: 1, Key: []types.ColumnID{1}, Columns: t.Schema.Columns}}
	var tablets []Tablet
	for _, p := range t.Parts {
		ids, more := w.newTablets(c)
		if index.ID == 0 {
			index.ID = types.TableID(uint64(ids[0]) + 2000)
		}
		p.ID, p.Tablets = types.PartitionID(uint64(ids[0])+2450), ids
		index.Parts, tablets = append(index.Parts, p), append(tablets, more...)
	}
	index.Name, index.Schema.TableID = fmt.Sprint("hidden", index.ID), index.ID
	cmd.Key.Unique, cmd.Key.Index, cmd.Key.BuildUntilMs = true, index.ID, w.now+int64(w.n("lease", 0, 5000))
	cmd.Index = &command.IndexTable{Table: index, Tablets: tablets}
	return cmd
}

func (w *world) key(c *Catalog) (*Table, UniqueKey) {
	t := w.table(c)
	k, _ := pick(w, t.Unique)
	return t, k
}

func (w *world) publishIndex(c *Catalog) command.Command {
	t, k := w.key(c)
	if w.chance(30) {
		return &command.RenewIndex{Table: t.ID, Index: k.Index, UntilMs: w.now + 5000}
	}
	return &command.PublishIndex{Table: t.ID, Index: k.Index}
}

func (w *world) dropIndex(c *Catalog) command.Command {
	t, k := w.key(c)
	cmd := &command.DropIndex{Table: t.ID, Name: k.Name, Index: k.Index}
	if w.chance(50) {
		cmd.ExpiredMs = w.now
	}
	return cmd
}

func (w *world) indexPartitions(c *Catalog, t *Table) (out []command.IndexPartition) {
	for _, k := range t.Unique {
		if k.Enforced() {
			ids, tablets := w.newTablets(c)
			out = append(out, command.IndexPartition{Table: k.Index, Tablets: tablets,
				Partition: Partition{ID: types.PartitionID(uint64(ids[0]) + 2450), Tablets: ids}})
		}
	}
	return out
}

func (w *world) truncateIndexes(c *Catalog, t *Table, part types.PartitionID) (out []command.TruncateIndex) {
	at := partitionIndex(t, part)
	for _, k := range t.Unique {
		index, ok := c.TableByID(k.Index)
		if !ok || at < 0 {
			continue
		}
		ids, tablets := w.newTablets(c)
		out = append(out, command.TruncateIndex{Table: k.Index, Tablets: tablets,
			Parts: []command.TruncatePartition{{Partition: index.Parts[at].ID, Tablets: ids}}})
	}
	return out
}

// checkKeys checks C8 for one table.
func checkKeys(t *rapid.T, c *Catalog, tbl *Table) {
	if tbl.Hidden() {
		owner, ok := c.TableByID(tbl.IndexOf)
		if !ok || !slices.ContainsFunc(owner.Unique, func(k UniqueKey) bool { return k.Index == tbl.ID }) {
			t.Fatalf("C8: hidden table %d has no owner", tbl.ID)
		}
		return
	}
	for _, k := range tbl.Unique {
		if k.Unique != k.Enforced() {
			t.Fatalf("C8: key %+v of table %d", k, tbl.ID)
		}
		if !k.Enforced() {
			continue
		}
		index, ok := c.TableByID(k.Index)
		if !ok || index.IndexOf != tbl.ID || len(index.Parts) != len(tbl.Parts) || index.Quorum != tbl.Quorum {
			t.Fatalf("C8: key %s of table %d has the hidden table %+v", k.Name, tbl.ID, index)
		}
		for i := range tbl.Parts {
			if string(index.Parts[i].Lower) != string(tbl.Parts[i].Lower) || string(index.Parts[i].Upper) != string(tbl.Parts[i].Upper) {
				t.Fatalf("C8: partition %d of key %s of table %d is another range", i, k.Name, tbl.ID)
			}
		}
	}
}

// TestUniqueKeyFencesAndExpires: adding a unique key ends the transactions that do not know it, and only a key whose builder
// has broken its promise can be taken for abandoned.
func TestUniqueKeyFencesAndExpires(t *testing.T) {
	b := newBench(t)
	b.must(table("t", 10400, types.QuorumMajority, tabletA))
	before := b.commit(1, r1, r2)
	hidden := table("hidden", 10420, types.QuorumMajority, 10600)
	hidden.Table.IndexOf = 10400
	add := &command.AddIndex{Table: 10400, ExpectVersion: 1, Key: UniqueKey{Name: "k", Columns: []types.ColumnID{1}, Unique: true, Index: 10420, BuildUntilMs: 5000},
		Index: &command.IndexTable{Table: hidden.Table, Tablets: hidden.Tablets}}
	b.must(add)
	fails[*ErrStaleEpoch](b, before)
	fails[*ErrSchemaChanged](b, add)
	if _, ok := b.c.Table(10007, "hidden"); ok || b.c.TableCount() != 1 {
		t.Error("users see the hidden table")
	}
	fails[*ErrRefused](b, &command.DropIndex{Table: 10400, Name: "K", ExpiredMs: 5000})
	b.must(&command.RenewIndex{Table: 10400, Index: 10420, UntilMs: 9000})
	fails[*ErrRefused](b, &command.DropIndex{Table: 10400, Name: "k", ExpiredMs: 9000})
	fails[*ErrNotFound](b, &command.DropTable{ID: 10420})
	fails[*ErrRefused](b, &command.TruncateTable{ID: 10400})
	expired := b.c
	b.must(&command.DropIndex{Table: 10400, Name: "k", Index: 10420, ExpiredMs: 9001})
	if _, ok := b.c.Tablet(10600); ok {
		t.Error("the tablets of an abandoned key are still there")
	}
	fails[*ErrNotFound](b, &command.PublishIndex{Table: 10400, Index: 10420})
	b.c = expired
	b.must(&command.PublishIndex{Table: 10400, Index: 10420})
	fails[*ErrRefused](b, &command.DropIndex{Table: 10400, Name: "k", ExpiredMs: 99000})
	fails[*ErrSchemaChanged](b, &command.TruncateTable{ID: 10400, Parts: []command.TruncatePartition{{Partition: 10401, Tablets: []types.TabletID{10700}}},
		Tablets: []Tablet{{ID: 10700, Leader: be1, Replicas: []Replica{{ID: 10701, BE: be1}}}}})
	b.must(&command.DropTable{ID: 10400})
	if b.c.TabletCount() != 0 || b.c.TableCount() != 0 {
		t.Error("a dropped table leaves hidden tablets")
	}
}
