package frontends

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"stele/tests/cluster"
)

// TestRepairsSurviveTheLeader: what was repaired, what an operator wants repaired, and where BEs stand is the same on every FE, also
// after another one has come to lead; a hint is not made to wait until the BE's tolerance is over.
func TestRepairsSurviveTheLeader(t *testing.T) {
	c := start(t, 3)
	exec(t, c.DB(), "ALTER SYSTEM MODIFY BACKEND '"+c.BackendAddr("be1")+`' SET ("labels.location" = "rack:r1")`)
	tablets, err := cluster.ReadTable(t.Context(), c.DB(), "SHOW TABLET FROM ha.reg")
	must(t, err)
	tablet, backend := tablets.Column("TabletId")[0], tablets.Column("BackendId")[0]
	exec(t, c.DB(), fmt.Sprintf(`ADMIN SET REPLICA STATUS PROPERTIES("tablet_id" = "%s", "backend_id" = "%s", "status" = "bad")`, tablet, backend))
	read := func(n int, query string, columns ...string) string {
		table, err := cluster.ReadTable(t.Context(), c.FrontendDB(n), query)
		if err != nil {
			return err.Error()
		}
		var text []string
		for _, column := range columns {
			text = append(text, strings.Join(table.Column(column), " "))
		}
		return strings.Join(text, "|")
	}
	history := func(n int) string {
		return read(n, "SHOW PROC '/cluster_balance/history_tablets'", "TabletId", "Status", "State", "Create", "Finished", "DestBe", "Rate", "ErrMsg")
	}
	c.Wait(t, "the damaged replica is replaced", 30*time.Second, func() (bool, string) {
		got := history(1)
		return strings.Contains(got, tablet) && strings.Contains(got, "FINISHED") && !strings.Contains(read(1, "SHOW TABLET "+tablet, "DetailCmd"), "true") &&
			read(1, "SHOW PROC '/statistic'", "UnhealthyTabletNum") == "0 0", got
	})

	must(t, c.Stop("be3"))
	exec(t, c.DB(), "ADMIN REPAIR TABLE ha.reg")
	hints := func(n int) string {
		return read(n, "SHOW PROC '/cluster_balance/priority_repair'", "Database", "Table", "Partition")
	}
	pending := func(n int) string {
		return read(n, "SHOW PROC '/cluster_balance/pending_tablets'", "TabletId", "Status", "OrigPrio")
	}
	c.Wait(t, "what the operator wants is not made to wait", 30*time.Second, func() (bool, string) {
		got := pending(2)
		return strings.Contains(got, "REPLICA_MISSING") && strings.Contains(got, "VERY_HIGH"), got
	})
	done, hinted := history(1), hints(1)
	alike := func(when string) {
		t.Helper()
		for n := 1; n <= 3; n++ {
			c.Wait(t, fmt.Sprintf("%s: fe%d says what was done and what is wanted", when, n), 20*time.Second, func() (bool, string) {
				a, b, p := history(n), hints(n), pending(n)
				return a == done && b == hinted && strings.Contains(p, "VERY_HIGH"), fmt.Sprintf("%s\nwas %s\n%s was %s; %s", a, done, b, hinted, p)
			})
			if got := read(n, "SHOW BACKENDS", "Location"); strings.TrimSpace(got) != "rack:r1" {
				t.Errorf("%s: fe%d has BEs at %q", when, n, got)
			}
		}
	}
	if strings.Trim(hinted, "| ") == "" {
		t.Fatalf("no hint: %q", hinted)
	}
	alike("before")
	lead := leader(t, c)
	must(t, c.Kill(lead))
	leader(t, c, lead)
	must(t, c.StartNode(lead))
	alike("after another one leads")
	must(t, c.StartNode("be3"))
	c.Wait(t, "the hint ends with the repair", 60*time.Second, func() (bool, string) {
		got := strings.Trim(hints(2), "| ")
		return got == "", got + " " + pending(2)
	})
}
