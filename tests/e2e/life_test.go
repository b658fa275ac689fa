package e2e

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stele/tests/cluster"
)

// ledger is one writer's model of the rows that it alone writes: what was acknowledged, and the outcomes that it cannot
// know because the connection broke before the answer.
type ledger struct {
	rows    map[int]int
	unknown map[int]outcome
}

// outcome is a row before and after a statement that was not answered. Absent rows are -1.
type outcome struct{ before, after int }

const absent = -1

func value(rows map[int]int, id int) int {
	if v, ok := rows[id]; ok {
		return v
	}
	return absent
}

// writer inserts, updates and deletes rows of its own by autocommit until it is told to stop.
type writer struct {
	ledger
	db         *sql.DB
	first      int // its ids are first to first+idsPerWriter-1
	random     *rand.Rand
	statements int
	failures   []error
}

const idsPerWriter = 200

func (w *writer) run(ctx context.Context, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		default:
			w.step(ctx)
		}
	}
}

func (w *writer) step(ctx context.Context) {
	id := w.first + w.random.IntN(idsPerWriter)
	if _, doubtful := w.unknown[id]; doubtful {
		return // nobody knows what is there: it is left alone until the end
	}
	before, after := value(w.rows, id), w.random.IntN(1_000_000)
	statement := fmt.Sprintf("UPDATE led SET v = %d WHERE id = %d", after, id)
	switch {
	case before == absent:
		statement = fmt.Sprintf("INSERT INTO led VALUES (%d, %d)", id, after)
	case w.random.IntN(4) == 0:
		statement, after = fmt.Sprintf("DELETE FROM led WHERE id = %d", id), absent
	}
	_, err := w.db.ExecContext(ctx, statement)
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		cluster.Sleep(ctx, 10*time.Millisecond) // nobody got the statement: it is as if it had not been tried
		return
	}
	w.statements++
	if err != nil {
		w.unknown[id] = outcome{before, after}
		w.failures = append(w.failures, fmt.Errorf("%s: %w", statement, err))
		return
	}
	if delete(w.rows, id); after != absent {
		w.rows[id] = after
	}
}

const ledgerTable = `CREATE TABLE led (id INT NOT NULL, v INT NOT NULL, PRIMARY KEY (id))
DISTRIBUTED BY HASH(id) BUCKETS 4 PROPERTIES ("replication_num" = "3")`

// writers runs several writers while do disturbs the cluster.
func writers(ctx context.Context, db *sql.DB, do func()) []*writer {
	stop := make(chan struct{})
	var group sync.WaitGroup
	all := make([]*writer, 4)
	for i := range all {
		all[i] = &writer{ledger: ledger{map[int]int{}, map[int]outcome{}}, db: db, first: i * idsPerWriter,
			random: rand.New(rand.NewPCG(1, uint64(i)))}
		group.Go(func() { all[i].run(ctx, stop) })
	}
	defer group.Wait()
	defer close(stop)
	do()
	return all
}

// verify compares the table with the ledgers. A row of unknown outcome may be as before or as after.
func verify(ctx context.Context, t *testing.T, db *sql.DB, all []*writer) {
	t.Helper()
	table, err := cluster.ReadTable(ctx, db, "SELECT id, v FROM led ORDER BY id")
	must(t, err)
	got := map[int]int{}
	for _, row := range table.Rows {
		var id, v int
		if _, err := fmt.Sscan(row[0]+" "+row[1], &id, &v); err != nil {
			t.Fatal(err)
		}
		if _, twice := got[id]; twice {
			t.Errorf("id %d is there twice", id)
		}
		got[id] = v
	}
	for _, w := range all {
		for id := w.first; id < w.first+idsPerWriter; id++ {
			have := value(got, id)
			if o, doubtful := w.unknown[id]; doubtful {
				if have != o.before && have != o.after {
					t.Errorf("id %d is %d, want %d or %d", id, have, o.before, o.after)
				}
			} else if want := value(w.rows, id); have != want {
				t.Errorf("id %d is %d, %d was acknowledged", id, have, want)
			}
		}
	}
}

func report(t *testing.T, all []*writer, mayFail bool) {
	t.Helper()
	statements, failures := 0, []error{}
	for _, w := range all {
		statements += w.statements
		failures = append(failures, w.failures...)
	}
	t.Logf("%d statements, %d without an answer", statements, len(failures))
	if statements == 0 {
		t.Error("the writers wrote nothing")
	}
	if !mayFail && len(failures) > 0 {
		t.Errorf("%d of %d statements failed, the first: %v", len(failures), statements, errors.Join(failures[:min(3, len(failures))]...))
	}
}

// TestWritersDuringKills: every BE is killed once while clients write; no statement fails and no acknowledged one is lost.
func TestWritersDuringKills(t *testing.T) {
	skipShort(t, "kills each BE in turn under writers")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c := cluster.Start(t, prompt)
	db := databaseOf(ctx, t, c, "led", ledgerTable)
	all := writers(ctx, db, func() {
		for _, node := range []string{"be1", "be2", "be3"} {
			cluster.Sleep(ctx, time.Second)
			must(t, c.Kill(node))
			cluster.Sleep(ctx, time.Second)
			must(t, c.StartNode(node))
			c.WaitAlive(t, node, true, 30*time.Second)
			c.WaitHealthy(t, "led.led", healTimeout)
		}
	})
	report(t, all, false)
	verify(ctx, t, db, all)
	c.WaitHealthy(t, "led.led", healTimeout)
	c.CheckReplicas(t, "led.led", 3)
	full, incremental := clones(t, c)
	if full > 0 || incremental == 0 {
		t.Errorf("%d full and %d incremental clones repaired replicas that had missed a second: want incremental ones only", full, incremental)
	}
}

// clones counts the clones that all BEs have done since the start of the cluster.
func clones(t *testing.T, c *cluster.Cluster) (full, incremental int) {
	t.Helper()
	for _, node := range c.Nodes() {
		if strings.HasPrefix(node, "be") {
			f, i, err := c.Clones(node)
			must(t, err)
			full, incremental = full+f, incremental+i
		}
	}
	t.Logf("%d full and %d incremental clones", full, incremental)
	return full, incremental
}

// TestFrontendKilled: the FE is killed while clients write. Statements in flight may fail; acknowledged ones are there
// when it is back, and so is everything after a kill of the whole cluster and after an orderly restart.
func TestFrontendKilled(t *testing.T) {
	skipShort(t, "kills the FE and the whole cluster under writers")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c := cluster.Start(t, prompt)
	db := databaseOf(ctx, t, c, "led", ledgerTable)
	all := writers(ctx, db, func() {
		cluster.Sleep(ctx, 2*time.Second)
		must(t, c.Kill("fe1"))
		must(t, c.StartNode("fe1"))
		awaitAnswer(ctx, t, c, db)
		cluster.Sleep(ctx, time.Second)
	})
	report(t, all, true)
	verify(ctx, t, db, all)
	for _, again := range []func() error{c.KillAll, c.Restart} {
		must(t, again())
		awaitAnswer(ctx, t, c, db)
		verify(ctx, t, db, all)
		c.WaitHealthy(t, "led.led", healTimeout)
		c.CheckReplicas(t, "led.led", 3)
	}
	_, err := db.ExecContext(ctx, "INSERT INTO led VALUES (1000000, 1)")
	must(t, err)
}

func awaitAnswer(ctx context.Context, t *testing.T, c *cluster.Cluster, db *sql.DB) {
	t.Helper()
	c.Wait(t, "answering", time.Minute, func() (bool, string) {
		var n int
		err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM led").Scan(&n)
		return err == nil, fmt.Sprint(err)
	})
}

// TestBackendAdded: a BE that was added is used. It gets replicas of new tables, and balancing moves others to it while
// every row stays.
func TestBackendAdded(t *testing.T) {
	skipShort(t, "waits for the balancer")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c := cluster.Start(t, prompt)
	db := databaseOf(ctx, t, c, "led", ledgerTable)
	_, err := db.ExecContext(ctx, "INSERT INTO led VALUES "+numbers(5000))
	must(t, err)
	node, err := c.AddBackend(ctx)
	must(t, err)
	c.WaitAlive(t, node, true, 30*time.Second)
	id, err := c.BackendID(ctx, node)
	must(t, err)
	_, err = db.ExecContext(ctx, strings.Replace(ledgerTable, "led", "later", 1))
	must(t, err)
	_, err = db.ExecContext(ctx, "INSERT INTO later SELECT * FROM led")
	must(t, err)
	for _, table := range []string{"led.later", "led.led"} {
		c.Wait(t, "replicas of "+table+" on "+node, healTimeout, func() (bool, string) {
			tablets, err := cluster.ReadTable(ctx, db, "SHOW TABLET FROM "+table)
			return err == nil && slices.Contains(tablets.Column("BackendId"), id), fmt.Sprint(tablets.Column("BackendId"), err)
		})
	}
	// A move that begins now would have its tablet on four BEs while replicas are counted.
	_, err = db.ExecContext(ctx, `ADMIN SET FRONTEND CONFIG ("tablet_sched_disable_balance" = "true")`)
	must(t, err)
	for _, path := range []string{"pending_tablets", "running_tablets"} {
		c.Wait(t, "no "+path, healTimeout, func() (bool, string) {
			tasks, err := cluster.ReadTable(ctx, db, "SHOW PROC '/cluster_balance/"+path+"'")
			return err == nil && len(tasks.Rows) == 0, fmt.Sprint(tasks.Rows, err)
		})
	}
	for _, table := range []string{"led.later", "led.led"} {
		c.WaitHealthy(t, table, healTimeout)
		if n := c.CheckReplicas(t, table, 3); n != 5000 {
			t.Errorf("%s has %d rows on its replicas, want 5000", table, n)
		}
	}
}

// TestBackendDroppedByMistake: a BE that was dropped, with all it holds, and added again with its disks as they are is itself again. It has
// the id that it had, and what had not been replaced meanwhile need not be cloned.
func TestBackendDroppedByMistake(t *testing.T) {
	skipShort(t, "drops a BE")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := cluster.Start(t, cluster.Options{BE: map[string]string{"report_tablet_interval_ms": "500"}})
	db := databaseOf(ctx, t, c, "led", ledgerTable)
	_, err := db.ExecContext(ctx, "INSERT INTO led VALUES "+numbers(3000))
	must(t, err)
	id, err := c.BackendID(ctx, "be2")
	must(t, err)
	_, err = db.ExecContext(ctx, "ALTER SYSTEM DROP BACKEND '"+c.BackendAddr("be2")+"' FORCE")
	must(t, err)
	_, err = db.ExecContext(ctx, "INSERT INTO led VALUES (100001, 1)") // what it misses
	must(t, err)
	_, err = db.ExecContext(ctx, "ALTER SYSTEM ADD BACKEND '"+c.BackendAddr("be2")+"'")
	must(t, err)
	c.WaitAlive(t, "be2", true, 30*time.Second)
	if again, err := c.BackendID(ctx, "be2"); err != nil || again != id {
		t.Errorf("it is backend %s, %v; it was %s", again, err, id)
	}
	c.WaitHealthy(t, "led.led", healTimeout)
	if n := c.CheckReplicas(t, "led.led", 3); n != 3001 {
		t.Errorf("%d rows on the replicas, want 3001", n)
	}
}

// numbers are the tuples (0,0),(1,1),…
func numbers(n int) string {
	tuples := make([]string, n)
	for i := range tuples {
		tuples[i] = fmt.Sprintf("(%d,%d)", i, i)
	}
	return strings.Join(tuples, ",")
}
