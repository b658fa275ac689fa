package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stele/tests/cluster"
)

// TestDiskComesBack starts a BE without one of its disks, twice: when the disk is back it is taken in by the process that runs. First with what was
// there: rows that are nowhere else are read again, and replicas get what they have missed. Then when its replicas have been made anew: none is left over.
func TestDiskComesBack(t *testing.T) {
	skipShort(t, "takes a disk away and waits")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c := cluster.Start(t, twoDisks())
	w := &repairs{T: t, ctx: ctx, c: c, db: databaseOf(ctx, t, c, "rep", repairTable)}
	d := &lateDisk{repairs: w, path: filepath.Join(c.Dir, "be3", "storage2")}
	w.exec(`CREATE TABLE rep.alone (id INT PRIMARY KEY) DISTRIBUTED BY HASH(id) BUCKETS 12 PROPERTIES ("replication_num" = "1")`)
	w.exec("INSERT INTO rep.alone VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10),(11),(12),(13),(14),(15),(16),(17),(18),(19),(20)")
	w.insert(200)
	w.healthy()
	w.until("replicas on the disk", fmt.Sprintf("SELECT tablets FROM stele.disks WHERE path = '%s'", d.path), func(t cluster.Table) bool { return t.Rows[0][0] != "0" })

	w.exec(`ADMIN SET FRONTEND CONFIG ("auto_failover" = "false")`) // else they are made anew before they are back
	d.takeAway()
	w.insert(100)
	d.putBack()
	w.exec(`ADMIN SET FRONTEND CONFIG ("auto_failover" = "true")`)
	c.Wait(t, "the rows that are on this disk alone", healTimeout, func() (bool, string) {
		var n int
		err := c.DB().QueryRowContext(ctx, "SELECT COUNT(*) FROM rep.alone").Scan(&n)
		return err == nil && n == 20, fmt.Sprint(n, err)
	})
	w.healthy()
	if full, _ := clones(t, c); full > 0 {
		t.Errorf("%d full clones for a disk that has missed some rows", full)
	}

	d.takeAway()
	open := fmt.Sprintf(`ALTER SYSTEM OPEN DISK "%s" ON BACKEND "%s"`, d.path, c.BackendAddr("be3"))
	if _, err := c.DB().ExecContext(ctx, open); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("a file was opened: %v", err)
	}
	w.healthy() // with replicas beside the disk
	kept := w.read("SELECT TabletId, ReplicaId, PathHash FROM stele.tablets WHERE TableName = 'r' ORDER BY ReplicaId").Rows
	w.insert(100)
	d.putBack(open)
	w.until("no replica of the table that is not counted", fmt.Sprintf("SELECT COUNT(*) FROM stele.tablets WHERE TableName = 'alone' AND PathHash = "+
		"(SELECT disk_id FROM stele.disks WHERE path = '%s')", d.path), func(t cluster.Table) bool { return t.Rows[0][0] == d.replicas() })
	w.healthy()
	if now := w.read("SELECT TabletId, ReplicaId, PathHash FROM stele.tablets WHERE TableName = 'r' ORDER BY ReplicaId").Rows; fmt.Sprint(now) != fmt.Sprint(kept) {
		t.Errorf("the replicas of r were %v, are %v", kept, now)
	}
}

// twoDisks is a cluster whose BEs have two disks each, and stay where they are.
func twoDisks() cluster.Options {
	opts := prompt
	opts.Disks, opts.FE = 2, maps.Clone(prompt.FE)
	opts.FE["tablet_sched_disable_balance"] = "true"
	return opts
}

// lateDisk is a disk of be3.
type lateDisk struct {
	*repairs
	path string
}

// replicas is how many its BE says that there are.
func (d *lateDisk) replicas() string {
	d.Helper()
	return d.read(fmt.Sprintf("SELECT tablets FROM stele.disks WHERE path = '%s'", d.path)).Rows[0][0]
}

// takeAway starts be3 with a file in the place of the disk.
func (d *lateDisk) takeAway() {
	d.Helper()
	must(d.T, d.c.Stop("be3"))
	must(d.T, errors.Join(os.Rename(d.path, d.path+" aside"), os.WriteFile(d.path, nil, 0o600)))
	must(d.T, d.c.StartNode("be3"))
	d.c.WaitAlive(d.T, "be3", true, 30*time.Second)
	d.until("the disk OFFLINE", fmt.Sprintf("SELECT state FROM stele.disks WHERE path = '%s'", d.path), func(t cluster.Table) bool {
		return len(t.Rows) == 1 && t.Rows[0][0] == "OFFLINE"
	})
	if text := d.read("SHOW BACKENDS WHERE BackendId = " + d.id("be3")).Column("ErrMsg")[0]; !strings.Contains(text, "not a directory") {
		d.Errorf("SHOW BACKENDS says %q", text)
	}
}

// putBack puts the disk in its place again, runs statements, and waits until the process that runs has it.
func (d *lateDisk) putBack(statements ...string) {
	d.Helper()
	started := "SELECT LastStartTime FROM stele.backends WHERE BackendId = " + d.id("be3")
	before := d.read(started).Rows[0][0]
	must(d.T, errors.Join(os.Remove(d.path), os.Rename(d.path+" aside", d.path)))
	for _, s := range statements {
		d.exec(s)
	}
	d.until("the disk ONLINE", fmt.Sprintf("SELECT state FROM stele.disks WHERE path = '%s'", d.path), func(t cluster.Table) bool {
		return t.Rows[0][0] == "ONLINE"
	})
	if after := d.read(started).Rows[0][0]; after != before {
		d.Errorf("be3 was started again at %s, had been at %s", after, before)
	}
}
