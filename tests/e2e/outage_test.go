package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"stele/tests/cluster"
)

// shape is a table of the table of availability.
type shape struct {
	name     string
	replicas int
	quorum   string
}

var shapes = []shape{
	{"1 replica", 1, "MAJORITY"}, {"2 replicas", 2, "MAJORITY"}, {"2 replicas, ONE", 2, "ONE"}, {"3 replicas", 3, "MAJORITY"},
	{"3 replicas, ALL", 3, "ALL"},
}

// outage is one row of the table of availability: how many BEs of those with a replica are down at once, and what is
// expected of which tables.
type outage struct {
	down   int
	writes []string // tables that go on to take writes
	reads  []string // tables of which every row can be read
}

var outages = []outage{
	{1, []string{"3 replicas", "2 replicas, ONE"}, []string{"2 replicas", "2 replicas, ONE", "3 replicas", "3 replicas, ALL"}},
	{2, nil, []string{"3 replicas, ALL"}},
	{3, nil, nil},
}

// TestAvailabilityTable fills in the table of availability: 1, 2 and 3 BEs are killed under writes, and the rows that were
// acknowledged and are gone are counted when they are back. It must be none, for every number of replicas: a copy always
// survives. Nothing is done by hand, also after all went down at once.
func TestAvailabilityTable(t *testing.T) {
	skipShort(t, "kills every BE at once")
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	c := cluster.Start(t, manualOptions)
	db := databaseOf(ctx, t, c, "ha")
	for n, s := range shapes {
		_, err := db.ExecContext(ctx, fmt.Sprintf("CREATE TABLE t%d (id INT PRIMARY KEY, v VARCHAR(9)) DISTRIBUTED BY HASH(id) BUCKETS 3 "+
			"PROPERTIES('replication_num'='%d','write_quorum'='%s')", n, s.replicas, s.quorum))
		must(t, err)
	}
	var rows []string
	for i, o := range outages {
		rows = append(rows, playOutage(ctx, t, c, db, i, o)...)
	}
	t.Logf("table | down | writes | reads | acknowledged | lost\n%s", strings.Join(rows, "\n"))
}

func playOutage(ctx context.Context, t *testing.T, c *cluster.Cluster, db *sql.DB, round int, o outage) (rows []string) {
	t.Helper()
	loads := make([]*traffic, len(shapes))
	for n := range shapes {
		loads[n] = startTraffic(ctx, db, fmt.Sprintf("t%d", n), 2, round*10*trafficStride+1)
	}
	c.Wait(t, "rows", healTimeout, func() (bool, string) {
		least := loads[0].count()
		for _, l := range loads {
			least = min(least, l.count())
		}
		return least > 60, fmt.Sprint(least)
	})
	for n := range o.down {
		must(t, c.Kill(fmt.Sprintf("be%d", n+1)))
	}
	for n := range o.down {
		c.WaitAlive(t, fmt.Sprintf("be%d", n+1), false, 30*time.Second)
	}
	writes, reads := make([]bool, len(shapes)), make([]bool, len(shapes))
	for n, s := range shapes {
		writes[n], reads[n] = serves(ctx, t, c, db, loads[n], o, n)
		if slices.Contains(o.reads, s.name) && !reads[n] {
			t.Errorf("%s, %d down: not to be read", s.name, o.down)
		}
	}
	for _, l := range loads {
		l.end()
	}
	for n := range o.down {
		must(t, c.StartNode(fmt.Sprintf("be%d", n+1)))
	}
	for n, s := range shapes {
		loads[n].stop()
		c.WaitHealthy(t, fmt.Sprintf("ha.t%d", n), healTimeout)
		lost := loads[n].lost(ctx, t)
		if lost != 0 {
			t.Errorf("%s, %d down: %d of %d acknowledged rows are lost", s.name, o.down, lost, loads[n].count())
		}
		rows = append(rows, fmt.Sprintf("%s | %d | %v | %v | %d | %d", s.name, o.down, writes[n], reads[n], loads[n].count(), lost))
	}
	return rows
}

// serves finds out whether a table takes writes, when it is to, and can be read while BEs are down.
func serves(ctx context.Context, t *testing.T, c *cluster.Cluster, db *sql.DB, load *traffic, o outage, n int) (writes, reads bool) {
	t.Helper()
	if slices.Contains(o.writes, shapes[n].name) {
		held := load.count()
		c.Wait(t, fmt.Sprintf("writes to %s with %d BEs down", shapes[n].name, o.down), healTimeout, func() (bool, string) {
			return load.count() > held+20, fmt.Sprint(load.count() - held)
		})
		writes = true
	}
	patience := time.Second
	if slices.Contains(o.reads, shapes[n].name) {
		patience = 20 * time.Second
	}
	qctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var count int
	return writes, db.QueryRowContext(qctx, fmt.Sprintf("SELECT COUNT(*) FROM t%d", n)).Scan(&count) == nil
}

// TestAcceptedLoss loses what only one BE had acknowledged (write_quorum ONE): RECOVER DATA names the versions, does nothing
// without being told to, and goes on with the rest when it is.
func TestAcceptedLoss(t *testing.T) {
	skipShort(t, "loses a BE for good")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	opts := manualOptions
	opts.FE = maps.Clone(opts.FE)
	opts.FE["redo_max_bytes"] = "0" // else the frontends still have them
	c := cluster.Start(t, opts)
	db := databaseOf(ctx, t, c, "one", "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9)) DISTRIBUTED BY HASH(id) BUCKETS 1 PROPERTIES('replication_num'='2','write_quorum'='ONE')")
	run := func(statement string) {
		t.Helper()
		if _, err := db.ExecContext(ctx, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	for id := range 5 {
		run(fmt.Sprintf("INSERT INTO t VALUES (%d, 'kept')", id))
	}
	table, err := cluster.ReadTable(ctx, db, "showtable t")
	must(t, err)
	var leader, follower string
	for n, role := range table.Column("role") {
		for _, node := range []string{"be1", "be2", "be3"} {
			if c.BackendAddr(node) == table.Column("endpoint")[n] && role == "leader" {
				leader = node
			} else if c.BackendAddr(node) == table.Column("endpoint")[n] {
				follower = node
			}
		}
	}
	must(t, c.Kill(follower))
	c.WaitAlive(t, follower, false, 30*time.Second)
	for id := 5; id < 8; id++ {
		run(fmt.Sprintf("INSERT INTO t VALUES (%d, 'lost')", id))
	}
	must(t, c.Kill(leader))
	c.WaitAlive(t, leader, false, 30*time.Second)
	must(t, c.StartNode(follower))
	c.WaitAlive(t, follower, true, 30*time.Second)

	plan, err := cluster.ReadTable(ctx, db, "RECOVER DATA DATABASE one")
	must(t, err)
	if len(plan.Rows) != 1 || plan.Column("action")[0] != "loss" || plan.Column("lost_from")[0] != "7" || plan.Column("lost_to")[0] != "9" || plan.Column("op_id")[0] != "NULL" {
		t.Fatalf("plan %v", plan.Rows)
	}
	_, err = cluster.ReadTable(ctx, db, "RECOVER DATA DATABASE one ACCEPT LOSS")
	must(t, err)
	if done := opsDone(ctx, t, c, db); len(done) != 1 || done[0] != "kAcceptLossOP kDone" {
		t.Fatalf("ops %q", done)
	}
	run("INSERT INTO t VALUES (100, 'new')")
	var count int
	must(t, db.QueryRowContext(ctx, "SELECT COUNT(*) FROM t").Scan(&count))
	if count != 6 {
		t.Errorf("%d rows, want the 5 that were kept and a new one", count)
	}
	// What comes back late is of the tablet no more.
	must(t, c.StartNode(leader))
	c.WaitAlive(t, leader, true, 30*time.Second)
	c.WaitHealthy(t, "one.t", healTimeout)
	if n := c.CheckReplicas(t, "one.t", 2); n != 6 {
		t.Errorf("the replicas hold %d rows, want 6", n)
	}
}

// TestNothingLeft loses the only copy of a table, disks and all: the loss is named, nothing happens without being accepted,
// and then the table goes on with the rows of its other tablets.
func TestNothingLeft(t *testing.T) {
	skipShort(t, "wipes a BE and restarts the whole cluster")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	opts := manualOptions
	opts.Guard = true
	c := cluster.Start(t, opts)
	db := databaseOf(ctx, t, c, "gone", "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9)) DISTRIBUTED BY HASH(id) BUCKETS 3 PROPERTIES('replication_num'='1')",
		"CREATE TABLE s (id INT PRIMARY KEY, v VARCHAR(9)) DISTRIBUTED BY HASH(id) BUCKETS 3")
	for _, table := range []string{"t", "s"} {
		_, err := db.ExecContext(ctx, "INSERT INTO "+table+" VALUES (1,'a'),(2,'a'),(3,'a'),(4,'a'),(5,'a'),(6,'a'),(7,'a'),(8,'a'),(9,'a')")
		must(t, err)
	}
	t.Run("the guard restarts what died, and nothing is copied for it", func(t *testing.T) { guarded(ctx, t, c, db) })
	t.Run("an empty tablet", func(t *testing.T) { emptied(ctx, t, c, db) })
}

// guarded kills a BE three times; each time it is back by itself, and is to be later than the time before.
func guarded(ctx context.Context, t *testing.T, c *cluster.Cluster, db *sql.DB) {
	before, _ := clones(t, c)
	for n := range 3 {
		killed := c.Process("be3")
		must(t, c.Kill("be3"))
		_, err := db.ExecContext(ctx, fmt.Sprintf("INSERT INTO s VALUES (%d,'b'),(%d,'b'),(%d,'b'),(%d,'b')", 100+4*n, 101+4*n, 102+4*n, 103+4*n))
		must(t, err)
		c.Wait(t, "the guard to start be3", 30*time.Second, func() (bool, string) {
			now := c.Process("be3")
			return now != 0 && now != killed && c.Runs("be3"), c.Said()
		})
		c.WaitAlive(t, "be3", true, 30*time.Second)
	}
	said := c.Said()
	for _, wait := range []string{"1s", "2s", "4s"} {
		if _, rest, found := strings.Cut(said, "starting it again in "+wait); !found {
			t.Errorf("no back-off of %s: %s", wait, c.Said())
		} else {
			said = rest
		}
	}
	c.WaitHealthy(t, "gone.s", healTimeout)
	if full, _ := clones(t, c); full != before {
		t.Errorf("%d full clones for a BE that was only restarted", full-before)
	}
}

func emptied(ctx context.Context, t *testing.T, c *cluster.Cluster, db *sql.DB) {
	table, err := cluster.ReadTable(ctx, db, "showtable t")
	must(t, err)
	victim := ""
	for _, node := range []string{"be1", "be2", "be3"} {
		if c.BackendAddr(node) == table.Column("endpoint")[0] {
			victim = node
		}
	}
	here := map[string]bool{}
	rows, lost := 9, 0
	for n, ep := range table.Column("endpoint") {
		if ep == c.BackendAddr(victim) {
			here[table.Column("pid")[n]] = true
		}
	}
	must(t, c.Stop(victim)) // an orderly end: the guard leaves it down
	must(t, c.Wipe(victim))
	must(t, c.StartNode(victim))
	c.WaitAlive(t, victim, true, 30*time.Second)
	var plan cluster.Table
	c.Wait(t, "the loss to be known", healTimeout, func() (bool, string) {
		plan, err = cluster.ReadTable(ctx, db, "RECOVER DATA DATABASE gone DRY RUN")
		if err != nil {
			return false, err.Error()
		}
		found := 0
		for n, action := range plan.Column("action") {
			if action == "unrecoverable" && plan.Column("table_name")[n] == "t" && here[plan.Column("pid")[n]] {
				found++
			}
		}
		return found == len(here), fmt.Sprint(plan.Rows)
	})
	if msg := strings.Join(plan.Column("message"), "; "); !strings.Contains(msg, "ACCEPT LOSS makes an empty tablet") || plan.Column("lost_from")[0] == "" {
		t.Errorf("the loss is not named: %v", plan.Rows)
	}
	done, err := cluster.ReadTable(ctx, db, "RECOVER DATA DATABASE gone ACCEPT LOSS")
	must(t, err)
	t.Logf("%v", done.Rows)
	for _, op := range opsDone(ctx, t, c, db) {
		if op != "kMakeEmptyOP kDone" {
			t.Errorf("op %s", op)
		}
	}
	c.WaitHealthy(t, "gone.t", healTimeout)
	var count int
	must(t, db.QueryRowContext(ctx, "SELECT COUNT(*) FROM t").Scan(&count))
	if lost = rows - count; lost <= 0 && len(here) == 3 || count > rows {
		t.Errorf("%d rows are left of %d", count, rows)
	}
	_, err = db.ExecContext(ctx, "REPLACE INTO t VALUES (1,'c'),(2,'c'),(3,'c'),(4,'c'),(5,'c'),(6,'c'),(7,'c'),(8,'c'),(9,'c')")
	must(t, err)
	must(t, db.QueryRowContext(ctx, "SELECT COUNT(*) FROM t").Scan(&count))
	if count != rows {
		t.Errorf("%d rows after they were written anew, want %d", count, rows)
	}
	if n := c.CheckReplicas(t, "gone.s", 3); n != 21 {
		t.Errorf("a table that had other copies has %d rows, want 21", n)
	}
}
