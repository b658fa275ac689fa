package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stele/tests/cluster"
)

// repairs is a cluster of four BEs of two disks each that reacts at once, and one table whose rows do not compress.
type repairs struct {
	*testing.T
	ctx  context.Context
	c    *cluster.Cluster
	db   *sql.DB
	rows int
}

const (
	repairTable = "CREATE TABLE r (id BIGINT NOT NULL PRIMARY KEY, v VARCHAR(3000)) DISTRIBUTED BY HASH(id) BUCKETS 4 PROPERTIES (\"replication_num\" = \"3\")"
	repairRows  = 6000
	rowBytes    = 2000
	// tabletBytes is about what a clone of one tablet moves.
	tabletBytes = repairRows * rowBytes / 4
)

// TestRepairs takes one cluster through what an operator meets, each step from a healthy state to a healthy state.
func TestRepairs(t *testing.T) {
	skipShort(t, "kills, corrupts and empties backends of a cluster")
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	c := cluster.Start(t, cluster.Options{Backends: 4, Disks: 2, FE: map[string]string{
		"tablet_sched_checker_interval_seconds": "1", "tablet_sched_repair_delay_factor_second": "0",
		"tablet_sched_consecutive_full_clone_delay_sec": "0", "tablet_sched_be_down_tolerate_time_s": "60",
		"tablet_sched_disable_balance": "true"},
		BE: map[string]string{"report_tablet_interval_ms": "1000", "delta_flush_bytes": "524288"}})
	w := &repairs{T: t, ctx: ctx, c: c, db: databaseOf(ctx, t, c, "rep", repairTable)}
	w.insert(repairRows)
	for _, step := range []struct {
		name string
		run  func(*repairs)
	}{
		{"flapping", (*repairs).flapping},
		{"slots and throttle", (*repairs).slotsAndThrottle},
		{"corrupt chunk", (*repairs).corruptChunk},
		{"replication_num", (*repairs).replicationNum},
		{"disabled disk", (*repairs).disabledDisk},
		{"decommissioned disk", (*repairs).decommissionedDisk},
		{"lost backend", (*repairs).lostBackend},
		{"hung source", (*repairs).hungSource},
		{"back too late", (*repairs).backTooLate},
		{"diverged unasked", (*repairs).divergedUnasked},
		{"diverged", (*repairs).diverged},
		{"colocated", (*repairs).colocated},
		{"locations", (*repairs).locations},
		{"may I", (*repairs).mayI},
		{"decommission", (*repairs).decommission},
		{"nowhere else", (*repairs).nowhereElse},
		{"nothing left", (*repairs).nothingLeft},
		{"refusals", (*repairs).refusals},
	} {
		begun := time.Now()
		if !t.Run(step.name, func(t *testing.T) {
			w.T = t
			step.run(w)
			w.healthy()
		}) {
			break
		}
		t.Logf("%s: %v", step.name, time.Since(begun).Round(100*time.Millisecond))
	}
}

// insert adds n rows of random text.
func (w *repairs) insert(n int) {
	w.Helper()
	for left := n; left > 0; {
		k := min(left, 200)
		_, err := w.db.ExecContext(w.ctx, tuples(w.rows, k))
		must(w.T, err)
		w.rows, left = w.rows+k, left-k
	}
}

func tuples(from, n int) string {
	var b strings.Builder
	b.WriteString("INSERT INTO r VALUES ")
	raw := make([]byte, rowBytes/2)
	for i := range n {
		rand.Read(raw)
		fmt.Fprintf(&b, "(%d,'%s'),", from+i, hex.EncodeToString(raw))
	}
	return strings.TrimSuffix(b.String(), ",")
}

// healthy waits until all replicas are there, and compares them.
func (w *repairs) healthy() {
	w.Helper()
	w.c.WaitHealthy(w.T, "rep.r", healTimeout)
	var n int
	must(w.T, w.db.QueryRowContext(w.ctx, "SELECT COUNT(*) FROM r").Scan(&n))
	if n != w.rows {
		w.Fatalf("%d rows, %d were acknowledged", n, w.rows)
	}
	if held := w.c.CheckReplicas(w.T, "rep.r", w.wanted()); held != int64(w.rows) {
		w.Fatalf("the replicas hold %d rows of %d", held, w.rows)
	}
}

// wanted is replication_num of the table.
func (w *repairs) wanted() int {
	n, err := strconv.Atoi(w.read("SHOW PARTITIONS FROM rep.r").Column("ReplicationNum")[0])
	must(w.T, err)
	return n
}

func (w *repairs) read(query string) cluster.Table {
	w.Helper()
	t, err := cluster.ReadTable(w.ctx, w.c.DB(), query)
	if err != nil {
		w.Fatalf("%s: %v", query, err)
	}
	return t
}

func (w *repairs) exec(query string) {
	w.Helper()
	if _, err := w.c.DB().ExecContext(w.ctx, query); err != nil {
		w.Fatalf("%s: %v", query, err)
	}
}

// until waits for a condition on the rows of a query.
func (w *repairs) until(what, query string, holds func(cluster.Table) bool) {
	w.Helper()
	w.c.Wait(w.T, what, healTimeout, func() (bool, string) {
		t, err := cluster.ReadTable(w.ctx, w.c.DB(), query)
		if err != nil {
			return false, err.Error()
		}
		return holds(t), fmt.Sprint(t.Rows)
	})
}

// happened reports whether the control loop has repaired a tablet of a status.
func (w *repairs) happened(status string) {
	w.Helper()
	if all := w.read("SHOW PROC '/cluster_balance/history_tablets'").Column("Status"); !slices.Contains(all, status) {
		w.Errorf("no repair of %s in the history: %v", status, all)
	}
}

func (w *repairs) id(node string) string {
	id, err := w.c.BackendID(w.ctx, node)
	must(w.T, err)
	return id
}

// flapping kills a BE again and again and writes while it is away. It is back within its tolerance: what it missed is
// copied, and nothing else.
func (w *repairs) flapping() {
	for range 3 {
		must(w.T, w.c.Kill("be1"))
		w.insert(50)
		w.until("replicas of the dead BE DEAD", "ADMIN SHOW REPLICA STATUS FROM rep.r WHERE STATUS = 'DEAD'", func(t cluster.Table) bool { return len(t.Rows) > 0 })
		must(w.T, w.c.StartNode("be1"))
		w.c.WaitAlive(w.T, "be1", true, 30*time.Second)
	}
	w.healthy()
	full, incremental := clones(w.T, w.c)
	if full > 0 || incremental == 0 {
		w.Errorf("%d full and %d incremental clones for a BE that was back within its tolerance", full, incremental)
	}
	w.happened("VERSION_INCOMPLETE")
}

// slotsAndThrottle has all tablets cloned to new replicas at once, at 1 MB/s a disk.
func (w *repairs) slotsAndThrottle() {
	unlimited := w.throttle("1")
	wire, direct := w.relayed()
	tablets := w.read("SHOW TABLET FROM rep.r")
	seen := map[string]bool{}
	begun := time.Now()
	quiet, _ := wire.total()
	for i, id := range tablets.Column("TabletId") {
		if be := tablets.Column("BackendId")[i]; !seen[id] {
			seen[id] = true
			w.exec(fmt.Sprintf(`ADMIN SET REPLICA STATUS PROPERTIES("tablet_id" = "%s", "backend_id" = "%s", "status" = "bad")`, id, be))
		}
	}
	watch := w.watchClones()
	w.until("no replica bad", "SELECT 1 FROM stele.tablets WHERE TableName = 'r' AND (IsBad = 'true' OR Status <> 'OK')", func(t cluster.Table) bool { return len(t.Rows) == 0 })
	w.c.WaitHealthy(w.T, "rep.r", healTimeout)
	took := time.Since(begun)
	watch.stop()
	sent, most := wire.total()
	if watch.slots > 2 || watch.slots == 0 {
		w.Errorf("a disk took part in %d repair clones at a time, 2 are allowed", watch.slots)
	}
	if watch.progress == 0 {
		w.Error("no clone told how far it was")
	}
	// Four tablets move to at most eight disks, so one of them receives at least one.
	if least := tabletBytes * time.Second / (1 << 20) * 8 / 10; took < least {
		w.Errorf("4 tablets of %d bytes were cloned in %v at 1 MB/s, which takes %v", tabletBytes, took, least)
	}
	w.Logf("%v at 1 MB/s, %d slots at most, fastest clone %d bytes/s", took.Round(time.Millisecond), watch.slots, watch.fastest)
	if watch.fastest > 3<<19 {
		w.Errorf("a clone ran at %d bytes/s, 1 MB/s is allowed", watch.fastest)
	}
	// Random digits in hexadecimal are half as long once they are packed. A BE sends from two disks.
	w.Logf("on the wire: %d bytes, %d by one backend", sent-quiet, most)
	if sent-quiet < 4*tabletBytes/2 {
		w.Errorf("%d bytes were on the wire, four tablets have at least %d", sent-quiet, 4*tabletBytes/2)
	}
	if limit := int64(took.Seconds()*2*(1<<20)) + 1<<20; most > limit {
		w.Errorf("a backend has sent %d bytes in %v at 1 MB/s a disk, which allows %d", most, took, limit)
	}
	direct()
	unlimited()
}

// cloneWatch is what was seen of clones while they ran.
type cloneWatch struct {
	stop     func()
	slots    int   // most on one disk
	progress int   // clones seen on the way
	fastest  int64 // bytes a second, over at least a second
}

func (w *repairs) watchClones() *cloneWatch {
	watch := &cloneWatch{}
	ctx, cancel := context.WithCancel(w.ctx)
	var group sync.WaitGroup
	watch.stop = func() { cancel(); group.Wait() }
	type point struct {
		at   time.Time
		done int64
	}
	first := map[string]point{}
	group.Go(func() {
		for tick := time.NewTicker(100 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			disks, err := cluster.ReadTable(ctx, w.c.DB(), "SELECT clone_slots_used FROM stele.disks")
			if err != nil {
				continue
			}
			for _, used := range disks.Column("clone_slots_used") {
				n, _ := strconv.Atoi(used)
				watch.slots = max(watch.slots, n)
			}
			asked := time.Now()
			running, err := cluster.ReadTable(ctx, w.c.DB(), "SELECT TaskId, BytesDone, BytesTotal FROM stele.clone_tasks WHERE State = 'RUNNING' AND BytesDone > 0")
			if err != nil {
				continue
			}
			for i, task := range running.Column("TaskId") {
				done, _ := strconv.ParseInt(running.Column("BytesDone")[i], 10, 64)
				watch.progress++
				begun, known := first[task]
				if !known {
					first[task] = point{asked, done} // so that whatever comes between adds to the time and not to the rate
				} else if passed := time.Since(begun.at); passed > time.Second {
					watch.fastest = max(watch.fastest, int64(float64(done-begun.done)/passed.Seconds()))
				}
			}
		}
	})
	return watch
}

// corruptChunk flips bytes in the values of a BE that is down, and has the replicas compared.
func (w *repairs) corruptChunk() {
	w.exec("ADMIN CANCEL REPAIR TABLE rep.r") // a hint of the step before would have be2 replaced at once, and a BE that is late for a moment
	w.healthy()
	if left := w.read("ADMIN CHECK TABLE rep.r CHECKSUM"); slices.ContainsFunc(left.Column("Status"), func(s string) bool { return s != "OK" }) {
		w.Fatalf("replicas differ before anything happened: %v", left.Rows)
	}
	must(w.T, w.c.Kill("be2"))
	flipped := flipBytes(w.T, filepath.Join(w.c.Dir, "be2"))
	must(w.T, w.c.StartNode("be2"))
	w.c.WaitAlive(w.T, "be2", true, 30*time.Second)
	found := w.read("ADMIN CHECK TABLE rep.r CHECKSUM")
	statuses := found.Column("Status")
	w.Logf("%d bytes flipped: %v", flipped, statuses)
	bad := 0
	for i, s := range statuses {
		if s == "UNREADABLE" && found.Column("BackendId")[i] == w.id("be2") {
			bad++
		} else if s == "DIVERGED" || s == "UNDECIDED" {
			w.Errorf("damage shows as %s: %v", s, found.Rows[i])
		}
	}
	marked := w.read("SELECT TabletId FROM stele.tablets WHERE TableName = 'r' AND IsBad = 'true'")
	if history := w.read("SELECT target FROM stele.operations WHERE kind = 'replica_marked_bad'"); bad == 0 && len(marked.Rows) == 0 && len(history.Rows) == 0 {
		w.Error("the damage was not found")
	}
	w.healthy()
	if after := w.read("ADMIN CHECK TABLE rep.r CHECKSUM"); slices.ContainsFunc(after.Column("Status"), func(s string) bool { return s != "OK" }) {
		w.Errorf("after the repair: %v", after.Rows)
	}
}

// flipBytes damages the row groups of a BE: those are the large files that no restart rewrites.
func flipBytes(t *testing.T, dir string) (flipped int) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".seg") {
			return err
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		end := len(bytes.TrimRight(text, "\x00"))
		for at := 100_000; at < end-1000; at += 20_000 {
			if _, err := f.WriteAt([]byte{text[at] ^ 0xff}, int64(at)); err != nil {
				return err
			}
			flipped++
		}
		return f.Sync()
	}))
	if flipped == 0 {
		t.Fatalf("no row groups below %s", dir)
	}
	return flipped
}

// replicationNum lowers and raises the number of replicas.
func (w *repairs) replicationNum() {
	w.exec(`ALTER TABLE rep.r SET ("replication_num" = "2")`)
	w.until("two replicas a tablet", "SHOW TABLET FROM rep.r", func(t cluster.Table) bool { return len(t.Rows) == 8 })
	w.happened("REDUNDANT")
	w.healthy()
	w.exec(`ALTER TABLE rep.r SET ("replication_num" = "3")`)
	w.until("three replicas a tablet", "SHOW TABLET FROM rep.r", func(t cluster.Table) bool { return len(t.Rows) == 12 })
	w.healthy()
	w.happened("REPLICA_MISSING")
}

// onDisk counts the replicas on a disk of a BE, as its BE reports them.
func (w *repairs) onDisk(node, disk string) string {
	return fmt.Sprintf("SELECT tablets, state FROM stele.disks WHERE be_id = %s AND path LIKE '%%/%s/%s'", w.id(node), node, disk)
}

// disabledDisk gives a disk up: its replicas are made anew elsewhere.
func (w *repairs) disabledDisk() {
	path := filepath.Join(w.c.Dir, "be3", "storage1")
	w.exec(fmt.Sprintf(`ALTER SYSTEM DISABLE DISK "%s" ON BACKEND "%s"`, path, w.c.BackendAddr("be3")))
	w.until("the disk DISABLED", w.onDisk("be3", "storage1"), func(t cluster.Table) bool { return t.Rows[0][1] == "DISABLED" })
	w.until("no replica on the disabled disk", w.onDisk("be3", "storage1"), func(t cluster.Table) bool { return t.Rows[0][0] == "0" })
	w.healthy()
	w.exec(fmt.Sprintf(`ALTER SYSTEM CANCEL DISABLE DISK "%s" ON BACKEND "%s"`, path, w.c.BackendAddr("be3")))
}

// decommissionedDisk empties a disk to the other one of the same BE while rows are written: nobody notices.
func (w *repairs) decommissionedDisk() {
	load := w.load()
	path := filepath.Join(w.c.Dir, "be1", "storage1")
	before := w.read(w.onDisk("be1", "storage1")).Rows[0][0]
	w.exec(fmt.Sprintf(`ALTER SYSTEM DECOMMISSION DISK "%s" ON BACKEND "%s"`, path, w.c.BackendAddr("be1")))
	w.until("no replica on the decommissioned disk", w.onDisk("be1", "storage1"), func(t cluster.Table) bool { return t.Rows[0][0] == "0" })
	load()
	if before != "0" {
		w.happened("DISK_MIGRATION")
	}
	w.exec(fmt.Sprintf(`ALTER SYSTEM CANCEL DECOMMISSION DISK "%s" ON BACKEND "%s"`, path, w.c.BackendAddr("be1")))
}

// load writes rows by autocommit until the returned func is called, which fails the test if a statement failed.
func (w *repairs) load() (stop func()) {
	var over atomic.Bool
	var group sync.WaitGroup
	var failed error
	from := w.rows
	group.Go(func() {
		for n := from; !over.Load() && failed == nil; n += 5 {
			if _, failed = w.db.ExecContext(w.ctx, tuples(n, 5)); failed == nil {
				w.rows += 5
			}
		}
	})
	return func() {
		w.Helper()
		over.Store(true)
		group.Wait()
		if failed != nil {
			w.Errorf("a write failed meanwhile: %v", failed)
		}
		w.Logf("%d rows written meanwhile", w.rows-from)
	}
}

// lostBackend loses a BE for longer than is tolerated: its replicas are made anew, first those of a hinted partition.
func (w *repairs) lostBackend() {
	lost := w.id("be4")
	must(w.T, w.c.Kill("be4"))
	w.c.WaitAlive(w.T, "be4", false, 30*time.Second)
	w.exec("ADMIN REPAIR TABLE rep.r")
	if hints := w.read("SELECT owner FROM stele.repair_hints"); len(hints.Rows) != 1 || !strings.HasPrefix(hints.Rows[0][0], "root@") {
		w.Errorf("hints %v", hints.Rows)
	}
	w.exec(`ADMIN SET FRONTEND CONFIG ("tablet_sched_be_down_tolerate_time_s" = "1")`)
	w.until("no replica on the lost BE", "SHOW TABLET FROM rep.r", func(t cluster.Table) bool { return !slices.Contains(t.Column("BackendId"), lost) })
	w.healthy()
	must(w.T, w.c.StartNode("be4"))
	w.c.WaitAlive(w.T, "be4", true, 30*time.Second)
	w.exec(`ADMIN SET FRONTEND CONFIG ("tablet_sched_be_down_tolerate_time_s" = "60")`)
}

// decommission empties a BE under load until it leaves the cluster.
func (w *repairs) decommission() {
	load := w.load()
	id := w.id("be2")
	w.exec(fmt.Sprintf(`ALTER SYSTEM DECOMMISSION BACKEND "%s"`, w.c.BackendAddr("be2")))
	if row := w.read("SHOW BACKENDS WHERE BackendId = " + id); len(row.Rows) > 0 && row.Column("SystemDecommissioned")[0] != "true" {
		w.Errorf("SHOW BACKENDS does not tell of the decommission: %v", row.Rows)
	}
	w.until("the BE gone", "SHOW BACKENDS", func(t cluster.Table) bool { return len(t.Rows) == 3 })
	load()
}

// refusals are statements that must not do what they say.
func (w *repairs) refusals() {
	w.exec(`CREATE TABLE rep.single (id BIGINT NOT NULL PRIMARY KEY) DISTRIBUTED BY HASH(id) BUCKETS 3 PROPERTIES ("replication_num" = "1")`)
	for query, want := range map[string]string{
		fmt.Sprintf(`ALTER SYSTEM DROP BACKEND "%s"`, w.c.BackendAddr("be1")):                          "have only one replica",
		`ALTER SYSTEM DROP BACKEND "127.0.0.1:1"`:                                                      "backend does not exists[127.0.0.1:1]",
		fmt.Sprintf(`ALTER SYSTEM DECOMMISSION BACKEND "%s"`, w.c.BackendAddr("be1")):                  "requires 3 replicas",
		`ALTER TABLE rep.r SET ("replication_num" = "9")`:                                              "Current alive backend is",
		`ADMIN SET REPLICA STATUS PROPERTIES("tablet_id" = "1", "backend_id" = "1", "status" = "bad")`: "Tablet 1 does not exist",
		`ADMIN SET BACKEND CONFIG ("clone_bandwidth_limit_mb_per_disk" = "none")`:                      "must be a whole number",
		`ADMIN CHECK TABLET (1) PROPERTIES("type" = "consistency")`:                                    "Tablet 1 does not exist",
		fmt.Sprintf(`ALTER SYSTEM DISABLE DISK "/nowhere" ON BACKEND "%s"`, w.c.BackendAddr("be1")):    "Disk: /nowhere does not exist",
		`ADMIN SHOW REPLICA STATUS FROM rep.nothing`:                                                   "Table does not exist or is not OLAP table: nothing",
		`SHOW PROC '/nowhere'`: "Cannot find path",
	} {
		_, err := w.c.DB().ExecContext(w.ctx, query)
		if err == nil || !strings.Contains(err.Error(), want) {
			w.Errorf("%s: %v, want %q", query, err, want)
		}
	}
	w.exec("DROP TABLE rep.single")
}
