//go:build clients

package compare

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

const statementTimeout = 20 * time.Second

// answer is all that a client hears of a statement.
type answer struct {
	types    []string
	rows     [][]string
	affected int64
	insertID int64
	err      uint16
	message  string
	warnings []string
}

// side is one session, made anew when it has ended.
type side struct {
	db    *sql.DB
	conn  *sql.Conn
	setup []string
}

func (s *side) session(ctx context.Context) (*sql.Conn, error) {
	if s.conn != nil {
		return s.conn, nil
	}
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	for _, stmt := range s.setup {
		if _, err := conn.ExecContext(ctx, stmt); err != nil {
			return nil, fmt.Errorf("%s: %w", stmt, errors.Join(err, conn.Close()))
		}
	}
	s.conn = conn
	return conn, nil
}

func (s *side) drop() {
	if s.conn != nil {
		_ = s.conn.Close() // it may have ended already
	}
	s.conn = nil
}

// ask runs a statement.
func (s *side) ask(t *testing.T, text string) answer {
	ctx, cancel := context.WithTimeout(t.Context(), statementTimeout)
	defer cancel()
	conn, err := s.session(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var a answer
	if verb := strings.ToUpper(text); strings.HasPrefix(verb, "SELECT") || strings.HasPrefix(verb, "WITH") || strings.HasPrefix(verb, "SHOW") {
		err = a.read(ctx, conn, text)
	} else {
		err = a.change(ctx, conn, text)
	}
	if err != nil {
		a.rows = nil
		var known *mysql.MySQLError
		if !errors.As(err, &known) {
			s.drop()
			a.err, a.message = 1, err.Error()
			return a
		}
		a.err, a.message = known.Number, known.Message
	}
	if *warned {
		a.heed(ctx, conn)
	}
	return a
}

func (a *answer) read(ctx context.Context, conn *sql.Conn, text string) error {
	rows, err := conn.QueryContext(ctx, text)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.ColumnTypes()
	if err != nil {
		return err
	}
	for _, c := range columns {
		kind := c.DatabaseTypeName()
		if precision, scale, ok := c.DecimalSize(); ok {
			kind += fmt.Sprintf("(%d,%d)", precision, scale)
		}
		a.types = append(a.types, kind)
	}
	raw := make([]sql.RawBytes, len(columns))
	into := make([]any, len(columns))
	for i := range raw {
		into[i] = &raw[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		row := make([]string, len(raw))
		for i, v := range raw {
			row[i] = "NULL"
			if v != nil {
				row[i] = "=" + string(v)
			}
		}
		a.rows = append(a.rows, row)
	}
	return rows.Err()
}

func (a *answer) change(ctx context.Context, conn *sql.Conn, text string) error {
	result, err := conn.ExecContext(ctx, text)
	if err != nil {
		return err
	}
	a.affected, _ = result.RowsAffected() // the driver always knows both
	a.insertID, _ = result.LastInsertId()
	return nil
}

func (a *answer) heed(ctx context.Context, conn *sql.Conn) {
	rows, err := conn.QueryContext(ctx, "SHOW WARNINGS")
	if err != nil {
		return
	}
	defer rows.Close()
	for rows.Next() {
		var level, code, message string
		if rows.Scan(&level, &code, &message) == nil {
			a.warnings = append(a.warnings, code)
		}
	}
}

// sorted puts rows in an order that small differences of floating numbers do not change.
func sorted(rows [][]string) [][]string {
	out := slices.Clone(rows)
	slices.SortFunc(out, func(a, b []string) int {
		return slices.CompareFunc(a, b, func(a, b string) int { return strings.Compare(coarse(a), coarse(b)) })
	})
	return out
}

func coarse(v string) string {
	x, err := strconv.ParseFloat(strings.TrimPrefix(v, "="), 64)
	switch {
	case err != nil || !strings.ContainsAny(v, ".e"):
		return v
	case math.Abs(x) < 1e-9:
		return "=0"
	}
	return "=" + strconv.FormatFloat(x, 'g', 6, 64)
}

// differ is the first row in which the answers differ, -1 = none.
func differ(a, b [][]string) int {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || !slices.EqualFunc(a[i], b[i], same) {
			return i
		}
	}
	return -1
}

// same compares as text, and what looks like a floating number up to the last digits.
func same(a, b string) bool {
	if a == b {
		return true
	}
	x, errX := strconv.ParseFloat(strings.TrimPrefix(a, "="), 64)
	y, errY := strconv.ParseFloat(strings.TrimPrefix(b, "="), 64)
	if errX != nil || errY != nil || !strings.ContainsAny(a+b, ".e") {
		return false
	}
	return math.Abs(x-y) <= 1e-9*max(math.Abs(x), math.Abs(y), 1e-300)
}

func at(rows [][]string, i int) string {
	if i < 0 || i >= len(rows) {
		return "(no row)"
	}
	return strings.Join(rows[i], " | ")
}
