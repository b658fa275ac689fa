package e2e

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"stele/tests/cluster"
)

// sessionStep is one step of a printed session: a statement or an action with what is expected of it.
type sessionStep struct {
	line   int
	kind   string // ">" run once, "until" run until it is so, "columns" run once for its columns, "do" an action
	text   string
	expect []string
}

// readSession reads a session file. Steps start with ">", "until", "columns" or "do"; the lines up to a blank one are what is
// expected: "ok", "ok: note", "error N" or "error N: text", or a table, columns first, of which the rows may come in any
// order unless the column op_type is shown.
func readSession(t *testing.T, path string) []sessionStep {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	var steps []sessionStep
	open := false
	s := bufio.NewScanner(f)
	for n := 1; s.Scan(); n++ {
		line := strings.TrimSpace(s.Text())
		kind, text, _ := strings.Cut(line, " ")
		switch {
		case line == "" || strings.HasPrefix(line, "#") && !open:
			open = false
		case !open && (kind == ">" || kind == "until" || kind == "columns"):
			steps = append(steps, sessionStep{line: n, kind: kind, text: text})
			open = true
		case !open && kind == "do":
			steps = append(steps, sessionStep{line: n, kind: kind, text: text})
		case open:
			steps[len(steps)-1].expect = append(steps[len(steps)-1].expect, line)
		default:
			t.Fatalf("%s:%d: %q is no step", path, n, line)
		}
	}
	must(t, s.Err())
	return steps
}

// stage is where a session is played: a cluster, one client, and the names of BEs in the file.
type stage struct {
	c     *cluster.Cluster
	db    *sql.DB
	nodes map[string]string // name in the file: node
	words map[string]string // other names in the file: what they stand for
}

func (st *stage) subst(text string) string {
	for name, node := range st.nodes {
		text = strings.ReplaceAll(text, "{"+name+"}", st.c.BackendAddr(node))
	}
	for name, word := range st.words {
		text = strings.ReplaceAll(text, "{"+name+"}", word)
	}
	return text
}

const sessionPatience = 60 * time.Second

func (st *stage) play(ctx context.Context, t *testing.T, path string) {
	t.Helper()
	for _, step := range readSession(t, path) {
		if step.kind == "do" {
			verb, name, _ := strings.Cut(step.text, " ")
			do, ok := map[string]func(string) error{"kill": st.c.Kill, "start": st.c.StartNode, "wipe": st.c.Wipe}[verb]
			if !ok {
				t.Fatalf("%s:%d: no action %q", path, step.line, verb)
			}
			must(t, do(st.nodes[strings.Trim(name, "{}")]))
			continue
		}
		if step.kind == "columns" {
			if got := st.columns(ctx, t, step.text); got != step.expect[0] {
				t.Errorf("%s:%d: %s has the columns\n%s\nwant\n%s", path, step.line, step.text, got, step.expect[0])
			}
			continue
		}
		var want []string
		for _, line := range step.expect {
			want = append(want, st.subst(line))
		}
		text := st.subst(step.text)
		if step.kind == "until" {
			st.c.Wait(t, fmt.Sprintf("%s:%d: %s", path, step.line, text), sessionPatience, func() (bool, string) {
				got := st.run(ctx, text, want)
				return slices.Equal(got, want), strings.Join(got, "\n")
			})
			continue
		}
		if got := st.run(ctx, text, want); !sameAnswer(got, want) {
			t.Fatalf("%s:%d: %s\ngot\n%s\nwant\n%s", path, step.line, text, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// columns are the names of all columns of an answer.
func (st *stage) columns(ctx context.Context, t *testing.T, text string) string {
	t.Helper()
	rows, err := st.db.QueryContext(ctx, text)
	must(t, err)
	defer rows.Close()
	names, err := rows.Columns()
	must(t, err)
	return strings.Join(names, " | ")
}

// sameAnswer compares an answer with what is expected; the text of an error and the info of an OK may be left out.
func sameAnswer(got, want []string) bool {
	if len(got) == 1 && len(want) == 1 {
		return got[0] == want[0] || strings.HasPrefix(got[0], want[0]+":")
	}
	return slices.Equal(got, want)
}

// run runs a statement and prints the answer as the file would: of a table only the columns that are expected.
func (st *stage) run(ctx context.Context, text string, want []string) []string {
	first := strings.Fields(text)[0]
	isTable := len(want) > 0 && !strings.HasPrefix(want[0], "ok") && !strings.HasPrefix(want[0], "error")
	if !isTable {
		return []string{st.exec(ctx, text)}
	}
	table, err := cluster.ReadTable(ctx, st.db, text)
	if err != nil {
		return []string{answerOf(err)}
	}
	names := strings.Split(want[0], " | ")
	cells := make([][]string, len(names))
	for i, name := range names {
		cells[i] = table.Column(name)
	}
	var rows []string
	for n := range table.Rows {
		row := make([]string, len(names))
		for i := range names {
			row[i] = cells[i][n]
		}
		rows = append(rows, strings.Join(row, " | "))
	}
	if first != "showopstatus" {
		slices.Sort(rows)
		slices.Sort(want[1:])
	}
	return append([]string{want[0]}, rows...)
}

// exec runs a statement without a result set and returns what the server says of it.
func (st *stage) exec(ctx context.Context, text string) string {
	conn, err := st.db.Conn(ctx)
	if err != nil {
		return answerOf(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, text); err != nil {
		return answerOf(err)
	}
	notes, err := cluster.ReadTable(ctx, conn, "SHOW WARNINGS")
	switch {
	case err != nil:
		return answerOf(err)
	case len(notes.Rows) > 0:
		return "ok: " + notes.Column("Message")[0]
	}
	return "ok"
}

func answerOf(err error) string {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return fmt.Sprintf("error %d: %s", e.Number, e.Message)
	}
	return "failed: " + err.Error()
}
