//go:build bench

package storage

import (
	"context"
	"database/sql"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"stele/tests/cluster"
	"stele/tests/tpch"
)

//go:embed tpch.js
var tpchScript string

// tpchTook is what a query took, and how many rows it has.
type tpchTook struct {
	Wall, CPU float64
	Rows      int
}

// measureTPCH has a node and DuckDB, with all cores each, load the tables of TPC-H and run its queries.
func (b *benchmark) measureTPCH(t *testing.T) error {
	dir := b.path("tpch")
	if err := writeTPCH(dir); err != nil {
		return err
	}
	theirs, err := runTPCHDuck(t.Context(), dir)
	if err != nil {
		b.report.Missing("TPC-H by DuckDB", err)
	}
	c, err := cluster.Launch(cluster.Options{Nodes: 1, Dir: b.path("tpchcluster")})
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
	db.SetMaxOpenConns(1)
	if err := loadTPCH(t.Context(), db, dir); err != nil {
		return err
	}
	settle(c.Dir)
	product, queries := 1.0, 0
	for n := 1; n <= 22; n++ {
		text, err := tpch.Query(n)
		if err != nil {
			return err
		}
		wall, cpu, rows, err := runQuery(t.Context(), db, c.Dir, text, 5)
		if err != nil {
			return fmt.Errorf("Q%d: %w", n, err)
		}
		what, ours := fmt.Sprintf("TPC-H Q%d: time, CPU", n), ms(wall)+", "+ms(cpu)
		q, ok := theirs[n]
		if !ok {
			b.report.Fact(what, ours)
			continue
		}
		if rows != q.Rows {
			return fmt.Errorf("Q%d has %d rows, DuckDB's %d", n, rows, q.Rows)
		}
		b.report.Beside(what+", vs DuckDB", ours, fmt.Sprintf("%.1f ms, %.1f ms", q.Wall*1e3, q.CPU*1e3), cpu.Seconds()/q.CPU)
		product, queries = product*cpu.Seconds()/q.CPU, queries+1
	}
	if queries > 0 {
		b.report.Beside("TPC-H, CPU of the queries vs DuckDB, geometric mean", "", "", math.Pow(product, 1/float64(queries)))
	}
	return nil
}

// spread is what only Stele knows of a table.
var spread = regexp.MustCompile(`\s*DISTRIBUTED BY [^;]*|, PRIMARY KEY \([^)]*\)`)

// writeTPCH writes the tables as NAME.tsv, and schema and queries beside them for DuckDB, which gets no keys: they cost it time in loads and
// spare it none in these queries.
func writeTPCH(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	schema, err := tpch.Schema(true)
	if err != nil {
		return err
	}
	texts := map[string]string{"schema.sql": spread.ReplaceAllString(strings.Join(schema, ";\n"), "")}
	for n := 1; n <= 22; n++ {
		if texts[fmt.Sprintf("q%d.sql", n)], err = tpch.Query(n); err != nil {
			return err
		}
	}
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, table := range tpch.Tables {
		if _, _, err := writeTSV(filepath.Join(dir, table+".tsv"), *scale, table); err != nil {
			return err
		}
	}
	return nil
}

func runTPCHDuck(ctx context.Context, dir string) (map[int]tpchTook, error) {
	home, err := duckHome(ctx)
	if err != nil {
		return nil, err
	}
	script := filepath.Join(home, "tpch.js")
	if err := os.WriteFile(script, []byte(tpchScript), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "node", script, dir, filepath.Join(dir, "duck.db"), fmt.Sprint(runtime.NumCPU()))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run DuckDB: %w: %s", err, stderr.String())
	}
	out := map[int]tpchTook{}
	return out, json.Unmarshal(text, &out)
}

func loadTPCH(ctx context.Context, db *sql.DB, dir string) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := tpch.Create(ctx, conn, "tpch", false); err != nil {
		return err
	}
	for _, table := range tpch.Tables {
		f, err := os.Open(filepath.Join(dir, table+".tsv"))
		if err != nil {
			return err
		}
		mysql.RegisterReaderHandler(table, func() io.Reader { return f })
		_, err = conn.ExecContext(ctx, "LOAD DATA LOCAL INFILE 'Reader::"+table+"' INTO TABLE "+table)
		mysql.DeregisterReaderHandler(table)
		f.Close()
		if err != nil {
			return fmt.Errorf("load %s: %w", table, err)
		}
	}
	return nil
}

// runQuery runs a query several times and returns the least time, the CPU of one run, and its rows. As the kernel counts CPU in hundredths of a
// second, that is the mean of all runs.
func runQuery(ctx context.Context, db *sql.DB, dir, text string, runs int) (wall, cpu time.Duration, count int, err error) {
	before := time.Duration(0)
	for i := range runs + 1 { // the first one warms up
		if i == 1 {
			before = clusterCPU(dir)
		}
		start := time.Now()
		rows, err := db.QueryContext(ctx, text)
		if err != nil {
			return 0, 0, 0, err
		}
		for count = 0; rows.Next(); count++ {
		}
		if err := rows.Err(); err != nil {
			return 0, 0, 0, err
		}
		rows.Close()
		if w := time.Since(start); i == 0 || w < wall {
			wall = w
		}
	}
	return wall, (clusterCPU(dir) - before) / time.Duration(runs), count, nil
}
