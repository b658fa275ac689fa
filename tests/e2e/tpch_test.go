package e2e

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"testing"
	"time"

	"stele/tests/cluster"
	"stele/tests/tpch"
)

// TestTPCH loads the TPC-H tables at a tenth of their full scale and runs the 22 queries. Counts and the sums of queries
// 1 and 6 are known exactly from the generator; the other answers are compared at a smaller scale, by tests/tpch.
func TestTPCH(t *testing.T) {
	skipShort(t, "loads 870,000 rows")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c := cluster.Start(t, cluster.Options{})
	conn, err := c.DB().Conn(ctx)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	must(t, tpch.Create(ctx, conn, "tpch", false))
	data := tpch.Data{Scale: 0.1}
	started := time.Now()
	counts, err := data.Load(ctx, c.DB(), tpch.LoadOptions{Database: "tpch"})
	must(t, err)
	t.Logf("loaded in %v", time.Since(started).Round(time.Millisecond))
	for table, want := range counts {
		var got int
		if err := conn.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+table).Scan(&got); err != nil || got != want {
			t.Errorf("%s has %d rows, %d were loaded (%v)", table, got, want, err)
		}
		if n := c.CheckReplicas(t, "tpch."+table, 3); n != int64(want) {
			t.Errorf("the replicas of %s hold %d rows, %d were loaded", table, n, want)
		}
	}
	for n := 1; n <= tpch.Queries; n++ {
		started := time.Now()
		rows := tpchAnswer(ctx, t, conn, n)
		t.Logf("q%d: %v, %d rows", n, time.Since(started).Round(time.Millisecond), len(rows))
		checkExact(t, data, n, rows)
	}
}

func tpchAnswer(ctx context.Context, t *testing.T, conn *sql.Conn, n int) [][]string {
	t.Helper()
	query, err := tpch.Query(n)
	must(t, err)
	answer, err := cluster.ReadTable(ctx, conn, query)
	if err != nil {
		t.Errorf("query %d: %v", n, err)
	} else if len(answer.Rows) == 0 {
		t.Errorf("query %d finds nothing", n)
	}
	return answer.Rows
}

func checkExact(t *testing.T, data tpch.Data, n int, rows [][]string) {
	t.Helper()
	var got, want []string
	switch n {
	case 1:
		for _, row := range rows {
			got = append(got, strings.Join(slices.Concat(row[:6], row[9:]), " "))
		}
		for _, g := range data.Q1() {
			want = append(want, g.String())
		}
	case 6:
		for _, row := range rows {
			got = append(got, row...)
		}
		want = []string{data.Q6()}
	}
	if !slices.Equal(got, want) {
		t.Errorf("query %d: got %q, want %q", n, got, want)
	}
}
