package e2e

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"stele/tests/cluster"
)

// TestMemoryLimitHolds writes several times the memory of a BE, wide rows by several clients, and reads all of it meanwhile: the BE
// stays within its limit, and SHOW PROC tells where its memory is.
func TestMemoryLimitHolds(t *testing.T) {
	skipShort(t, "writes some hundred megabytes")
	const limit = 256 << 20
	c := cluster.Start(t, cluster.Options{Backends: 1, BE: map[string]string{"be_mem_limit_bytes": fmt.Sprint(limit)}})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	db := databaseOf(ctx, t, c, "m", "CREATE TABLE m (id BIGINT PRIMARY KEY, v VARCHAR(2000)) DISTRIBUTED BY HASH(id) BUCKETS 4")
	done := make(chan struct{})
	var most int64
	var names map[string]bool
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			rows, err := cluster.ReadTable(ctx, db, "SELECT Name, UsedBytes FROM stele.memory WHERE Role = 'BE'")
			if err != nil {
				t.Error(err)
				return
			}
			seen := map[string]bool{}
			for _, r := range rows.Rows {
				seen[r[0]] = true
				if used, err := strconv.ParseInt(r[1], 10, 64); err == nil && r[0] == "process" {
					most = max(most, used)
				}
			}
			names = seen
			select {
			case <-done:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	const writers, statements, rows = 4, 40, 1000
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for s := range statements {
				var values []string
				for i := range rows {
					id := (w*statements+s)*rows + i
					values = append(values, fmt.Sprintf("(%d, '%s%d')", id, strings.Repeat(fmt.Sprint("text ", id%977, " "), 120), id))
				}
				if _, err := db.ExecContext(ctx, "INSERT INTO m VALUES "+strings.Join(values, ",")); err != nil {
					t.Error(err)
					return
				}
				if w == 0 && s%10 == 9 {
					if _, err := cluster.ReadTable(ctx, db, "SELECT MAX(LENGTH(v)), COUNT(*) FROM m"); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	group.Wait()
	close(done)
	watch.Wait()
	t.Logf("%d MB at most", most>>20)
	if most == 0 || most > limit {
		t.Errorf("the BE took %d bytes, its limit is %d", most, limit)
	}
	for _, part := range []string{"process", "heap", "deltas", "memtables", "block_caches", "row_cache", "clones", "mapped_files"} {
		if !names[part] {
			t.Errorf("no row %q in stele.memory: %v", part, names)
		}
	}
}
