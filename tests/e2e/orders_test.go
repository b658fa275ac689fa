package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"stele/tests/cluster"
)

// orders is a cluster of four BEs on which nothing moves by itself, and what an operator orders on it.
type orders struct {
	*testing.T
	ctx context.Context
	c   *cluster.Cluster
	db  *sql.DB
}

// ordersRows of about 2000 bytes make each of the four tablets so large that a copy at 1 MB/s takes seconds.
const ordersRows = 6000

// TestOrders orders what moves replicas and leaders, each to its end, and ends some in the middle of a copy.
func TestOrders(t *testing.T) {
	skipShort(t, "copies replicas at 1 MB/s and kills a BE")
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	c := cluster.Start(t, cluster.Options{Backends: 4, FE: map[string]string{
		"tablet_sched_checker_interval_seconds": "1", "tablet_sched_consecutive_full_clone_delay_sec": "0", "tablet_sched_disable_balance": "true"},
		BE: map[string]string{"report_tablet_interval_ms": "500", "delta_flush_bytes": "524288"}})
	o := &orders{T: t, ctx: ctx, c: c, db: databaseOf(ctx, t, c, "ord", repairTable)}
	for n := 0; n < ordersRows; n += 200 {
		o.exec(tuples(n, 200))
	}
	for _, step := range []struct {
		name string
		run  func(*orders)
	}{
		{"a running copy is cancelled", (*orders).cancelCopy},
		{"a redistribution to a dead node is killed", (*orders).killRedistribution},
		{"a wiped backend is recovered", (*orders).recoverWiped},
		{"replicas move", (*orders).moves},
		{"replicas of a database", (*orders).replicasOfDatabase},
		{"two replicas, one down", (*orders).twoReplicas},
		{"leaders move", (*orders).leadersMove},
	} {
		begun := time.Now()
		if !t.Run(step.name, func(t *testing.T) {
			o.T = t
			step.run(o)
		}) {
			break
		}
		t.Logf("%s: %v", step.name, time.Since(begun).Round(100*time.Millisecond))
	}
}

// TestBalanceOrders evens out leaders by weight, and replicas over a BE that was added.
func TestBalanceOrders(t *testing.T) {
	skipShort(t, "adds a BE")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c := cluster.Start(t, cluster.Options{FE: map[string]string{
		"tablet_sched_checker_interval_seconds": "1", "tablet_sched_consecutive_full_clone_delay_sec": "0", "tablet_sched_disable_balance": "true"},
		BE: map[string]string{"report_tablet_interval_ms": "500"}})
	o := &orders{T: t, ctx: ctx, c: c, db: databaseOf(ctx, t, c, "bal", "CREATE TABLE many (id INT PRIMARY KEY) DISTRIBUTED BY HASH(id) BUCKETS 16")}
	o.exec("INSERT INTO many VALUES " + ids(500))
	t.Run("leader weights", func(t *testing.T) { o.T = t; o.weights() })
	t.Run("balance of replicas", func(t *testing.T) { o.T = t; o.balance() })
}

// ids are the tuples (0),(1),…
func ids(n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("(%d)", i)
	}
	return strings.Join(out, ",")
}

func (o *orders) exec(statement string) {
	o.Helper()
	if _, err := o.db.ExecContext(o.ctx, statement); err != nil {
		o.Fatalf("%.200s: %v", statement, err)
	}
}

func (o *orders) read(query string) cluster.Table {
	o.Helper()
	t, err := cluster.ReadTable(o.ctx, o.db, query)
	if err != nil {
		o.Fatalf("%s: %v", query, err)
	}
	return t
}

// until waits for what a query has to show.
func (o *orders) until(what, query string, limit time.Duration, holds func(cluster.Table) bool) {
	o.Helper()
	o.c.Wait(o.T, what, limit, func() (bool, string) {
		t, err := cluster.ReadTable(o.ctx, o.db, query)
		if err != nil {
			return false, err.Error()
		}
		return holds(t), fmt.Sprint(t.Rows)
	})
}

// throttle limits copies, "default" for not.
func (o *orders) throttle(mb string) {
	o.Helper()
	o.exec(`ADMIN SET BACKEND CONFIG ("clone_bandwidth_limit_mb_per_disk" = "` + mb + `")`)
	if mb == "default" {
		return
	}
	o.until("the limit to reach all backends", "ADMIN SHOW BACKEND CONFIG LIKE 'clone_bandwidth%'", 30*time.Second, func(t cluster.Table) bool {
		return !slices.ContainsFunc(t.Column("VALUE"), func(v string) bool { return v != mb })
	})
}

func (o *orders) placement() string {
	return fmt.Sprint(o.read("SELECT pid, endpoint FROM stele.showtable WHERE name = 'r' ORDER BY pid, endpoint").Rows)
}

// copying waits until a copy has moved some bytes and not all.
func (o *orders) copying() {
	o.Helper()
	o.until("a copy to run", "SELECT BytesDone, BytesTotal FROM stele.clone_tasks WHERE State = 'RUNNING' AND BytesDone > 0", 30*time.Second,
		func(t cluster.Table) bool { return len(t.Rows) > 0 })
}

// last is the newest op.
func (o *orders) last() (id, state string) {
	o.Helper()
	t := o.read("SELECT op_id, status FROM stele.opstatus ORDER BY op_id DESC LIMIT 1")
	if len(t.Rows) == 0 {
		o.Fatal("no op was ordered")
	}
	return t.Rows[0][0], t.Rows[0][1]
}

// done waits for the end of all ops, each of which has to be done.
func (o *orders) done() {
	o.Helper()
	for _, op := range opsDone(o.ctx, o.T, o.c, o.db) {
		if !strings.HasSuffix(op, " kDone") {
			o.Errorf("op %s: %v", op, o.read("showopstatus").Rows)
		}
	}
	o.exec("deleteop done")
}

// takenBack is how long it may take to undo what was ordered. It takes some tenths of a second.
const takenBack = 15 * time.Second

// asBefore waits until every replica is where it was, and nothing half made is left.
func (o *orders) asBefore(before string, limit time.Duration) {
	o.Helper()
	o.c.Wait(o.T, "the placement to be as before", limit, func() (bool, string) { now := o.placement(); return now == before, now })
	if t := o.read("SELECT State FROM stele.clone_tasks WHERE State = 'RUNNING'"); len(t.Rows) > 0 {
		o.until("no copy to run", "SELECT State FROM stele.clone_tasks WHERE State = 'RUNNING'", limit, func(t cluster.Table) bool { return len(t.Rows) == 0 })
	}
}

func (o *orders) cancelCopy() {
	o.exec("confset auto_failover false")
	o.throttle("1")
	before := o.placement()
	src, des := freeMove(o.ctx, o.T, o.c, o.db)
	o.exec(fmt.Sprintf("migrate %s r 0 %s", src, o.c.BackendAddr(des)))
	o.copying()
	id, _ := o.last()
	at := time.Now()
	o.exec("cancelop " + id)
	if _, state := o.last(); state != "kCanceled" {
		o.Errorf("the op is %s", state)
	}
	o.asBefore(before, takenBack)
	o.Logf("cancelled and taken back within %v", time.Since(at).Round(time.Millisecond))
	o.exec("deleteop canceled")
	o.exec("makesnapshot r 0") // nothing is paused
	o.done()
	o.cancelRecovery(src)
}

// cancelRecovery ends a recovery in the middle of its copy: the replica stays where it was, not alive, nothing is copied to it,
// and it can be recovered again.
func (o *orders) cancelRecovery(ep string) {
	_, port, _ := strings.Cut(ep, ":")
	be := o.read("SELECT BackendId FROM stele.backends WHERE BePort = " + port).Rows[0][0]
	tablet := o.read("SHOW ord.VGROUPS").Column("vgroup_id")[0]
	o.exec("updatetablealive r 0 " + ep + " no")
	o.done()
	o.exec(`ADMIN SET REPLICA STATUS PROPERTIES("tablet_id" = "` + tablet + `", "backend_id" = "` + be + `", "status" = "bad")`)
	before := o.placement()
	o.exec("recovertable r 0 " + ep)
	o.copying()
	id, _ := o.last()
	o.exec("cancelop " + id)
	o.asBefore(before, takenBack)
	alive := func() string {
		return fmt.Sprint(o.read("SELECT is_alive FROM stele.showtable WHERE name = 'r' AND pid = 0 AND endpoint = '" + ep + "'").Rows)
	}
	if got := alive(); got != "[[no]]" {
		o.Errorf("after the cancel: %s", got)
	}
	o.exec("deleteop canceled")
	o.exec("recovertable r 0 " + ep)
	o.done()
	if got := alive(); got != "[[yes]]" {
		o.Errorf("recovered again: %s", got)
	}
}

func (o *orders) killRedistribution() {
	before := o.placement()
	src, des := freeMove(o.ctx, o.T, o.c, o.db)
	o.exec(o.redistribution(src, des))
	o.copying()
	must(o.T, o.c.Kill(des))
	o.c.WaitAlive(o.T, des, false, 30*time.Second)
	o.until("the op to wait for the dead node", "SHOW TRANSACTIONS", 20*time.Second, func(t cluster.Table) bool {
		return slices.ContainsFunc(t.Column("last_action_info"), func(s string) bool { return strings.Contains(s, o.c.BackendAddr(des)) })
	})
	id, _ := o.last()
	at := time.Now()
	o.exec("KILL TRANSACTION " + id)
	o.until("what was killed to end", "SHOW TRANSACTIONS", takenBack, func(t cluster.Table) bool { return len(t.Rows) == 0 })
	o.asBefore(before, time.Until(at.Add(2*takenBack)))
	o.Logf("killed and taken back within %v", time.Since(at).Round(time.Millisecond))
	must(o.T, o.c.StartNode(des))
	o.c.WaitAlive(o.T, des, true, 30*time.Second)
	o.throttle("default")
	o.exec("recoverendpoint " + o.c.BackendAddr(des))
	opsDone(o.ctx, o.T, o.c, o.db)
	o.exec("deleteop canceled")
	o.exec("deleteop done")
	o.c.WaitHealthy(o.T, "ord.r", healTimeout)
}

// redistribution is the statement that moves partition 0 from one BE to another.
func (o *orders) redistribution(src, des string) string {
	o.Helper()
	ids := o.read("SHOW BACKENDS")
	idOf := func(ep string) string {
		_, port, _ := strings.Cut(ep, ":")
		return ids.Column("BackendId")[slices.Index(ids.Column("BePort"), port)]
	}
	statement := "REDISTRIBUTE VGROUP " + o.vgroup()
	for _, ep := range o.read("SELECT endpoint FROM stele.showtable WHERE name = 'r' AND pid = 0").Column("endpoint") {
		if ep == src {
			ep = o.c.BackendAddr(des)
		}
		statement += " DNODE " + idOf(ep)
	}
	return statement
}

// vgroup is partition 0 of the table: the tablet of the lowest id.
func (o *orders) vgroup() string {
	return o.read("SELECT MIN(TabletId) AS id FROM stele.tablets WHERE TableName = 'r'").Rows[0][0]
}

// recoverWiped has a BE come back with empty disks in manual mode: one statement brings everything back, and a second one
// says that there is nothing left to do.
func (o *orders) recoverWiped() {
	ep := o.c.BackendAddr("be1")
	o.exec("offlineendpoint " + ep)
	o.done()
	must(o.T, o.c.Kill("be1"))
	o.c.WaitAlive(o.T, "be1", false, 30*time.Second) // or its old reports would be believed
	must(o.T, o.c.Wipe("be1"))
	must(o.T, o.c.StartNode("be1"))
	o.c.WaitAlive(o.T, "be1", true, 30*time.Second)
	o.exec("recoverendpoint " + ep)
	for _, op := range opsDone(o.ctx, o.T, o.c, o.db) {
		if op != "kRecoverTableOP kDone" && op != "kReAddReplicaOP kDone" {
			o.Errorf("op %s", op)
		}
	}
	o.exec("deleteop done")
	o.c.WaitHealthy(o.T, "ord.r", healTimeout)
	if n := o.c.CheckReplicas(o.T, "ord.r", 3); n != ordersRows {
		o.Errorf("the replicas hold %d rows, want %d", n, ordersRows)
	}
	st := &stage{c: o.c, db: o.db}
	if got := st.exec(o.ctx, "recoverendpoint "+ep); !strings.HasPrefix(got, "ok: skipped") {
		o.Errorf("a second run: %s", got)
	}
}

// has reports where partition 0 has replicas.
func (o *orders) has(ep string) bool {
	return slices.Contains(o.read("SELECT endpoint FROM stele.showtable WHERE name = 'r' AND pid = 0").Column("endpoint"), ep)
}

func (o *orders) moves() {
	src, des := freeMove(o.ctx, o.T, o.c, o.db)
	to := o.c.BackendAddr(des)
	o.exec(fmt.Sprintf("migrate %s r 0 %s", src, to))
	o.done()
	if o.has(src) || !o.has(to) {
		o.Errorf("after migrate: %s", o.placement())
	}
	o.exec(fmt.Sprintf("addreplica r 0 %s", src))
	o.done()
	if n := len(o.read("SELECT 1 FROM stele.showtable WHERE name = 'r' AND pid = 0 AND is_alive = 'yes'").Rows); n != 4 {
		o.Errorf("%d replicas after addreplica", n)
	}
	o.exec(fmt.Sprintf("delreplica r 0 %s", to))
	o.done()
	if o.has(to) || !o.has(src) {
		o.Errorf("after delreplica: %s", o.placement())
	}
	leader := o.read("SELECT endpoint FROM stele.showtable WHERE name = 'r' AND pid = 0 AND role = 'leader'").Rows[0][0]
	o.exec(o.redistribution(leader, des)) // a leader that leaves hands over
	o.done()
	if o.has(leader) || !o.has(to) {
		o.Errorf("after the redistribution: %s", o.placement())
	}
	if again := o.read(o.redistribution("", "be1")); again.Column("state")[0] != "unchanged" {
		o.Errorf("a second redistribution: %v", again.Rows)
	}
	for pid := range 4 {
		o.exec(fmt.Sprintf("makesnapshot r %d", pid))
	}
	o.done()
	o.c.WaitHealthy(o.T, "ord.r", healTimeout)
	if n := o.c.CheckReplicas(o.T, "ord.r", 3); n != ordersRows {
		o.Errorf("the replicas hold %d rows, want %d", n, ordersRows)
	}
	o.exec("confset auto_failover true")
}

// leadersMove drains one BE after the other and measures for how long each tablet took no writes: every table has one, and one
// writer. What all tables suffer at the same time is the machine's; what one whose leader moves suffers beyond it is the move's.
func (o *orders) leadersMove() {
	loads := map[string]*traffic{}
	for n := range 4 {
		table := fmt.Sprintf("p%d", n)
		o.exec("CREATE TABLE " + table + " (id INT PRIMARY KEY, v VARCHAR(9)) DISTRIBUTED BY HASH(id) BUCKETS 1")
		loads[table] = startTraffic(o.ctx, o.db, table, 1, 0)
	}
	for _, l := range loads {
		o.c.Wait(o.T, "rows", healTimeout, func() (bool, string) { return l.count() > 50, fmt.Sprint(l.count()) })
	}
	// A machine that stands still now and then does so in some rounds, moves that are slow are so in all of them.
	var pauses []time.Duration
	for range 3 {
		if pauses = o.drainEach(loads); len(pauses) >= 2 && pauses[(len(pauses)-1)/2] <= movePause {
			break
		}
	}
	for table, l := range loads {
		if failed := l.stop(); failed > 0 {
			o.Errorf("%d writes to %s failed: %v", failed, table, l.failed)
		}
	}
	if len(pauses) < 2 {
		o.Fatalf("leaders moved %d times", len(pauses))
	}
	if pause := pauses[(len(pauses)-1)/2]; pause > movePause { // half of them may meet what else the machine does
		o.Errorf("a move of a leader pauses writes for %v: %v", pause, pauses)
	}
}

// movePause is how long the move of a leader may keep writes waiting.
const movePause = 100 * time.Millisecond

// drainEach drains one BE after the other, and returns in order for how much longer than others the tables wrote nothing whose
// leaders moved.
func (o *orders) drainEach(loads map[string]*traffic) (pauses []time.Duration) {
	o.Helper()
	for _, node := range []string{"be1", "be2", "be3", "be4"} {
		ep := o.c.BackendAddr(node)
		led := o.read("SELECT name FROM stele.showtable WHERE name LIKE 'p%' AND role = 'leader' AND endpoint = '" + ep + "'").Column("name")
		at := time.Now()
		o.read("ADMIN DRAIN BACKEND '" + ep + "'")
		o.done()
		end := time.Now()
		usual, longest := time.Duration(0), time.Duration(0)
		for table, l := range loads {
			if took := l.slowest(at, end); slices.Contains(led, table) {
				longest = max(longest, took)
			} else {
				usual = max(usual, took)
			}
		}
		if len(led) > 0 && len(led) < len(loads) {
			pauses = append(pauses, max(longest-usual, 0))
			o.Logf("%s gave up %v: longest write %v, %v of the others", node, led, longest.Round(time.Millisecond), usual.Round(time.Millisecond))
		}
		o.read("ADMIN UNDRAIN BACKEND '" + ep + "'")
		o.done()
	}
	slices.Sort(pauses)
	return pauses
}

func (o *orders) leads() map[string]int {
	o.Helper()
	out := map[string]int{}
	for _, node := range o.c.Nodes() {
		if strings.HasPrefix(node, "be") {
			out[o.c.BackendAddr(node)] = 0
		}
	}
	for _, ep := range o.read("SELECT endpoint FROM stele.showtable WHERE role = 'leader' AND is_alive = 'yes'").Column("endpoint") {
		out[ep]++
	}
	return out
}

func (o *orders) weights() {
	ep := o.c.BackendAddr("be3")
	o.read("ADMIN SET LEADER WEIGHT 50 FOR BACKEND '" + ep + "'")
	o.done()
	o.c.Wait(o.T, "half the leaders for half the weight", healTimeout, func() (bool, string) {
		leads := o.leads()
		for other, n := range leads {
			if other != ep && n < 2*leads[ep]-1 {
				return false, fmt.Sprint(leads)
			}
		}
		return true, ""
	})
	o.read("ADMIN SET LEADER WEIGHT 0 FOR BACKEND '" + ep + "'")
	o.done()
	o.c.Wait(o.T, "as many leaders for the same weight", healTimeout, func() (bool, string) {
		return leaderSpread(o.ctx, o.T, o.db) <= 1, fmt.Sprint(o.leads())
	})
}

// balance adds a BE: nothing moves to it, because nothing is to, until it is ordered.
func (o *orders) balance() {
	node, err := o.c.AddBackend(o.ctx)
	must(o.T, err)
	o.c.WaitAlive(o.T, node, true, 30*time.Second)
	if job := o.read("BALANCE VGROUP"); job.Column("state")[0] != "moving" {
		o.Fatalf("job %v", job.Rows)
	}
	o.done()
	counts := map[string]int{}
	for _, ep := range o.read("showtable").Column("endpoint") {
		counts[ep]++
	}
	o.Logf("replicas: %v", counts)
	// The score counts bytes as well, and those of so small tablets differ from replica to replica.
	if counts[o.c.BackendAddr(node)] < 6 {
		o.Errorf("the new BE got too few replicas: %v", counts)
	}
	o.c.WaitHealthy(o.T, "bal.many", healTimeout)
	if n := o.c.CheckReplicas(o.T, "bal.many", 3); n != 500 {
		o.Errorf("the replicas hold %d rows, want 500", n)
	}
	before := fmt.Sprint(o.read("SELECT name, pid, endpoint FROM stele.showtable ORDER BY name, pid, endpoint").Rows)
	o.read("BALANCE VGROUP")
	o.done()
	if after := fmt.Sprint(o.read("SELECT name, pid, endpoint FROM stele.showtable ORDER BY name, pid, endpoint").Rows); after != before {
		o.Errorf("a second run moves replicas:\n%s\n%s", before, after)
	}
}
