package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// tsvRows is how many rows a LOAD DATA brings.
const tsvRows = 400_000

// tsvName is under which name the driver finds the lines.
const tsvName = "bench-tsv"

// tsvLines are rows as LOAD DATA reads them by default.
func tsvLines() []byte {
	var b bytes.Buffer
	for i := range tsvRows {
		fmt.Fprintf(&b, "%d\t%d\t%d.%02d\t2020-%02d-%02d\tthe text of row %d\n", i, i%1000, i%9999, i%100, i%12+1, i%28+1, i)
	}
	return b.Bytes()
}

// MeasureTSV loads the same lines by LOAD DATA LOCAL on every server in turn.
func MeasureTSV(ctx context.Context, t *Table, servers []*Server, rounds int) error {
	lines := tsvLines()
	mysql.RegisterReaderHandler(tsvName, func() io.Reader { return bytes.NewReader(lines) })
	defer mysql.DeregisterReaderHandler(tsvName)
	rates, cpus := map[string][]float64{}, map[string][]float64{}
	for range rounds {
		for _, s := range servers {
			before, err := s.cpuSeconds()
			if err != nil {
				return err
			}
			seconds, err := loadTSV(ctx, s)
			if err != nil {
				return fmt.Errorf("%s: load of lines: %w", s.Name, err)
			}
			if err := s.settled(ctx); err != nil {
				return err
			}
			after, err := s.cpuSeconds()
			if err != nil {
				return err
			}
			rates[s.Name] = append(rates[s.Name], tsvRows/seconds)
			cpus[s.Name] = append(cpus[s.Name], (after-before)*1e6/tsvRows)
		}
	}
	for _, s := range servers {
		t.Put("LOAD DATA LOCAL of tab-separated lines, 1 client", "rows/s", true, s.Name, median(rates[s.Name]))
		t.Put("LOAD DATA LOCAL, CPU of all nodes for a million rows", "s", false, s.Name, median(cpus[s.Name]))
	}
	return nil
}

// settled waits for what a server does behind its answers: it is part of what a load costs, and must not weigh on who is measured next.
func (s *Server) settled(ctx context.Context) error {
	if s.Settle == nil {
		return nil
	}
	return s.Settle(ctx)
}

// cpuSeconds returns the CPU time, user and system, that the processes of a server have taken since they started: where
// others are busy on the machine it says more than the clock.
func (s *Server) cpuSeconds() (float64, error) {
	pids, err := s.Pids()
	if err != nil {
		return 0, err
	}
	ticks := 0
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, fmt.Errorf("CPU of %s: %w", s.Name, err)
		}
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		for _, at := range []int{11, 12} { // utime, stime
			n, err := strconv.Atoi(fields[at])
			if err != nil {
				return 0, fmt.Errorf("CPU of %s: %w", s.Name, err)
			}
			ticks += n
		}
	}
	return float64(ticks) / 100, nil // USER_HZ
}

func loadTSV(ctx context.Context, s *Server) (seconds float64, err error) {
	db := s.Open("")
	defer db.Close()
	for _, text := range []string{"CREATE DATABASE IF NOT EXISTS tsv", "DROP TABLE IF EXISTS tsv.tsv",
		"CREATE TABLE tsv.tsv (a BIGINT NOT NULL, b INT NOT NULL, c DECIMAL(12,2), d DATE, e VARCHAR(50), PRIMARY KEY (a))"} {
		if _, err := db.ExecContext(ctx, text); err != nil {
			return 0, fmt.Errorf("%s: %w", text, err)
		}
	}
	began := time.Now()
	if _, err := db.ExecContext(ctx, "LOAD DATA LOCAL INFILE 'Reader::"+tsvName+"' INTO TABLE tsv.tsv"); err != nil {
		return 0, err
	}
	seconds = time.Since(began).Seconds()
	var rows, sum int64
	if err := db.QueryRowContext(ctx, "SELECT COUNT(*), SUM(b) FROM tsv.tsv").Scan(&rows, &sum); err != nil {
		return 0, err
	}
	if want := int64(tsvRows / 1000 * 999 * 500); rows != tsvRows || sum != want {
		return 0, fmt.Errorf("%d rows with sum %d, not %d with %d", rows, sum, tsvRows, want)
	}
	return seconds, nil
}

// MeasureReplicated measures what is written to three copies: durable inserts, loads, and how long a copy that has lost
// everything takes to be back. The first of stele has its BEs apart.
func MeasureReplicated(tb testing.TB, t *Table, galera *Galera, stele []*Server, rounds int, span time.Duration) {
	ctx, servers := tb.Context(), besides(galera, stele)
	for _, s := range servers {
		setup := s.Open("")
		defer setup.Close()
		for _, text := range []string{"CREATE DATABASE rep", "CREATE TABLE rep.ins (id BIGINT NOT NULL, v VARCHAR(120) NOT NULL, PRIMARY KEY (id))"} {
			if _, err := setup.ExecContext(ctx, text); err != nil {
				tb.Fatalf("%s: %s: %v", s.Name, text, err)
			}
		}
	}
	var next atomic.Int64
	insert := execute(func() string {
		key := next.Add(1)
		return fmt.Sprintf("INSERT INTO ins VALUES (%d,'%s')", key, kvValue(key))
	})
	for _, clients := range []int{1, 16, 64} {
		rates := map[string][]float64{}
		for range rounds {
			for _, s := range servers {
				pace, err := Run(ctx, s, "rep", clients, span, insert)
				if err != nil {
					tb.Fatalf("%s: insert by %d clients: %v", s.Name, clients, err)
				}
				checked(tb, s.settled(ctx))
				rates[s.Name] = append(rates[s.Name], pace.PerSecond)
			}
		}
		for _, s := range servers {
			t.Put("durable INSERT of one row into three copies, "+clientsOf(clients), "1/s", true, s.Name, median(rates[s.Name]))
		}
	}
	checked(tb, MeasureTSV(ctx, t, servers, rounds))
	measureWiped(tb, t, galera, stele[0])
}

// besides puts Galera before Stele, if it is there.
func besides(galera *Galera, stele []*Server) []*Server {
	if galera == nil {
		return stele
	}
	return append([]*Server{&galera.Server}, stele...)
}

// measureWiped wipes one copy of the same rows on both.
func measureWiped(tb testing.TB, t *Table, galera *Galera, three *Server) {
	tb.Helper()
	const name = "copy of all rows back on a wiped node, from process start"
	if galera != nil {
		took, err := galera.Wipe(tb.Context())
		checked(tb, err)
		t.Put(name, "s", false, galera.Name, took.Seconds())
	}
	const node = "be3"
	checked(tb, three.Cluster.Kill(node))
	checked(tb, three.Cluster.Wipe(node))
	began := time.Now()
	checked(tb, three.Cluster.StartNode(node))
	three.Cluster.WaitAlive(tb, node, true, healTimeout)
	three.Cluster.Wait(tb, "all replicas the same", healTimeout, func() (bool, string) {
		return sameIn(tb.Context(), three, []string{"rep.ins", "tsv.tsv"})
	})
	t.Put(name, "s", false, three.Name, time.Since(began).Seconds())
}

func checked(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
