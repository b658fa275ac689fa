package stmt

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"stele/conf"
	"stele/fe/cluster"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/sql/parse"
)

func parser(t testing.TB) *parse.Parser {
	t.Helper()
	router, err := NewRouter()
	if err != nil {
		t.Fatal(err)
	}
	return parse.New(router)
}

// mustRun runs a statement that cannot fail.
func mustRun(t testing.TB, w *world, sql string) Result {
	t.Helper()
	r, err := run(w.env(), parser(t), sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return r
}

// TestDistributionExample is the example of the manual: 9 BEs, 96 replicas.
func TestDistributionExample(t *testing.T) {
	w := newWorld(t, 9)
	counts := []int{15, 18, 11, 11, 9, 9, 9, 8, 6}
	var placement [][]types.BEID
	for i, n := range counts {
		placement = append(placement, slices.Repeat([][]types.BEID{{types.BEID(10002 + i)}}, n)...)
	}
	w.table(t, "spread", []catalog.Partition{{Name: "spread"}}, 1, placement)
	r := mustRun(t, w, "ADMIN SHOW REPLICA DISTRIBUTION FROM spread")
	want := []string{"15 > 15.62 %", "18 > 18.75 %", "11 > 11.46 %", "11 > 11.46 %", "9  9.38 %", "9  9.38 %", "9  9.38 %", "8  8.33 %", "6  6.25 %"}
	for i, row := range r.Rows {
		if got := fmt.Sprintf("%v %v %v", row[1], row[2], row[3]); got != want[i] || row[0] != types.BEID(10002+i) {
			t.Errorf("row %d: %v, want %s", i, row, want[i])
		}
	}
}

// TestHints checks what is kept of a repair hint.
func TestHints(t *testing.T) {
	w := shopWorld(t)
	mustRun(t, w, "ADMIN REPAIR TABLE orders PARTITION (p1)")
	tbl := mustTable(t, w, "orders")
	h, ok := w.cat.Hint(tbl.Parts[0].ID)
	if !ok || h.Owner != "root@10.9.9.9" || h.ExpiresMs != noon.Add(4*time.Hour).UnixMilli() || h.Table != tbl.ID {
		t.Fatalf("hint %+v (%v)", h, ok)
	}
	if w.kicks != 1 {
		t.Errorf("the control loop was told %d times", w.kicks)
	}
	late := w.env()
	late.Now = noon.Add(4 * time.Hour)
	if r, err := run(late, parser(t), "SHOW PROC '/cluster_balance/priority_repair'"); err != nil || len(r.Rows) != 0 {
		t.Errorf("a hint that is over is shown: %v %v", r.Rows, err)
	}
	mustRun(t, w, `ADMIN SET REPLICA STATUS PROPERTIES("tablet_id" = "`+tbl.Parts[1].Tablets[0].String()+`", "backend_id" = "10004", "status" = "bad")`)
	if _, ok := w.cat.Hint(tbl.Parts[1].ID); !ok {
		t.Error("a replica declared bad gives its partition no hint")
	}
}

func mustTable(t testing.TB, w *world, name string) *catalog.Table {
	t.Helper()
	db, _ := w.cat.Database("shop")
	tbl, ok := w.cat.Table(db.ID, name)
	if !ok {
		t.Fatalf("no table %s", name)
	}
	return tbl
}

// TestConfigIsKept checks which changes outlive the process.
func TestConfigIsKept(t *testing.T) {
	w := shopWorld(t)
	mustRun(t, w, `ADMIN SET FRONTEND CONFIG ("schedule_slot_num_per_path" = "5")`)
	if v, ok := w.cat.Config("tablet_sched_slot_num_per_path"); ok {
		t.Errorf("kept without PERSISTENT: %s", v)
	}
	mustRun(t, w, `ADMIN SET FRONTEND CONFIG ("schedule_slot_num_per_path" = "7") WITH PERSISTENT`)
	if v, _ := w.cat.Config("tablet_sched_slot_num_per_path"); v != "7" || conf.SlotNumPerPath.Get(w.conf.Load()) != 7 {
		t.Errorf("kept %q, in use %d", v, conf.SlotNumPerPath.Get(w.conf.Load()))
	}
	if _, err := run(w.env(), parser(t), `ADMIN SET FRONTEND CONFIG ("schedule_slot_num_per_path" = "700") WITH PERSISTENT`); err == nil {
		t.Error("a value out of range is taken")
	}
	if v, _ := w.cat.Config("tablet_sched_slot_num_per_path"); v != "7" {
		t.Errorf("a refused value was kept: %q", v)
	}
}

// TestDecommission follows a BE out of the cluster.
func TestDecommission(t *testing.T) {
	w := newWorld(t, 4)
	w.table(t, "t", []catalog.Partition{{Name: "t"}}, 3, [][]types.BEID{{10002, 10003, 10004}})
	w.bes[10002].Disks = []cluster.Disk{{Total: 1 << 50, DataUsed: 1 << 49, Available: 1 << 49}}
	_, err := run(w.env(), parser(t), `ALTER SYSTEM DECOMMISSION BACKEND "10.0.1.1:9050"`)
	if err == nil || err.Error() != "It will cause insufficient disk space if these BEs are decommissioned." {
		t.Fatalf("too full: %v", err)
	}
	w.bes[10002].Disks = nil
	mustRun(t, w, `ALTER SYSTEM DECOMMISSION BACKEND "10.0.1.1:9050"`)
	if be, _ := w.cat.BE(10002); !be.Decommission {
		t.Fatal("the flag is not set")
	}
	if r := mustRun(t, w, `ALTER SYSTEM DECOMMISSION BACKEND "10.0.1.1:9050"`); r.Affected != 0 {
		t.Errorf("decommissioned twice: %d", r.Affected)
	}
	if r := mustRun(t, w, "ADMIN SHOW REPLICA STATUS FROM t WHERE STATUS = 'DEAD'"); len(r.Rows) != 1 {
		t.Errorf("replicas on a BE that goes: %v", r.Rows)
	}
	mustRun(t, w, `CANCEL DECOMMISSION BACKEND "10.0.1.1:9050"`)
	if be, _ := w.cat.BE(10002); be.Decommission {
		t.Fatal("the flag is still set")
	}
	mustRun(t, w, `ALTER SYSTEM DROP BACKEND "10.0.1.1:9050"`)
	var kinds []string
	for op := range w.cat.Ops() {
		kinds = append(kinds, op.Kind+" "+op.Target+" "+op.State.String())
	}
	want := []string{"alter_system_decommission_backend 10.0.1.1:9050 DONE", "cancel_decommission_backend 10.0.1.1:9050 DONE",
		"alter_system_drop_backend 10.0.1.1:9050 DONE"}
	if !slices.Equal(kinds, want) {
		t.Errorf("operation log %q", kinds)
	}
}

// TestFailedChangeIsTold has the log refuse.
func TestFailedChangeIsTold(t *testing.T) {
	w := shopWorld(t)
	e := w.env()
	w.must(t, &command.DropTable{ID: mustTable(t, w, "orders").ID}) // after the statement took its snapshot
	if _, err := run(e, parser(t), "ADMIN REPAIR TABLE orders"); err == nil {
		t.Error("a hint for a dropped table is taken")
	}
}

// TestWithoutControl answers on an FE that does not lead and has heard of nobody.
func TestWithoutControl(t *testing.T) {
	w := shopWorld(t)
	for _, sql := range []string{"SHOW BACKENDS", "SHOW FRONTENDS", "SHOW PROC '/statistic'", "SHOW PROC '/cluster_balance'", "SHOW PROC '/tasks'", "SHOW TABLETS FROM orders",
		"SHOW PROC '/cluster_balance/cluster_load_stat/SSD'", "SHOW PROC '/cluster_balance/sched_stat'", "SHOW PROC '/backends/10002'", "SHOW VGROUPS",
		"ADMIN SHOW REPLICA STATUS FROM orders", "SHOW PROCESSLIST", "SHOW STATUS", "SHOW PARTITIONS FROM orders"} {
		e := &Env{Catalog: w.cat, DB: "shop", Now: noon, Log: w}
		r, err := run(e, parser(t), sql)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
		}
		Batches(r.Columns, r.Rows)
	}
	e := &Env{Catalog: w.cat, Now: noon, Log: w, Conf: w.conf}
	for _, table := range Tables() {
		if _, err := table.Rows(context.Background(), e); err != nil {
			t.Errorf("%s.%s: %v", table.Database, table.Name, err)
		}
	}
	if _, err := run(e, parser(t), "BALANCE VGROUP LEADER"); err == nil {
		t.Error("leaders are balanced without a control loop")
	}
}

// FuzzStatements runs whatever the router takes for a statement of the registry: it may be refused, it must not panic,
// and its rows must fit.
func FuzzStatements(f *testing.F) {
	for _, s := range Statements() {
		for _, example := range s.Examples {
			f.Add(example)
		}
	}
	f.Add("SHOW PROC '/dbs/shop/orders/partitions/p1/orders/10009'")
	f.Add("ADMIN SHOW REPLICA STATUS FROM orders WHERE STATUS != ''")
	f.Add("SHOW TABLET -1")
	f.Add("SHOW FULL COLUMNS FROM orders LIKE '%\\\\'")
	p := parser(f)
	w := shopWorld(f)
	start := w.cat
	f.Fuzz(func(t *testing.T, sql string) {
		w.cat = start
		st, err := p.Parse(sql, 0)
		if err != nil || st.Admin != nil && st.Admin.ID == "alter_system_add_backend" { // it looks names up
			return
		}
		if r, err := run(w.env(), p, sql); err == nil {
			Batches(r.Columns, r.Rows)
		}
	})
}
