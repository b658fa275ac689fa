//go:build clients

package peer

import (
	"context"
	"errors"
	"flag"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"stele/meta/types"
	"stele/sql/collation"
	"stele/tests/answers"
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
	ours := &side{answers.Session{DB: c.OpenDB("")}}
	theirs := &side{answers.Session{DB: peer.Open(""), Setup: []string{"SET NAMES utf8mb4 COLLATE " + noPad, "SET max_statement_time = 20"}}}
	defer ours.DB.Close()
	defer theirs.DB.Close()
	ours.prepare(t, "CREATE DATABASE peer")
	theirs.prepare(t, "CREATE DATABASE peer COLLATE "+noPad)
	g := NewGrammar(*seed)
	g.Collation = collate
	shown := shownBy(collate)
	schema := g.Schema()
	for _, s := range []*side{ours, theirs} {
		s.Setup = append(s.Setup, "SET time_zone = '+00:00'", "USE peer")
		s.End()
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
			if i := answers.Differ(a, b, 1); i >= 0 {
				differs("query %d: row %d of %d and %d\nStele   %s\nMariaDB %s\n%s", n, i, len(a), len(b), answers.At(a, i), answers.At(b, i), q)
			}
		}
	}
	t.Logf("seed %d: %d queries, %d differences, %d failed on both, refused by name: %v", *seed, queries, differences, failed, refused)
}

// side is one session of a server.
type side struct{ answers.Session }

func (s *side) prepare(t *testing.T, statements ...string) {
	t.Helper()
	conn, err := s.Conn(t.Context())
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
	conn, err := s.Conn(ctx)
	if err != nil {
		return nil, err
	}
	out, _, err := answers.Read(ctx, conn, q)
	if number := (*mysql.MySQLError)(nil); err != nil && (!errors.As(err, &number) || number.Number == 1105) {
		s.End()
	}
	answers.Sort(out)
	return out, err
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
		answers.Sort(rows)
	}
}
