package bench

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"time"

	"stele/tests/cluster"
	"stele/tests/tpch"
)

// The shape of the load.
const (
	loadClients  = 4
	loadRows     = 4000
	loadBytes    = 512 << 10
	queryTimeout = 20 * time.Second
)

// inserts returns multi-row INSERTs that fill a table.
func inserts(d tpch.Data, table string) (texts []string, rows int) {
	var b strings.Builder
	inText := 0
	flush := func() {
		if inText > 0 {
			texts = append(texts, b.String())
		}
		b.Reset()
		inText = 0
	}
	for tuple := range d.Rows(table) {
		if inText == loadRows || b.Len()+len(tuple) > loadBytes {
			flush()
		}
		if inText == 0 {
			b.WriteString("INSERT INTO " + table + " VALUES ")
		} else {
			b.WriteByte(',')
		}
		b.Write(tuple)
		inText, rows = inText+1, rows+1
	}
	flush()
	return texts, rows
}

// load runs statements by several clients and returns how long that took.
func load(ctx context.Context, db *sql.DB, texts []string) (time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan string)
	var group sync.WaitGroup
	start := time.Now()
	for range loadClients {
		group.Go(func() {
			for text := range work {
				if ctx.Err() != nil {
					continue
				}
				if _, err := db.ExecContext(ctx, text); err != nil {
					cancel(fmt.Errorf("%.60s…: %w", text, err))
				}
			}
		})
	}
	for _, text := range texts {
		work <- text
	}
	close(work)
	group.Wait()
	return time.Since(start), context.Cause(ctx)
}

// MeasureLoad makes database tpch with all tables on every server. lineitem is loaded once a round, each time into an
// empty table; the last one stays.
func MeasureLoad(ctx context.Context, t *Table, servers []*Server, d tpch.Data, rounds int, around func(*Server, string) func()) error {
	lineitem, rows := inserts(d, "lineitem")
	for _, s := range servers {
		if err := makeTPCH(ctx, s, d); err != nil {
			return err
		}
	}
	const name = "load of lineitem by multi-row INSERT, 4 clients"
	rates, cpus := map[string][]float64{}, map[string][]float64{}
	for round := range rounds {
		for _, s := range servers {
			before, err := s.cpuSeconds()
			if err != nil {
				return err
			}
			done := around(s, name)
			took, err := loadLineitem(ctx, s, lineitem, round)
			done()
			if err != nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
			after, err := s.cpuSeconds()
			if err != nil {
				return err
			}
			cpus[s.Name] = append(cpus[s.Name], (after-before)*1e6/float64(rows))
			rates[s.Name] = append(rates[s.Name], float64(rows)/took.Seconds())
		}
	}
	for _, s := range servers {
		if err := checkLoad(ctx, s, d, rows); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	for _, s := range servers {
		t.Put(name, "rows/s", true, s.Name, median(rates[s.Name]))
		t.Put(name+", CPU of all nodes for a million rows", "s", false, s.Name, median(cpus[s.Name]))
	}
	return nil
}

// checkLoad compares what a server has and answers with what was generated, so that no figure stands for other work.
func checkLoad(ctx context.Context, s *Server, d tpch.Data, rows int) error {
	db := s.Open("tpch")
	defer db.Close()
	var n int
	if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM lineitem").Scan(&n); err != nil || n != rows {
		return fmt.Errorf("lineitem has %d rows, %d were loaded (%w)", n, rows, err)
	}
	text, err := tpch.Query(6)
	if err != nil {
		return err
	}
	var sum string
	if err := db.QueryRowContext(ctx, text).Scan(&sum); err != nil || sum != d.Q6() {
		return fmt.Errorf("query 6 says %s, the rows say %s (%w)", sum, d.Q6(), err)
	}
	return nil
}

func makeTPCH(ctx context.Context, s *Server, d tpch.Data) error {
	db := s.Open("")
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	defer conn.Close()
	if err := tpch.Create(ctx, conn, "tpch", s.MySQL); err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	pool := s.Open("tpch")
	defer pool.Close()
	for _, table := range tpch.Tables {
		if table == "lineitem" {
			continue
		}
		texts, _ := inserts(d, table)
		if _, err := load(ctx, pool, texts); err != nil {
			return fmt.Errorf("%s: load %s: %w", s.Name, table, err)
		}
	}
	return nil
}

func loadLineitem(ctx context.Context, s *Server, texts []string, round int) (time.Duration, error) {
	db := s.Open("tpch")
	defer db.Close()
	if round > 0 {
		if _, err := db.ExecContext(ctx, "DROP TABLE lineitem"); err != nil {
			return 0, fmt.Errorf("drop lineitem: %w", err)
		}
		schema, err := tpch.Schema(s.MySQL)
		if err != nil {
			return 0, err
		}
		for _, text := range schema {
			if strings.HasPrefix(text, "CREATE TABLE lineitem") {
				if _, err := db.ExecContext(ctx, text); err != nil {
					return 0, fmt.Errorf("make lineitem: %w", err)
				}
			}
		}
	}
	return load(ctx, db, texts)
}

// MeasureQueries runs the 22 queries on every server in turn. A query that a server does not answer within queryTimeout
// counts with that time and is not asked again. It returns the seconds of each query by server for a second table.
func MeasureQueries(ctx context.Context, t *Table, servers []*Server, rounds int, around func(*Server, string) func()) (*Table, error) {
	each := &Table{Servers: t.Servers}
	total := map[string]float64{}
	for n := 1; n <= tpch.Queries; n++ {
		text, err := tpch.Query(n)
		if err != nil {
			return nil, err
		}
		for _, s := range servers {
			seconds, err := queryTime(ctx, s, text, rounds, around, fmt.Sprintf("Q%d", n))
			if err != nil {
				return nil, fmt.Errorf("%s: query %d: %w", s.Name, n, err)
			}
			each.Put(fmt.Sprintf("Q%d", n), "s", false, s.Name, seconds)
			total[s.Name] += seconds
			if n == 1 || n == 6 {
				t.Put(fmt.Sprintf("TPC-H Q%d", n), "s", false, s.Name, seconds)
			}
		}
	}
	for _, s := range servers {
		t.Put("TPC-H, all 22 queries", "s", false, s.Name, total[s.Name])
	}
	return each, nil
}

func queryTime(ctx context.Context, s *Server, text string, rounds int, around func(*Server, string) func(), name string) (float64, error) {
	db := s.Open("tpch")
	defer db.Close()
	defer around(s, name)()
	var took []float64
	for range rounds {
		limited, cancel := context.WithTimeout(ctx, queryTimeout)
		began := time.Now()
		_, err := cluster.ReadTable(limited, db, text)
		late := limited.Err() != nil && ctx.Err() == nil
		cancel()
		if late {
			return queryTimeout.Seconds(), stopQueries(ctx, s)
		}
		if err != nil {
			return 0, err
		}
		took = append(took, time.Since(began).Seconds())
	}
	return median(took), nil
}

// stopQueries ends what the server still works on after its client has gone.
func stopQueries(ctx context.Context, s *Server) error {
	db := s.Open("")
	defer db.Close()
	list, err := cluster.ReadTable(ctx, db, "SHOW PROCESSLIST")
	if err != nil {
		return fmt.Errorf("list queries: %w", err)
	}
	for i, info := range list.Column("Info") {
		if strings.Contains(info, "select") && list.Column("Command")[i] == "Query" {
			_, _ = db.ExecContext(ctx, "KILL "+list.Column("Id")[i]) // fails when it has just ended
		}
	}
	return nil
}
