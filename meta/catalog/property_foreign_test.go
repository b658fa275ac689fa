package catalog

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/command"
	"stele/meta/model"
	"stele/meta/types"
)

// plain draws a table without partitions, as parents and children are, with foreign keys to tables that are there or not.
func (w *world) plain(c *Catalog) command.Command {
	cmd := w.createTable(c).(*command.CreateTable)
	t := &cmd.Table
	t.Partition, t.Owner = nil, nil
	t.Parts[0].Lower, t.Parts[0].Upper = nil, nil
	t.Schema.Columns[1].Type = types.ColumnType{Kind: types.KindBigInt}
	t.ForeignKeys = w.foreignKeys(c, t)
	return cmd
}

// foreign draws a command that makes, moves or drops tables with foreign keys.
func (w *world) foreign(c *Catalog) command.Command {
	switch w.n("with foreign keys", 0, 9) {
	case 0, 1, 2, 3:
		return w.plain(c)
	case 4:
		return &command.DropTable{ID: w.table(c).ID, Unreferenced: w.chance(30)}
	case 5:
		return &command.CreateDatabase{Name: fmt.Sprint("d", w.n("db", 0, 2))}
	case 6:
		if db, ok := pick(w, slices.Collect(c.Databases())); ok && w.chance(20) {
			return &command.DropDatabase{ID: db.ID, Unreferenced: w.chance(30)}
		}
		return w.rename(c)
	case 7:
		t := w.table(c)
		return &command.BeginChange{Table: t.ID, ExpectVersion: t.Schema.Version, UntilMs: w.now + 5000}
	case 8:
		return w.changeTable(c)
	}
	return w.rename(c)
}

// TestHistoriesOfForeignKeys: as TestApplyIsDeterministic, of tables with foreign keys alone.
func TestHistoriesOfForeignKeys(t *testing.T) {
	applied := map[command.Type]int{}
	rapid.Check(t, func(rt *rapid.T) { checkHistoryOf(rt, applied, (*world).foreign) })
	for _, c := range []command.Type{command.TypeCreateTable, command.TypeDropTable, command.TypeDropDatabase, command.TypeRenameTables, command.TypeChangeTable} {
		if applied[c] == 0 {
			t.Errorf("no %s was ever accepted: the test proves nothing of it", c)
		}
	}
}

// foreignKeys draws foreign keys of a table; some of them cannot be.
func (w *world) foreignKeys(c *Catalog, t *Table) []ForeignKey {
	var out []ForeignKey
	for range w.n("foreign", 0, 2) {
		f := ForeignKey{Name: fmt.Sprint(t.Name, "_ibfk_", w.n("fk", 1, 9)), Columns: []types.ColumnID{2}}
		parent := w.table(c)
		if parent.ID == t.ID {
			parent = t
		}
		if w.chance(50) && parent.ID != 1 {
			f.RefTable, f.RefColumns = parent.ID, parent.Schema.Key
		} else {
			f.Awaits = &AwaitedParent{Database: fmt.Sprint("d", w.n("db", 0, 2)), Table: fmt.Sprint("t", w.n("name", 0, 4)), Columns: []string{"k"}}
		}
		out = append(out, f)
	}
	return out
}

// checkForeignKeys checks C12.
func checkForeignKeys(t *rapid.T, c *Catalog) {
	names, awaited := 0, 0
	refers := map[types.TableID]map[types.TableID]bool{}
	for child := range c.AllTables() {
		waits := map[[2]string]bool{}
		for i := range child.ForeignKeys {
			f := &child.ForeignKeys[i]
			names++
			if named, ok := c.ForeignKeyNamed(child.DatabaseID, f.Name); !ok || named != child {
				t.Fatalf("C12: foreign key %s of table %d is not found by its name", f.Name, child.ID)
			}
			if f.Bound() == (f.Awaits != nil) {
				t.Fatalf("C12: %+v", f)
			}
			if f.Awaits != nil {
				waits[[2]string{f.Awaits.Database, f.Awaits.Table}] = true
				if db, ok := c.Database(f.Awaits.Database); ok {
					if _, there := c.Table(db.ID, f.Awaits.Table); there {
						t.Fatalf("C12: foreign key %s awaits table %s, which is there", f.Name, f.Awaits.Table)
					}
				}
				continue
			}
			parent, ok := c.TableByID(f.RefTable)
			if !ok || !slices.Contains(parent.ReferencedBy, child.ID) {
				t.Fatalf("C12: table %d does not know that foreign key %s refers to it", f.RefTable, f.Name)
			}
			if err := fits(child, f, parent); err != nil {
				t.Fatalf("C12: %v", err)
			}
			if refers[parent.ID] == nil {
				refers[parent.ID] = map[types.TableID]bool{}
			}
			refers[parent.ID][child.ID] = true
		}
		for at := range waits {
			awaited++
			if !slices.Contains(slices.Collect(c.Awaiting(at[0], at[1])), child) {
				t.Fatalf("C12: table %d is not found by the parent that it awaits", child.ID)
			}
		}
	}
	for parent := range c.AllTables() {
		if len(parent.ReferencedBy) != len(refers[parent.ID]) || !slices.IsSorted(parent.ReferencedBy) {
			t.Fatalf("C12: table %d says that %v refer to it, and %v do", parent.ID, parent.ReferencedBy, refers[parent.ID])
		}
	}
	if names != c.constraints.len() || awaited != c.awaited.len() {
		t.Fatalf("C12: %d names and %d parents that are awaited, %d and %d stored", names, awaited, c.constraints.len(), c.awaited.len())
	}
}

// plainTable is a table with a primary key and a number that may refer to one.
func plainTable(name string, id types.TableID, tablet types.TabletID, keys ...ForeignKey) *command.CreateTable {
	c := table(name, id, types.QuorumMajority, tablet)
	bigint := types.ColumnType{Kind: types.KindBigInt}
	c.Table.Schema.Columns = []types.Column{{ID: 1, Name: "k", Type: bigint}, {ID: 2, Name: "v", Type: bigint}}
	c.Table.ForeignKeys = keys
	return c
}

func refersTo(name string, parent types.TableID) ForeignKey {
	return ForeignKey{Name: name, Columns: []types.ColumnID{2}, RefTable: parent, RefColumns: []types.ColumnID{1}}
}

func awaits(name, table string) ForeignKey {
	return ForeignKey{Name: name, Columns: []types.ColumnID{2}, Awaits: &AwaitedParent{Database: "d", Table: table, Columns: []string{"K"}}}
}

// TestForeignKeyFollowsItsParent: a foreign key awaits a table that is not there, refers to it when it comes, whatever it is called then,
// and awaits the name again that it had when it goes; writers that do not know of it cannot commit.
func TestForeignKeyFollowsItsParent(t *testing.T) {
	b := newBench(t)
	must := func(cond bool, what string) {
		t.Helper()
		if !cond {
			t.Error(what)
		}
	}
	key := func() *ForeignKey { c, _ := b.c.Table(10007, "c"); return &c.ForeignKeys[0] }
	b.must(plainTable("c", 10400, tabletA, awaits("c_ibfk_1", "p")))
	must(key().Awaits != nil, "it awaits p")
	partitioned := plainTable("p", 10450, 10800)
	partitioned.Table.Schema.Columns[0].Name = "other"
	fails[*ErrRefused](b, partitioned) // no column k
	b.must(plainTable("p", 10450, 10800))
	p, _ := b.c.Table(10007, "p")
	must(key().RefTable == p.ID && slices.Equal(key().RefColumns, []types.ColumnID{1}) && slices.Equal(p.ReferencedBy, []types.TableID{10400}), "it is bound")
	b.must(&command.RenameTables{Renames: []command.TableRename{{Table: 10450, From: 10007, FromName: "p", To: 10007, ToName: "q"}}})
	must(key().RefTable == 10450, "it follows the name")
	fails[*ErrRefused](b, &command.DropTable{ID: 10450, Unreferenced: true})
	fails[*ErrRefused](b, &command.TruncateTable{ID: 10450, Unreferenced: true})
	fails[*ErrExists](b, plainTable("d", 10460, 10820, awaits("C_IBFK_1", "p")))
	b.must(&command.DropTable{ID: 10450})
	must(key().Awaits != nil && key().Awaits.Table == "q" && key().Awaits.Columns[0] == "k", "it awaits q")
	b.must(&command.RenameTables{Renames: []command.TableRename{{Table: 10400, From: 10007, FromName: "c", To: 10007, ToName: "e"}}})
	e, _ := b.c.Table(10007, "e")
	must(e.ForeignKeys[0].Name == "e_ibfk_1", "its name follows that of its table")
	b.must(&command.DropTable{ID: 10400})
	must(b.c.constraints.len() == 0 && b.c.awaited.len() == 0, "nothing is left of it")
}

// TestForeignKeyComesByAChange: what has written to either table before a foreign key came cannot commit, a parent whose rows were kept as
// they are is written to again, and neither table can become one that the key does not fit.
func TestForeignKeyComesByAChange(t *testing.T) {
	b := newBench(t)
	b.must(plainTable("p", 10400, tabletA))
	b.must(plainTable("c", 10450, 10800))
	before := b.commit(1, r1, r2)
	cols := func() []types.Column { c, _ := b.c.TableByID(10450); return c.Schema.Columns }
	change := func(version uint32, keys ...ForeignKey) *command.ChangeTable {
		return &command.ChangeTable{Table: 10450, ExpectVersion: version, LastColumn: 2, Columns: cols(), ForeignKeys: keys}
	}
	fails[*ErrNotFound](b, change(1, refersTo("f", 99)))
	wrong := refersTo("f", 10400)
	wrong.RefColumns = []types.ColumnID{2}
	fails[*ErrRefused](b, change(1, wrong))
	wrong = refersTo("f", 10400)
	wrong.OnDelete = model.ReferenceSetNull + 1
	fails[*ErrRefused](b, change(1, wrong))
	begin := &command.BeginChange{Table: 10400, ExpectVersion: 1, UntilMs: 5000}
	b.must(begin)
	fails[*ErrRefused](b, change(1, refersTo("f", 10400))) // somebody else changes the parent
	held := change(1, refersTo("f", 10400))
	held.Parents = []command.BegunTable{{Table: 10400, Version: 1}}
	fails[*ErrSchemaChanged](b, held)
	held.Parents[0].Version = 2
	b.must(held)
	fails[*ErrStaleEpoch](b, before)
	p, _ := b.c.TableByID(10400)
	c, _ := b.c.TableByID(10450)
	if p.Altering() != 0 || !slices.Equal(p.ReferencedBy, []types.TableID{10450}) || c.Schema.Version != 2 {
		t.Errorf("parent %+v, child %+v", p, c)
	}
	fails[*ErrRefused](b, &command.ChangeTable{Table: 10400, ExpectVersion: p.Schema.Version, LastColumn: 2,
		Columns: []types.Column{{ID: 1, Name: "k", Type: types.ColumnType{Kind: types.KindBigInt, Unsigned: false, Length: 0}}, {ID: 2, Name: "v"}}[1:]})
	fails[*ErrRefused](b, &command.ChangeTable{Table: 10450, ExpectVersion: 2, LastColumn: 2, Columns: cols()[:1], ForeignKeys: c.ForeignKeys})
	b.must(&command.ChangeTable{Table: 10450, ExpectVersion: 2, LastColumn: 2, Columns: cols()})
	if p, _ := b.c.TableByID(10400); len(p.ReferencedBy) != 0 {
		t.Errorf("the parent knows %v of a foreign key that is gone", p.ReferencedBy)
	}
}
