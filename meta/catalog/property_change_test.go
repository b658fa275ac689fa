package catalog

import (
	"fmt"
	"slices"
	"testing"

	"stele/meta/command"
	"stele/meta/types"
)

// beginChange begins a change of a table that makes a unique key, or none.
func (w *world) beginChange(c *Catalog) command.Command {
	add := w.addIndex(c).(*command.AddIndex)
	out := &command.BeginChange{Table: add.Table, ExpectVersion: add.ExpectVersion, UntilMs: w.now + int64(w.n("lease", 1, 5000)), TimeMs: w.now}
	if add.Index != nil {
		out.Keys, out.Indexes = []UniqueKey{add.Key}, []command.IndexTable{*add.Index}
	}
	return out
}

// holdChange renews the promise of a change, or takes the change back.
func (w *world) holdChange(c *Catalog) command.Command {
	t := w.altered(c)
	out := &command.HoldChange{Table: t.ID, Version: t.Schema.Version}
	switch w.n("hold", 0, 3) {
	case 0:
		out.UntilMs = w.now + 5000
	case 1:
		out.Version, out.ExpiredMs = 0, w.now
	}
	return out
}

// altered picks a table whose change has begun, if there is one.
func (w *world) altered(c *Catalog) *Table {
	var all []*Table
	for db := range c.Databases() {
		for t := range c.Tables(db.ID) {
			if t.AlterUntilMs != 0 {
				all = append(all, t)
			}
		}
	}
	if t, ok := pick(w, all); ok && w.chance(80) {
		return t
	}
	return w.table(c)
}

// changeTable draws an ALTER TABLE.
func (w *world) changeTable(c *Catalog) command.Command {
	t := w.altered(c)
	out := &command.ChangeTable{Table: t.ID, ExpectVersion: t.Schema.Version, Begun: t.AlterUntilMs != 0, Columns: slices.Clone(t.Schema.Columns),
		LastColumn: t.HighestColumn(), Fence: w.chance(50), Keys: slices.Clone(t.Unique), Comment: fmt.Sprint("c", w.n("comment", 0, 2)),
		AutoIncrement: uint64(w.n("auto", 0, 40))}
	if w.chance(30) {
		out.LastColumn++
		out.Columns = append(out.Columns, types.Column{ID: out.LastColumn, Name: fmt.Sprint("x", out.LastColumn)})
	}
	if len(out.Keys) > 0 && w.chance(30) {
		out.Keys = out.Keys[1:]
	}
	if w.chance(30) {
		out.Checks = append(slices.Clone(t.Checks), Check{Name: t.Name + "_chk_1", Clause: "true", Columns: []types.ColumnID{types.ColumnID(w.n("of", 1, 2))}})
	}
	if out.ForeignKeys = slices.Clone(t.ForeignKeys); w.chance(30) {
		out.ForeignKeys = w.foreignKeys(c, t)
	}
	if w.chance(20) {
		out.Rename = &command.TableRename{Table: t.ID, From: t.DatabaseID, FromName: t.Name, To: t.DatabaseID, ToName: fmt.Sprint("t", w.n("name", 0, 4))}
	}
	return out
}

// TestChangeIsWholeOrNothing: nothing of a change counts before the command that says so, and all of it then; what has begun ends the
// transactions that do not know of it, keeps other changes away, and is taken back when its promise is over.
func TestChangeIsWholeOrNothing(t *testing.T) {
	b := newBench(t)
	b.must(table("t", 10400, types.QuorumMajority, tabletA))
	b.must(table("taken", 10450, types.QuorumMajority, 10800))
	before := b.commit(1, r1, r2)
	hidden := table("hidden", 10420, types.QuorumMajority, 10600)
	hidden.Table.IndexOf = 10400
	key := UniqueKey{Name: "k", Columns: []types.ColumnID{1}, Unique: true, Index: 10420}
	begin := &command.BeginChange{Table: 10400, ExpectVersion: 1, UntilMs: 5000, Keys: []UniqueKey{key},
		Indexes: []command.IndexTable{{Table: hidden.Table, Tablets: hidden.Tablets}}}
	change := func() *command.ChangeTable {
		return &command.ChangeTable{Table: 10400, ExpectVersion: 2, Begun: true, LastColumn: 2, Keys: []UniqueKey{key, {Name: "p", Columns: []types.ColumnID{2}}},
			Columns: []types.Column{{ID: 1, Name: "k"}, {ID: 2, Name: "v"}}, Comment: "c", AutoIncrement: 100, Checks: []Check{{Name: "t_chk_1", Columns: []types.ColumnID{2}}},
			Rename: &command.TableRename{Table: 10400, From: 10007, FromName: "t", To: 10007, ToName: "u"}}
	}
	fails[*ErrRefused](b, &command.ChangeTable{Table: 10400, ExpectVersion: 1, LastColumn: 1, Columns: []types.Column{{ID: 1, Name: "k"}}, Keys: []UniqueKey{key}})
	b.must(begin)
	fails[*ErrStaleEpoch](b, before)
	fails[*ErrSchemaChanged](b, begin)
	again := *begin
	again.ExpectVersion = 2
	fails[*ErrRefused](b, &again)
	fails[*ErrRefused](b, &command.ChangeTable{Table: 10400, ExpectVersion: 2, LastColumn: 1, Columns: []types.Column{{ID: 1, Name: "k"}}})
	fails[*ErrRefused](b, &command.TruncateTable{ID: 10400})
	fails[*ErrRefused](b, &command.HoldChange{Table: 10400, ExpiredMs: 5000})
	fails[*ErrSchemaChanged](b, &command.HoldChange{Table: 10400, Version: 1})
	b.must(&command.HoldChange{Table: 10400, Version: 2, UntilMs: 9000})
	fails[*ErrRefused](b, &command.HoldChange{Table: 10400, ExpiredMs: 9000})
	begun := b.c

	b.must(&command.HoldChange{Table: 10400, ExpiredMs: 9001})
	if tbl, _ := b.c.TableByID(10400); len(tbl.Unique) != 0 || tbl.Altering() != 0 {
		t.Errorf("a change that was taken back leaves %+v", tbl)
	}
	if _, ok := b.c.Tablet(10600); ok {
		t.Error("the tablets of an abandoned key are still there")
	}
	fails[*ErrRefused](b, change())
	fails[*ErrRefused](b, &command.HoldChange{Table: 10400, Version: 2, UntilMs: 9999})

	b.c = begun
	bad := change()
	bad.Rename.ToName = "taken"
	fails[*ErrExists](b, bad)
	bad = change()
	bad.Checks[0].Columns[0] = 3
	fails[*ErrRefused](b, bad)
	bad = change()
	bad.Keys[1].Name = "K"
	fails[*ErrExists](b, bad)
	if b.c != begun {
		t.Fatal("a refused change has changed something")
	}
	b.must(change())
	tbl, ok := b.c.Table(10007, "u")
	if !ok || tbl.Altering() != 0 || len(tbl.VisibleKeys()) != 2 || tbl.Comment != "c" || tbl.Schema.Indexed[0] != 2 || tbl.Checks[0].Name != "u_chk_1" {
		t.Errorf("the table is %+v", tbl)
	}
	if b.c.NextAutoIncrement(10400) != 100 || b.c.AutoIncrementFence(10400) != 99 {
		t.Errorf("numbers from %d, fence %d", b.c.NextAutoIncrement(10400), b.c.AutoIncrementFence(10400))
	}
	fails[*ErrRefused](b, &command.HoldChange{Table: 10400, Version: 2, UntilMs: 9999})

	b.must(&command.ChangeTable{Table: 10400, ExpectVersion: 3, LastColumn: 2, Columns: []types.Column{{ID: 1, Name: "k"}}, AutoIncrement: 50})
	if _, ok := b.c.Tablet(10600); ok || b.c.NextAutoIncrement(10400) != 100 {
		t.Errorf("the key that was dropped has tablets: %t, numbers from %d", ok, b.c.NextAutoIncrement(10400))
	}
}
