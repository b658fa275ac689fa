package console

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chzyer/readline"
	"github.com/go-sql-driver/mysql"
)

// fakeServer is a database/sql driver whose answers a test writes down by statement.
type fakeServer struct {
	answers map[string]*fakeResult
	asked   []string
}

type fakeResult struct {
	columns  []string
	types    []string
	rows     [][]driver.Value
	affected int64
	err      error // instead of a result, or after the rows when there are columns
}

func (f *fakeServer) Connect(context.Context) (driver.Conn, error) { return f, nil }
func (f *fakeServer) Driver() driver.Driver                        { return nil }
func (f *fakeServer) Prepare(string) (driver.Stmt, error)          { return nil, errors.New("not used") }
func (f *fakeServer) Begin() (driver.Tx, error)                    { return nil, errors.New("not used") }
func (f *fakeServer) Close() error                                 { return nil }

func (f *fakeServer) answer(q string) (*fakeResult, error) {
	a, ok := f.answers[q]
	if q == showWarnings && !ok {
		return &fakeResult{columns: []string{"Level", "Code", "Message"}, types: []string{"VARCHAR", "INT", "VARCHAR"}}, nil
	}
	f.asked = append(f.asked, q)
	if !ok {
		return nil, &mysql.MySQLError{Number: 1064, SQLState: [5]byte([]byte("42000")), Message: "no answer for " + q}
	}
	if a.err != nil && a.columns == nil {
		return nil, a.err
	}
	return a, nil
}

func (f *fakeServer) QueryContext(_ context.Context, q string, _ []driver.NamedValue) (driver.Rows, error) {
	a, err := f.answer(q)
	if err != nil {
		return nil, err
	}
	return &fakeRows{fakeResult: a}, nil
}

func (f *fakeServer) ExecContext(_ context.Context, q string, _ []driver.NamedValue) (driver.Result, error) {
	a, err := f.answer(q)
	if err != nil {
		return nil, err
	}
	return driver.RowsAffected(a.affected), nil
}

type fakeRows struct {
	*fakeResult
	next int
}

func (r *fakeRows) Columns() []string                       { return r.columns }
func (r *fakeRows) ColumnTypeDatabaseTypeName(i int) string { return r.types[i] }
func (r *fakeRows) Close() error                            { return nil }
func (r *fakeRows) Next(dest []driver.Value) error {
	if r.next == len(r.rows) {
		if r.err != nil {
			return r.err
		}
		return io.EOF
	}
	copy(dest, r.rows[r.next])
	r.next++
	return nil
}

var pets = &fakeResult{
	columns: []string{"id", "name", "weight"}, types: []string{"BIGINT", "VARCHAR", "DOUBLE"},
	rows: [][]driver.Value{
		{int64(1), []byte("Rex"), 12.5}, {int64(20), nil, 1e6}, {int64(-3), []byte("小猫\n\tb"), 1e20}},
}

// newRunner runs statements that all take 0.12 s.
func newRunner(t *testing.T, answers map[string]*fakeResult) (r *runner, server *fakeServer, out, errs *bytes.Buffer) {
	t.Helper()
	server = &fakeServer{answers: answers}
	db := sql.OpenDB(server)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	clock := time.Unix(0, 0)
	s := &session{db: db, conn: conn, now: func() time.Time {
		clock = clock.Add(120 * time.Millisecond)
		return clock
	}}
	t.Cleanup(s.close)
	out, errs = &bytes.Buffer{}, &bytes.Buffer{}
	return &runner{session: s, out: out, errs: errs}, server, out, errs
}

func TestPrintedForms(t *testing.T) {
	answers := map[string]*fakeResult{
		"select pets": pets, "insert pet": {affected: 1}, "update pets": {affected: 2},
		"select none": {columns: []string{"x"}, types: []string{"INT"}}, "call p": {},
	}
	for _, c := range []struct {
		name, text string
		batch      bool
		want       string
	}{
		{"table", "select pets;", false, `
+----+-----------+---------+
| id | name      | weight  |
+----+-----------+---------+
|  1 | Rex       |    12.5 |
| 20 | NULL      | 1000000 |
| -3 | 小猫\n\tb |    1e20 |
+----+-----------+---------+
3 rows in set (0.12 sec)

`},
		{"vertical", `select pets\G`, false, `
*************************** 1. row ***************************
    id: 1
  name: Rex
weight: 12.5
*************************** 2. row ***************************
    id: 20
  name: NULL
weight: 1000000
*************************** 3. row ***************************
    id: -3
  name: 小猫\n\tb
weight: 1e20
3 rows in set (0.12 sec)

`},
		{"batch", "select pets; insert pet", true, "\nid\tname\tweight\n1\tRex\t12.5\n20\tNULL\t1000000\n-3\t小猫\\n\\tb\t1e20\n"},
		{"counts", "insert pet; update pets; call p", false, `
Query OK, 1 row affected (0.12 sec)

Query OK, 2 rows affected (0.12 sec)

Query OK, 0 rows affected (0.12 sec)

`},
		{"empty", "select none", false, "\nEmpty set (0.12 sec)\n\n"},
		{"empty batch", "select none", true, "\nx\n"},
	} {
		r, _, out, errs := newRunner(t, answers)
		r.batch = c.batch
		if code := r.script(t.Context(), strings.NewReader(c.text)); code != 0 || errs.Len() > 0 {
			t.Errorf("%s: code %d, %s", c.name, code, errs)
		}
		if got := "\n" + out.String(); got != c.want {
			t.Errorf("%s: got%s\nwant%s", c.name, got, c.want)
		}
	}
}

// TestWarnings: what a statement warns of is printed behind it, but not for programs, nor behind what shows it anyway.
func TestWarnings(t *testing.T) {
	warnings := &fakeResult{columns: []string{"Level", "Code", "Message"}, types: []string{"VARCHAR", "INT", "VARCHAR"},
		rows: [][]driver.Value{{[]byte("Note"), int64(1105), []byte("two replicas, not three")}, {[]byte("Warning"), int64(1265), []byte("cut")}}}
	const lines = "Note (Code 1105): two replicas, not three\nWarning (Code 1265): cut\n\n"
	for _, c := range []struct {
		text, want string
		batch      bool
	}{
		{"CREATE TABLE t (a INT)", "Query OK, 0 rows affected (0.12 sec)\n\n" + lines, false},
		{"ADMIN x", "Query OK, 0 rows affected (0.12 sec)\n\n" + lines, false},
		{"CREATE TABLE t (a INT)", "", true},
		{"SHOW x", "Query OK, 0 rows affected (0.12 sec)\n\n", false},
	} {
		r, _, out, _ := newRunner(t, map[string]*fakeResult{c.text: {}, showWarnings: warnings})
		r.batch = c.batch
		if code := r.script(t.Context(), strings.NewReader(c.text)); code != 0 || out.String() != c.want {
			t.Errorf("%s: code %d, %q", c.text, code, out.String())
		}
	}
}

func TestErrors(t *testing.T) {
	lost := &fakeResult{columns: []string{"x"}, types: []string{"INT"}, rows: [][]driver.Value{{int64(7)}}, err: mysql.ErrInvalidConn}
	answers := map[string]*fakeResult{"insert ok": {affected: 1}, "select lost": lost}
	for _, c := range []struct {
		name, text string
		force      bool
		errs       string
		asked      []string
	}{
		{"stops", "insert ok;\nbad; insert ok", false, "ERROR 1064 (42000) at line 2: no answer for bad\n", []string{"insert ok", "bad"}},
		{"goes on", "bad; insert ok", true, "ERROR 1064 (42000) at line 1: no answer for bad\n", []string{"bad", "insert ok"}},
		{"lost", "select lost", false, "ERROR 2013 (HY000) at line 1: Lost connection to MySQL server during query\n", []string{"select lost"}},
		{"open quote", "insert ok; select '", false, "stele sql: the ' that opens in line 1 is never closed\n", []string{"insert ok"}},
	} {
		r, server, out, errs := newRunner(t, answers)
		r.force = c.force
		if code := r.script(t.Context(), strings.NewReader(c.text)); code != 1 {
			t.Errorf("%s: exit code %d", c.name, code)
		}
		if errs.String() != c.errs || !slices.Equal(server.asked, c.asked) {
			t.Errorf("%s: %q after %q, want %q after %q", c.name, errs, server.asked, c.errs, c.asked)
		}
		if c.name == "lost" && !strings.Contains(out.String(), "| 7 |") {
			t.Errorf("the row that arrived before the error is missing:\n%s", out)
		}
	}
}

// TestWideLaterRows proves that a result longer than the widths are learned from is printed whole, in order.
func TestWideLaterRows(t *testing.T) {
	long := &fakeResult{columns: []string{"n"}, types: []string{"VARCHAR"}}
	for i := range widthRows + 10 {
		long.rows = append(long.rows, []driver.Value{[]byte(strings.Repeat("x", 1+i/widthRows*5))})
	}
	r, _, out, _ := newRunner(t, map[string]*fakeResult{"select long": long})
	r.script(t.Context(), strings.NewReader("select long"))
	got := out.String()
	if strings.Count(got, "| x |") != widthRows || strings.Count(got, "| xxxxxx |") != 10 ||
		!strings.Contains(got, "1010 rows in set") {
		t.Errorf("printed:\n%.200s", got)
	}
}

func TestFirstWord(t *testing.T) {
	for text, want := range map[string]string{
		"INSERT into t": "insert", " (select 1)": "select", "/* x */ -- y\n# z\nUPDATE t": "update", "": "", "set@x=1": "set",
		"/* open": "", "-- only": "",
	} {
		if got := firstWord(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// typist is a terminal at which a test types.
type typist struct {
	lines   []string
	prompts []string
	history []string
}

func (p *typist) Readline() (string, error) {
	if len(p.lines) == 0 {
		return "", io.EOF
	}
	line := p.lines[0]
	p.lines = p.lines[1:]
	if line == "^C" {
		return "", readline.ErrInterrupt
	}
	return line, nil
}

func (p *typist) SetPrompt(prompt string)       { p.prompts = append(p.prompts, prompt) }
func (p *typist) SaveHistory(line string) error { p.history = append(p.history, line); return nil }

func TestPrompt(t *testing.T) {
	r, server, _, errs := newRunner(t, map[string]*fakeResult{"insert\nok": {}, "select 1": pets})
	p := &typist{lines: []string{"insert", "ok;", "select '", "^C", "bad; select 1;", "quit;", "never"}}
	r.converse(t.Context(), p)
	if want := []string{"insert\nok", "bad", "select 1"}; !slices.Equal(server.asked, want) {
		t.Errorf("asked %q, want %q", server.asked, want)
	}
	if want := []string{promptFirst, promptMore, promptFirst, promptMore, promptFirst, promptFirst}; !slices.Equal(p.prompts, want) {
		t.Errorf("prompts %q, want %q", p.prompts, want)
	}
	if want := []string{"insert ok;", "bad; select 1;"}; !slices.Equal(p.history, want) {
		t.Errorf("history %q, want %q", p.history, want)
	}
	if errs.String() != "ERROR 1064 (42000): no answer for bad\n" {
		t.Errorf("errors %q", errs)
	}
}

func TestCommandLine(t *testing.T) {
	script := filepath.Join(t.TempDir(), "x.sql")
	if err := os.WriteFile(script, []byte("select 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		errs string
	}{
		{[]string{"-e", "x", "-f", script}, 2, "either -e or -f"},
		{[]string{"a", "b"}, 2, `unexpected argument "b"`},
		{[]string{"--nonsense"}, 2, "flag provided but not defined"},
		{[]string{"-D", "a", "b"}, 2, `unexpected argument "b"`},
		{[]string{"--help"}, 0, ""},
		{[]string{"-P", "1", "-e", "select 1"}, 1, "ERROR 2003 (HY000): Can't connect to MySQL server on '127.0.0.1:1'"},
	} {
		var out, errs bytes.Buffer
		if code := Command(t.Context(), c.args, os.Stdin, &out, &errs); code != c.code || !strings.Contains(errs.String(), c.errs) {
			t.Errorf("%v: code %d, %q; want %d, %q", c.args, code, errs.String(), c.code, c.errs)
		}
	}
	o, _, ok := parseArgs([]string{"-h", "db", "-P", "3306", "-u", "me", "-p", "x", "-f", script, "test", "--batch"}, io.Discard, io.Discard)
	want := Options{Host: "db", Port: 3306, User: "me", Password: "x", Database: "test", File: script, Batch: true}
	if !ok || o != want {
		t.Errorf("options %+v, want %+v", o, want)
	}
}
