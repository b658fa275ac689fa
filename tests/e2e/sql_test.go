package e2e

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/go-sql-driver/mysql"

	"stele/tests/cluster"
)

// script runs one file of SQL. Its directives:
//
//	exec [affected] [session=NAME]        a statement; prints ok, or how many rows it changed
//	query [sort] [cols] [mask=(A,B)] [columns=(A,B)] [args=(1,x)] [session=NAME]
//	                                      rows; sorted, with a line of column names, with columns hidden or picked by name
//	error code=N                          a statement that has to fail with this number; prints the message
//	wait [timeout=20s]                    a query repeated until it answers what the file says
//
// Statements with args are prepared. session names one of several connections; all of them use the file's database. One that
// is fresh is made now, and not one that the pool has kept.
type script struct {
	pool     *sql.DB
	database string
	sessions map[string]*sql.Conn
}

// TestSQL runs the files below testdata. Files whose name ends in .stele.test hold what only Stele knows; the others
// give the same answers on MySQL.
func TestSQL(t *testing.T) {
	var files []string
	err := filepath.WalkDir("testdata", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".test") {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("SQL files: %d, %v", len(files), err)
	}
	pool := sqlPool(t)
	for _, file := range files {
		if *mysqlDSN != "" && strings.HasSuffix(file, ".stele.test") {
			continue
		}
		name, _ := filepath.Rel("testdata", strings.TrimSuffix(file, ".test"))
		t.Run(name, func(t *testing.T) {
			s := &script{pool: pool, sessions: map[string]*sql.Conn{}}
			s.database = "t_" + strings.Map(identifier, name)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			s.begin(ctx, t)
			defer s.end(t)
			datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string { return s.run(ctx, t, d) })
		})
	}
}

func identifier(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
		return r
	}
	return '_'
}

func sqlPool(t *testing.T) *sql.DB {
	t.Helper()
	if *mysqlDSN == "" {
		return sharedCluster(t).DB()
	}
	pool, err := sql.Open("mysql", *mysqlDSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	return pool
}

func (s *script) begin(ctx context.Context, t *testing.T) {
	t.Helper()
	for _, statement := range []string{"DROP DATABASE IF EXISTS " + s.database, "CREATE DATABASE " + s.database} {
		if _, err := s.pool.ExecContext(ctx, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func (s *script) end(t *testing.T) {
	for _, conn := range s.sessions {
		// Not back to the pool: the file may have left settings or a transaction behind.
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
		_ = conn.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := s.pool.ExecContext(ctx, "DROP DATABASE IF EXISTS "+s.database); err != nil {
		t.Errorf("drop %s: %v", s.database, err)
	}
}

// idleConns is how many connections the pool keeps.
const idleConns = 2

func (s *script) session(ctx context.Context, t *testing.T, d *datadriven.TestData) *sql.Conn {
	t.Helper()
	name := ""
	d.MaybeScanArgs(t, "session", &name)
	if conn := s.sessions[name]; conn != nil {
		return conn
	}
	if d.HasArg("fresh") { // no connection that is older than this line
		s.pool.SetMaxIdleConns(0)
		s.pool.SetMaxIdleConns(idleConns)
	}
	conn, err := s.pool.Conn(ctx)
	if err == nil {
		_, err = conn.ExecContext(ctx, "USE "+s.database)
	}
	if err != nil {
		d.Fatalf(t, "connect: %v", err)
	}
	s.sessions[name] = conn
	return conn
}

func (s *script) run(ctx context.Context, t *testing.T, d *datadriven.TestData) string {
	conn := s.session(ctx, t, d)
	switch d.Cmd {
	case "exec":
		return s.exec(ctx, conn, d)
	case "query":
		text, err := rows(ctx, conn, d)
		if err != nil {
			return failure(err)
		}
		return text
	case "error":
		return mustFail(ctx, t, conn, d)
	case "wait":
		return wait(ctx, t, conn, d)
	}
	d.Fatalf(t, "unknown directive %q", d.Cmd)
	return ""
}

func (s *script) exec(ctx context.Context, conn *sql.Conn, d *datadriven.TestData) string {
	result, err := conn.ExecContext(ctx, d.Input, arguments(d)...)
	if err != nil {
		return failure(err)
	}
	if !d.HasArg("affected") {
		return "ok\n"
	}
	n, err := result.RowsAffected()
	if err != nil {
		return failure(err)
	}
	return fmt.Sprintf("affected %d\n", n)
}

func failure(err error) string {
	var sqlErr *mysql.MySQLError
	if errors.As(err, &sqlErr) {
		return fmt.Sprintf("error %d (%s): %s\n", sqlErr.Number, sqlErr.SQLState[:], sqlErr.Message)
	}
	return "error: " + err.Error() + "\n"
}

// mustFail answers the SQLSTATE of the wanted error, with message also its text. Anything else fails the test whatever
// the file says: a golden file that was rewritten blindly must not make it pass.
func mustFail(ctx context.Context, t *testing.T, conn *sql.Conn, d *datadriven.TestData) string {
	var code uint16
	d.ScanArgs(t, "code", &code)
	table, err := cluster.ReadTable(ctx, conn, d.Input, arguments(d)...)
	var sqlErr *mysql.MySQLError
	answer := ""
	switch {
	case err == nil:
		answer = fmt.Sprintf("no error, %d rows\n", len(table.Rows))
	case !errors.As(err, &sqlErr):
		answer = failure(err)
	case sqlErr.Number != code:
		answer = "another " + failure(err)
	case d.HasArg("message"):
		return fmt.Sprintf("%s: %s\n", sqlErr.SQLState[:], sqlErr.Message)
	default:
		return fmt.Sprintf("%s\n", sqlErr.SQLState[:])
	}
	if !rewriting() {
		t.Errorf("%s: %s: %s, want error %d", d.Pos, d.Input, strings.TrimSpace(answer), code)
	}
	return answer
}

// rewriting says whether golden files are being rewritten.
func rewriting() bool {
	f := flag.Lookup("rewrite")
	return f != nil && f.Value.String() == "true"
}

func arguments(d *datadriven.TestData) (args []any) {
	for _, a := range d.CmdArgs {
		if a.Key != "args" {
			continue
		}
		for _, v := range a.Vals {
			if n, err := strconv.ParseInt(v, 10, 64); err == nil {
				args = append(args, n)
			} else if v == "NULL" {
				args = append(args, nil)
			} else {
				args = append(args, v)
			}
		}
	}
	return args
}

func values(d *datadriven.TestData, key string) []string {
	for _, a := range d.CmdArgs {
		if a.Key == key {
			return a.Vals
		}
	}
	return nil
}

// rows prints a result: cells separated by tabs, NULL as NULL, an empty text as a middle dot.
func rows(ctx context.Context, conn *sql.Conn, d *datadriven.TestData) (string, error) {
	table, err := cluster.ReadTable(ctx, conn, d.Input, arguments(d)...)
	if err != nil {
		return "", err
	}
	pick := values(d, "columns")
	if pick == nil {
		pick = table.Columns
	}
	lines := make([]string, len(table.Rows))
	for r := range table.Rows {
		var cells []string
		for c, name := range table.Columns {
			if slices.Contains(pick, name) {
				cells = append(cells, cell(table.Rows[r][c], slices.Contains(values(d, "mask"), name)))
			}
		}
		lines[r] = strings.Join(cells, "\t")
	}
	if d.HasArg("sort") {
		slices.Sort(lines)
	}
	if d.HasArg("cols") {
		lines = slices.Insert(lines, 0, strings.Join(pick, "\t"))
	}
	if len(lines) == 0 {
		return "no rows\n", nil
	}
	return strings.Join(lines, "\n") + "\n", nil
}

func cell(text string, masked bool) string {
	switch {
	case masked:
		return "*"
	case text == "":
		return "·"
	}
	return strings.ReplaceAll(text, "\n", `\n`)
}

// wait asks until the answer is the expected one; the last answer is the result.
func wait(ctx context.Context, t *testing.T, conn *sql.Conn, d *datadriven.TestData) string {
	timeout := "20s"
	d.MaybeScanArgs(t, "timeout", &timeout)
	limit, err := time.ParseDuration(timeout)
	if err != nil {
		d.Fatalf(t, "timeout: %v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	last := ""
	for {
		text, err := rows(ctx, conn, d)
		if err == nil {
			last = text
		} else if ctx.Err() == nil {
			last = failure(err)
		}
		if last == d.Expected || rewriting() {
			return last
		}
		select {
		case <-ctx.Done():
			return last
		case <-poll.C:
		}
	}
}
