package admin_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"stele/conf"
	"stele/fe/cluster"
	"stele/fe/stmt"
	"stele/fe/stmt/stmttest"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
)

// TestDistributionExample is the example of the manual: 9 BEs, 96 replicas.
func TestDistributionExample(t *testing.T) {
	w := stmttest.NewWorld(t, 9)
	counts := []int{15, 18, 11, 11, 9, 9, 9, 8, 6}
	var placement [][]types.BEID
	for i, n := range counts {
		placement = append(placement, slices.Repeat([][]types.BEID{{types.BEID(10002 + i)}}, n)...)
	}
	w.Table(t, "spread", []catalog.Partition{{Name: "spread"}}, 1, placement)
	r := stmttest.MustRun(t, w, "ADMIN SHOW REPLICA DISTRIBUTION FROM spread")
	want := []string{"15 > 15.62 %", "18 > 18.75 %", "11 > 11.46 %", "11 > 11.46 %", "9  9.38 %", "9  9.38 %", "9  9.38 %", "8  8.33 %", "6  6.25 %"}
	for i, row := range r.Rows {
		if got := fmt.Sprintf("%v %v %v", row[1], row[2], row[3]); got != want[i] || row[0] != types.BEID(10002+i) {
			t.Errorf("row %d: %v, want %s", i, row, want[i])
		}
	}
}

// TestHints checks what is kept of a repair hint.
func TestHints(t *testing.T) {
	w := stmttest.ShopWorld(t)
	stmttest.MustRun(t, w, "ADMIN REPAIR TABLE orders PARTITION (p1)")
	tbl := stmttest.MustTable(t, w, "orders")
	h, ok := w.Cat.Hint(tbl.Parts[0].ID)
	if !ok || h.Owner != "root@10.9.9.9" || h.ExpiresMs != stmttest.Noon.Add(4*time.Hour).UnixMilli() || h.Table != tbl.ID {
		t.Fatalf("hint %+v (%v)", h, ok)
	}
	if w.Kicks != 1 {
		t.Errorf("the control loop was told %d times", w.Kicks)
	}
	late := w.Env()
	late.Now = stmttest.Noon.Add(4 * time.Hour)
	if r, err := stmttest.Run(late, stmttest.Parser(t), "SHOW PROC '/cluster_balance/priority_repair'"); err != nil || len(r.Rows) != 0 {
		t.Errorf("a hint that is over is shown: %v %v", r.Rows, err)
	}
	stmttest.MustRun(t, w, `ADMIN SET REPLICA STATUS PROPERTIES("tablet_id" = "`+tbl.Parts[1].Tablets[0].String()+`", "backend_id" = "10004", "status" = "bad")`)
	if _, ok := w.Cat.Hint(tbl.Parts[1].ID); !ok {
		t.Error("a replica declared bad gives its partition no hint")
	}
}

// TestConfigIsKept checks which changes outlive the process.
func TestConfigIsKept(t *testing.T) {
	w := stmttest.ShopWorld(t)
	stmttest.MustRun(t, w, `ADMIN SET FRONTEND CONFIG ("schedule_slot_num_per_path" = "5")`)
	if v, ok := w.Cat.Config("tablet_sched_slot_num_per_path"); ok {
		t.Errorf("kept without PERSISTENT: %s", v)
	}
	stmttest.MustRun(t, w, `ADMIN SET FRONTEND CONFIG ("schedule_slot_num_per_path" = "7") WITH PERSISTENT`)
	if v, _ := w.Cat.Config("tablet_sched_slot_num_per_path"); v != "7" || conf.SlotNumPerPath.Get(w.Conf.Load()) != 7 {
		t.Errorf("kept %q, in use %d", v, conf.SlotNumPerPath.Get(w.Conf.Load()))
	}
	if _, err := stmttest.Run(w.Env(), stmttest.Parser(t), `ADMIN SET FRONTEND CONFIG ("schedule_slot_num_per_path" = "700") WITH PERSISTENT`); err == nil {
		t.Error("a value out of range is taken")
	}
	if v, _ := w.Cat.Config("tablet_sched_slot_num_per_path"); v != "7" {
		t.Errorf("a refused value was kept: %q", v)
	}
}

// TestDecommission follows a BE out of the cluster.
func TestDecommission(t *testing.T) {
	w := stmttest.NewWorld(t, 4)
	w.Table(t, "t", []catalog.Partition{{Name: "t"}}, 3, [][]types.BEID{{10002, 10003, 10004}})
	w.BEs[10002].Disks = []cluster.Disk{{Total: 1 << 50, DataUsed: 1 << 49, Available: 1 << 49}}
	_, err := stmttest.Run(w.Env(), stmttest.Parser(t), `ALTER SYSTEM DECOMMISSION BACKEND "10.0.1.1:9050"`)
	if err == nil || err.Error() != "It will cause insufficient disk space if these BEs are decommissioned." {
		t.Fatalf("too full: %v", err)
	}
	w.BEs[10002].Disks = nil
	stmttest.MustRun(t, w, `ALTER SYSTEM DECOMMISSION BACKEND "10.0.1.1:9050"`)
	if be, _ := w.Cat.BE(10002); !be.Decommission {
		t.Fatal("the flag is not set")
	}
	if r := stmttest.MustRun(t, w, `ALTER SYSTEM DECOMMISSION BACKEND "10.0.1.1:9050"`); r.Affected != 0 {
		t.Errorf("decommissioned twice: %d", r.Affected)
	}
	_, err = stmttest.Run(w.Env(), stmttest.Parser(t), `ALTER SYSTEM ADD BACKEND "10.0.1.1:9050"`)
	if err == nil || !strings.Contains(err.Error(), `is being decommissioned: CANCEL DECOMMISSION BACKEND "10.0.1.1:9050" keeps it`) {
		t.Errorf("a BE that goes is added: %v", err)
	}
	if r := stmttest.MustRun(t, w, "ADMIN SHOW REPLICA STATUS FROM t WHERE STATUS = 'DEAD'"); len(r.Rows) != 1 {
		t.Errorf("replicas on a BE that goes: %v", r.Rows)
	}
	stmttest.MustRun(t, w, `CANCEL DECOMMISSION BACKEND "10.0.1.1:9050"`)
	if be, _ := w.Cat.BE(10002); be.Decommission {
		t.Fatal("the flag is still set")
	}
	stmttest.MustRun(t, w, `ALTER SYSTEM DROP BACKEND "10.0.1.1:9050"`)
	var kinds []string
	for op := range w.Cat.Ops() {
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
	w := stmttest.ShopWorld(t)
	e := w.Env()
	w.Must(t, &command.DropTable{ID: stmttest.MustTable(t, w, "orders").ID}) // after the statement took its snapshot
	if _, err := stmttest.Run(e, stmttest.Parser(t), "ADMIN REPAIR TABLE orders"); err == nil {
		t.Error("a hint for a dropped table is taken")
	}
}

// TestWithoutControl answers on an FE that does not lead and has heard of nobody.
func TestWithoutControl(t *testing.T) {
	w := stmttest.ShopWorld(t)
	for _, sql := range []string{"SHOW BACKENDS", "SHOW FRONTENDS", "SHOW PROC '/statistic'", "SHOW PROC '/cluster_balance'", "SHOW PROC '/tasks'", "SHOW TABLETS FROM orders",
		"SHOW PROC '/cluster_balance/cluster_load_stat/SSD'", "SHOW PROC '/cluster_balance/sched_stat'", "SHOW PROC '/backends/10002'", "SHOW VGROUPS",
		"ADMIN SHOW REPLICA STATUS FROM orders", "SHOW PROCESSLIST", "SHOW STATUS", "SHOW PARTITIONS FROM orders"} {
		e := &stmt.Env{Catalog: w.Cat, DB: "shop", Now: stmttest.Noon, Log: w}
		r, err := stmttest.Run(e, stmttest.Parser(t), sql)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
		}
		stmt.Batches(r.Columns, r.Rows)
	}
	e := &stmt.Env{Catalog: w.Cat, Now: stmttest.Noon, Log: w, Conf: w.Conf}
	for _, table := range stmt.Tables() {
		if _, err := table.Rows(context.Background(), e); err != nil {
			t.Errorf("%s.%s: %v", table.Database, table.Name, err)
		}
	}
	if _, err := stmttest.Run(e, stmttest.Parser(t), "BALANCE VGROUP LEADER"); err == nil {
		t.Error("leaders are balanced without a control loop")
	}
}

// FuzzStatements runs whatever the router takes for a statement of the registry: it may be refused, it must not panic,
// and its rows must fit.
func FuzzStatements(f *testing.F) {
	for _, s := range stmt.Statements() {
		for _, example := range s.Examples {
			f.Add(example)
		}
	}
	f.Add("SHOW PROC '/dbs/shop/orders/partitions/p1/orders/10009'")
	f.Add("ADMIN SHOW REPLICA STATUS FROM orders WHERE STATUS != ''")
	f.Add("SHOW TABLET -1")
	f.Add("SHOW FULL COLUMNS FROM orders LIKE '%\\\\'")
	p := stmttest.Parser(f)
	w := stmttest.ShopWorld(f)
	start := w.Cat
	f.Fuzz(func(t *testing.T, sql string) {
		w.Cat = start
		st, err := p.Parse(sql, 0)
		if err != nil || st.Admin != nil && st.Admin.ID == "alter_system_add_backend" { // it looks names up
			return
		}
		if r, err := stmttest.Run(w.Env(), p, sql); err == nil {
			stmt.Batches(r.Columns, r.Rows)
		}
	})
}
