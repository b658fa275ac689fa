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

// definer runs statements of one session that make tablets.
type definer struct {
	*testing.T
	ctx  context.Context
	c    *cluster.Cluster
	conn *sql.Conn
}

// exec runs a statement, and returns what SHOW WARNINGS tells of it.
func (d *definer) exec(query string) string {
	d.Helper()
	if _, err := d.conn.ExecContext(d.ctx, query); err != nil {
		d.Fatalf("%s: %v", query, err)
	}
	return strings.Join(d.read("SHOW WARNINGS").Column("Message"), "\n")
}

func (d *definer) read(query string) cluster.Table {
	d.Helper()
	t, err := cluster.ReadTable(d.ctx, d.conn, query)
	if err != nil {
		d.Fatalf("%s: %v", query, err)
	}
	return t
}

// short runs a statement that is to go on and to say that each of its tablets lacks the replica on a BE.
func (d *definer) short(query, be string) {
	d.Helper()
	if got, want := d.exec(query), "replicas are missing: backend "+be+" "; !strings.Contains(got, want) {
		d.Errorf("%s warns %q, not that %q", query, got, want)
	}
}

// refused runs a statement that is to fail.
func (d *definer) refused(query string, code uint16, text string) {
	d.Helper()
	_, err := d.conn.ExecContext(d.ctx, query)
	if err == nil {
		d.Fatalf("%s went on", query)
	}
	if got := errorNumber(d.T, err); got != code || !strings.Contains(err.Error(), text) {
		d.Errorf("%s: %v, want %d: %s", query, err, code, text)
	}
}

// nothingStale waits until the BEs hold as many replicas as the catalog places on them.
func (d *definer) nothingStale() {
	d.Helper()
	d.c.Wait(d.T, "what the catalog does not know to be dropped", healTimeout, func() (bool, string) {
		held, known := d.read("SELECT be_id, SUM(tablets) AS n FROM stele.disks GROUP BY be_id ORDER BY be_id").Column("n"), d.read("SHOW BACKENDS").Column("TabletNum")
		return slices.Equal(held, known), fmt.Sprintf("they hold %v, the catalog knows of %v", held, known)
	})
}

// TestDefinitionsGoOnWithoutABackend: while one of three BEs hangs, and while it is dead, all statements that make tablets go on with two
// replicas of each. When it is back they are made, and what it made of statements that did not wait for it is dropped.
func TestDefinitionsGoOnWithoutABackend(t *testing.T) {
	skipShort(t, "stops and kills backends")
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	opts := cluster.Options{FE: map[string]string{"tablet_report_drop_tablet_delay_sec": "2", "tablet_sched_checker_interval_seconds": "2"}, BE: prompt.BE}
	c := cluster.Start(t, opts)
	db := databaseOf(ctx, t, c, "short", "CREATE TABLE kept (id INT PRIMARY KEY, v VARCHAR(20))", "CREATE TABLE emptied (id INT PRIMARY KEY)",
		"CREATE TABLE parted (id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN ('10'))")
	conn, err := db.Conn(ctx)
	must(t, err)
	defer conn.Close()
	d := &definer{T: t, ctx: ctx, c: c, conn: conn}
	d.exec("INSERT INTO kept VALUES (1, '10'), (2, '20'), (3, '30')")
	d.exec("INSERT INTO emptied VALUES (1)")
	gone, err := c.BackendID(ctx, "be3")
	must(t, err)

	must(t, c.Pause("be3")) // it makes what it was asked for when it goes on, and nobody wants that any more
	d.short("CREATE TABLE hung (id INT PRIMARY KEY, v INT, UNIQUE KEY (v))", gone)
	must(t, c.Resume("be3"))
	c.WaitAlive(t, "be3", true, healTimeout)

	must(t, c.Kill("be3"))
	d.short("CREATE TABLE made (id INT PRIMARY KEY, v INT, UNIQUE KEY (v))", gone)
	d.short("CREATE TABLE filled (PRIMARY KEY (id)) SELECT id, v FROM kept", gone)
	d.short("TRUNCATE TABLE emptied", gone)
	d.short("ALTER TABLE kept ADD UNIQUE KEY u (v)", gone)
	d.short("ALTER TABLE kept MODIFY v INT", gone)
	d.short("ALTER TABLE parted ADD PARTITION b VALUES LESS THAN ('20')", gone)
	d.exec("ALTER TABLE emptied SET ('replication_num' = '3')")
	d.exec("CREATE TEMPORARY TABLE own (id INT)")
	d.refused("CREATE TABLE wide (id INT PRIMARY KEY) PROPERTIES ('replication_num' = '4')", 1210, "Table replication num should be less than")
	d.refused("CREATE TABLE strict (id INT PRIMARY KEY) PROPERTIES ('write_quorum' = 'ALL')", 1105, "backend "+gone)
	d.exec("INSERT INTO made VALUES (1, 1), (2, 2)")
	d.exec("INSERT INTO emptied VALUES (7)")
	d.exec("INSERT INTO parted VALUES (5), (15)")
	d.exec("INSERT INTO kept VALUES (4, 40)")
	d.refused("INSERT INTO kept VALUES (5, 40)", 1062, "kept.u")

	must(t, c.Kill("be2"))
	d.refused("CREATE TABLE lone (id INT PRIMARY KEY)", 1105, "SHOW BACKENDS")
	for _, node := range []string{"be2", "be3"} {
		must(t, c.StartNode(node))
		c.WaitAlive(t, node, true, healTimeout)
	}
	for table, rows := range map[string]int64{"kept": 4, "emptied": 1, "parted": 2, "hung": 0, "made": 2, "filled": 3} {
		c.WaitHealthy(t, "short."+table, healTimeout)
		if n := c.CheckReplicas(t, "short."+table, 3); n != rows {
			t.Errorf("%s has %d rows, want %d", table, n, rows)
		}
		if n := d.read("SELECT COUNT(*) AS n FROM " + table).Column("n")[0]; n != fmt.Sprint(rows) {
			t.Errorf("%d rows of %s are held, %s are read", rows, table, n)
		}
	}
	if warned := d.exec("CREATE TABLE whole (id INT PRIMARY KEY)"); warned != "" {
		t.Errorf("with all backends there a CREATE TABLE warns %q", warned)
	}
	d.nothingStale()
}
