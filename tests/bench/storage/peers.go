//go:build bench

package storage

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"stele/tests/bench"
)

//go:embed duck.js
var duckScript string

// took is a measurement of the script, in seconds.
type took struct{ Wall, CPU float64 }

// duck is what DuckDB needed.
type duck struct {
	Version                      string
	Load, Q1x1, Q1x2, Q6x1, Q6x2 took
	Sum                          took
	Bytes                        int64
	Q1, Q6                       string
}

// duckHome returns the folder in which DuckDB for Node is, which installs it if need be.
func duckHome(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	home := filepath.Join(cache, "stele-bench-duckdb")
	if err := os.MkdirAll(home, 0o755); err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(home, "node_modules", "@duckdb", "node-api")); err != nil {
		cmd := exec.CommandContext(ctx, "npm", "install", "--no-fund", "--no-audit", "--prefix", home, "@duckdb/node-api")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("install DuckDB by npm: %w: %s", err, out)
		}
	}
	return home, nil
}

// runDuck lets DuckDB load and query the file.
func runDuck(ctx context.Context, dir, tsv string) (*duck, error) {
	home, err := duckHome(ctx)
	if err != nil {
		return nil, err
	}
	script := filepath.Join(home, "duck.js")
	if err := os.WriteFile(script, []byte(duckScript), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "node", script, tsv, filepath.Join(dir, "duck.db"))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run DuckDB: %w: %s", err, stderr.String())
	}
	var d duck
	return &d, json.Unmarshal(text, &d)
}

// maria is what MariaDB needed.
type maria struct {
	Load, Q1, Q6 time.Duration
	Insert       map[int]float64 // durable single-row inserts a second, by clients
	Bytes        int64
}

func runMaria(ctx context.Context, tsv string, writers []int) (m *maria, err error) {
	peer, err := bench.StartPeer()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, peer.Close()) }()
	db := peer.Open("")
	defer db.Close()
	if err := os.Chmod(tsv, 0o644); err != nil {
		return nil, err
	}
	for _, sql := range []string{"CREATE DATABASE b", lineitemSQL + " CHARSET latin1"} {
		if _, err := db.ExecContext(ctx, sql); err != nil {
			return nil, err
		}
	}
	m = &maria{Insert: map[int]float64{}}
	run := func(to *time.Duration, sql string) error {
		start := time.Now()
		_, err := db.ExecContext(ctx, sql)
		*to = time.Since(start)
		return err
	}
	if err := run(&m.Load, "LOAD DATA INFILE '"+tsv+"' INTO TABLE b.lineitem"); err != nil {
		return nil, err
	}
	m.Bytes = diskBytes(filepath.Join(peer.Dir, "b"))
	for range 2 { // the second one is warm
		if err := errors.Join(run(&m.Q1, sqlQ1), run(&m.Q6, sqlQ6)); err != nil {
			return nil, err
		}
	}
	return m, m.inserts(ctx, peer, writers)
}

func (m *maria) inserts(ctx context.Context, peer *bench.Peer, writers []int) error {
	db := peer.Open("b")
	defer db.Close()
	if _, err := db.ExecContext(ctx, "CREATE TABLE kv (id BIGINT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(200))"); err != nil {
		return err
	}
	text := strings.Repeat("x", 100)
	for _, n := range writers {
		rate, _, err := writeLoop(n, insertSpan, func(int) error {
			_, err := db.ExecContext(ctx, "INSERT INTO kv (v) VALUES ('"+text+"')")
			return err
		})
		if err != nil {
			return err
		}
		m.Insert[n] = rate
	}
	return nil
}

// insertSpan is how long durable inserts are measured.
const insertSpan = 3 * time.Second

// writeLoop has n writers call f, each one after the other, and returns calls a second and all latencies.
func writeLoop(n int, span time.Duration, f func(writer int) error) (rate float64, took []time.Duration, err error) {
	type result struct {
		took []time.Duration
		err  error
	}
	results := make(chan result, n)
	start := time.Now()
	for w := range n {
		go func() {
			var r result
			for r.err == nil && time.Since(start) < span {
				began := time.Now()
				r.err = f(w)
				r.took = append(r.took, time.Since(began))
			}
			results <- r
		}()
	}
	for range n {
		r := <-results
		took, err = append(took, r.took...), errors.Join(err, r.err)
	}
	elapsed := time.Since(start)
	slices.Sort(took)
	return perSecond(len(took), elapsed), took, err
}
