package e2e

import (
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stele/tests/cluster"
)

// rewrites are ALTER TABLEs that write all rows of a table anew, each of what the one before has left.
var rewrites = []string{"MODIFY v INT", "MODIFY v VARCHAR(12), MODIFY id BIGINT", "DROP PRIMARY KEY, ADD PRIMARY KEY (id, w)",
	"ADD g INT AS (w + 1) STORED, ADD UNIQUE KEY once (g)", "DROP PRIMARY KEY, DROP COLUMN g", "ADD PRIMARY KEY (id), MODIFY v VARCHAR(30)", "MODIFY id INT",
	"PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (20), PARTITION b VALUES LESS THAN MAXVALUE)",
	"REORGANIZE PARTITION b INTO (PARTITION b VALUES LESS THAN (40), PARTITION c VALUES LESS THAN MAXVALUE)",
	"REORGANIZE PARTITION a, b INTO (PARTITION a VALUES LESS THAN (40))", "PARTITION BY KEY (id) PARTITIONS 3", "REMOVE PARTITIONING"}

// TestRowsAreWrittenAnewUnderLoad has clients write and read while all rows of their table are written anew and a backend is killed: who
// writes waits, who reads does not notice, and no row is lost.
func TestRowsAreWrittenAnewUnderLoad(t *testing.T) {
	c := sharedCluster(t)
	db := uniqueDatabase(t, "anew")
	mustExec(t, db, "CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(20), w INT, KEY (v))")
	var stop atomic.Bool
	var wg sync.WaitGroup
	t.Cleanup(func() { // others use this cluster, whatever becomes of this test
		stop.Store(true)
		wg.Wait()
		if err := c.StartNode("be2"); err != nil {
			t.Error(err)
		}
	})
	var written atomic.Int64
	wg.Go(func() {
		for id := 1; !stop.Load(); id++ {
			for {
				_, err := db.Exec(fmt.Sprintf("INSERT INTO a (id, v, w) VALUES (%d, '%d', %d)", id, id, id))
				if err == nil || errorNumber(t, err) == 1062 { // an outcome that was unknown
					break
				}
			}
			written.Store(int64(id))
		}
	})
	wg.Go(func() {
		for !stop.Load() {
			least := written.Load()
			var all, right int64
			if err := db.QueryRow("SELECT COUNT(*), SUM(v = id AND w = id) FROM a WHERE id > 0 HAVING COUNT(*) > 0").Scan(&all, &right); err != nil && least > 0 || all < least || right != all {
				t.Errorf("%d rows, %d of them right, of %d at least: %v", all, right, least, err)
				return
			}
		}
	})
	for i, change := range rewrites {
		before := written.Load()
		if i%3 == 2 { // it may come through, or want as many backends as replicas, as CREATE TABLE does
			wg.Go(func() {
				if err := c.Kill("be2"); err != nil {
					t.Error(err)
				}
			})
			_, err := db.Exec("ALTER TABLE a " + change)
			c.WaitAlive(t, "be2", false, 30*time.Second)
			must(t, c.StartNode("be2"))
			c.WaitAlive(t, "be2", true, 30*time.Second)
			if err != nil {
				t.Log(err)
				mustExec(t, db, "ALTER TABLE a "+change)
			}
		} else {
			mustExec(t, db, "ALTER TABLE a "+change)
		}
		c.Wait(t, "a row is written behind the change", time.Minute, func() (bool, string) { return written.Load() > before, change })
	}
	stop.Store(true)
	wg.Wait()
	c.WaitAlive(t, "be2", true, 30*time.Second)
	var all int64
	must(t, db.QueryRow("SELECT COUNT(*) FROM a").Scan(&all))
	if all != written.Load() {
		t.Fatalf("%d rows are there, %d were written", all, written.Load())
	}
	c.WaitHealthy(t, "anew.a", time.Minute)
	c.CheckReplicas(t, "anew.a", 3)
}

// TestFrontendDiesWritingRowsAnew kills the FE at some moment of an ALTER TABLE that writes all rows anew: the table is as it was, or as it
// was to be, the statement can be repeated, and nothing is left of a copy.
func TestFrontendDiesWritingRowsAnew(t *testing.T) {
	skipShort(t, "kills processes")
	c := cluster.Start(t, prompt)
	db := c.DB()
	mustExec(t, db, "CREATE DATABASE anew")
	mustExec(t, db, "CREATE TABLE anew.a (id INT PRIMARY KEY, v VARCHAR(20), UNIQUE KEY (v))")
	mustExec(t, db, "INSERT INTO anew.a VALUES (0, '0')")
	rows := 1
	for ; rows < 1<<16; rows *= 2 {
		mustExec(t, db, fmt.Sprintf("INSERT INTO anew.a SELECT id + %d, id + %d FROM anew.a", rows, rows))
	}
	tablets := tabletCount(t, db)
	for n, moment := range []int{1, 2, 3} { // so many more tablets: the copy, its key; then a while
		change := []string{"MODIFY v BIGINT", "MODIFY v VARCHAR(20)"}[n%2]
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, err := db.Exec("ALTER TABLE anew.a " + change)
			t.Log("the one whose FE is killed:", err)
		}()
		c.Wait(t, "the change has begun", time.Minute, func() (bool, string) {
			select {
			case <-ended:
				return true, ""
			default:
			}
			now, err := countTablets(db)
			return err == nil && now > tablets, fmt.Sprint(now, err)
		})
		if moment > 1 {
			var slept int
			must(t, db.QueryRow(fmt.Sprintf("SELECT SLEEP(%g)", 0.05*float64(moment))).Scan(&slept))
		}
		must(t, c.Kill("fe1"))
		<-ended
		must(t, c.StartNode("fe1"))
		var count, right int
		c.Wait(t, "the FE answers", time.Minute, func() (bool, string) {
			err := db.QueryRow("SELECT COUNT(*), SUM(v = id) FROM anew.a").Scan(&count, &right)
			return err == nil, fmt.Sprint(err)
		})
		if count != rows || right != rows {
			t.Fatalf("%d rows, %d of them right, of %d", count, right, rows)
		}
		c.Wait(t, "others can write again", time.Minute, func() (bool, string) {
			_, err := db.Exec("UPDATE anew.a SET v = v WHERE id = 7")
			return err == nil, fmt.Sprint(err)
		})
		c.Wait(t, "the copy is dropped", time.Minute, func() (bool, string) {
			now, err := countTablets(db)
			return err == nil && now == tablets, fmt.Sprintf("%d tablets, %d before: %v", now, tablets, err)
		})
		mustExec(t, db, "ALTER TABLE anew.a "+change)
		if text := showCreate(t, db, "anew.a"); strings.Contains(text, "bigint") != strings.Contains(change, "BIGINT") {
			t.Fatalf("%s leaves\n%s", change, text)
		}
		if now := tabletCount(t, db); now != tablets {
			t.Fatalf("%d tablets, %d before", now, tablets)
		}
	}
	c.WaitHealthy(t, "anew.a", time.Minute)
	c.CheckReplicas(t, "anew.a", 3)
}

// countTablets counts the replicas that the catalog knows, of hidden tables too.
func countTablets(db *sql.DB) (n int, err error) {
	err = db.QueryRow("SELECT SUM(TabletNum) FROM stele.backends").Scan(&n)
	return n, err
}

func tabletCount(t *testing.T, db *sql.DB) int {
	t.Helper()
	n, err := countTablets(db)
	must(t, err)
	return n
}
