// Package answers asks a server by a session that is made anew when it has ended, and says where the rows of two servers differ.
//
// Rows are text as the servers write it. What looks like a floating number is the same up to its last digits, since servers add in orders
// of their own. It never judges whether a difference is an error.
package answers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Session is one session of a server.
type Session struct {
	DB    *sql.DB
	Setup []string // statements with which it begins
	conn  *sql.Conn
}

// Conn returns the connection of the session, a new one if it has ended.
func (s *Session) Conn(ctx context.Context) (*sql.Conn, error) {
	if s.conn != nil {
		return s.conn, nil
	}
	conn, err := s.DB.Conn(ctx)
	if err != nil {
		return nil, err
	}
	for _, stmt := range s.Setup {
		if _, err := conn.ExecContext(ctx, stmt); err != nil {
			return nil, fmt.Errorf("%s: %w", stmt, errors.Join(err, conn.Close()))
		}
	}
	s.conn = conn
	return conn, nil
}

// End ends the session: the next statement begins another.
func (s *Session) End() {
	if s.conn != nil {
		_ = s.conn.Close() // it may have ended already
	}
	s.conn = nil
}

// Read returns the rows of a query, each value as the server writes it behind a "=", or NULL, and what the columns are.
func Read(ctx context.Context, conn *sql.Conn, query string) (out [][]string, columns []*sql.ColumnType, err error) {
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	if columns, err = rows.ColumnTypes(); err != nil {
		return nil, nil, err
	}
	raw := make([]sql.RawBytes, len(columns))
	into := make([]any, len(columns))
	for i := range raw {
		into[i] = &raw[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, nil, err
		}
		row := make([]string, len(raw))
		for i, v := range raw {
			row[i] = "NULL"
			if v != nil {
				row[i] = "=" + string(v)
			}
		}
		out = append(out, row)
	}
	return out, columns, rows.Err()
}

// Sort puts rows in an order that small differences of floating numbers do not change.
func Sort(rows [][]string) {
	slices.SortFunc(rows, func(a, b []string) int {
		return slices.CompareFunc(a, b, func(a, b string) int { return strings.Compare(coarse(a), coarse(b)) })
	})
}

// coarse writes numbers with a fraction with the digits that any order of additions leaves.
func coarse(v string) string {
	x, err := strconv.ParseFloat(strings.TrimPrefix(v, "="), 64)
	switch {
	case err != nil || !strings.ContainsAny(v, ".e"):
		return v
	case math.Abs(x) < 1e-9:
		return "=0"
	}
	return "=" + strconv.FormatFloat(x, 'g', 7, 64)
}

// Differ is the first row in which answers differ, -1 = none. Floating numbers are the same up to a billionth of the greater one, or of
// least where both are smaller.
func Differ(a, b [][]string, least float64) int {
	alike := func(a, b string) bool { return same(a, b, least) }
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || !slices.EqualFunc(a[i], b[i], alike) {
			return i
		}
	}
	return -1
}

func same(a, b string, least float64) bool {
	if a == b {
		return true
	}
	x, errX := strconv.ParseFloat(strings.TrimPrefix(a, "="), 64)
	y, errY := strconv.ParseFloat(strings.TrimPrefix(b, "="), 64)
	if errX != nil || errY != nil || !strings.ContainsAny(a+b, ".e") {
		return false
	}
	return math.Abs(x-y) <= 1e-9*max(math.Abs(x), math.Abs(y), least)
}

// At shows a row.
func At(rows [][]string, i int) string {
	if i < 0 || i >= len(rows) {
		return "(no row)"
	}
	return strings.Join(rows[i], " | ")
}
