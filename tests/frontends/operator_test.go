package frontends

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"stele/tests/cluster"
)

// told are the questions of somebody who waits for repairs: every FE answers them alike, whichever leads.
var told = []string{
	"SELECT table_name, partition_name, owner, added, expires FROM stele.repair_hints",
	"SELECT TabletId, Status, State, ErrMsg FROM stele.history_tablets",
	"SELECT kind, target, owner, state FROM stele.operations",
	"SHOW PROC '/statistic'",
	"ADMIN SHOW REPLICA DISTRIBUTION FROM ha.t0",
	"ADMIN SHOW REPLICA STATUS FROM ha.t0",
}

// answers of an FE to all of them.
func answers(t *testing.T, db *sql.DB) ([]string, error) {
	t.Helper()
	var out []string
	for _, query := range told {
		table, err := cluster.ReadTable(t.Context(), db, query)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", query, err)
		}
		out = append(out, fmt.Sprint(table.Rows))
	}
	return out, nil
}

// hints of an operator, what was repaired and what is wrong are told alike by every FE, and outlive the one that leads.
func hints(t *testing.T, c *cluster.Cluster, dbs []*sql.DB) {
	t.Helper()
	rows, err := cluster.ReadTable(t.Context(), dbs[0], "SHOW TABLET FROM ha.t1 LIMIT 1")
	must(t, err)
	exec(t, dbs[1], fmt.Sprintf(`ADMIN SET REPLICA STATUS PROPERTIES("tablet_id" = "%s", "backend_id" = "%s", "status" = "bad")`, rows.Column("TabletId")[0], rows.Column("BackendId")[0]))
	c.WaitHealthy(t, "ha.t1", 30*time.Second)
	must(t, c.Kill("be3"))
	c.WaitAlive(t, "be3", false, 30*time.Second)
	exec(t, dbs[2], "ADMIN REPAIR TABLE ha.t0")
	alike := func(when string, before []string) (all []string) {
		c.Wait(t, "every frontend to answer alike "+when, 20*time.Second, func() (bool, string) {
			all = nil
			for i, db := range dbs {
				got, err := answers(t, db)
				if err != nil {
					return false, err.Error()
				}
				if i > 0 && !slices.Equal(got, all) {
					return false, fmt.Sprintf("fe%d: %v, fe1: %v", i+1, got, all)
				}
				all = got
			}
			return before == nil || all[0] == before[0] && all[1] == before[1], fmt.Sprintf("before: %v, now: %v", before, all)
		})
		return all
	}
	before := alike("", nil)
	if !strings.Contains(before[0], "t0") || !strings.Contains(before[0], "root@") || before[1] == "[]" {
		t.Fatalf("no hint, or no history: %v", before[:2])
	}
	was := leader(t, c)
	exec(t, dbs[0], "ALTER SYSTEM TRANSFER LEADER")
	leader(t, c, was)
	alike("after the leadership was handed over", before)
	exec(t, dbs[0], "ADMIN CANCEL REPAIR TABLE ha.t0")
	for i, db := range dbs {
		if left := one(t, db, "SELECT COUNT(*) FROM stele.repair_hints WHERE table_name = 't0'"); left != "0" {
			t.Errorf("fe%d still has %s hints", i+1, left)
		}
	}
	must(t, c.StartNode("be3"))
	c.WaitAlive(t, "be3", true, 30*time.Second)
}
