package bench

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Pace is what many clients got done.
type Pace struct {
	PerSecond float64
	P99       time.Duration
	Failed    int // statements that were refused, conflicts of clients with one another
}

// Client makes the work of one client: a function that runs one statement.
type Client func(ctx context.Context, conn *sql.Conn, client int) (func(ctx context.Context) error, error)

// Run has clients run statements one after the other, each on a connection of its own, for a time.
func Run(ctx context.Context, db *sql.DB, clients int, span time.Duration, work Client) (Pace, error) {
	steps := make([]func(context.Context) error, clients)
	for i := range steps {
		conn, err := db.Conn(ctx)
		if err != nil {
			return Pace{}, fmt.Errorf("connect client %d: %w", i, err)
		}
		defer conn.Close()
		if steps[i], err = work(ctx, conn, i); err != nil {
			return Pace{}, fmt.Errorf("prepare client %d: %w", i, err)
		}
	}
	var group sync.WaitGroup
	var failed atomic.Int64
	var lastErr atomic.Value
	took := make([][]time.Duration, clients)
	start := time.Now()
	for i, step := range steps {
		group.Go(func() {
			for time.Since(start) < span && ctx.Err() == nil {
				began := time.Now()
				if err := step(ctx); err != nil {
					failed.Add(1)
					lastErr.Store(err)
					continue
				}
				took[i] = append(took[i], time.Since(began))
			}
		})
	}
	group.Wait()
	elapsed := time.Since(start)
	all := slices.Concat(took...)
	if n := int(failed.Load()); len(all) == 0 || n*50 > len(all) {
		return Pace{}, fmt.Errorf("%d statements succeeded, %d failed: %v", len(all), n, lastErr.Load())
	}
	slices.Sort(all)
	return Pace{float64(len(all)) / elapsed.Seconds(), all[len(all)*99/100], int(failed.Load())}, nil
}

// execute makes a client whose statements are texts.
func execute(text func(client int) string) Client {
	return func(_ context.Context, conn *sql.Conn, client int) (func(context.Context) error, error) {
		return func(ctx context.Context) error {
			_, err := conn.ExecContext(ctx, text(client))
			return err
		}, nil
	}
}

// read makes a client that reads one row a statement and fails without one.
func read(key func() int64) Client {
	return func(_ context.Context, conn *sql.Conn, _ int) (func(context.Context) error, error) {
		var v string
		return func(ctx context.Context) error {
			return conn.QueryRowContext(ctx, fmt.Sprintf("SELECT v FROM kv WHERE id = %d", key())).Scan(&v)
		}, nil
	}
}

// readPrepared is read by a prepared statement.
func readPrepared(key func() int64) Client {
	return func(ctx context.Context, conn *sql.Conn, _ int) (func(context.Context) error, error) {
		stmt, err := conn.PrepareContext(ctx, "SELECT v FROM kv WHERE id = ?")
		var v string
		return func(ctx context.Context) error { return stmt.QueryRowContext(ctx, key()).Scan(&v) }, err
	}
}
