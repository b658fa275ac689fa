package e2e

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"stele/tests/cluster"
)

// upperQueries have something above their scans; each orders its rows.
var upperQueries = []string{
	"SELECT COUNT(*), SUM(v), MIN(s), MAX(d) FROM q.a",
	"SELECT k % 7 AS g, COUNT(*), AVG(v), GROUP_CONCAT(s ORDER BY k) FROM q.a WHERE k < 50 GROUP BY g ORDER BY g",
	"SELECT a.k, a.s, b.w FROM q.a a JOIN q.b b ON a.k = b.k WHERE b.w > 20 ORDER BY a.k DESC LIMIT 10",
	"SELECT a.k, b.w FROM q.a a LEFT JOIN q.b b ON a.k = b.k AND b.w IS NOT NULL WHERE a.k < 40 ORDER BY 1",
	"SELECT k FROM q.a WHERE k NOT IN (SELECT k FROM q.b) ORDER BY k LIMIT 5 OFFSET 3",
	"SELECT k, ROW_NUMBER() OVER (PARTITION BY k % 3 ORDER BY v DESC, k) rn, SUM(v) OVER (ORDER BY k) FROM q.a WHERE k < 30 ORDER BY k",
	"SELECT k FROM q.a WHERE k < 5 UNION SELECT k FROM q.b WHERE k < 9 ORDER BY 1",
	"SELECT v FROM q.a INTERSECT SELECT w FROM q.b ORDER BY 1 LIMIT 4",
	"SELECT DISTINCT DATE(t), d FROM q.a ORDER BY 1, 2 LIMIT 7",
	"SELECT s, COUNT(DISTINCT v % 5) c FROM q.a GROUP BY s HAVING c > 0 ORDER BY s LIMIT 3",
	"SELECT x.n, (SELECT MAX(w) FROM q.b) FROM (SELECT COUNT(*) n FROM q.a) x ORDER BY 1",
}

// TestQueryNodes: with query nodes every query answers as without, the nodes do the work, and one that is killed or dropped
// meanwhile costs nobody an error.
func TestQueryNodes(t *testing.T) {
	skipShort(t, "it runs a cluster")
	c := cluster.Start(t, cluster.Options{Backends: 4})
	must(t, c.Kill("be4"))
	c.WaitAlive(t, "be4", false, 30*time.Second)
	must(t, c.SetItems("be4", map[string]string{"storage_root_path": "none"}))
	must(t, c.StartNode("be4"))
	c.WaitAlive(t, "be4", true, 30*time.Second)
	ctx, db := t.Context(), c.OpenDB("")
	defer db.Close()
	db.SetMaxOpenConns(1) // one session, for SET
	run := func(statement string) {
		t.Helper()
		if _, err := db.ExecContext(ctx, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	run("SET time_zone = '+05:30'")
	run("CREATE DATABASE q")
	run("CREATE TABLE q.a (k INT PRIMARY KEY, v BIGINT, s VARCHAR(20), d DECIMAL(12,2), t TIMESTAMP NULL)")
	run("CREATE TABLE q.b (k INT PRIMARY KEY, w INT)")
	var a, b []string
	for k := range 500 {
		a = append(a, fmt.Sprintf("(%d, %d, 's%d', %d.25, '2024-02-28 22:%02d:00')", k, k*37%101, k%11, k%13, k%60))
		if k%3 == 0 {
			b = append(b, fmt.Sprintf("(%d, %d)", k, k*7%43))
		}
	}
	run("INSERT INTO q.a VALUES " + strings.Join(a, ","))
	run("INSERT INTO q.b VALUES " + strings.Join(b, ","))
	answers := func() (out []string) {
		t.Helper()
		for _, q := range upperQueries {
			rows, err := cluster.ReadTable(ctx, db, q)
			if err != nil {
				t.Fatalf("%s: %v", q, err)
			}
			out = append(out, fmt.Sprint(rows.Rows))
		}
		return out
	}
	same := func(when string, want, got []string) {
		t.Helper()
		for i := range want {
			if want[i] != got[i] {
				t.Errorf("%s: %s\nanswers %s\nwithout query nodes %s", when, upperQueries[i], got[i], want[i])
			}
		}
	}
	alone := answers()
	ids := map[string]string{}
	for _, node := range []string{"be1", "be4"} {
		id, err := c.BackendID(ctx, node)
		must(t, err)
		ids[node] = id
		run("CREATE QNODE ON DNODE " + id)
	}
	if _, err := db.ExecContext(ctx, "CREATE QNODE ON DNODE "+ids["be1"]); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a second qnode on a dnode: %v", err)
	}
	same("with two query nodes", alone, answers())
	c.Wait(t, "both query nodes have run queries", 20*time.Second, func() (bool, string) {
		rows, err := cluster.ReadTable(ctx, db, "SHOW QNODES")
		if err != nil || len(rows.Rows) != 2 {
			return false, fmt.Sprint(rows, err)
		}
		ended := rows.Column("ended")
		return ended[0] != "0" && ended[1] != "0", fmt.Sprint(ended)
	})
	if err := db.QueryRowContext(ctx, "SELECT a.k, b.k FROM q.a a JOIN q.b b ON a.k = b.k WHERE a.v = (SELECT v FROM q.a) ORDER BY 1").Scan(new(int), new(int)); err == nil ||
		!strings.Contains(err.Error(), "1242") {
		t.Errorf("an error of the query itself comes back as %v", err)
	}
	killOffloaded(t, c)
	offloadedWork(t, c)
	loseQueryNode(t, c, alone, same)
	run("DROP QNODE ON DNODE " + ids["be1"])
	run("DROP QNODE ON DNODE " + ids["be4"])
	if _, err := db.ExecContext(ctx, "DROP QNODE ON DNODE "+ids["be4"]); err == nil {
		t.Error("a qnode was dropped twice")
	}
	same("after the query nodes were dropped", alone, answers())
	rows, err := cluster.ReadTable(ctx, db, "SHOW DNODES WHERE id = "+ids["be4"])
	must(t, err)
	if rows.Column("vnodes")[0] != "0" || rows.Column("status")[0] != "ready" {
		t.Errorf("the dnode without storage: %v", rows.Rows)
	}
}

// killOffloaded: KILL QUERY reaches a query where it runs, and so does a time limit.
func killOffloaded(t *testing.T, c *cluster.Cluster) {
	db, victim := c.OpenDB(""), c.OpenDB("")
	defer db.Close()
	defer victim.Close()
	const endless = "SELECT COUNT(*) FROM q.a x, q.a y, q.a z, q.a w WHERE x.v + y.v + z.v + w.v < 0"
	running := func(n string) {
		t.Helper()
		c.Wait(t, n+" queries run on query nodes", 20*time.Second, func() (bool, string) {
			var sum string
			err := db.QueryRowContext(t.Context(), "SELECT CAST(SUM(queries) AS CHAR) FROM stele.qnodes").Scan(&sum)
			return err == nil && sum == n, fmt.Sprint(sum, err)
		})
	}
	conn, err := victim.Conn(t.Context())
	must(t, err)
	defer conn.Close()
	var id int
	must(t, conn.QueryRowContext(t.Context(), "SELECT CONNECTION_ID()").Scan(&id))
	ended := make(chan error, 1)
	go func() { ended <- conn.QueryRowContext(t.Context(), endless).Scan(new(int)) }()
	running("1")
	if _, err := db.ExecContext(t.Context(), fmt.Sprintf("KILL QUERY %d", id)); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "1317") {
		t.Errorf("a killed query ends with %v", err)
	}
	running("0")
	if _, err := conn.ExecContext(t.Context(), "SET max_execution_time = 300"); err != nil {
		t.Fatal(err)
	}
	if err := conn.QueryRowContext(t.Context(), endless).Scan(new(int)); err == nil || !strings.Contains(err.Error(), "3024") {
		t.Errorf("a query beyond its time ends with %v", err)
	}
	running("0")
}

// offloadedWork shows whose processor works when a query is offloaded: that of the FE hardly.
func offloadedWork(t *testing.T, c *cluster.Cluster) {
	if runtime.GOOS != "linux" {
		return // nobody tells there
	}
	db := c.OpenDB("")
	defer db.Close()
	used := func(node string) time.Duration {
		t.Helper()
		d, err := c.CPU(node)
		must(t, err)
		return d
	}
	fe, be1, be4 := used("fe1"), used("be1"), used("be4")
	var n int
	must(t, db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM q.a x, q.a y, q.a z WHERE x.v + y.v > z.v AND x.k < 60").Scan(&n))
	fe, nodes := used("fe1")-fe, used("be1")-be1+used("be4")-be4
	t.Logf("the FE worked for %v, the query nodes for %v", fe, nodes)
	if n == 0 || fe > nodes/2 {
		t.Errorf("%d rows; the FE worked for %v, the query nodes for %v", n, fe, nodes)
	}
}

// loseQueryNode kills a query node while sessions read, and starts it again.
func loseQueryNode(t *testing.T, c *cluster.Cluster, alone []string, same func(string, []string, []string)) {
	db := c.OpenDB("")
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(t.Context(), "SET time_zone = '+05:30'"); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	type round struct {
		answers []string
		err     error
	}
	rounds := make(chan []round, 1)
	go func() {
		var all []round
		for ctx.Err() == nil {
			var r round
			for _, q := range upperQueries {
				rows, err := cluster.ReadTable(t.Context(), db, q)
				if err != nil {
					r.err = fmt.Errorf("%s: %w", q, err)
					break
				}
				r.answers = append(r.answers, fmt.Sprint(rows.Rows))
			}
			all = append(all, r)
		}
		rounds <- all
	}()
	must(t, c.Kill("be1"))
	c.WaitAlive(t, "be1", false, 20*time.Second)
	must(t, c.StartNode("be1"))
	c.WaitAlive(t, "be1", true, 20*time.Second)
	stop()
	all := <-rounds
	for i, r := range all {
		if r.err != nil {
			t.Errorf("round %d of %d while a query node was killed: %v", i, len(all), r.err)
			continue
		}
		same(fmt.Sprintf("round %d of %d while a query node was killed", i, len(all)), alone, r.answers)
	}
	if len(all) < 2 {
		t.Errorf("%d rounds: nothing was read while the query node was away", len(all))
	}
}
