package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"stele/tests/cluster"
)

// TestMetadataBackup loses the only frontend with its directory. One made from a backup learns from the backends what was
// written after the backup, replicas that came after it included, and takes writes when it has heard all of them.
func TestMetadataBackup(t *testing.T) {
	skipShort(t, "a cluster of its own")
	c := cluster.Start(t, cluster.Options{FE: map[string]string{"tablet_sched_be_down_tolerate_time_s": "0"}})
	db, ctx := c.DB(), t.Context()
	exec1 := func(q string) {
		t.Helper()
		if _, err := c.DB().ExecContext(ctx, q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	exec1("CREATE DATABASE m")
	exec1("CREATE TABLE m.t (id INT PRIMARY KEY, v INT) DISTRIBUTED BY HASH(id) BUCKETS 4")
	exec1("CREATE TABLE m.free (v INT) DISTRIBUTED BY RANDOM BUCKETS 2") // rows are told apart by hidden ids
	exec1("INSERT INTO m.t VALUES (1, 1), (2, 2), (3, 3)")
	exec1("INSERT INTO m.free VALUES (1), (2)")
	exec1("CREATE TABLE m.grew (id INT PRIMARY KEY, v INT)")
	exec1("CREATE TABLE m.shrank (id INT PRIMARY KEY, v INT, w INT)")
	exec1("INSERT INTO m.grew VALUES (1, 1)")
	exec1("INSERT INTO m.shrank VALUES (1, 1, 1)")
	backup := filepath.Join(t.TempDir(), "backup")
	exec1("CREATE TABLE m.busy (id INT PRIMARY KEY)")
	stop, acknowledged := make(chan struct{}), make(chan int, 1)
	begun := make(chan struct{})
	go func() {
		db := c.OpenDB("m")
		defer db.Close()
		n := 0
		for ; ; n++ {
			select {
			case <-stop:
				acknowledged <- n
				return
			default:
			}
			if n == 5 {
				close(begun)
			}
			if _, err := db.ExecContext(ctx, "INSERT INTO busy VALUES (?)", n); err != nil {
				t.Errorf("a write while a backup is made: %v", err)
				acknowledged <- n
				return
			}
		}
	}()
	<-begun
	exec1("ADMIN BACKUP METADATA TO '" + backup + "'")
	if _, err := db.ExecContext(ctx, "ADMIN BACKUP METADATA TO '"+backup+"'"); err == nil {
		t.Error("a backup was overwritten")
	}
	exec1("UPDATE m.t SET v = 20 WHERE id = 2")
	exec1("INSERT INTO m.t VALUES (4, 4), (5, 5)")
	exec1("INSERT INTO m.free VALUES (3)")
	exec1("ALTER TABLE m.grew ADD COLUMN w VARCHAR(10) DEFAULT 'late'")
	exec1("INSERT INTO m.grew VALUES (2, 2, 'two')")
	exec1("ALTER TABLE m.shrank DROP COLUMN w")
	exec1("INSERT INTO m.shrank VALUES (2, 2)")
	close(stop)
	written := <-acknowledged

	if err := c.Kill("fe1"); err != nil {
		t.Fatal(err)
	}
	meta := filepath.Join(c.Dir, "fe1", "meta")
	out := tool(t, 0, "verify", meta)
	if !strings.Contains(out, "are sound") {
		t.Errorf("verify: %s", out)
	}
	name := regexp.MustCompile(`frontend (\S+)`).FindStringSubmatch(tool(t, 0, "ls", meta))[1]
	if err := os.RemoveAll(meta); err != nil {
		t.Fatal(err)
	}
	if out := tool(t, 1, "restore", backup, meta); !strings.Contains(out, name) {
		t.Errorf("restore without --fe does not name the frontends: %s", out)
	}
	tool(t, 0, "restore", "--fe", name, backup, meta)
	if err := c.Kill("be3"); err != nil {
		t.Fatal(err)
	}
	if err := c.StartNode("fe1"); err != nil {
		t.Fatal(err)
	}
	c.Wait(t, "two backends have told what they hold", time.Minute, func() (bool, string) {
		rows, err := cluster.ReadTable(ctx, c.DB(), "ADMIN SHOW METADATA RESTORE")
		return err == nil && len(rows.Rows) == 1, fmt.Sprint(rows.Rows, err)
	})
	if _, err := c.DB().ExecContext(ctx, "INSERT INTO m.t VALUES (6, 6)"); err == nil || !strings.Contains(err.Error(), "ADMIN END METADATA RESTORE") {
		t.Errorf("a write while a backend has not been heard: %v", err)
	}
	if err := c.StartNode("be3"); err != nil {
		t.Fatal(err)
	}
	c.Wait(t, "the restore is over", time.Minute, func() (bool, string) {
		rows, err := cluster.ReadTable(ctx, c.DB(), "ADMIN SHOW METADATA RESTORE")
		return err == nil && len(rows.Rows) == 0, fmt.Sprint(rows.Rows, err)
	})
	c.WaitHealthy(t, "m.t", time.Minute)
	exec1("INSERT INTO m.t VALUES (6, 6)")
	exec1("INSERT INTO m.free VALUES (4)")
	var sum, n, free int
	if err := c.DB().QueryRowContext(ctx, "SELECT SUM(v), COUNT(*) FROM m.t").Scan(&sum, &n); err != nil || sum != 39 || n != 6 {
		t.Errorf("sum %d of %d rows (%v), want 39 of 6", sum, n, err)
	}
	if err := c.DB().QueryRowContext(ctx, "SELECT COUNT(*) FROM m.free").Scan(&free); err != nil || free != 4 {
		t.Errorf("%d rows without a key (%v), want 4", free, err)
	}
	var busy int
	if err := c.DB().QueryRowContext(ctx, "SELECT COUNT(*) FROM m.busy").Scan(&busy); err != nil || busy != written {
		t.Errorf("%d rows that were written while and after the backup was made (%v), want %d", busy, err, written)
	}
	checkAltered(t, c)
	c.CheckReplicas(t, "m.t", 3)
	c.CheckReplicas(t, "m.free", 3)
	growAgain(t, c)
}

// checkAltered reads and writes tables that were altered after the backup: they have the columns of the backup again, and a new one
// has nothing of that which came after it.
func checkAltered(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	for _, q := range []string{
		"INSERT INTO m.shrank VALUES (3, 3, 3)",
		"INSERT INTO m.grew VALUES (3, 3)",
		"ALTER TABLE m.grew ADD COLUMN x INT DEFAULT 7",
		"UPDATE m.grew SET x = 8 WHERE id = 2",
	} {
		if _, err := c.DB().ExecContext(t.Context(), q); err != nil {
			t.Errorf("%s: %v", q, err)
		}
	}
	for q, want := range map[string]string{
		"SELECT * FROM m.grew ORDER BY id":   "[[1 1 7] [2 2 8] [3 3 7]]",
		"SELECT * FROM m.shrank ORDER BY id": "[[1 1 1] [2 2 NULL] [3 3 3]]",
	} {
		if rows, err := cluster.ReadTable(t.Context(), c.DB(), q); err != nil || fmt.Sprint(rows.Rows) != want {
			t.Errorf("%s: %v, want %s (%v)", q, rows.Rows, want, err)
		}
	}
	for _, table := range []string{"m.grew", "m.shrank"} {
		rows, err := cluster.ReadTable(t.Context(), c.DB(), "ADMIN CHECK TABLE "+table+" CHECKSUM")
		if status := rows.Column("Status"); err != nil || slices.ContainsFunc(status, func(s string) bool { return s != "OK" }) {
			t.Errorf("the replicas of %s are %v (%v)", table, status, err)
		}
	}
}

// growAgain gives the restored frontend two others.
func growAgain(t *testing.T, c *cluster.Cluster) {
	for range 2 {
		node, err := c.AddFrontend()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.DB().ExecContext(t.Context(), "ALTER SYSTEM ADD FOLLOWER '"+c.FrontendAddr(node)+"'"); err != nil {
			t.Fatal(err)
		}
	}
	c.Wait(t, "three frontends vote", time.Minute, func() (bool, string) {
		rows, err := cluster.ReadTable(t.Context(), c.DB(), "SHOW MNODES WHERE role IN ('leader', 'follower')")
		return err == nil && len(rows.Rows) == 3, fmt.Sprint(rows.Rows, err)
	})
	c.Wait(t, "the third frontend answers alike", time.Minute, func() (bool, string) {
		var n int
		err := c.FrontendDB(3).QueryRowContext(t.Context(), "SELECT COUNT(*) FROM m.t").Scan(&n)
		return err == nil && n == 6, fmt.Sprint(n, err)
	})
}

// tool runs `stele fe tool` and returns what it prints.
func tool(t *testing.T, code int, args ...string) string {
	t.Helper()
	binary, err := cluster.Binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"fe", "tool"}, args...)...)
	out, _ := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != code {
		t.Fatalf("stele fe tool %v: exit code %d, want %d\n%s", args, cmd.ProcessState.ExitCode(), code, out)
	}
	return string(out)
}

// TestOlderMetadataPutBack puts a copy of the only frontend's directory in the place of what it has become, as who goes back to a snapshot of
// its machine does. The backends have what was written since: nothing of it is lost or written over.
func TestOlderMetadataPutBack(t *testing.T) {
	skipShort(t, "a cluster of its own")
	c := cluster.Start(t, cluster.Options{})
	ctx := t.Context()
	exec1 := func(q string) {
		t.Helper()
		if _, err := c.DB().ExecContext(ctx, q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	exec1("CREATE DATABASE m")
	exec1("CREATE TABLE m.t (id INT PRIMARY KEY AUTO_INCREMENT, v INT) DISTRIBUTED BY HASH(id) BUCKETS 4")
	exec1("INSERT INTO m.t VALUES (1, 1), (2, 2), (3, 3)")
	exec1("CREATE TABLE m.keyed (id INT PRIMARY KEY, v INT, UNIQUE KEY u (v))")
	exec1("INSERT INTO m.keyed VALUES (1, 1)")
	exec1("CREATE TABLE m.log (v INT)") // rows by hidden ids: no key tells that an id is in use
	exec1("INSERT INTO m.log VALUES (0)")
	meta, older := filepath.Join(c.Dir, "fe1", "meta"), filepath.Join(t.TempDir(), "older")
	must(t, c.Stop("fe1"))
	must(t, os.CopyFS(older, os.DirFS(meta)))
	must(t, c.StartNode("fe1"))
	waitWrites := func() {
		t.Helper()
		c.Wait(t, "writes are taken", time.Minute, func() (bool, string) {
			_, err := c.DB().ExecContext(ctx, "UPDATE m.t SET v = v + 10 WHERE id = 1 AND v < 10")
			return err == nil, fmt.Sprint(err)
		})
	}
	waitWrites()
	for id := 4; id <= 40; id++ {
		exec1(fmt.Sprintf("INSERT INTO m.t VALUES (%d, %d)", id, id))
	}
	exec1("DELETE FROM m.t WHERE id = 2")
	exec1("ALTER TABLE m.keyed DROP INDEX u")
	exec1("INSERT INTO m.keyed VALUES (2, 2)")
	logged := 1
	for range 20 {
		exec1("INSERT INTO m.log VALUES (1)")
		logged++
	}
	must(t, c.Stop("fe1"))
	must(t, os.RemoveAll(meta))
	must(t, os.CopyFS(meta, os.DirFS(older)))
	must(t, c.StartNode("fe1"))
	for restored := false; !restored; { // from its first moment on
		if _, err := c.DB().ExecContext(ctx, "INSERT INTO m.log VALUES (2)"); err == nil {
			logged++
		}
		rows, err := cluster.ReadTable(ctx, c.DB(), "SELECT COUNT(*) AS n FROM m.t")
		restored = err == nil && fmt.Sprint(rows.Column("n")) == "[39]" || ctx.Err() != nil
	}
	var n, sum int
	c.Wait(t, "what came after the copy is there", time.Minute, func() (bool, string) {
		err := c.DB().QueryRowContext(ctx, "SELECT COUNT(*), SUM(v) FROM m.t").Scan(&n, &sum)
		return n == 39 && sum == 40*41/2+10-2, fmt.Sprint(n, sum, err)
	})
	c.Wait(t, "all backends have told", time.Minute, func() (bool, string) {
		rows, err := cluster.ReadTable(ctx, c.DB(), "ADMIN SHOW METADATA RESTORE")
		return err == nil && len(rows.Rows) == 0, fmt.Sprint(rows.Rows, err)
	})
	exec1("INSERT INTO m.t (v) VALUES (7)")
	exec1("UPDATE m.t SET v = 0 WHERE id > 40")
	if err := c.DB().QueryRowContext(ctx, "SELECT COUNT(*), SUM(v) FROM m.t").Scan(&n, &sum); err != nil || n != 40 || sum != 40*41/2+10-2 {
		t.Errorf("%d rows, sum %d: %v", n, sum, err)
	}
	exec1("INSERT INTO m.log VALUES (3)")
	if err := c.DB().QueryRowContext(ctx, "SELECT COUNT(*) FROM m.log").Scan(&n); err != nil || n != logged+1 {
		t.Errorf("%d rows were logged, %d are there: %v", logged+1, n, err)
	}
	checked := func(table string) string {
		rows, err := cluster.ReadTable(ctx, c.DB(), "CHECK TABLE "+table)
		return fmt.Sprint(rows.Column("Msg_text"), err)
	}
	if got := checked("m.keyed"); !strings.Contains(got, "unique key u does not have the entries") {
		t.Errorf("a unique key that was dropped since the copy is %s", got)
	}
	exec1("ALTER TABLE m.keyed DROP INDEX u")
	exec1("ALTER TABLE m.keyed ADD UNIQUE KEY u (v)")
	for _, table := range []string{"m.t", "m.keyed", "m.log"} {
		if got := checked(table); !strings.HasPrefix(got, "[OK]") {
			t.Errorf("%s is %s", table, got)
		}
		c.WaitHealthy(t, table, time.Minute)
		c.CheckReplicas(t, table, 3)
	}
}
