package tpch

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// LoadOptions say how to load.
type LoadOptions struct {
	Database     string
	Writers      int // connections that insert at the same time, default 4
	StatementMax int // bytes of one INSERT, default 512 KiB
	Rows         int // of one INSERT at most, default 4000
}

func (o LoadOptions) withDefaults() LoadOptions {
	for _, field := range []struct {
		n        *int
		fallback int
	}{{&o.Writers, 4}, {&o.StatementMax, 512 << 10}, {&o.Rows, 4000}} {
		if *field.n == 0 {
			*field.n = field.fallback
		}
	}
	return o
}

// Load fills the tables, which exist and are empty, and returns the number of
// rows of each. It stops at the first statement that fails.
func (d Data) Load(ctx context.Context, db *sql.DB, opts LoadOptions) (map[string]int, error) {
	opts = opts.withDefaults()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	statements := make(chan string, opts.Writers)
	var writers sync.WaitGroup
	for range opts.Writers {
		writers.Go(func() {
			for statement := range statements {
				if ctx.Err() != nil {
					continue // the generator still sends: take it away
				}
				if _, err := db.ExecContext(ctx, statement); err != nil {
					cancel(fmt.Errorf("%.60s…: %w", statement, err))
				}
			}
		})
	}
	counts := map[string]int{}
	for _, table := range Tables {
		counts[table] = d.statements(ctx, table, opts, statements)
	}
	close(statements)
	writers.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, errors.Join(errors.New("load TPC-H"), err)
	}
	return counts, nil
}

// statements sends the INSERTs of one table and returns how many rows they hold.
func (d Data) statements(ctx context.Context, table string, opts LoadOptions, out chan<- string) (rows int) {
	head := "INSERT INTO " + opts.Database + "." + table + " VALUES "
	batch, inBatch := make([]byte, 0, opts.StatementMax+4096), 0
	flush := func() {
		if inBatch > 0 {
			out <- string(batch)
		}
		batch, inBatch = batch[:0], 0
	}
	for tuple := range d.Rows(table) {
		if ctx.Err() != nil {
			return rows
		}
		if inBatch == opts.Rows || len(batch)+len(tuple) >= opts.StatementMax {
			flush()
		}
		if inBatch == 0 {
			batch = append(batch, head...)
		} else {
			batch = append(batch, ',')
		}
		batch = append(batch, tuple...)
		rows, inBatch = rows+1, inBatch+1
	}
	flush()
	return rows
}

// Create makes a new database with the empty tables. With mysql, clauses that only Stele knows are left out.
func Create(ctx context.Context, conn *sql.Conn, database string, mysql bool) error {
	schema, err := Schema(mysql)
	if err != nil {
		return err
	}
	for _, statement := range slices.Concat([]string{"CREATE DATABASE " + database, "USE " + database}, schema) {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%.60s…: %w", statement, err)
		}
	}
	return nil
}
