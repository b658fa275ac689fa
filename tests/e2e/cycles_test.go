package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"stele/meta/contain"
	"stele/tests/cluster"
)

// TestManyRowsWaitInNoCycle has clients change many rows of a table at once, which lie on all BEs, and in other orders: no statement waits
// for one that waits for it, of which a BE sees but its own half, and none is lost.
func TestManyRowsWaitInNoCycle(t *testing.T) {
	db := uniqueDatabase(t, "cycles")
	mustExec(t, db, "CREATE TABLE c (id INT PRIMARY KEY, n INT NOT NULL) DISTRIBUTED BY HASH(id) BUCKETS 6")
	const span, clients, statements = 700, 4, 12 // more rows than a BE locks one by one where nobody else has them
	var all contain.Group
	for client := range clients {
		all.Go(func() error {
			conn, err := db.Conn(t.Context())
			if err != nil {
				return err
			}
			defer conn.Close()
			if _, err := conn.ExecContext(t.Context(), "SET innodb_lock_wait_timeout = 10"); err != nil {
				return err
			}
			r := rand.New(rand.NewPCG(uint64(client), 1))
			for n := range statements {
				var rows, ids []string
				for _, id := range r.Perm(span) {
					rows, ids = append(rows, fmt.Sprintf("(%d, 1)", id)), append(ids, fmt.Sprint(id))
				}
				statement := "INSERT INTO c VALUES " + strings.Join(rows, ", ") + " ON DUPLICATE KEY UPDATE n = n + VALUES(n)"
				if n%2 == 1 {
					statement = "UPDATE c SET n = n + 1 WHERE id IN (" + strings.Join(ids, ", ") + ")"
				}
				if _, err := conn.ExecContext(t.Context(), statement); err != nil {
					return fmt.Errorf("statement %d of client %d: %w", n, client, err)
				}
			}
			return nil
		})
	}
	must(t, all.Wait())
	rows, err := cluster.ReadTable(t.Context(), db, "SELECT COUNT(*), MIN(n), MAX(n) FROM c")
	must(t, err)
	if got, want := strings.Join(rows.Rows[0], " "), fmt.Sprint(span, " ", clients*statements, " ", clients*statements); got != want {
		t.Errorf("%s rows, least and most, want %s", got, want)
	}
}
