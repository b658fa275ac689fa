//go:build clients

package compare

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const steps = 12 // of a session that writes

// TestWrites has sessions write, with transactions and savepoints: each statement has to end alike and to leave the same rows.
func TestWrites(t *testing.T) {
	s := start(t)
	for n := range *seeds {
		for round := range *count / steps {
			g := NewGrammar((*seed+n)*1000 + uint64(round))
			if round%10 == 0 {
				s.database(t, fmt.Sprintf("cmp_w%d", *seed))
			}
			s.session(t, g, *seed+n)
		}
	}
	t.Logf("accepted: %v", s.accepted)
}

// session runs one session that writes, cut down if the servers disagree.
func (s *servers) session(t *testing.T, g *Grammar, seed uint64) {
	t.Helper()
	all := list(";\n    ", 1, g.Setup()...)
	setup := len(all.parts)
	for range steps {
		all.parts = append(all.parts, g.Step())
	}
	what, upTo, a, b := s.play(t, all, setup)
	for what != "" && !*raw { // behind what is accepted the session goes on, without it
		reason := accepted(all.parts[upTo].String(), what, a, b)
		if reason == "" {
			break
		}
		s.accepted[reason]++
		if all.parts = slices.Delete(all.parts, upTo, upTo+1); upTo < setup {
			setup--
		}
		what, upTo, a, b = s.play(t, all, setup)
	}
	if what == "" {
		return
	}
	all.parts = all.parts[:upTo+1]
	shrink(all, 400, func() bool {
		now, _, a, b := s.play(t, all, 0)
		return now == what && (*raw || accepted(all.String(), what, a, b) == "")
	})
	shape := what + literals.ReplaceAllString(all.parts[len(all.parts)-1].String(), "?")
	if s.seen[shape]++; s.seen[shape] > 1 {
		return
	}
	_, _, a, b = s.play(t, all, 0)
	i := differ(a.rows, b.rows)
	t.Errorf("seed %d %s:\n    %s\n  Stele   %s\n  MariaDB %s", seed, what, all, a.show(i), b.show(i))
}

var literals = regexp.MustCompile(`'[^']*'|\d+|\b[a-h]\b`)

// play makes the tables anew and runs the statements until the servers disagree. The first so many statements are no cases.
func (s *servers) play(t *testing.T, all *part, setup int) (what string, upTo int, a, b answer) {
	t.Helper()
	for _, side := range []*side{s.stele, s.maria} {
		for _, stmt := range []string{"ROLLBACK", "SET autocommit = 1", "DROP TABLE IF EXISTS t1, t2, t3"} {
			if a := side.ask(t, stmt); a.err != 0 {
				t.Fatalf("%s: %d %s", stmt, a.err, a.message)
			}
		}
	}
	for i, p := range all.parts {
		text := p.String()
		what, a, b = s.both(t, text)
		if what != "" {
			return what, i, a, b
		}
		if i < setup || strings.HasPrefix(text, "CREATE") {
			continue
		}
		for _, table := range []string{"t1", "t2", "t3"} {
			if !strings.Contains(text, table) && !strings.HasPrefix(text, "ROLLBACK") {
				continue
			}
			if now, a, b := s.both(t, "SELECT * FROM "+table+" ORDER BY id"); now != "" {
				return "left in " + table + ": " + now, i, a, b
			}
		}
	}
	return "", 0, a, b
}
