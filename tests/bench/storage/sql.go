//go:build bench

package storage

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"stele/tests/cluster"
)

// lineitemSQL makes the table for a peer that speaks MySQL.
const lineitemSQL = `CREATE TABLE b.lineitem (l_orderkey BIGINT NOT NULL, l_partkey INT NOT NULL,
	l_suppkey INT NOT NULL, l_linenumber INT NOT NULL, l_quantity DECIMAL(15,2) NOT NULL, l_extendedprice DECIMAL(15,2) NOT NULL,
	l_discount DECIMAL(15,2) NOT NULL, l_tax DECIMAL(15,2) NOT NULL, l_returnflag CHAR(1) NOT NULL, l_linestatus CHAR(1) NOT NULL,
	l_shipdate DATE NOT NULL, l_commitdate DATE NOT NULL, l_receiptdate DATE NOT NULL, l_shipinstruct CHAR(25) NOT NULL,
	l_shipmode CHAR(10) NOT NULL, l_comment VARCHAR(44) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber))`

// Queries as users write them.
const (
	sqlQ1 = `SELECT l_returnflag, l_linestatus, sum(l_quantity), sum(l_extendedprice), sum(l_extendedprice*(1-l_discount)),
		sum(l_extendedprice*(1-l_discount)*(1+l_tax)), avg(l_quantity), count(*) FROM b.lineitem WHERE l_shipdate <= '1998-09-02' GROUP BY 1, 2`
	sqlQ6 = `SELECT sum(l_extendedprice*l_discount) FROM b.lineitem WHERE l_shipdate >= '1994-01-01' AND l_shipdate < '1995-01-01'
		AND l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24`
	sqlSum = "SELECT sum(l_extendedprice) FROM b.lineitem"
)

// measureSQL loads and queries the file through SQL on a cluster of one BE: parsing, planning, RPC and all. CPU is that of all its
// processes.
func (b *benchmark) measureSQL(t *testing.T, d *duck, m *maria) error {
	ctx := t.Context()
	c, err := cluster.Launch(cluster.Options{Backends: 1, Dir: b.path("cluster")})
	if err != nil {
		return err
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	db := c.OpenDB("")
	defer db.Close()
	took, err := b.loadSQL(ctx, db)
	if err != nil {
		return err
	}
	ours := fmt.Sprintf("%.2f s, %.2f million rows/s", took.Seconds(), perSecond(b.rows, took)/1e6)
	b.report.Fact("LOAD DATA through SQL, 1 replica", ours)
	if m != nil {
		b.report.Ratio("LOAD DATA through SQL, 1 replica, vs MariaDB", ours, fmt.Sprintf("%.2f s", m.Load.Seconds()), ratio(m.Load, took), 6, false)
	}
	if d != nil {
		b.report.Ratio("LOAD DATA through SQL, 1 replica, vs DuckDB", ours, fmt.Sprintf("%.2f s", d.Load.Wall), d.Load.Wall/took.Seconds(), 1.5, false)
	}
	settle(c.Dir)
	for _, q := range []struct {
		name, text string
		duck       func(*duck) float64
		maria      func(*maria) time.Duration
		mark       float64
	}{
		{"Q1", sqlQ1, func(d *duck) float64 { return d.Q1x1.CPU }, func(m *maria) time.Duration { return m.Q1 }, 40},
		{"Q6", sqlQ6, func(d *duck) float64 { return d.Q6x1.CPU }, func(m *maria) time.Duration { return m.Q6 }, 15},
		{"sum of a column", sqlSum, func(d *duck) float64 { return d.Sum.CPU }, nil, 0},
	} {
		wall, cpu, _, err := runQuery(ctx, db, c.Dir, q.text, 15)
		if err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
		if d != nil {
			b.report.Ratio(q.name+" through SQL, CPU, vs DuckDB", ms(cpu), fmt.Sprintf("%.1f ms", q.duck(d)*1000), cpu.Seconds()/q.duck(d), 1.5, true)
		}
		if m != nil && q.maria != nil {
			b.report.Ratio(q.name+" through SQL, vs MariaDB", ms(wall), ms(q.maria(m)), ratio(q.maria(m), wall), q.mark, false)
		}
		if d == nil && m == nil {
			b.report.Fact(q.name+" through SQL", ms(wall)+", "+ms(cpu)+" CPU")
		}
	}
	return nil
}

func (b *benchmark) loadSQL(ctx context.Context, db *sql.DB) (time.Duration, error) {
	for _, text := range []string{"CREATE DATABASE b", lineitemSQL} {
		if _, err := db.ExecContext(ctx, text); err != nil {
			return 0, fmt.Errorf("%s: %w", text, err)
		}
	}
	file, err := os.Open(b.tsv)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	mysql.RegisterReaderHandler("lineitem", func() io.Reader { return file })
	defer mysql.DeregisterReaderHandler("lineitem")
	start := time.Now()
	if _, err := db.ExecContext(ctx, "LOAD DATA LOCAL INFILE 'Reader::lineitem' INTO TABLE b.lineitem"); err != nil {
		return 0, fmt.Errorf("LOAD DATA: %w", err)
	}
	took := time.Since(start)
	var rows int
	if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM b.lineitem").Scan(&rows); err != nil || rows != b.rows {
		return 0, fmt.Errorf("%d rows are there, not %d: %w", rows, b.rows, err)
	}
	return took, nil
}

// settle waits, for a minute at most, until the cluster has done in the background what a load leaves to do: it is not the queries'.
func settle(dir string) {
	const look = 500 * time.Millisecond
	for range int(time.Minute / look) {
		before := clusterCPU(dir)
		time.Sleep(look)
		if clusterCPU(dir)-before <= look/20 {
			return
		}
	}
}

// clusterCPU is the CPU time of the processes that were started with files in dir.
func clusterCPU(dir string) (sum time.Duration) {
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range procs {
		cmdline, err := os.ReadFile(filepath.Join(p, "cmdline"))
		if err != nil || !strings.Contains(string(cmdline), dir) {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(p, "stat"))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) < 13 {
			continue
		}
		for _, f := range fields[11:13] { // utime, stime, in hundredths of a second
			if n, err := strconv.ParseInt(f, 10, 64); err == nil {
				sum += time.Duration(n) * 10 * time.Millisecond
			}
		}
	}
	return sum
}
