package e2e

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"stele/tests/cluster"
)

// TestOldStateStaysReadable: a transaction goes on reading the rows as they were when it began, although they have changed many times since, have been
// written to rowsets and merged, and read_age_s is long over.
func TestOldStateStaysReadable(t *testing.T) {
	skipShort(t, "writes for a quarter of a minute")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	const rows, readAge = 300, 5 * time.Second
	c := cluster.Start(t, cluster.Options{BE: map[string]string{"read_age_s": strconv.Itoa(int(readAge.Seconds())), "delta_flush_age_s": "1", "delta_flush_rows": "100"}})
	db := databaseOf(ctx, t, c, "old", "CREATE TABLE t (id INT PRIMARY KEY, v INT)")
	for id := range rows {
		mustExec(t, db, fmt.Sprintf("INSERT INTO t VALUES (%d, 1)", id))
	}
	reader, err := db.Conn(ctx)
	must(t, err)
	defer reader.Close()
	_, err = reader.ExecContext(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT")
	must(t, err)
	sum := func() (n, sum int) {
		must(t, reader.QueryRowContext(ctx, "SELECT COUNT(*), SUM(v) FROM t").Scan(&n, &sum))
		return n, sum
	}
	for begun, round := time.Now(), 0; time.Since(begun) < 3*readAge; round++ {
		mustExec(t, db, "UPDATE t SET v = v + 1")
		mustExec(t, db, fmt.Sprintf("DELETE FROM t WHERE id = %d", round%rows))
		if n, v := sum(); n != rows || v != rows {
			t.Fatalf("after %v the transaction reads %d rows whose sum is %d", time.Since(begun), n, v)
		}
	}
}
