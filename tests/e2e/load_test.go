package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"stele/tests/cluster"
)

// loadFrom runs LOAD DATA LOCAL over what r gives.
func loadFrom(ctx context.Context, t *testing.T, db *sql.DB, r io.Reader, clauses string) (int64, error) {
	t.Helper()
	name := t.Name()
	mysql.RegisterReaderHandler(name, func() io.Reader { return r })
	defer mysql.DeregisterReaderHandler(name)
	res, err := db.ExecContext(ctx, "LOAD DATA LOCAL INFILE 'Reader::"+name+"' "+clauses)
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	must(t, err)
	return n, nil
}

// total returns how many rows a table has and the sum of a column.
func total(ctx context.Context, t *testing.T, db *sql.DB, table, column string) (rows, sum int64) {
	t.Helper()
	must(t, db.QueryRowContext(ctx, fmt.Sprintf("SELECT COUNT(*), COALESCE(SUM(%s), 0) FROM %s", column, table)).Scan(&rows, &sum))
	return rows, sum
}

// TestLoadMeetsRows loads files whose lines have keys of one another and of rows of the table, small ones and such as become
// rowsets, in and out of the order of keys: IGNORE keeps what was there first, REPLACE what comes last.
func TestLoadMeetsRows(t *testing.T) {
	ctx := t.Context()
	db := uniqueDatabase(t, "loads")
	rnd := rand.New(rand.NewPCG(4, 4))
	for _, mode := range []string{"IGNORE", "REPLACE"} {
		must(t, execOn(ctx, db, "DROP TABLE IF EXISTS t"))
		must(t, execOn(ctx, db, "CREATE TABLE t (k BIGINT PRIMARY KEY, v BIGINT NOT NULL, s VARCHAR(40))"))
		want := map[int64]int64{}
		for round, lines := range []struct {
			n      int
			random bool
		}{{90_000, false}, {120_000, true}, {500, true}, {220_000, false}} {
			var text bytes.Buffer
			for i := range lines.n {
				key := int64(i)*3 + int64(round)
				if lines.random {
					key = rnd.Int64N(300_000)
				}
				value := int64(round*1_000_000 + i)
				fmt.Fprintf(&text, "%d\t%d\tline %d \\t of %d\n", key, value, i, round)
				if _, there := want[key]; !there || mode == "REPLACE" {
					want[key] = value
				}
			}
			if _, err := loadFrom(ctx, t, db, &text, mode+" INTO TABLE t"); err != nil {
				t.Fatalf("%s, file %d: %v", mode, round, err)
			}
			sum := int64(0)
			for _, v := range want {
				sum += v
			}
			if rows, got := total(ctx, t, db, "t", "v"); rows != int64(len(want)) || got != sum {
				t.Fatalf("%s, file %d: %d rows with sum %d, not %d with %d", mode, round, rows, got, len(want), sum)
			}
		}
	}
	insertsMeetRows(ctx, t, db)
	// What is ended in the middle leaves nothing.
	rows, sum := total(ctx, t, db, "t", "v")
	lctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if _, err := loadFrom(lctx, t, db, &brokenOff{lines: 200_000, at: 150_000, event: cancel}, "REPLACE INTO TABLE t (k, v)"); err == nil {
		t.Fatal("a load that was cancelled succeeded")
	}
	if r, s := total(ctx, t, db, "t", "v"); r != rows || s != sum {
		t.Fatalf("%d rows with sum %d after a load that was cancelled, %d with %d before", r, s, rows, sum)
	}
}

// insertsMeetRows copies table t by INSERT ... SELECT, which goes in several chunks: as a whole or not at all, with rows in the way
// and with keys that come again in a later chunk.
func insertsMeetRows(ctx context.Context, t *testing.T, db *sql.DB) {
	t.Helper()
	rows, sum := total(ctx, t, db, "t", "v")
	must(t, execOn(ctx, db, "DROP TABLE IF EXISTS copied, folded"))
	must(t, execOn(ctx, db, "CREATE TABLE copied (k BIGINT PRIMARY KEY, v BIGINT NOT NULL)"))
	must(t, execOn(ctx, db, "CREATE TABLE folded (k BIGINT PRIMARY KEY)"))
	must(t, execOn(ctx, db, "INSERT INTO copied SELECT k, v FROM t"))
	for _, again := range []string{"INSERT INTO copied SELECT k, v FROM t", "INSERT INTO copied SELECT 10000000 + k % 150000, 1 FROM t"} {
		var e *mysql.MySQLError
		if err := execOn(ctx, db, again); !errors.As(err, &e) || e.Number != 1062 {
			t.Fatalf("%s: %v", again, err)
		}
		if r, s := total(ctx, t, db, "copied", "v"); r != rows || s != sum {
			t.Fatalf("%d rows with sum %d after %s, not %d with %d", r, s, again, rows, sum)
		}
	}
	must(t, execOn(ctx, db, "INSERT IGNORE INTO folded SELECT k % 150000 FROM t"))
	var want int64
	must(t, db.QueryRowContext(ctx, "SELECT COUNT(DISTINCT k % 150000) FROM t").Scan(&want))
	if got, _ := total(ctx, t, db, "folded", "k"); got != want {
		t.Fatalf("%d rows were folded, not %d", got, want)
	}
}

func execOn(ctx context.Context, db *sql.DB, q string) error {
	_, err := db.ExecContext(ctx, q)
	return err
}

// brokenOff gives lines "n n", and lets something happen before one of them.
type brokenOff struct {
	lines, at, next int
	event           func()
	rest            []byte
}

func (b *brokenOff) Read(p []byte) (int, error) {
	for len(b.rest) < len(p) && b.next < b.lines {
		if b.next == b.at {
			b.event()
		}
		b.rest = fmt.Appendf(b.rest, "%d\t%d\n", b.next, b.next)
		b.next++
	}
	if len(b.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// TestLoadWarns: what is bent to fit and lines of the wrong width are warnings that name the line, in whichever piece of the file it is;
// the message to the client counts them.
func TestLoadWarns(t *testing.T) {
	ctx := t.Context()
	db := uniqueDatabase(t, "loadwarns")
	db.SetMaxOpenConns(1) // whose warnings they are
	must(t, execOn(ctx, db, "CREATE TABLE t (k BIGINT PRIMARY KEY, v TINYINT NOT NULL, s VARCHAR(40))"))
	const lines = 200_000
	odd := map[int]string{3: "3\t1000\tx", 4: "4\t12abc\tx", 5: "5\tabc\tx", 6: "6", 7: "7\t7\tx\tmore", lines - 1: "199999\t-1000\tx"}
	var text bytes.Buffer
	for i := 1; i <= lines; i++ {
		line, ok := odd[i]
		if !ok {
			line = fmt.Sprintf("%d\t%d\tfiller", i, i%100)
		}
		text.WriteString(line + "\n")
	}
	if n, err := loadFrom(ctx, t, db, &text, "INTO TABLE t"); err != nil || n != lines {
		t.Fatalf("%d rows, %v", n, err)
	}
	rows, err := db.QueryContext(ctx, "SHOW WARNINGS")
	must(t, err)
	defer rows.Close()
	want := []string{
		"1264 Out of range value for column 'v' at row 3",
		"1265 Data truncated for column 'v' at row 4",
		"1366 Incorrect integer value: 'abc' for column 'v' at row 5",
		"1261 Row 6 doesn't contain data for all columns",
		"1262 Row 7 was truncated; it contained more data than there were input columns",
		"1264 Out of range value for column 'v' at row 199999",
	}
	var got []string
	for rows.Next() {
		var level, msg string
		var code int
		must(t, rows.Scan(&level, &code, &msg))
		got = append(got, fmt.Sprint(code, " ", msg))
	}
	must(t, rows.Err())
	if !slices.Equal(got, want) {
		t.Errorf("warnings %q, want %q", got, want)
	}
	if n, sum := total(ctx, t, db, "t WHERE k IN (3, 4, 5, 6, 7, 199999)", "v"); n != 6 || sum != 127+12+0+0+7-128 {
		t.Errorf("%d rows with the sum %d", n, sum)
	}
}

// TestLoadKeepsToPartitions: what no partition takes, of those that are named, is left out with a warning, in a table that needs numbers too,
// and in a transaction, which sends rows and no row groups; with REPLACE it is an error.
func TestLoadKeepsToPartitions(t *testing.T) {
	ctx := t.Context()
	db := uniqueDatabase(t, "loadpartitions")
	db.SetMaxOpenConns(1) // whose transaction it is
	const parts = "PARTITION BY RANGE (k) (PARTITION p0 VALUES LESS THAN (1000), PARTITION p1 VALUES LESS THAN (2000))"
	must(t, execOn(ctx, db, "CREATE TABLE keyed (k BIGINT PRIMARY KEY, v INT) "+parts))
	must(t, execOn(ctx, db, "CREATE TABLE keyless (k BIGINT, v INT) "+parts))
	lines := func() io.Reader {
		var text bytes.Buffer
		for i := range 3000 {
			fmt.Fprintf(&text, "%d\t1\n", i)
		}
		return &text
	}
	for _, table := range []string{"keyed", "keyless"} {
		for _, step := range []string{"COMMIT", "BEGIN"} {
			must(t, execOn(ctx, db, "DELETE FROM "+table))
			must(t, execOn(ctx, db, step))
			n, err := loadFrom(ctx, t, db, lines(), "INTO TABLE "+table+" PARTITION (p1)")
			if warnings := warningCount(ctx, t, db); err != nil || n != 1000 || warnings != 2000 {
				t.Errorf("%s after %s: %d rows, %d warnings, %v", table, step, n, warnings, err)
			}
			must(t, execOn(ctx, db, "COMMIT"))
			if n, _ := total(ctx, t, db, table+" WHERE k BETWEEN 1000 AND 1999", "v"); n != 1000 {
				t.Errorf("%s after %s: %d rows in p1", table, step, n)
			}
		}
		if n, err := loadFrom(ctx, t, db, lines(), "REPLACE INTO TABLE "+table+" PARTITION (p1, P0)"); errorNumber(t, err) != 1526 {
			t.Errorf("%s: %d rows replaced, %v", table, n, err)
		}
		if n, err := loadFrom(ctx, t, db, lines(), "REPLACE INTO TABLE "+table+" PARTITION (p1)"); errorNumber(t, err) != 1748 {
			t.Errorf("%s: %d rows replaced, %v", table, n, err)
		}
		if _, err := loadFrom(ctx, t, db, lines(), "INTO TABLE "+table+" PARTITION (p2)"); errorNumber(t, err) != 1735 {
			t.Errorf("%s: unknown partition: %v", table, err)
		}
	}
}

// warningCount is that of the last statement.
func warningCount(ctx context.Context, t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	must(t, db.QueryRowContext(ctx, "SHOW COUNT(*) WARNINGS").Scan(&n))
	return n
}

// TestLoadSurvivesACrash kills a BE, which leads some tablets, in the middle of a LOAD DATA: the client has sent half of its
// file and will not send it again. The load succeeds all the same, and the replicas agree in the end, also after all were
// killed at once.
func TestLoadSurvivesACrash(t *testing.T) {
	skipShort(t, "kills BEs")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c := cluster.Start(t, manualOptions)
	db := databaseOf(ctx, t, c, "loads", "CREATE TABLE t (k BIGINT PRIMARY KEY, v BIGINT NOT NULL) DISTRIBUTED BY HASH(k) BUCKETS 3 PROPERTIES('replication_num'='3')")
	const lines = 400_000
	load := func(round int, kill string) {
		t.Helper()
		r := &brokenOff{lines: lines, at: lines / 2, event: func() { must(t, c.Kill(kill)) }}
		n, err := loadFrom(ctx, t, db, r, "REPLACE INTO TABLE t (k, v)")
		if want := int64(lines * (1 + round)); err != nil || n != want { // a replaced row counts twice
			t.Fatalf("load %d: %d rows affected, not %d: %v", round, n, want, err)
		}
		if rows, sum := total(ctx, t, db, "t", "v"); rows != lines || sum != lines*(lines-1)/2 {
			t.Fatalf("load %d: %d rows with sum %d", round, rows, sum)
		}
		must(t, c.StartNode(kill))
		c.WaitHealthy(t, "loads.t", healTimeout)
	}
	load(0, "be1")
	load(1, "be2")
	must(t, c.KillAll())
	must(t, c.Restart())
	db = c.OpenDB("loads")
	defer db.Close()
	c.WaitHealthy(t, "loads.t", healTimeout)
	if rows, sum := total(ctx, t, db, "t", "v"); rows != lines || sum != lines*(lines-1)/2 {
		t.Fatalf("after all were killed: %d rows with sum %d", rows, sum)
	}
}
