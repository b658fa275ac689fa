package bench

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
)

// Pace is what many clients got done.
type Pace struct {
	PerSecond float64
	Done      int // statements
	P99       time.Duration
	Failed    int // statements that were refused, conflicts of clients with one another
}

// Client makes the work of one client: a function that runs one statement.
//
// Clients use go-mysql and not database/sql, which has a pool, a goroutine that watches each context and copies of all values: what a client
// costs comes off the same cores as the server, so the more it costs, the more alike do two servers look.
type Client func(conn *client.Conn, nth int) (func() error, error)

// patience is how long a client waits for an answer before the run fails.
const patience = time.Minute

// Run has clients run statements one after the other, each on a connection of its own, for a time.
func Run(ctx context.Context, s *Server, database string, clients int, span time.Duration, work Client) (Pace, error) {
	steps := make([]func() error, clients)
	for i := range steps {
		conn, err := client.Connect(s.Addr(), "root", "", database)
		if err != nil {
			return Pace{}, fmt.Errorf("connect client %d: %w", i, err)
		}
		defer conn.Quit()
		conn.ReadTimeout = patience
		if steps[i], err = work(conn, i); err != nil {
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
				if err := step(); err != nil {
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
	return Pace{float64(len(all)) / elapsed.Seconds(), len(all), all[len(all)*99/100], int(failed.Load())}, nil
}

// execute makes a client whose statements are texts.
func execute(text func() string) Client {
	return func(conn *client.Conn, _ int) (func() error, error) {
		return func() error { return done(conn.Execute(text())) }, nil
	}
}

// read makes a client that reads one row a statement and fails without one.
func read(key func() int64) Client {
	return func(conn *client.Conn, _ int) (func() error, error) {
		return func() error { return answered(conn.Execute(fmt.Sprintf("SELECT v FROM kv WHERE id = %d", key()))) }, nil
	}
}

// readPrepared is read by a prepared statement.
func readPrepared(key func() int64) Client {
	return func(conn *client.Conn, _ int) (func() error, error) {
		stmt, err := conn.Prepare("SELECT v FROM kv WHERE id = ?")
		return func() error { return answered(stmt.Execute(key())) }, err
	}
}

// done gives an answer's memory back.
func done(r *mysql.Result, err error) error {
	if err == nil {
		r.Close()
	}
	return err
}

// answered is done for an answer that must have rows.
func answered(r *mysql.Result, err error) error {
	if err != nil {
		return err
	}
	defer r.Close()
	if r.Resultset == nil || r.RowNumber() == 0 {
		return fmt.Errorf("no row: %w", io.ErrUnexpectedEOF)
	}
	return nil
}
