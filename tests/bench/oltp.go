package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"
)

// The transactions are those of sysbench (oltp_read_only, oltp_write_only, oltp_read_write of version 1.0): prepared statements on one table.
const (
	oltpRows   = 50_000
	oltpRange  = 100
	oltpPoints = 10
	oltpSchema = "CREATE TABLE kv.sb (id INT NOT NULL AUTO_INCREMENT, k INT NOT NULL DEFAULT 0, c CHAR(120) NOT NULL DEFAULT '', " +
		"pad CHAR(60) NOT NULL DEFAULT '', PRIMARY KEY (id), KEY k (k))"
)

// MakeOLTP makes database kv anew, with a filled table sb.
func MakeOLTP(ctx context.Context, s *Server) error {
	setup := s.Open("")
	defer setup.Close()
	for _, text := range []string{"DROP DATABASE IF EXISTS kv", "CREATE DATABASE kv", oltpSchema} {
		if _, err := setup.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("%s: %s: %w", s.Name, text, err)
		}
	}
	const batch = 2000
	for first := 0; first < oltpRows; first += batch {
		var b strings.Builder
		b.WriteString("INSERT INTO kv.sb (k, c, pad) VALUES ")
		for i := range batch {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "(%d,'%s','%s')", oltpKey(), digits(10), digits(5))
		}
		if _, err := setup.ExecContext(ctx, b.String()); err != nil {
			return fmt.Errorf("%s: fill sb: %w", s.Name, err)
		}
	}
	return nil
}

// oltpKey is one of the keys, those in the middle more often, as by sysbench's default.
func oltpKey() int {
	sum := 0
	const dice = 12
	for range dice {
		sum += rand.IntN(oltpRows)
	}
	return 1 + sum/dice
}

// digits are groups of eleven digits with a minus sign between them.
func digits(groups int) string {
	parts := make([]string, groups)
	for i := range parts {
		parts[i] = fmt.Sprintf("%011d", rand.Int64N(1e11))
	}
	return strings.Join(parts, "-")
}

// oltp makes a client whose steps are transactions of reads, writes or both.
func oltp(reads, writes bool) Client {
	return func(ctx context.Context, conn *sql.Conn, _ int) (func(context.Context) error, error) {
		c := &oltpClient{conn: conn}
		for stmt, text := range map[**sql.Stmt]string{
			&c.point: "SELECT c FROM sb WHERE id = ?", &c.simple: "SELECT c FROM sb WHERE id BETWEEN ? AND ?",
			&c.sum: "SELECT SUM(k) FROM sb WHERE id BETWEEN ? AND ?", &c.order: "SELECT c FROM sb WHERE id BETWEEN ? AND ? ORDER BY c",
			&c.distinct: "SELECT DISTINCT c FROM sb WHERE id BETWEEN ? AND ? ORDER BY c", &c.updateKey: "UPDATE sb SET k = k + 1 WHERE id = ?",
			&c.update: "UPDATE sb SET c = ? WHERE id = ?", &c.remove: "DELETE FROM sb WHERE id = ?",
			&c.insert: "INSERT INTO sb (id, k, c, pad) VALUES (?, ?, ?, ?)",
		} {
			var err error
			if *stmt, err = conn.PrepareContext(ctx, text); err != nil {
				return nil, fmt.Errorf("%s: %w", text, err)
			}
		}
		return func(ctx context.Context) error { return c.transaction(ctx, reads, writes) }, nil
	}
}

type oltpClient struct {
	conn *sql.Conn

	point, simple, sum, order, distinct, updateKey, update, remove, insert *sql.Stmt
}

func (c *oltpClient) transaction(ctx context.Context, reads, writes bool) error {
	if _, err := c.conn.ExecContext(ctx, "BEGIN"); err != nil {
		return err
	}
	var err error
	if reads {
		err = c.read(ctx)
	}
	if err == nil && writes {
		err = c.write(ctx)
	}
	if err != nil {
		_, rerr := c.conn.ExecContext(ctx, "ROLLBACK")
		return errors.Join(err, rerr)
	}
	_, err = c.conn.ExecContext(ctx, "COMMIT")
	return err
}

func (c *oltpClient) read(ctx context.Context) error {
	for range oltpPoints {
		if err := drain(ctx, c.point, oltpKey()); err != nil {
			return err
		}
	}
	for _, stmt := range []*sql.Stmt{c.simple, c.sum, c.order, c.distinct} {
		from := oltpKey()
		if err := drain(ctx, stmt, from, from+oltpRange-1); err != nil {
			return err
		}
	}
	return nil
}

func (c *oltpClient) write(ctx context.Context) error {
	if _, err := c.updateKey.ExecContext(ctx, oltpKey()); err != nil {
		return err
	}
	if _, err := c.update.ExecContext(ctx, digits(10), oltpKey()); err != nil {
		return err
	}
	id := oltpKey()
	if _, err := c.remove.ExecContext(ctx, id); err != nil {
		return err
	}
	_, err := c.insert.ExecContext(ctx, id, oltpKey(), digits(10), digits(5))
	return err
}

// drain reads an answer, which has at least one row.
func drain(ctx context.Context, stmt *sql.Stmt, args ...any) error {
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var v sql.RawBytes
	n := 0
	for ; rows.Next(); n++ {
		if err := rows.Scan(&v); err != nil {
			return err
		}
	}
	if n == 0 && rows.Err() == nil {
		return io.ErrUnexpectedEOF
	}
	return rows.Err()
}

// MeasureOLTP runs transactions of several statements on every server in turn.
func MeasureOLTP(ctx context.Context, t *Table, servers []*Server, rounds int, span time.Duration, around func(*Server, string) func()) error {
	return measure(ctx, t, servers, MakeOLTP, []pointTest{
		{"transactions that read (14 statements)", 16, oltp(true, false)},
		{"transactions that write (4 statements)", 16, oltp(false, true)},
		{"transactions that do both (18 statements)", 16, oltp(true, true)},
	}, rounds, span, around)
}
