package e2e

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"stele/tests/cluster"
)

// replicasOfDatabase gives a database under writes one more replica of everything. The statement answers at once, learners
// are seen on their way, and the writes go on.
func (o *orders) replicasOfDatabase() {
	o.throttle("1")
	defer o.throttle("default")
	db := databaseOf(o.ctx, o.T, o.c, "grow", strings.Replace(repairTable, `"3"`, `"2"`, 1),
		"CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9), UNIQUE KEY u (v, id)) DISTRIBUTED BY HASH(id) BUCKETS 4 PROPERTIES('replication_num'='2')")
	for n := 0; n < ordersRows; n += 200 {
		_, err := db.ExecContext(o.ctx, tuples(n, 200))
		must(o.T, err)
	}
	load := startTraffic(o.ctx, db, "t", 4, 0)
	defer load.stop()
	o.c.Wait(o.T, "rows", healTimeout, func() (bool, string) { return load.count() > 200, fmt.Sprint(load.count()) })
	before, costBefore := o.rate(load)
	at := time.Now()
	_, err := db.ExecContext(o.ctx, "ALTER DATABASE grow REPLICA 3")
	must(o.T, err)
	// The answer does not wait for the copies.
	o.c.Wait(o.T, "learners and how far they are", 20*time.Second, func() (bool, string) { return o.learning(), "" })
	during, costDuring := o.rate(load)
	for during < 0.8*before && o.learning() { // what else the machine does spoils a measurement
		again, cost := o.rate(load)
		if again > during {
			during, costDuring = again, cost
		}
	}
	o.until("every replica to follow", "SHOW grow.VGROUPS", healTimeout, func(t cluster.Table) bool {
		return !slices.Contains(t.Column("v3_status"), "learner") && !slices.Contains(t.Column("v3_status"), "NULL")
	})
	gap, whole := load.gap(at, time.Now()), time.Since(at)
	// A third copy costs something for good, most of all where all BEs share a machine; that is not the copying's.
	after, costAfter := o.rate(load)
	usual := min(before, after)
	o.Logf("%.0f writes a second to 2 replicas, %.0f while others were made, %.0f to 3 (%+.0f %%), longest pause %v, whole after %v; CPU of all nodes a write: "+
		"%d, %d and %d µs", before, during, after, 100*(during-usual)/usual, gap.Round(time.Millisecond), whole.Round(time.Millisecond),
		costBefore.Microseconds(), costDuring.Microseconds(), costAfter.Microseconds())
	if during < 0.4*usual { // the goal is 0.8; only what no busy machine explains fails
		o.Errorf("the rate of writes fell by %.0f %%", 100*(usual-during)/usual)
	}
	if failed := load.stop(); failed > 0 {
		o.Errorf("%d writes failed: %v", failed, load.failed)
	}
	hidden := o.read("gettablestatus") // lists hidden tables, too
	copies := map[string]int{}
	for n, tid := range hidden.Column("tid") {
		copies[tid+"/"+hidden.Column("pid")[n]]++
	}
	for tablet, n := range copies {
		if n != 3 {
			o.Errorf("tablet %s has %d replicas", tablet, n)
		}
	}
	if _, err := db.ExecContext(o.ctx, "ALTER DATABASE grow REPLICA 9"); err == nil || !strings.Contains(err.Error(), "Out of dnodes") {
		o.Errorf("9 replicas on 4 backends: %v", err)
	}
	o.exec("DROP DATABASE grow")
}

// learning reports whether replicas of the database are being made.
func (o *orders) learning() bool {
	o.Helper()
	return slices.ContainsFunc(o.read("SHOW grow.VGROUPS").Column("learners"), func(s string) bool { return strings.Contains(s, "%") })
}

// rate measures for 3 s how many writes a second there are, and the CPU time of all nodes for each, which a busy machine spoils less.
func (o *orders) rate(load *traffic) (perSecond float64, cost time.Duration) {
	o.Helper()
	cpu := func() (sum time.Duration) {
		for _, node := range o.c.Nodes() {
			used, err := o.c.CPU(node)
			must(o.T, err)
			sum += used
		}
		return sum
	}
	used, writes := cpu(), load.count()
	perSecond = load.rate(o.ctx, 3*time.Second)
	return perSecond, (cpu() - used) / time.Duration(max(load.count()-writes, 1))
}

// twoReplicas has one of two replicas go: a majority of two is both, so writes wait, and then fail with a sentence that names
// what to do. That helps at once.
func (o *orders) twoReplicas() {
	o.exec("CREATE TABLE two (id INT PRIMARY KEY, v VARCHAR(9)) DISTRIBUTED BY HASH(id) BUCKETS 1 PROPERTIES('replication_num'='2')")
	o.exec("INSERT INTO two VALUES (1, 'x')")
	ep := o.read("SELECT endpoint FROM stele.showtable WHERE name = 'two' AND role = 'follower'").Rows[0][0]
	node := ""
	for _, n := range []string{"be1", "be2", "be3", "be4"} {
		if o.c.BackendAddr(n) == ep {
			node = n
		}
	}
	must(o.T, o.c.Kill(node))
	o.c.WaitAlive(o.T, node, false, 30*time.Second)
	o.exec(`ADMIN SET FRONTEND CONFIG ("write_timeout_ms" = "3000")`)
	at := time.Now()
	_, err := o.db.ExecContext(o.ctx, "INSERT INTO two VALUES (2, 'x')")
	o.Logf("refused after %v: %v", time.Since(at).Round(time.Millisecond), err)
	if err == nil || !strings.Contains(err.Error(), "write_quorum") {
		o.Errorf("a write that has no quorum: %v", err)
	}
	var n int
	must(o.T, o.db.QueryRowContext(o.ctx, "SELECT COUNT(*) FROM two").Scan(&n))
	if n != 1 {
		o.Errorf("%d rows, want 1", n)
	}
	o.exec(`ADMIN SET FRONTEND CONFIG ("write_timeout_ms" = "30000")`)
	o.exec("ALTER TABLE two SET ('write_quorum' = 'ONE')") // the way out that was named
	o.exec("INSERT INTO two VALUES (3, 'x')")
	must(o.T, o.c.StartNode(node))
	o.c.WaitAlive(o.T, node, true, 30*time.Second)
	o.c.WaitHealthy(o.T, "ord.two", healTimeout)
	if n := o.c.CheckReplicas(o.T, "ord.two", 2); n != 2 {
		o.Errorf("the replicas hold %d rows, want 2", n)
	}
	o.exec("DROP TABLE two")
}
