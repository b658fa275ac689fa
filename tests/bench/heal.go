package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"stele/tests/cluster"
)

const healTimeout = 3 * time.Minute

// MeasureHeal loses a BE in two ways and tells what bringing its replicas of the TPC-H tables back took.
func MeasureHeal(tb testing.TB, t *Table, s *Server) {
	const node = "be3"
	heal(tb, t, s, node, "full clone of a wiped BE", func() error { return s.Cluster.Wipe(node) })
	heal(tb, t, s, node, "catch-up after 1 % of lineitem changed", func() error {
		db := s.Open("tpch")
		defer db.Close()
		_, err := db.ExecContext(tb.Context(), "UPDATE lineitem SET l_comment = 'changed while be3 was away' WHERE l_orderkey <= "+
			"(SELECT MAX(o_orderkey) DIV 100 FROM orders)")
		return err
	})
}

func heal(tb testing.TB, t *Table, s *Server, node, name string, meanwhile func() error) {
	tb.Helper()
	before, tables := clonedBytes(tb, s), loaded(tb, s)
	err := errors.Join(s.Cluster.Kill(node), meanwhile())
	began := time.Now()
	if err := errors.Join(err, s.Cluster.StartNode(node)); err != nil { // in any case started: other measurements follow
		tb.Fatal(err)
	}
	s.Cluster.WaitAlive(tb, node, true, healTimeout)
	s.Cluster.Wait(tb, "all replicas the same", healTimeout, func() (bool, string) { return sameIn(tb.Context(), s, tables) })
	seconds := time.Since(began).Seconds()
	t.Put(name+", from process start", "s", false, s.Name, seconds)
	t.Put(name+", bytes copied", "MB", false, s.Name, float64(clonedBytes(tb, s)-before)/1e6)
}

// loaded lists the tables that the parts that ran have made.
func loaded(tb testing.TB, s *Server) []string {
	tb.Helper()
	t, err := cluster.ReadTable(tb.Context(), s.Cluster.DB(),
		"SELECT CONCAT(table_schema, '.', table_name) AS name FROM information_schema.tables WHERE table_schema IN ('tpch', 'kv') ORDER BY 1")
	if err != nil {
		tb.Fatal(err)
	}
	if len(t.Rows) == 0 {
		tb.Fatal("there are no tables to heal: load makes them")
	}
	return t.Column("name")
}

// copies is how many replicas each tablet has.
const copies = 3

// sameIn says whether all tablets of some tables have all their replicas, and these answer and hold the same rows at the newest
// version. It asks the BEs, since the FE takes a moment to hear that a replica is lost.
func sameIn(ctx context.Context, s *Server, tables []string) (bool, string) {
	for _, table := range tables {
		digests, err := s.Cluster.Digests(ctx, table)
		if err != nil {
			return false, err.Error()
		}
		first, count := map[uint64]cluster.Digest{}, map[uint64]int{}
		for _, d := range digests {
			count[d.Tablet]++
			if f, seen := first[d.Tablet]; !seen {
				first[d.Tablet] = d
			} else if f.Digest != d.Digest || f.Version != d.Version {
				return false, fmt.Sprintf("%+v and %+v differ", f, d)
			}
		}
		for tablet, n := range count {
			if n < copies {
				return false, fmt.Sprintf("tablet %d of %s has %d replicas", tablet, table, n)
			}
		}
	}
	return true, ""
}

// clonedBytes sums what all clones of the cluster have copied so far.
func clonedBytes(tb testing.TB, s *Server) (sum int64) {
	tb.Helper()
	clones, err := cluster.ReadTable(tb.Context(), s.Cluster.DB(), "SELECT BytesDone FROM stele.clone_tasks WHERE BytesDone > 0")
	if err != nil {
		tb.Fatal(err)
	}
	for _, text := range clones.Column("BytesDone") {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			tb.Fatalf("bytes of a clone: %v", err)
		}
		sum += n
	}
	return sum
}

// MeasureFailover kills each BE in turn while a client writes rows to every tablet of a table and another one reads them
// all, and tells how long after the kill the first statement that was begun after it succeeded.
func MeasureFailover(tb testing.TB, t *Table, s *Server) {
	if err := MakeKV(tb.Context(), s); err != nil {
		tb.Fatal(err)
	}
	var writes, reads []float64
	next := int64(1) << 40
	for _, node := range []string{"be1", "be2", "be3"} {
		write, read := failover(tb, s, node, next)
		next += 1 << 30
		writes, reads = append(writes, write), append(reads, read)
		if err := s.Cluster.StartNode(node); err != nil {
			tb.Fatal(err)
		}
		s.Cluster.WaitAlive(tb, node, true, healTimeout)
		s.Cluster.WaitHealthy(tb, "kv.ins", healTimeout)
		s.Cluster.WaitHealthy(tb, "kv.kv", healTimeout)
	}
	t.Put("kill -9 of a leading BE to the next write of all tablets", "s", false, s.Name, median(writes))
	t.Put("kill -9 of a leading BE to the next read of all tablets", "s", false, s.Name, median(reads))
	tb.Logf("failover: writes %.3f s, reads %.3f s", writes, reads)
}

func failover(tb testing.TB, s *Server, node string, key int64) (write, read float64) {
	tb.Helper()
	pid, err := pidOf(s, node)
	if err != nil {
		tb.Fatal(err)
	}
	db := s.Open("kv")
	defer db.Close()
	insert := func() error {
		key += 64
		_, err := db.ExecContext(tb.Context(), "INSERT INTO ins VALUES "+kvTuples(key, 64))
		return err
	}
	count := func() error {
		var n int64
		return db.QueryRowContext(tb.Context(), "SELECT COUNT(*) FROM kv").Scan(&n)
	}
	if err := errors.Join(insert(), count()); err != nil {
		tb.Fatalf("before the kill: %v", err)
	}
	began := time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		tb.Fatalf("kill %s: %v", node, err)
	}
	var group sync.WaitGroup
	var writeErr, readErr error
	group.Go(func() { write, writeErr = untilSuccess(tb.Context(), began, insert) })
	group.Go(func() { read, readErr = untilSuccess(tb.Context(), began, count) })
	group.Wait()
	if err := errors.Join(writeErr, readErr); err != nil {
		tb.Fatalf("after the kill of %s: %v", node, err)
	}
	return write, read
}

// pidOf is the process of a node.
func pidOf(s *Server, node string) (int, error) {
	text, err := os.ReadFile(filepath.Join(s.Cluster.Dir, node, "stele.pid"))
	if err != nil {
		return 0, fmt.Errorf("process of %s: %w", node, err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("process of %s: %w", node, err)
	}
	return pid, nil
}

// untilSuccess runs a statement until it succeeds and returns the seconds since a moment.
func untilSuccess(ctx context.Context, since time.Time, statement func() error) (float64, error) {
	for {
		err := statement()
		took := time.Since(since)
		if err == nil {
			return took.Seconds(), nil
		}
		if took > healTimeout || ctx.Err() != nil {
			return 0, fmt.Errorf("no success in %v: %w", took, err)
		}
	}
}

// MeasureSize tells how much of the disk lineitem takes: one copy of it, as each server itself says.
func MeasureSize(tb testing.TB, t *Table, s *Server) {
	tb.Helper()
	db := s.Open("tpch")
	defer db.Close()
	bytes, err := lineitemBytes(tb.Context(), db, s.MySQL)
	if err != nil {
		tb.Fatal(err)
	}
	t.Put("lineitem on disk, one copy", "MB", false, s.Name, bytes/1e6)
}

func lineitemBytes(ctx context.Context, db *sql.DB, isMySQL bool) (float64, error) {
	if isMySQL {
		var n float64
		err := db.QueryRowContext(ctx, `SELECT file_size FROM information_schema.innodb_sys_tablespaces WHERE name = 'tpch/lineitem'`).Scan(&n)
		return n, err
	}
	tablets, err := cluster.ReadTable(ctx, db, "SHOW TABLET FROM lineitem")
	if err != nil {
		return 0, err
	}
	one := map[string]float64{}
	for i, id := range tablets.Column("TabletId") {
		n, err := strconv.ParseFloat(tablets.Column("DataSize")[i], 64)
		if err != nil {
			return 0, fmt.Errorf("size of tablet %s: %w", id, err)
		}
		one[id] = max(one[id], n)
	}
	var sum float64
	for _, n := range one {
		sum += n
	}
	return sum, nil
}
