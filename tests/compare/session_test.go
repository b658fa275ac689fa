//go:build clients

package compare

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"stele/tests/answers"
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

// side is one session of a server.
type side struct{ answers.Session }

// ask runs a statement.
func (s *side) ask(t *testing.T, text string) answer {
	ctx, cancel := context.WithTimeout(t.Context(), statementTimeout)
	defer cancel()
	conn, err := s.Conn(ctx)
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
			s.End()
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
	rows, columns, err := answers.Read(ctx, conn, text)
	if err != nil {
		return err
	}
	a.rows = rows
	for _, c := range columns {
		kind := c.DatabaseTypeName()
		if precision, scale, ok := c.DecimalSize(); ok {
			kind += fmt.Sprintf("(%d,%d)", precision, scale)
		}
		a.types = append(a.types, kind)
	}
	return nil
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

// sorted is rows in an order that small differences of floating numbers do not change.
func sorted(rows [][]string) [][]string {
	out := slices.Clone(rows)
	answers.Sort(out)
	return out
}

// differ is the first row in which the answers differ, -1 = none.
func differ(a, b [][]string) int { return answers.Differ(a, b, 0) }
