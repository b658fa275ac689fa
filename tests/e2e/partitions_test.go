package e2e

import (
	"fmt"
	"sync"
	"testing"
)

// TestAPartitionStays has two sessions drop the last two partitions of a table, each another one: one of them hears 1508.
func TestAPartitionStays(t *testing.T) {
	db := uniqueDatabase(t, "lastpartition")
	for round := range 8 {
		table := fmt.Sprintf("t%d", round)
		mustExec(t, db, "CREATE TABLE "+table+" (id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (10), PARTITION b VALUES LESS THAN MAXVALUE)")
		var wg sync.WaitGroup
		var errs [2]error
		for i, name := range []string{"a", "b"} {
			wg.Go(func() { _, errs[i] = db.ExecContext(t.Context(), "ALTER TABLE "+table+" DROP PARTITION "+name) })
		}
		wg.Wait()
		failed := 0
		for _, err := range errs {
			if err == nil {
				continue
			}
			if failed++; errorNumber(t, err) != 1508 {
				t.Errorf("%s: %v, want error 1508", table, err)
			}
		}
		if failed != 1 {
			t.Errorf("%s: %v, want that one of them fails", table, errs)
		}
		var rows int
		must(t, db.QueryRow("SELECT COUNT(*) FROM "+table).Scan(&rows))
	}
}
