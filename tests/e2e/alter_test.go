package e2e

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

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
