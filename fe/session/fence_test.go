package session

import (
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"stele/fe/fakecluster"
	"stele/fe/lease"
	"stele/fe/server"
	"stele/fe/session/vars"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
)

// cutSession is a session with a table of its own on an FE that has heard of no leader for some time.
func cutSession(t *testing.T, since time.Duration) (s *Session, c *fakecluster.Cluster, ended *[]uint64) {
	c = fakecluster.New(t, 1, 1, types.QuorumAll)
	c.Log.Must(t, &command.AddFE{FE: catalog.FE{Name: "fe2", Host: "h2"}})
	ended = &[]uint64{}
	sh := New(Parts{Name: "fe1", Log: c.Log, Logger: slog.New(slog.DiscardHandler), End: func(conn uint64) { *ended = append(*ended, conn) }})
	s = &Session{sh: sh, info: server.ConnInfo{ID: 7}}
	tbl, _ := c.Log.Current().TableByID(c.Table)
	own := *tbl
	own.Owner = sh.newOwner(7)
	s.ownTable("t", &own)
	began := time.Now().Add(-since)
	sh.lease = lease.New(lease.Options{Patience: fenceAfter, Alone: sh.onlyFE, End: sh.End, Logger: sh.Logger})
	sh.lease.Prove(began)
	return s, c, ended
}

// TestCutOffSessionsAreFenced: an FE that was cut off for long ends its sessions with tables of their own, whoever notices first, and before
// a leader that is heard of again makes it look well; one that was not goes on.
func TestCutOffSessionsAreFenced(t *testing.T) {
	for name, look := range map[string]func(*Session) error{
		"the statement notices": func(s *Session) error { return s.fenced() },
		"the sweep notices, and hears of a leader": func(s *Session) error {
			return errors.Join(s.sh.renewLease(t.Context()), s.fenced())
		},
	} {
		s, _, ended := cutSession(t, fenceAfter-time.Minute)
		if err := look(s); err != nil || len(*ended) != 0 {
			t.Errorf("%s: cut off for a while: %v, ended %v", name, err, *ended)
		}
		s, _, ended = cutSession(t, fenceAfter+time.Second)
		var claim uint64
		for _, own := range s.temps {
			claim = own.claim
		}
		if err := look(s); err == nil || !slices.Equal(*ended, []uint64{7}) || s.sh.claims.has(claim) {
			t.Errorf("%s: cut off for long: %v, ended %v", name, err, *ended)
		}
		s.sh.lease.Prove(time.Now())
		if err := s.fenced(); err == nil {
			t.Errorf("%s: the session goes on after the link is mended", name)
		}
		s.temps = nil
		if err := s.fenced(); err != nil {
			t.Errorf("%s: a session without tables: %v", name, err)
		}
	}
}

// TestEveryWayIsFenced: also an INSERT of literals, which is run without the parser, does not find others' table under the name of the
// session's own.
func TestEveryWayIsFenced(t *testing.T) {
	const insert = "INSERT INTO t VALUES (1, 1)"
	for name, run := range map[string]func(*Session) error{
		"text":     func(s *Session) error { return s.Query(t.Context(), insert, nil) },
		"prepared": func(s *Session) error { return (&prepared{s: s, text: insert}).Execute(t.Context(), nil, nil) },
	} {
		s, _, _ := cutSession(t, fenceAfter+time.Second)
		s.vars, s.db = vars.New(nil), "d"
		var known server.MySQLError
		if err := run(s); !errors.As(err, &known) {
			t.Errorf("%s: %v", name, err)
		} else if code, _, _ := known.MySQL(); code != 1053 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLeaseIsOfAnswers: what no leader has answered proves nothing.
func TestLeaseIsOfAnswers(t *testing.T) {
	s, c, ended := cutSession(t, fenceAfter-time.Minute)
	c.Log.NotLeading = errors.New("no leader")
	if err := s.sh.renewLease(t.Context()); err == nil || s.sh.lease.Age() < fenceAfter-time.Minute {
		t.Errorf("without a leader: %v, proved %v ago", err, s.sh.lease.Age())
	}
	c.Log.NotLeading = nil
	if err := s.sh.renewLease(t.Context()); err != nil || s.sh.lease.Age() >= fenceAfter-time.Minute || len(*ended) != 0 {
		t.Errorf("with a leader: %v, proved %v ago, ended %v", err, s.sh.lease.Age(), *ended)
	}
}

// TestOnlyFrontendIsNotFenced: there is nobody who could have dropped its tables.
func TestOnlyFrontendIsNotFenced(t *testing.T) {
	s, c, ended := cutSession(t, fenceAfter+time.Hour)
	fe2, _ := c.Log.Current().FEByName("fe2")
	c.Log.Must(t, &command.DropFE{FE: fe2.ID})
	if err := s.fenced(); err != nil || len(*ended) != 0 {
		t.Errorf("%v, ended %v", err, *ended)
	}
}
