package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
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
	return func(conn *client.Conn, _ int) (func() error, error) {
		c := &oltpClient{conn: conn}
		for stmt, text := range map[**client.Stmt]string{
			&c.point: "SELECT c FROM sb WHERE id = ?", &c.simple: "SELECT c FROM sb WHERE id BETWEEN ? AND ?",
			&c.sum: "SELECT SUM(k) FROM sb WHERE id BETWEEN ? AND ?", &c.order: "SELECT c FROM sb WHERE id BETWEEN ? AND ? ORDER BY c",
			&c.distinct: "SELECT DISTINCT c FROM sb WHERE id BETWEEN ? AND ? ORDER BY c", &c.updateKey: "UPDATE sb SET k = k + 1 WHERE id = ?",
			&c.update: "UPDATE sb SET c = ? WHERE id = ?", &c.remove: "DELETE FROM sb WHERE id = ?",
			&c.insert: "INSERT INTO sb (id, k, c, pad) VALUES (?, ?, ?, ?)",
		} {
			var err error
			if *stmt, err = conn.Prepare(text); err != nil {
				return nil, fmt.Errorf("%s: %w", text, err)
			}
		}
		return func() error { return c.transaction(reads, writes) }, nil
	}
}

type oltpClient struct {
	conn *client.Conn

	point, simple, sum, order, distinct, updateKey, update, remove, insert *client.Stmt
}

func (c *oltpClient) transaction(reads, writes bool) error {
	if err := done(c.conn.Execute("BEGIN")); err != nil {
		return err
	}
	var err error
	if reads {
		err = c.read()
	}
	if err == nil && writes {
		err = c.write()
	}
	if err != nil {
		return errors.Join(err, done(c.conn.Execute("ROLLBACK")))
	}
	return done(c.conn.Execute("COMMIT"))
}

func (c *oltpClient) read() error {
	for range oltpPoints {
		if err := answered(c.point.Execute(oltpKey())); err != nil {
			return err
		}
	}
	for _, stmt := range []*client.Stmt{c.simple, c.sum, c.order, c.distinct} {
		from := oltpKey()
		if err := answered(stmt.Execute(from, from+oltpRange-1)); err != nil {
			return err
		}
	}
	return nil
}

func (c *oltpClient) write() error {
	if err := done(c.updateKey.Execute(oltpKey())); err != nil {
		return err
	}
	if err := done(c.update.Execute(digits(10), oltpKey())); err != nil {
		return err
	}
	id := oltpKey()
	if err := done(c.remove.Execute(id)); err != nil {
		return err
	}
	return done(c.insert.Execute(id, oltpKey(), digits(10), digits(5)))
}

// MeasureOLTP runs transactions of several statements on every server in turn.
func MeasureOLTP(ctx context.Context, t *Table, servers []*Server, rounds int, span time.Duration, around func(*Server, string) func()) error {
	return measure(ctx, t, servers, MakeOLTP, []pointTest{
		{"transactions that read (14 statements)", 16, oltp(true, false)},
		{"transactions that write (4 statements)", 16, oltp(false, true)},
		{"transactions that do both (18 statements)", 16, oltp(true, true)},
	}, rounds, span, around)
}
