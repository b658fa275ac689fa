package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"stele/tests/cluster"
)

// manualOptions has BEs report often, so that what an op waits for is heard of within a second.
var manualOptions = cluster.Options{
	FE: map[string]string{"tablet_sched_checker_interval_seconds": "2", "tablet_sched_consecutive_full_clone_delay_sec": "1"},
	BE: map[string]string{"report_tablet_interval_ms": "500"},
}

// TestPrintedSessions plays the sessions of the documents that the verbs come from, through a MySQL client, against real
// processes: the same verbs, the same columns, the same types of ops in the same order.
func TestPrintedSessions(t *testing.T) {
	skipShort(t, "kills and wipes a BE")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c := cluster.Start(t, manualOptions)
	db := databaseOf(ctx, t, c, "demo", "CREATE TABLE flow (id INT PRIMARY KEY, v VARCHAR(20)) DISTRIBUTED BY HASH(id) BUCKETS 2")
	for i := range 100 {
		if _, err := db.ExecContext(ctx, fmt.Sprintf("INSERT INTO flow VALUES (%d, 'x')", i)); err != nil {
			t.Fatal(err)
		}
	}
	st := &stage{c: c, db: db, nodes: roles(ctx, t, c)}
	st.play(ctx, t, "testdata/ops/node_recovery.session")
	c.WaitHealthy(t, "demo.flow", healTimeout)
	if n := c.CheckReplicas(t, "demo.flow", 3); n != 112 {
		t.Errorf("the replicas hold %d rows, want 112", n)
	}
}

// roles names the BEs as the printed session does: ep32 leads partition 0, ep33 partition 1, ep31 neither.
func roles(ctx context.Context, t *testing.T, c *cluster.Cluster) map[string]string {
	t.Helper()
	table, err := cluster.ReadTable(ctx, c.DB(), "showtable demo.flow")
	must(t, err)
	leader := map[string]string{}
	for n, role := range table.Column("role") {
		if role == "leader" {
			leader[table.Column("pid")[n]] = table.Column("endpoint")[n]
		}
	}
	names := map[string]string{}
	for _, node := range []string{"be1", "be2", "be3"} {
		switch c.BackendAddr(node) {
		case leader["0"]:
			names["ep32"] = node
		case leader["1"]:
			names["ep33"] = node
		default:
			names["ep31"] = node
		}
	}
	if len(names) != 3 {
		t.Fatalf("leaders %v of three BEs: %v", leader, names)
	}
	return names
}
