package all_test

import (
	"slices"
	"testing"

	"stele/fe/opctl"
	"stele/fe/stmt"
	"stele/fe/stmt/stmttest"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
)

// keyed adds to a world the table items of two partitions with a unique key, and returns a tablet of the key in its second partition.
func keyed(t testing.TB, w *stmttest.World) types.TabletID {
	t.Helper()
	parts := []catalog.Partition{{Name: "p1", Upper: []byte{1}, UpperText: []string{"2026-01-01"}}, {Name: "p2", Lower: []byte{1}, LowerText: []string{"2026-01-01"}}}
	bes := []types.BEID{10002, 10003, 10004}
	drop := func(name string) (*catalog.Table, []catalog.Tablet) {
		of := w.Table(t, name, slices.Clone(parts), 3, [][]types.BEID{bes, bes})
		tablets := make([]catalog.Tablet, 0, 2)
		for tab := range w.Cat.TabletsOfTable(of) {
			tablets = append(tablets, *tab)
		}
		w.Must(t, &command.DropTable{ID: of.ID})
		return of, tablets
	}
	items, rows := drop("items")
	index, entries := drop("index")
	items.Unique = []catalog.UniqueKey{{Name: "by_name", Columns: index.Schema.Key, Unique: true, Index: index.ID}}
	index.Name, index.IndexOf, index.Unique = "__stele_key", items.ID, nil
	w.Must(t, &command.CreateTable{Table: *items, Tablets: rows, TimeMs: stmttest.Noon.UnixMilli(), Indexes: []command.IndexTable{{Table: *index, Tablets: entries}}})
	w.Report()
	return index.Parts[1].Tablets[0]
}

// TestKeysAreShown: what befalls the hidden table of a unique key is told where an operator looks for what befalls the table.
func TestKeysAreShown(t *testing.T) {
	w := stmttest.NewWorld(t, 3)
	hurt := keyed(t, w)
	w.Must(t, &command.SetReplicaBad{Tablet: hurt, BE: 10003, Bad: true})
	statistic := stmttest.MustRun(t, w, "SHOW PROC '/statistic'")
	for name, want := range map[string]any{"TableNum": 1, "PartitionNum": 2, "IndexNum": 4, "TabletNum": 4, "ReplicaNum": 12, "UnhealthyTabletNum": 1, "InconsistentTabletNum": 1} {
		if got := statistic.Rows[0][slices.IndexFunc(statistic.Columns, func(c stmt.Column) bool { return c.Name == name })]; got != want {
			t.Errorf("%s is %v, not %v", name, got, want)
		}
	}
	ids := "[" + hurt.String() + "]"
	if r := stmttest.MustRun(t, w, "SHOW PROC '/statistic/shop'").Rows[0]; r[0] != ids || r[1] != ids {
		t.Errorf("unhealthy and inconsistent are %v, not %s", r, ids)
	}
	for sql, want := range map[string]int{
		"ADMIN SHOW REPLICA STATUS FROM items":                                    12,
		"ADMIN SHOW REPLICA STATUS FROM items PARTITION (p1)":                     6,
		"ADMIN SHOW REPLICA STATUS FROM items WHERE STATUS = 'DEAD'":              1,
		"SHOW TABLETS FROM items":                                                 12,
		"SHOW TABLETS FROM items PARTITION (p2)":                                  6,
		"SHOW PROC '/dbs/shop/items/partitions/p2'":                               2,
		"SHOW PROC '/dbs/shop/items/partitions/p2/by_name'":                       3,
		"SHOW PROC '/dbs/shop/items/partitions/p2/by_name/" + hurt.String() + "'": 3,
		"SHOW PROC '/dbs/shop/items/partitions/p1/by_name/" + hurt.String() + "'": 0,
		"SHOW VGROUPS":         4,
		"SHOW DATA FROM items": 3,
	} {
		if r := stmttest.MustRun(t, w, sql); len(r.Rows) != want {
			t.Errorf("%s: %d rows, not %d: %v", sql, len(r.Rows), want, r.Rows)
		}
	}
	db, _ := w.Cat.Database("shop")
	if scope := opctl.LeaderScope(w.Cat, db.ID, 0); len(scope.Tables) != 2 {
		t.Errorf("a balance of the leaders of the database is about tables %v", scope.Tables)
	}
	if r := stmttest.MustRun(t, w, "SHOW TABLET "+hurt.String()).Rows[0]; r[1] != "items" || r[3] != "by_name" {
		t.Errorf("a tablet of the key is said to be of %v, index %v", r[1], r[3])
	}
	listed := stmttest.MustRun(t, w, "SHOW TABLETS FROM items")
	table, _ := stmt.SystemTable(stmt.SteleDB, "tablets")
	rows, err := table.Rows(t.Context(), w.Env())
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]stmt.Result{"SHOW TABLETS": listed, "stele.tablets": {Columns: table.Columns, Rows: rows}} {
		at := slices.IndexFunc(r.Columns, func(c stmt.Column) bool { return c.Name == "IndexName" })
		of := map[any]int{}
		for _, row := range r.Rows {
			of[row[at]]++
		}
		if of["items"] != 6 || of["by_name"] != 6 {
			t.Errorf("%s has replicas of %v", name, of)
		}
	}
	stmttest.MustRun(t, w, "ADMIN REPAIR TABLE items PARTITION (p2)")
	if n := len(slices.Collect(w.Cat.Hints())); n != 2 {
		t.Errorf("%d hints, not one for the partition and one for that of its key", n)
	}
	if r := stmttest.MustRun(t, w, "ADMIN CANCEL REPAIR TABLE items"); r.Affected != 2 {
		t.Errorf("%d hints cancelled", r.Affected)
	}
}
