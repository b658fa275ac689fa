package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stele/tests/cluster"
)

// TestFullDisk fills the disk of one BE of three, which leads tablets: no write fails, the two others lead, and who asks is told of the disk. With
// more room it catches up by what it has missed, and leads again.
func TestFullDisk(t *testing.T) {
	skipShort(t, "fills a disk")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c := cluster.Start(t, prompt)
	w := &repairs{T: t, ctx: ctx, c: c, db: databaseOf(ctx, t, c, "rep", repairTable)}
	w.insert(200)
	w.healthy()
	disk := filepath.Join(c.Dir, "be3", "storage1")
	be3 := w.id("be3")
	again := func(root string) {
		t.Helper()
		must(t, c.Stop("be3"))
		must(t, c.SetItems("be3", map[string]string{"storage_root_path": root}))
		must(t, c.StartNode("be3"))
		c.WaitAlive(t, "be3", true, 30*time.Second)
	}
	leaders := fmt.Sprintf("SELECT TabletId FROM stele.tablets WHERE TableName = 'r' AND IsLeader = 'true' AND BackendId = %s", be3)
	leads := func(t cluster.Table) bool { return len(t.Rows) > 0 }
	again(disk + ",capacity:24MB")
	w.until("be3 leads something", leaders, leads)
	query := fmt.Sprintf("SELECT state, error, available_bytes, total_bytes FROM stele.disks WHERE be_id = %s", be3)
	for n := 0; ; n++ {
		w.insert(1000) // fails with the first refusal
		if row := w.read(query).Rows[0]; row[0] == "READ_ONLY" {
			t.Logf("full after %d rows: %v", w.rows, row)
			if !strings.Contains(row[1], "reserve") {
				t.Errorf("the disk does not say why: %v", row)
			}
			break
		}
		if n == 40 {
			t.Fatalf("40,000 rows of %d bytes fit on 24 MB: %v", rowBytes, w.read(query).Rows)
		}
	}
	w.insert(500)
	w.until("no leaders on the full disk", leaders, func(t cluster.Table) bool { return !leads(t) })
	w.until("replicas behind on the full disk", "ADMIN SHOW REPLICA STATUS FROM rep.r WHERE STATUS = 'VERSION_ERROR'", leads)
	w.leftOut(be3)
	var rows int
	must(t, w.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM r").Scan(&rows))
	if rows != w.rows {
		t.Errorf("%d rows are read, %d were acknowledged", rows, w.rows)
	}
	again(disk)
	w.healthy()
	if full, incremental := clones(t, c); full > 0 || incremental == 0 {
		t.Errorf("%d full and %d incremental clones for a disk that had no room for a while", full, incremental)
	}
	w.until("be3 leads again", leaders, leads)
}

// leftOut looks at what operators are told of a BE whose disk refuses writes.
func (w *repairs) leftOut(be string) {
	w.Helper()
	if text := w.read("SHOW BACKENDS WHERE BackendId = " + be).Column("ErrMsg")[0]; !strings.Contains(text, "refuses writes") {
		w.Errorf("SHOW BACKENDS says %q", text)
	}
	if states := w.read(fmt.Sprintf("SHOW PROC '/backends/%s'", be)).Column("State"); states[0] != "READ_ONLY" {
		w.Errorf("SHOW PROC shows the disk as %v", states)
	}
	plan := w.read("BALANCE VGROUP LEADER DRY RUN")
	for i, state := range plan.Column("state") {
		if strings.HasPrefix(state, "left out") && plan.Column("to_be")[i] == be {
			return
		}
	}
	w.Errorf("a balance of leaders does not name the BE: %v", plan.Rows)
}
