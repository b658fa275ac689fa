package e2e

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stele/tests/cluster"
)

// TestFullDisk fills the disk of one BE of three: it refuses writes, and says so; the others serve. With more room it
// catches up.
func TestFullDisk(t *testing.T) {
	skipShort(t, "fills a disk")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	opts := prompt
	opts.FE = maps.Clone(prompt.FE)
	opts.FE["tablet_sched_disable_balance"] = "true" // be3 would be given leaders before it is full, and refuse all writes to what it leads
	c := cluster.Start(t, opts)
	w := &repairs{T: t, ctx: ctx, c: c, db: databaseOf(ctx, t, c, "rep", repairTable)}
	w.insert(200)
	w.healthy()
	disk := filepath.Join(c.Dir, "be3", "storage1")
	must(t, c.Stop("be3"))
	must(t, c.SetItems("be3", map[string]string{"storage_root_path": disk + ",capacity:24MB"}))
	must(t, c.StartNode("be3"))
	c.WaitAlive(t, "be3", true, 30*time.Second)
	query := fmt.Sprintf("SELECT error, available_bytes, total_bytes FROM stele.disks WHERE be_id = %s", w.id("be3"))
	for n := 0; ; n++ {
		w.insert(1000)
		if row := w.read(query).Rows[0]; strings.Contains(row[0], "reserve") {
			t.Logf("full after %d rows: %v", w.rows, row)
			break
		}
		if n == 40 {
			t.Fatalf("40,000 rows of %d bytes fit on 24 MB: %v", rowBytes, w.read(query).Rows)
		}
	}
	w.insert(500) // goes on with the two others
	w.until("replicas behind on the full disk", "ADMIN SHOW REPLICA STATUS FROM rep.r WHERE STATUS = 'VERSION_ERROR'", func(t cluster.Table) bool { return len(t.Rows) > 0 })
	var rows int
	must(t, w.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM r").Scan(&rows))
	if rows != w.rows {
		t.Errorf("%d rows are read, %d were acknowledged", rows, w.rows)
	}
	must(t, c.Stop("be3"))
	must(t, c.SetItems("be3", map[string]string{"storage_root_path": disk}))
	must(t, c.StartNode("be3"))
	c.WaitAlive(t, "be3", true, 30*time.Second)
	w.healthy()
}
