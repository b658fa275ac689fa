package e2e

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"stele/be/tablet"
	"stele/tests/cluster"
)

// The steps of TestRepairs that provoke what no operator orders: replicas that differ, sources that hang, backends that are
// back too late, groups that are torn.

// nodeOf is the name of the BE with an id.
func (w *repairs) nodeOf(id string) string {
	w.Helper()
	for _, node := range w.c.Nodes() {
		if strings.HasPrefix(node, "be") && w.id(node) == id {
			return node
		}
	}
	w.Fatalf("no node is backend %s", id)
	return ""
}

// throttle limits clones to so many MB a second and disk; the func takes it back.
func (w *repairs) throttle(mb string) (back func()) {
	w.Helper()
	reached := func(want func(string) bool) {
		w.until("the limit to reach all backends", "ADMIN SHOW BACKEND CONFIG LIKE 'clone_bandwidth%'", func(t cluster.Table) bool {
			return !slices.ContainsFunc(t.Column("VALUE"), func(v string) bool { return !want(v) })
		})
	}
	w.exec(fmt.Sprintf(`ADMIN SET BACKEND CONFIG ("clone_bandwidth_limit_mb_per_disk" = "%s")`, mb))
	reached(func(v string) bool { return v == mb })
	return func() {
		w.exec(`ADMIN SET BACKEND CONFIG ("clone_bandwidth_limit_mb_per_disk" = "default")`)
		reached(func(v string) bool { return v != mb })
	}
}

// setBad gives up a replica, which is one that does not lead.
func (w *repairs) setBad(table string) (tabletID, be string) {
	w.Helper()
	rows := w.read("SELECT TabletId, BackendId FROM stele.tablets WHERE TableName = '" + table + "' AND IsLeader = 'false' ORDER BY TabletId, BackendId LIMIT 1").Rows
	if len(rows) == 0 {
		w.Fatalf("table %s has no follower", table)
	}
	tabletID, be = rows[0][0], rows[0][1]
	w.exec(fmt.Sprintf(`ADMIN SET REPLICA STATUS PROPERTIES("tablet_id" = "%s", "backend_id" = "%s", "status" = "bad")`, tabletID, be))
	return tabletID, be
}

// hungSource stops the process that a clone copies from, without ending its connections. The clone goes on from another source
// with what it has.
func (w *repairs) hungSource() {
	w.exec(`CREATE TABLE rep.h (id BIGINT NOT NULL PRIMARY KEY, v VARCHAR(3000)) DISTRIBUTED BY HASH(id) BUCKETS 1 PROPERTIES ("replication_num" = "3")`)
	var lines strings.Builder // of several row groups: what has come of one is lost with its clone
	raw := make([]byte, rowBytes/2)
	for id := range 3 * repairRows {
		rand.Read(raw)
		fmt.Fprintf(&lines, "%d\t%s\n", id, hex.EncodeToString(raw))
	}
	// A file becomes the same row groups on all replicas, so that those from one source serve a clone from another. Rows that
	// come in statements are put into row groups by each replica for itself.
	_, err := loadFrom(w.ctx, w.T, w.db, strings.NewReader(lines.String()), "INTO TABLE rep.h")
	must(w.T, err)
	back := w.throttle("2")
	w.exec(`ADMIN SET FRONTEND CONFIG ("tablet_sched_clone_stall_timeout_sec" = "2")`)
	id, _ := w.setBad("h")
	// One row group, of 8 MB of rows or half as many bytes once they are packed, has come whole, and there is time to stop the source.
	running := fmt.Sprintf("SELECT SrcBe, DestBe, TaskId, BytesDone FROM stele.clone_tasks WHERE State = 'RUNNING' AND TabletId = %s AND BytesDone > 5000000 AND BytesDone < BytesTotal - 5000000", id)
	var src, dest, task string
	w.until("a clone under way", running, func(t cluster.Table) bool {
		if len(t.Rows) == 0 {
			return false
		}
		src, dest, task = t.Rows[0][0], t.Rows[0][1], t.Rows[0][2]
		return true
	})
	items := w.read("ADMIN EXPLAIN TABLET " + id).Column("Item")
	for _, want := range []string{"Copies", "Progress", "Throttled", "Hint"} {
		if !slices.Contains(items, want) {
			w.Errorf("ADMIN EXPLAIN TABLET of a running clone does not tell %s: %v", want, items)
		}
	}
	hung := w.nodeOf(src)
	must(w.T, w.c.Pause(hung))
	paused := time.Now()
	other := fmt.Sprintf("SELECT TaskId, SrcBe FROM stele.clone_tasks WHERE TabletId = %s AND TaskId <> %s AND SrcBe <> %s AND State IN ('RUNNING', 'FINISHED') AND BytesDone > 0", id, task, src)
	w.until("the clone to go on from another source", other, func(t cluster.Table) bool { return len(t.Rows) > 0 })
	w.Logf("another source after %v", time.Since(paused).Round(10*time.Millisecond))
	back()
	w.until("the replica complete", fmt.Sprintf("SELECT Status FROM stele.tablets WHERE TabletId = %s AND BackendId = %s", id, dest), func(t cluster.Table) bool {
		return len(t.Rows) == 1 && t.Rows[0][0] == "OK"
	})
	must(w.T, w.c.Resume(hung))
	w.c.WaitAlive(w.T, hung, true, 30*time.Second)
	kept := w.keptBy(w.nodeOf(dest), id)
	w.Logf("%d bytes were kept", kept)
	if kept < 1_000_000 {
		w.Errorf("the second clone of tablet %s began anew: %d bytes were kept of more than 5,000,000", id, kept)
	}
	w.exec(`ADMIN SET FRONTEND CONFIG ("tablet_sched_clone_stall_timeout_sec" = "15")`)
	w.c.WaitHealthy(w.T, "rep.h", healTimeout)
}

// keptBy is what the last clone of a tablet found on its BE from the attempt before.
func (w *repairs) keptBy(node, tabletID string) int64 {
	w.Helper()
	f, err := os.Open(filepath.Join(w.c.Dir, node, "log", "be.log"))
	must(w.T, err)
	defer f.Close()
	kept := int64(-1)
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fields := map[string]string{}
		for field := range strings.FieldsSeq(lines.Text()) {
			if k, v, ok := strings.Cut(field, "="); ok {
				fields[k] = v
			}
		}
		if strings.Contains(lines.Text(), `msg="clone ended"`) && fields["tablet_id"] == tabletID && fields["state"] == "DONE" {
			kept, err = strconv.ParseInt(fields["kept"], 10, 64)
			must(w.T, err)
		}
	}
	must(w.T, lines.Err())
	return kept
}

// backTooLate has a BE come back while what it was lost with is made anew: there is one replica too many in the making. The
// FE that knew of it is killed; the next one finds the clone under way and sees it to its end.
func (w *repairs) backTooLate() {
	back := w.throttle("1") // the clone takes 18 s, in which the BE and the FE come back
	w.exec(`ADMIN SET FRONTEND CONFIG ("tablet_sched_be_down_tolerate_time_s" = "1")`)
	lost := w.read("SELECT TabletId, BackendId FROM stele.tablets WHERE TableName = 'h' AND IsLeader = 'false' LIMIT 1").Rows[0]
	node := w.nodeOf(lost[1])
	must(w.T, w.c.Kill(node))
	w.until("a clone for the lost BE", "SELECT 1 FROM stele.clone_tasks WHERE State = 'RUNNING' AND BytesTotal > 0 AND TabletId = "+lost[0], func(t cluster.Table) bool { return len(t.Rows) > 0 })
	// A hint of the step before may have begun the clone before the tolerance was over.
	w.until("what is left to do for the lost backend", "SELECT cause, tablets_left, bytes_left FROM stele.repair_progress WHERE be_id = "+lost[1], func(t cluster.Table) bool {
		return len(t.Rows) == 1 && t.Rows[0][0] == "LOST" && t.Rows[0][1] != "0" && t.Rows[0][2] != "0"
	})
	must(w.T, w.c.StartNode(node))
	w.c.WaitAlive(w.T, node, true, 30*time.Second)
	must(w.T, w.c.Kill("fe1"))
	must(w.T, w.c.StartNode("fe1"))
	w.until("all backends alive for the new leader", "SHOW BACKENDS", func(t cluster.Table) bool { return !slices.Contains(t.Column("Alive"), "false") && len(t.Rows) > 0 })
	back()
	w.healthy()
	w.c.WaitHealthy(w.T, "rep.h", healTimeout)
	w.happened("NEED_FURTHER_REPAIR")
	w.exec("DROP TABLE rep.h")
}

// forge has the replicas of a BE pass over a version as if it had changed nothing: they say that they are complete, and lack
// rows. No part of the system does so; a broken disk or a bug might.
func (w *repairs) forge() (be string) {
	w.Helper()
	be = w.read("SELECT BackendId FROM stele.tablets WHERE TableName = 'r' AND IsLeader = 'false' ORDER BY BackendId LIMIT 1").Rows[0][0]
	node := w.nodeOf(be)
	w.exec("ADMIN CANCEL REPAIR TABLE rep.r") // a hint has the replicas of a stopped backend made anew at once
	must(w.T, w.c.Stop(node))
	before := w.rows
	w.insert(100)
	forged := 0
	for _, disk := range []string{"storage1", "storage2"} {
		dir := filepath.Join(w.c.Dir, node, disk, "store")
		stopped, err := tablet.OpenOffline(dir, tablet.Options{})
		must(w.T, err)
		id := stopped.Cluster()
		must(w.T, stopped.Close())
		store, err := tablet.Open(dir, tablet.Options{ClusterID: id, NoBackground: true})
		must(w.T, err)
		for _, t := range store.Tablets() {
			must(w.T, t.SkipTo(w.ctx, t.Version()+1))
			forged++
		}
		must(w.T, store.Close())
	}
	if forged == 0 {
		w.Fatalf("%s holds no replica to forge", node)
	}
	must(w.T, w.c.StartNode(node))
	w.c.WaitAlive(w.T, node, true, 30*time.Second)
	w.Logf("%d replicas of %s lack rows %d and on, and say that they are complete", forged, node, before)
	return be
}

func (w *repairs) markedBad() int {
	w.Helper()
	return len(w.read("SELECT id FROM stele.operations WHERE kind = 'replica_marked_bad'").Rows)
}

// diverged has replicas that differ found because somebody asks.
func (w *repairs) diverged() {
	want := w.forge()
	found := map[string]string{}
	w.until("replicas that differ", "ADMIN CHECK TABLE rep.r CHECKSUM", func(t cluster.Table) bool {
		for i, s := range t.Column("Status") {
			if s != "OK" && s != "SKIPPED" {
				found[t.Column("BackendId")[i]] = s
			}
		}
		return len(found) > 0
	})
	if len(found) != 1 || found[want] != "DIVERGED" {
		w.Errorf("found %v, want backend %s DIVERGED", found, want)
	}
	w.untilAgreed()
}

// divergedUnasked has them found by the comparison that always goes on.
func (w *repairs) divergedUnasked() {
	before := w.markedBad()
	w.forge()
	w.until("a replica that differs marked bad", "SELECT id FROM stele.operations WHERE kind = 'replica_marked_bad'", func(t cluster.Table) bool { return len(t.Rows) > before })
	w.untilAgreed()
}

// untilAgreed waits until all replicas hold the same rows.
func (w *repairs) untilAgreed() {
	w.Helper()
	w.until("the replicas to agree", "ADMIN CHECK TABLE rep.r CHECKSUM", func(t cluster.Table) bool {
		return len(t.Rows) == 12 && !slices.ContainsFunc(t.Column("Status"), func(s string) bool { return s != "OK" })
	})
}

// colocated tears a colocate group: a replica of one table is damaged, then a backend is lost for both.
func (w *repairs) colocated() {
	for _, name := range []string{"c1", "c2"} {
		w.exec("CREATE TABLE rep." + name + ` (k INT, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES ("replication_num" = "2", "colocate_with" = "g1")`)
		w.exec("INSERT INTO rep." + name + " VALUES (1, 1), (2, 2), (3, 3)")
	}
	id, _ := w.setBad("c2")
	w.until("the damaged replica made anew", "SHOW PROC '/cluster_balance/history_tablets'", func(t cluster.Table) bool {
		for i, status := range t.Column("Status") {
			if status == "COLOCATE_MISMATCH" && t.Column("TabletId")[i] == id && t.Column("State")[i] == "FINISHED" {
				return true
			}
		}
		return false
	})
	w.whole("c1", "c2")
	w.exec(`ADMIN SET FRONTEND CONFIG ("tablet_sched_be_down_tolerate_time_s" = "1")`)
	lost := w.nodeOf(w.read("SELECT BackendId FROM stele.tablets WHERE TableName = 'c1' LIMIT 1").Rows[0][0])
	must(w.T, w.c.Kill(lost))
	w.until("the group on other backends", "SHOW PROC '/cluster_balance/history_tablets'", func(t cluster.Table) bool { return slices.Contains(t.Column("Status"), "COLOCATE_REDUNDANT") })
	w.whole("c1", "c2")
	must(w.T, w.c.StartNode(lost))
	w.c.WaitAlive(w.T, lost, true, 30*time.Second)
	w.exec(`ADMIN SET FRONTEND CONFIG ("tablet_sched_be_down_tolerate_time_s" = "60")`)
	w.until("the group stable", "SHOW PROC '/colocation_group'", func(t cluster.Table) bool {
		stable := t.Column("IsStable")
		return len(stable) == 1 && stable[0] == "true"
	})
	lists := map[string]bool{}
	for _, name := range []string{"c1", "c2"} {
		var on []string
		for _, row := range w.read("SELECT Bucket, BackendId FROM stele.tablets WHERE TableName = '" + name + "' ORDER BY Bucket, BackendId").Rows {
			on = append(on, strings.Join(row, ":"))
		}
		lists[strings.Join(on, " ")] = true
	}
	if len(lists) != 1 {
		w.Errorf("the tables of the group are not on the same backends: %v", lists)
	}
	w.exec("DROP TABLE rep.c1")
	w.exec("DROP TABLE rep.c2")
}

// whole waits until tables are healthy and can be read.
func (w *repairs) whole(tables ...string) {
	w.Helper()
	for _, name := range tables {
		w.c.WaitHealthy(w.T, "rep."+name, healTimeout)
		var n int
		must(w.T, w.db.QueryRowContext(w.ctx, "SELECT COUNT(*) FROM "+name).Scan(&n))
		if n != 3 {
			w.Errorf("%s has %d rows of 3", name, n)
		}
	}
}

// nowhereElse damages a replica when no backend is free: it has to go before another one is made in its place.
func (w *repairs) nowhereElse() {
	before := w.counted("FORCE_REDUNDANT")
	w.setBad("r")
	w.healthy()
	if w.counted("FORCE_REDUNDANT") == before {
		w.Error("no tablet was FORCE_REDUNDANT, though its damaged replica was in the way of the next")
	}
}

// counted is how many tablets have come to the scheduler with a status. What becomes of a task has the status of its last step.
func (w *repairs) counted(status string) string {
	w.Helper()
	return w.read("SELECT Value FROM stele.sched_stat WHERE Item = 'added as " + status + "'").Rows[0][0]
}

// nothingLeft damages the only replica of a tablet: recover_with_empty_tablet has it go on without its rows, and only that.
func (w *repairs) nothingLeft() {
	w.exec(`CREATE TABLE rep.single (id BIGINT NOT NULL PRIMARY KEY) DISTRIBUTED BY HASH(id) BUCKETS 3 PROPERTIES ("replication_num" = "1")`)
	w.exec("INSERT INTO rep.single VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12)")
	row := w.read("SELECT TabletId, BackendId FROM stele.tablets WHERE TableName = 'single' ORDER BY TabletId LIMIT 1").Rows[0]
	w.exec(fmt.Sprintf(`ADMIN SET REPLICA STATUS PROPERTIES("tablet_id" = "%s", "backend_id" = "%s", "status" = "bad")`, row[0], row[1]))
	ctx, cancel := context.WithTimeout(w.ctx, 2*time.Second)
	defer cancel()
	var n int
	if err := w.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM single").Scan(&n); err == nil {
		w.Errorf("a table whose tablet %s has no replica answers %d rows", row[0], n)
	}
	if advice := w.read("ADMIN EXPLAIN TABLET " + row[0]).Column("Suggestion"); !strings.Contains(advice[0], "RECOVER DATA") {
		w.Errorf("what to do when nothing is left: %q", advice)
	}
	w.exec(`ADMIN SET FRONTEND CONFIG ("recover_with_empty_tablet" = "true")`)
	w.c.WaitHealthy(w.T, "rep.single", healTimeout)
	w.exec(`ADMIN SET FRONTEND CONFIG ("recover_with_empty_tablet" = "false")`)
	must(w.T, w.db.QueryRowContext(w.ctx, "SELECT COUNT(*) FROM single").Scan(&n))
	if n <= 0 || n >= 12 {
		w.Errorf("%d rows are left of 12 without one tablet of three", n)
	}
	made := w.read("SELECT owner, message FROM stele.operations WHERE owner = 'recover_with_empty_tablet'").Rows
	if len(made) != 1 || !strings.Contains(made[0][1], row[0]) {
		w.Errorf("the loss of tablet %s in the operation log: %v", row[0], made)
	}
	w.exec("INSERT INTO rep.single VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12) ON DUPLICATE KEY UPDATE id = id")
	must(w.T, w.db.QueryRowContext(w.ctx, "SELECT COUNT(*) FROM single").Scan(&n))
	if n != 12 {
		w.Errorf("%d rows of 12 after they were written again", n)
	}
	w.exec("DROP TABLE rep.single")
}

// mayI asks before a backend is stopped, and again while another one is away.
func (w *repairs) mayI() {
	both := w.read("SELECT BackendId, TabletId FROM stele.tablets WHERE TableName = 'r' ORDER BY TabletId, BackendId LIMIT 2").Column("BackendId")
	stays, goes := w.nodeOf(both[0]), w.nodeOf(both[1])
	ask := fmt.Sprintf(`ADMIN SHOW SAFE TO STOP BACKEND "%s"`, w.c.BackendAddr(stays))
	if rows := w.read(ask).Rows; len(rows) != 0 {
		w.Errorf("in a healthy cluster one backend may be stopped: %v", rows)
	}
	w.exec("ADMIN CANCEL REPAIR TABLE rep.r")
	must(w.T, w.c.Stop(goes))
	w.c.WaitAlive(w.T, goes, false, 30*time.Second)
	hazards := w.read(ask)
	if !slices.Contains(hazards.Column("Danger"), "QUORUM") {
		w.Errorf("with %s away, stopping %s endangers no quorum: %v", goes, stays, hazards.Rows)
	}
	must(w.T, w.c.StartNode(goes))
	w.c.WaitAlive(w.T, goes, true, 30*time.Second)
	w.until("it may be stopped again", ask, func(t cluster.Table) bool { return len(t.Rows) == 0 })
	dry := w.read(fmt.Sprintf(`ALTER SYSTEM DECOMMISSION BACKEND "%s" DRY RUN`, w.c.BackendAddr(goes)))
	held := len(w.read("SELECT 1 FROM stele.tablets WHERE BackendId = " + both[1]).Rows)
	drops := 0
	for i, action := range dry.Column("Action") {
		if action == "drop" && dry.Column("FromBe")[i] == both[1] {
			drops++
		}
	}
	if held == 0 || drops != held {
		w.Errorf("a dry run of a decommission drops %d of %d replicas: %v", drops, held, dry.Rows)
	}
	if again := len(w.read("SELECT 1 FROM stele.tablets WHERE BackendId = " + both[1]).Rows); again != held {
		w.Errorf("a dry run has moved something: %d replicas, then %d", held, again)
	}
}

// locations says where backends stand: replicas that share a place are moved apart.
func (w *repairs) locations() {
	together := w.read("SELECT BackendId FROM stele.tablets WHERE TableName = 'r' ORDER BY TabletId, BackendId LIMIT 2").Column("BackendId")
	place := map[string]string{w.nodeOf(together[0]): "zone:a", w.nodeOf(together[1]): "zone:a"}
	for _, node := range []string{"be1", "be2", "be3", "be4"} {
		if place[node] == "" {
			place[node] = "zone:" + node
		}
	}
	set := func(node, location string) {
		w.exec(fmt.Sprintf(`ALTER SYSTEM MODIFY BACKEND "%s" SET ("labels.location" = "%s")`, w.c.BackendAddr(node), location))
	}
	zone := map[string]string{}
	for node, location := range place {
		set(node, location)
		zone[w.id(node)] = location
	}
	w.until("every tablet in three zones", "SELECT TabletId, BackendId FROM stele.tablets WHERE TableName = 'r'", func(t cluster.Table) bool {
		in := map[string]bool{}
		for i, id := range t.Column("TabletId") {
			in[id+" "+zone[t.Column("BackendId")[i]]] = true
		}
		return len(in) == 12 && len(t.Rows) == 12
	})
	w.healthy()
	w.happened("LOCATION_MISMATCH")
	for node := range place {
		set(node, "")
	}
}
