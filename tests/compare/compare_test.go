//go:build clients

package compare

import (
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"stele/tests/answers"
	"stele/tests/bench"
	"stele/tests/cluster"
)

var (
	seed    = flag.Uint64("seed", 1, "of the first tables and their statements")
	seeds   = flag.Uint64("seeds", 4, "how many sets of tables")
	count   = flag.Int("count", 250, "how many statements for each")
	ours    = flag.String("stele", "", "DSN of a Stele that runs already, with an empty database to work in")
	theirs  = flag.String("mariadb", "", "DSN of a MariaDB that runs already")
	warned  = flag.Bool("warnings", false, "compare the codes of warnings, too")
	typed   = flag.Bool("types", false, "compare the types of columns, too")
	mix     = flag.Int("mix", 10, "how many expressions in a hundred are of another class than their place asks for")
	raw     = flag.Bool("raw", false, "print differences that are accepted, too")
	modes   = flag.String("modes", "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE", "sql_mode of both")
	setting = flag.String("settings", "", "statements for both sessions, separated by ;")
)

// noPad compares bytes, as Stele does.
const noPad = "utf8mb4_nopad_bin"

// servers are a session on either server.
type servers struct {
	stele, maria *side
	seen         map[string]int
	accepted     map[string]int
}

func start(t *testing.T) *servers {
	t.Helper()
	s := &servers{stele: &side{}, maria: &side{}, seen: map[string]int{}, accepted: map[string]int{}}
	if *ours != "" {
		s.stele.DB, s.maria.DB = open(t, *ours), open(t, *theirs)
	} else {
		peer, err := bench.StartPeer()
		if errors.Is(err, bench.ErrNoPeer) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = peer.Close() })
		s.stele.DB, s.maria.DB = cluster.Start(t, cluster.Options{Backends: 1}).OpenDB(""), peer.Open("")
		t.Cleanup(func() { s.stele.DB.Close(); s.maria.DB.Close() })
	}
	s.maria.Setup = []string{"SET NAMES utf8mb4 COLLATE " + noPad, "SET max_statement_time = 20"}
	base := []string{"SET sql_mode = '" + *modes + "'", "SET time_zone = '+00:00'", "SET group_concat_max_len = 100000"}
	if *setting != "" {
		base = append(base, strings.Split(*setting, ";")...)
	}
	s.stele.Setup = append(s.stele.Setup, base...)
	s.maria.Setup = append(s.maria.Setup, append(base, "SET sql_mode = CONCAT(@@sql_mode, ',TIME_ROUND_FRACTIONAL')")...)
	return s
}

func open(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// database makes both sessions start in an empty database.
func (s *servers) database(t *testing.T, name string) {
	t.Helper()
	for _, side := range []*side{s.stele, s.maria} {
		collate := ""
		if side == s.maria {
			collate = " COLLATE " + noPad
		}
		side.End()
		for _, stmt := range []string{"DROP DATABASE IF EXISTS " + name, "CREATE DATABASE " + name + collate, "USE " + name} {
			if a := side.ask(t, stmt); a.err != 0 {
				t.Fatalf("%s: %d %s", stmt, a.err, a.message)
			}
		}
		side.Setup = append(slices.DeleteFunc(side.Setup, func(s string) bool { return strings.HasPrefix(s, "USE ") }), "USE "+name)
	}
}

// both runs a statement on both servers and says how the answers differ, "" = not.
func (s *servers) both(t *testing.T, text string) (string, answer, answer) {
	a, b := s.stele.ask(t, text), s.maria.ask(t, text)
	return difference(text, a, b), a, b
}

// difference names what differs between two answers.
func difference(text string, a, b answer) string {
	switch {
	case a.err != b.err:
		if a.err != 0 && b.err != 0 {
			return fmt.Sprintf("errors %d and %d", a.err, b.err)
		}
		return fmt.Sprintf("error %d and %d", a.err, b.err)
	case a.err != 0:
		return ""
	}
	x, y := a.rows, b.rows
	if !strings.Contains(text, "ORDER BY") {
		x, y = sorted(x), sorted(y)
	} else if differ(x, y) >= 0 && differ(sorted(x), sorted(y)) < 0 && !strings.Contains(text, " OVER ") && strings.HasPrefix(text, "SELECT") {
		x, y = sorted(x), sorted(y)
	}
	switch {
	case differ(x, y) >= 0:
		return "rows"
	case a.affected != b.affected:
		return "affected"
	case a.insertID != b.insertID:
		return "insert id"
	case *typed && !slices.Equal(a.types, b.types):
		return "types"
	case *warned && !slices.Equal(distinct(a.warnings), distinct(b.warnings)):
		return "warnings"
	}
	return ""
}

func distinct(of []string) []string {
	out := slices.Clone(of)
	slices.Sort(out)
	return slices.Compact(out)
}

func (a answer) show(i int) string {
	if a.err != 0 {
		return fmt.Sprintf("error %d: %.120s", a.err, a.message)
	}
	return fmt.Sprintf("%d rows, affected %d, id %d, types %v, warnings %v; %s", len(a.rows), a.affected, a.insertID, a.types, distinct(a.warnings),
		answers.At(sorted(a.rows), i))
}

// TestQueries asks for rows.
func TestQueries(t *testing.T) {
	s := start(t)
	for n := range *seeds {
		g := NewGrammar(*seed + n)
		g.Mix = *mix
		s.database(t, fmt.Sprintf("cmp_q%d", *seed))
		s.prepare(t, g)
		for range *count {
			q := g.Query()
			what, a, b := s.both(t, q.String())
			if what == "" {
				continue
			}
			if reason := accepted(q.String(), what, a, b); reason != "" && !*raw {
				s.accepted[reason]++
				continue
			}
			shrink(q, 250, func() bool {
				now, a, b := s.both(t, q.String())
				return now == what && (*raw || accepted(q.String(), what, a, b) == "")
			})
			s.report(t, g, *seed+n, what, q)
		}
	}
	t.Logf("accepted: %v", s.accepted)
}

func (s *servers) prepare(t *testing.T, g *Grammar) {
	t.Helper()
	for _, p := range g.Setup() {
		text := p.String()
		if what, a, b := s.both(t, text); what != "" || a.err != 0 {
			shrink(p, 200, func() bool {
				s.stele.ask(t, "ROLLBACK")
				now, _, _ := s.both(t, p.String())
				return now == what
			})
			t.Logf("setup %s: %s\nStele   %s\nMariaDB %s", what, p, a.show(-1), b.show(-1))
		}
	}
}

// aliased are the names that differ between statements of one shape.
var aliased = regexp.MustCompile(`\b(x\d+\.)?[a-z]\b|\bt\d x\d+\b`)

// report prints a difference, once for each shape of statement.
func (s *servers) report(t *testing.T, g *Grammar, seed uint64, what string, q *part) {
	shape := what + aliased.ReplaceAllString(q.String(), "?")
	if s.seen[shape]++; s.seen[shape] > 1 {
		return
	}
	_, a, b := s.both(t, q.String())
	x, y := sorted(a.rows), sorted(b.rows)
	i := differ(x, y)
	if len(q.String()) > 1000 {
		t.Errorf("seed %d %s\n  long %.300s", seed, what, q)
		return
	}
	t.Errorf("seed %d %s: %s\n  Stele   %s\n  MariaDB %s%s", seed, what, q, a.show(i), b.show(i), g.described(q.String()))
}

// described are the definitions of the columns that a statement names.
func (g *Grammar) described(text string) string {
	var out []string
	aliases := map[string]string{}
	for _, m := range regexp.MustCompile(`\b(t\d) ((?:x\d+)|[aby])\b`).FindAllStringSubmatch(text, -1) {
		aliases[m[2]] = m[1]
	}
	for _, m := range regexp.MustCompile(`\b(x\d+|[aby])\.([a-z]+)\b`).FindAllStringSubmatch(text, -1) {
		for _, t := range g.tables {
			for _, c := range t.columns {
				if t.name == aliases[m[1]] && c.name == m[2] {
					out = append(out, m[0]+" "+c.ddl)
				}
			}
		}
	}
	if len(out) == 0 {
		return ""
	}
	slices.Sort(out)
	return "\n  (" + strings.Join(slices.Compact(out), ", ") + ")"
}
