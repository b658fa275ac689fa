package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"stele/tests/cluster"
)

// orTable has orRows rows that two secondary keys find: twenty have the same a, and twenty others, with one in common, the same b.
const (
	orRows  = 20_000
	orTable = "CREATE TABLE o (id INT PRIMARY KEY, a INT, b INT, v INT, KEY (a), KEY (b)) DISTRIBUTED BY HASH(id) BUCKETS 4"
	orFill  = "INSERT INTO o WITH RECURSIVE n AS (SELECT 0 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 19999) SELECT i, i % 1000, i DIV 20, 0 FROM n"
)

// interrupted is a cluster in which queries of some megabytes spill.
type interrupted struct {
	*testing.T
	c  *cluster.Cluster
	db *sql.DB
}

// TestInterrupted: reads by several keys that lock, and reads that are killed, lose a backend, or find the column of their key changed.
func TestInterrupted(t *testing.T) {
	skipShort(t, "kills backends")
	c := cluster.Start(t, cluster.Options{FE: map[string]string{"query_mem_limit_bytes": "2097152", "tmp_dir": "tmp"}})
	db := databaseOf(t.Context(), t, c, "interrupted", orTable)
	conn, err := db.Conn(t.Context())
	must(t, err)
	defer conn.Close()
	for _, statement := range []string{"SET cte_max_recursion_depth = 100000", orFill} {
		_, err := conn.ExecContext(t.Context(), statement)
		must(t, err)
	}
	c.Wait(t, "the number of rows", time.Minute, func() (bool, string) {
		n := one(t, db, "SELECT RowCount FROM stele.table_sizes WHERE TableName = 'o'")
		return n == orRows, fmt.Sprint(n)
	})
	for name, f := range map[string]func(*interrupted){"either key": (*interrupted).lockByEitherKey, "kill": (*interrupted).kill} {
		t.Run(name, func(t *testing.T) { f(&interrupted{t, c, db}) })
	}
	t.Run("files", func(t *testing.T) { (&interrupted{t, c, db}).files() })
	t.Run("alter", func(t *testing.T) { (&interrupted{t, c, db}).alter() })
	t.Run("backend", func(t *testing.T) { (&interrupted{t, c, db}).backendDies() })
}

// querier is a connection, a pool or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// one reads one number.
func one(t *testing.T, db querier, query string, args ...any) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// ids reads numbers, and puts them in order.
func (i *interrupted) ids(db querier, query string) (ids []int) {
	rows, err := db.QueryContext(i.Context(), query)
	must(i.T, err)
	defer rows.Close()
	for rows.Next() {
		var id int
		must(i.T, rows.Scan(&id))
		ids = append(ids, id)
	}
	must(i.T, rows.Err())
	slices.Sort(ids)
	return ids
}

// lockByEitherKey locks the rows that one of two keys finds: each of them, once, and no other.
func (i *interrupted) lockByEitherKey() {
	tx, err := i.db.BeginTx(i.Context(), nil)
	must(i.T, err)
	defer tx.Rollback() //nolint:errcheck // it has ended, or the test has failed
	_, err = tx.ExecContext(i.Context(), "UPDATE o SET a = 7 WHERE id = 5")
	must(i.T, err)
	ids := i.ids(tx, "SELECT id FROM o WHERE a = 7 OR b = 50 FOR UPDATE")
	// a = 7 are 7, 1007 to 19007 and now 5; b = 50 are 1000 to 1019; 1007 has both.
	if want := 20 + 1 + 20 - 1; len(ids) != want || len(slices.Compact(ids)) != want {
		i.Errorf("%d rows, not %d: %v", len(ids), want, ids)
	}
	free := len(i.ids(i.db, "SELECT id FROM o WHERE id < 2000 FOR UPDATE SKIP LOCKED"))
	if want := 2000 - (1 + 2 + 20 - 1); free != want {
		i.Errorf("%d rows are free, not %d", free, want)
	}
	must(i.T, tx.Rollback())
	changed, err := i.db.ExecContext(i.Context(), "UPDATE o SET v = v + 1 WHERE a = 7 OR b = 50")
	must(i.T, err)
	if n, err := changed.RowsAffected(); err != nil || n != 39 {
		i.Errorf("%d rows changed: %v", n, err)
	}
	if most, sum := one(i.T, i.db, "SELECT MAX(v) FROM o"), one(i.T, i.db, "SELECT SUM(v) FROM o"); most != 1 || sum != 39 {
		i.Errorf("v is %d at most, %d in all", most, sum)
	}
}

// kill ends queries that would run for long, wherever they are, and leaves their connection usable.
func (i *interrupted) kill() {
	conn, err := i.db.Conn(i.Context())
	must(i.T, err)
	defer conn.Close()
	id := one(i.T, conn, "SELECT CONNECTION_ID()")
	for name, query := range map[string]string{
		"join":  "SELECT COUNT(*) FROM o x JOIN o y ON x.a + y.b <> -1 JOIN o z ON z.a + y.b <> -1",
		"sort":  "SELECT x.id FROM o x JOIN o y ON x.a + y.b <> -1 ORDER BY x.b + y.a, y.id, x.id LIMIT 300000000, 1",
		"group": "SELECT COUNT(*) FROM (SELECT x.id, y.id AS i, COUNT(*) FROM o x JOIN o y ON x.a + y.b <> -1 GROUP BY x.id, y.id) g",
		"rows":  "SELECT x.id, y.id FROM o x JOIN o y ON x.a + y.b <> -1",
	} {
		i.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			go func() {
				rows, err := conn.QueryContext(context.WithoutCancel(t.Context()), query)
				for err == nil && rows.Next() {
				}
				if err == nil {
					err = rows.Err()
				}
				ended <- err
			}()
			for one(t, i.db, "SELECT COUNT(*) FROM information_schema.processlist WHERE info = ? AND time >= 1", query) == 0 { // it is at work
				select {
				case err := <-ended:
					t.Fatalf("it ended by itself: %v", err)
				default:
				}
			}
			_, err := i.db.ExecContext(t.Context(), "KILL QUERY "+strconv.Itoa(id))
			must(t, err)
			if err := <-ended; number(err) != 1317 {
				t.Errorf("it ended with %v, not 1317", err)
			}
			if n := one(t, conn, "SELECT COUNT(*) FROM o WHERE a = 8"); n != 20 {
				t.Errorf("%d rows behind it", n)
			}
		})
	}
	i.c.Wait(i.T, "the end of what was killed, on the backends, too", time.Minute, func() (bool, string) {
		n := one(i.T, i.db, "SELECT SUM(NumRunningQueries) FROM stele.backends")
		return n == 0, fmt.Sprint(n)
	})
}

// files sorts what does not fit into memory: temporary files are in tmp_dir, and nowhere else when it is gone.
func (i *interrupted) files() {
	const sorted = "SELECT y.id FROM o x JOIN o y ON x.b = y.b ORDER BY x.id + y.id, y.id LIMIT 399999, 1"
	if last := one(i.T, i.db, sorted); last != orRows-1 {
		i.Errorf("the last of 400000 rows is %d", last)
	}
	dir := filepath.Join(i.c.Dir, "fe1", "tmp")
	must(i.T, os.Remove(dir))
	if err := i.db.QueryRowContext(i.Context(), sorted).Scan(new(int)); err == nil || !strings.Contains(err.Error(), dir) {
		i.Errorf("without %s: %v", dir, err)
	}
	must(i.T, os.Mkdir(dir, 0o750))
	if last := one(i.T, i.db, sorted); last != orRows-1 {
		i.Errorf("the last of 400000 rows is %d", last)
	}
}

// alter changes the column of a key while it is asked for, by queries and by a statement that writes what it reads: an answer has all rows of
// the key or, while nothing has its value, none.
func (i *interrupted) alter() {
	_, err := i.db.ExecContext(i.Context(), "CREATE TABLE seen (n INT)")
	must(i.T, err)
	ctx, stop := context.WithCancel(i.Context())
	var readers sync.WaitGroup
	defer func() {
		stop()
		readers.Wait()
		if n := one(i.T, i.db, "SELECT COUNT(*) FROM seen WHERE n NOT IN (0, 20)"); n != 0 {
			i.Errorf("%d counts that were written are wrong", n)
		}
	}()
	readers.Go(func() {
		for key := 10; ctx.Err() == nil; key = 10 + (key+1)%900 {
			_, err := i.db.ExecContext(ctx, fmt.Sprintf("INSERT INTO seen SELECT COUNT(*) FROM o WHERE a = %d", key))
			if ctx.Err() == nil && err != nil && number(err) != 1054 {
				i.Errorf("the count of key %d was not written: %v", key, err)
			}
		}
	})
	for n := range 2 {
		readers.Go(func() {
			for key := 10 * (n + 1); ctx.Err() == nil; key = 10 + (key+1)%900 {
				var rows, least, most sql.NullInt64
				err := i.db.QueryRowContext(ctx, fmt.Sprintf("SELECT COUNT(*), MIN(a), MAX(a) FROM o WHERE a = %d", key)).Scan(&rows, &least, &most)
				if ctx.Err() != nil || number(err) == 1054 {
					continue
				}
				if err != nil || rows.Int64 != 0 && (rows.Int64 != 20 || least.Int64 != int64(key) || most != least) {
					i.Errorf("key %d: %d rows from %d to %d, %v", key, rows.Int64, least.Int64, most.Int64, err)
				}
			}
		})
	}
	for range 3 {
		for _, c := range []struct {
			statement string
			eights    int
		}{
			{"ALTER TABLE o MODIFY COLUMN a BIGINT", 20}, {"ALTER TABLE o MODIFY COLUMN a VARCHAR(20)", 20}, {"ALTER TABLE o MODIFY COLUMN a INT", 20},
			{"ALTER TABLE o DROP COLUMN a", -1}, {"ALTER TABLE o ADD COLUMN a INT DEFAULT 7, ADD KEY (a)", 0}, {"UPDATE o SET a = id % 1000", 20},
		} {
			_, err := i.db.ExecContext(i.Context(), c.statement)
			must(i.T, err)
			if c.eights < 0 {
				continue
			}
			for range 2 { // the second one finds what the first has kept
				if by, without := one(i.T, i.db, "SELECT COUNT(*) FROM o WHERE a = 8"), one(i.T, i.db, "SELECT COUNT(*) FROM o WHERE a + 0 = 8"); by != c.eights || without != by {
					i.Fatalf("after %s the key finds %d rows, and a scan %d, not %d", c.statement, by, without, c.eights)
				}
			}
		}
	}
}

// backendDies kills backends while joins read them: an answer is right, and while two of three live there is one.
func (i *interrupted) backendDies() {
	const join = "SELECT SUM(x.id + y.id) FROM o x JOIN o y ON x.a = y.a WHERE x.v + y.v >= 0"
	want := one(i.T, i.db, join)
	for _, node := range []string{"be1", "be2", "be3"} {
		ctx, stop := context.WithCancel(i.Context())
		var readers sync.WaitGroup
		begun := make(chan struct{}, 1)
		for range 2 {
			readers.Go(func() {
				for ctx.Err() == nil {
					select {
					case begun <- struct{}{}:
					default:
					}
					var got int
					if err := i.db.QueryRowContext(ctx, join).Scan(&got); ctx.Err() == nil && (err != nil || got != want) {
						i.Errorf("%s was killed: %d, not %d, %v", node, got, want, err)
					}
				}
			})
		}
		<-begun
		must(i.T, i.c.Kill(node))
		i.c.WaitAlive(i.T, node, false, time.Minute)
		must(i.T, i.c.StartNode(node))
		i.c.WaitAlive(i.T, node, true, time.Minute)
		i.c.WaitHealthy(i.T, "interrupted.o", time.Minute)
		stop()
		readers.Wait()
	}
}
