package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// showCreate returns the definition of a table.
func showCreate(t *testing.T, db *sql.DB, table string) string {
	t.Helper()
	var name, text string
	must(t, db.QueryRow("SHOW CREATE TABLE "+table).Scan(&name, &text))
	return text
}

// TestCheckAddedUnderLoad adds a constraint while clients write rows that meet it and rows that do not, in all ways in which rows are
// written. Where it was accepted no row violates it, and where it was not there was one.
func TestCheckAddedUnderLoad(t *testing.T) {
	db := uniqueDatabase(t, "check_added")
	mustExec(t, db, "CREATE TABLE l (id INT PRIMARY KEY, v INT)")
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	var done atomic.Int64
	for c := range 4 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(9, uint64(c)))
			for ctx.Err() == nil {
				id, v := random.IntN(200), random.IntN(9)
				if random.IntN(50) == 0 {
					v = 9 // is not to be
				}
				q := []string{"REPLACE INTO l VALUES (%d, %d)", "INSERT INTO l VALUES (%d, %d) ON DUPLICATE KEY UPDATE v = VALUES(v)",
					"INSERT IGNORE INTO l VALUES (%d, %d)", "UPDATE l SET v = %[2]d WHERE id = %[1]d", "UPDATE l SET v = %[2]d WHERE id IN (%[1]d, -1)",
					"UPDATE l SET v = 0 * %[2]d + v + 1 WHERE id = %[1]d AND v < %[2]d"}[random.IntN(6)]
				if _, err := db.Exec(fmt.Sprintf(q, id, v)); err != nil && errorNumber(t, err) != 3819 {
					t.Errorf("%s: %v", q, err)
					return
				}
				done.Add(1)
			}
		})
	}
	violating := func() (n int) {
		must(t, db.QueryRow("SELECT COUNT(*) FROM l WHERE v > 8").Scan(&n))
		return n
	}
	for accepted := 0; accepted < 3 && !t.Failed(); {
		mustExec(t, db, "DELETE FROM l WHERE v > 8")
		if _, err := db.Exec("ALTER TABLE l ADD CONSTRAINT low CHECK (v <= 8), COMMENT 'low'"); err != nil {
			if errorNumber(t, err) != 3819 || strings.Contains(showCreate(t, db, "l"), "low") {
				t.Fatalf("%v, and the table is\n%s", err, showCreate(t, db, "l"))
			}
			continue
		}
		accepted++
		for until := done.Load() + 200; done.Load() < until && !t.Failed(); {
			if n := violating(); n > 0 {
				t.Fatalf("%d rows do not meet a constraint that was accepted", n)
			}
		}
		mustExec(t, db, "ALTER TABLE l DROP CONSTRAINT low, COMMENT ''")
	}
}

// TestAlterUnderWrites has clients write while columns come and go and a backend is killed: no client hears an error but those that
// ask for another try, no row is lost, every row has what it was given or the default of its time, and in the end all replicas,
// those that were away during an ALTER too, hold the same.
func TestAlterUnderWrites(t *testing.T) {
	c := sharedCluster(t)
	db := uniqueDatabase(t, "altered")
	mustExec(t, db, "CREATE TABLE a (id INT PRIMARY KEY, v INT) DISTRIBUTED BY HASH(id) BUCKETS 4")
	var stop atomic.Bool
	var wg sync.WaitGroup
	var written [4]int
	t.Cleanup(func() { // others use this cluster, whatever becomes of this test
		stop.Store(true)
		wg.Wait()
		if err := c.StartNode("be2"); err != nil {
			t.Error(err)
		}
	})
	for n := range written {
		wg.Go(func() {
			for i := 0; !stop.Load(); i++ {
				id := i*len(written) + n
				_, err := db.Exec("INSERT INTO a (id, v) VALUES (?, ?)", id, id)
				for end := time.Now().Add(time.Minute); err != nil && time.Now().Before(end); {
					if code := errorNumber(t, err); code == 1062 { // an outcome that was unknown
						err = nil
						break
					}
					_, err = db.Exec("INSERT INTO a (id, v) VALUES (?, ?)", id, id)
				}
				if err != nil && errorNumber(t, err) != 1062 {
					t.Errorf("row %d: %v", id, err)
					return
				}
				written[n]++
			}
		})
	}
	const added = 6
	for i := range added {
		if i == 2 {
			must(t, c.Kill("be2"))
		}
		mustExec(t, db, fmt.Sprintf("ALTER TABLE a ADD c%d INT NOT NULL DEFAULT %d, ADD gone%d VARCHAR(9) DEFAULT 'x' FIRST", i, i*7, i))
		mustExec(t, db, fmt.Sprintf("ALTER TABLE a DROP gone%d", i))
		if i == 4 {
			must(t, c.StartNode("be2"))
		}
	}
	stop.Store(true)
	wg.Wait()
	c.WaitAlive(t, "be2", true, 30*time.Second)
	rows := 0
	for _, n := range written {
		rows += n
	}
	var all, right int
	query := "SELECT COUNT(*), SUM(v = id"
	for i := range added {
		query += fmt.Sprintf(" AND c%d = %d", i, i*7)
	}
	must(t, db.QueryRow(query+") FROM a").Scan(&all, &right))
	if all != rows || right != rows {
		t.Fatalf("%d rows, %d of them right; %d were written", all, right, rows)
	}
	mustExec(t, db, "UPDATE a SET v = v + 1") // whoever has not heard of the columns does so now
	c.WaitHealthy(t, "altered.a", time.Minute)
	c.CheckReplicas(t, "altered.a", 3)
}
