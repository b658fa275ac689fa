//go:build clients

package peer

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"stele/meta/types"
	"stele/sql/collation"
	"stele/tests/bench"
	"stele/tests/cluster"
)

var (
	seed    = flag.Uint64("seed", 7, "of tables and queries")
	queries = flag.Int("queries", 2000, "how many")
)

const queryTimeout = 20 * time.Second

// noPad compares bytes, as Stele does.
const noPad = "utf8mb4_nopad_bin"

// printed is how many differences are printed; the others are counted.
const printed = 25

// TestPeer asks both servers the same questions.
func TestPeer(t *testing.T) {
	ask(t, "", *queries)
}

// TestPeerByCollation asks questions about text that does not compare by its bytes. Which of several equal texts is shown is left to a
// server.
func TestPeerByCollation(t *testing.T) {
	for _, c := range []types.Collation{types.CollationGeneralCI, types.CollationUnicodeCI, types.CollationUCA1400AI} {
		t.Run(c.String(), func(t *testing.T) { ask(t, c.String(), *queries/4) })
	}
}

// ask compares the answers to so many queries.
func ask(t *testing.T, collate string, queries int) {
	peer, err := bench.StartPeer()
	if errors.Is(err, bench.ErrNoPeer) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	c := cluster.Start(t, cluster.Options{Backends: 1})
	ours := &side{db: c.OpenDB("")}
	theirs := &side{db: peer.Open(""), setup: []string{"SET NAMES utf8mb4 COLLATE " + noPad, "SET max_statement_time = 20"}}
	defer ours.db.Close()
	defer theirs.db.Close()
	ours.prepare(t, "CREATE DATABASE peer")
	theirs.prepare(t, "CREATE DATABASE peer COLLATE "+noPad)
	g := NewGrammar(*seed)
	g.Collation = collate
	shown := shownBy(collate)
	schema := g.Schema()
	for _, s := range []*side{ours, theirs} {
		s.setup = append(s.setup, "SET time_zone = '+00:00'", "USE peer")
		s.drop()
		s.prepare(t, schema...)
	}
	differences, refused, failed := 0, map[string]int{}, 0
	differs := func(format string, args ...any) {
		if differences++; differences <= printed {
			t.Errorf(format, args...)
		}
	}
	for n := range queries {
		q := g.Query()
		if collate != "" { // to text it gives the collation of the session, which is not Stele's
			q = strings.ReplaceAll(q, " AS CHAR)", " AS BINARY)")
		}
		a, errA := ours.ask(t.Context(), q)
		b, errB := theirs.ask(t.Context(), q)
		var number *mysql.MySQLError
		switch {
		case errors.As(errA, &number) && number.Number == 1235:
			refused[number.Message]++
		case errA != nil && errB != nil:
			failed++
		case errA != nil || errB != nil:
			differs("query %d: Stele %v, MariaDB %v\n%s", n, errA, errB, q)
		default:
			shown(a)
			shown(b)
			if i := differ(a, b); i >= 0 {
				differs("query %d: row %d of %d and %d\nStele   %s\nMariaDB %s\n%s", n, i, len(a), len(b), at(a, i), at(b, i), q)
			}
		}
	}
	t.Logf("seed %d: %d queries, %d differences, %d failed on both, refused by name: %v", *seed, queries, differences, failed, refused)
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
			return nil, errors.Join(err, conn.Close())
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

func (s *side) prepare(t *testing.T, statements ...string) {
	t.Helper()
	conn, err := s.session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, stmt := range statements {
		if _, err := conn.ExecContext(t.Context(), stmt); err != nil {
			t.Fatalf("%.200s: %v", stmt, err)
		}
	}
}

// ask returns the rows, sorted, each value as the server writes it.
func (s *side) ask(ctx context.Context, q string) ([][]string, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	conn, err := s.session(ctx)
	if err != nil {
		return nil, err
	}
	out, err := read(ctx, conn, q)
	if number := (*mysql.MySQLError)(nil); err != nil && (!errors.As(err, &number) || number.Number == 1105) {
		s.drop()
	}
	slices.SortFunc(out, func(a, b []string) int { return slices.CompareFunc(a, b, compareValues) })
	return out, err
}

func read(ctx context.Context, conn *sql.Conn, q string) ([][]string, error) {
	rows, err := conn.QueryContext(ctx, q)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var out [][]string
	raw := make([]sql.RawBytes, len(names))
	into := make([]any, len(names))
	for i := range raw {
		into[i] = &raw[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
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
	return out, rows.Err()
}

// shownBy puts the key of each text in its place, so that equal texts are the same.
func shownBy(name string) func([][]string) {
	c, _ := types.ParseCollation(name)
	return func(rows [][]string) {
		if c == types.CollationBinary {
			return
		}
		for _, r := range rows {
			for i, v := range r {
				text, ok := strings.CutPrefix(v, "=")
				if _, err := strconv.ParseFloat(text, 64); ok && err != nil {
					r[i] = string(collation.AppendKey([]byte{'='}, c, []byte(text)))
				}
			}
		}
		slices.SortFunc(rows, func(a, b []string) int { return slices.CompareFunc(a, b, compareValues) })
	}
}

// coarse writes numbers with a fraction with the digits that any order of additions leaves, for sorting.
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

func compareValues(a, b string) int { return strings.Compare(coarse(a), coarse(b)) }

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
	return math.Abs(x-y) <= 1e-9*max(math.Abs(x), math.Abs(y), 1)
}

func at(rows [][]string, i int) string {
	if i >= len(rows) {
		return "(no row)"
	}
	return strings.Join(rows[i], " | ")
}
