package session

import (
	"context"
	"errors"
	"testing"
	"time"

	"stele/fe/ddl"
	"stele/fe/fakecluster"
	"stele/fe/session/vars"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/sql/parse"
	"stele/sql/syntax"
)

func TestPromiseIsBrokenByOwnClock(t *testing.T) {
	var p promises
	start := time.Now()
	at := func(d time.Duration) time.Time { return start.Add(d) }
	future, past := start.Add(time.Hour).UnixMilli(), start.Add(-time.Hour).UnixMilli()
	for _, c := range []struct {
		about  string
		table  types.TableID
		until  int64
		after  time.Duration
		broken bool
	}{
		{"the builder's clock is fast", 1, future, 0, false},
		{"", 1, future, alterLease - 1, false},
		{"it is dead all the same", 1, future, alterLease, true},
		{"the builder's clock is slow", 2, past, alterLease, false},
		{"it renews", 2, past + 1, 2*alterLease - 1, false},
		{"", 2, past + 1, 3*alterLease - 2, false},
		{"it has stopped", 2, past + 1, 3*alterLease - 1, true},
	} {
		if got := p.broken(c.table, c.until, at(c.after)); got != c.broken {
			t.Errorf("%s: table %d after %v: broken=%t", c.about, c.table, c.after, got)
		}
	}
	p.broken(3, future, at(time.Hour))
	if len(p.seen) != 1 {
		t.Errorf("promises that nobody asked for since long ago are kept: %v", p.seen)
	}
}

// errTruncated is what truncator answers.
var errTruncated = errors.New("truncated")

// truncator truncates nothing.
type truncator struct{ Tables }

func (truncator) Truncate(context.Context, *catalog.Table, []types.PartitionID, bool) (ddl.Shortage, error) {
	return ddl.Shortage{}, errTruncated
}

// TestAbandonedChangeIsInNobodysWay: an FE that has begun to change a table is dead, and its clock was fast by an hour.
func TestAbandonedChangeIsInNobodysWay(t *testing.T) {
	truncate := &parse.TruncateTableStmt{Table: &parse.TableName{Schema: parse.NewCIStr("d"), Name: parse.NewCIStr("t")}}
	for about, use := range map[string]func(*Session, *catalog.Table) error{
		"write": func(s *Session, tbl *catalog.Table) error {
			if _, err := s.keysOf(t.Context(), s.sh.Log.Current(), tbl); err == nil {
				t.Error("a table that is being altered can be written")
			}
			_, err := s.keysOf(t.Context(), s.sh.Log.Current(), current(s, tbl))
			return err
		},
		"alter": func(s *Session, tbl *catalog.Table) error {
			_, err := s.unaltered(t.Context(), tbl)
			return err
		},
		"truncate": func(s *Session, _ *catalog.Table) error {
			if err := s.truncate(t.Context(), truncate, nil); !errors.Is(err, errTruncated) {
				return err
			}
			return nil
		},
		"partitions": func(s *Session, tbl *catalog.Table) error {
			a := &syntax.AlterTable{Op: syntax.AlterTruncatePartition, Names: []string{"t"}, Table: syntax.TableName{DB: "d", Table: "t"}}
			if err := s.alterTable(t.Context(), &parse.Statement{Alter: a}, nil); !errors.Is(err, errTruncated) {
				return err
			}
			return nil
		},
	} {
		c := fakecluster.New(t, 1, 1, types.QuorumAll)
		tbl, _ := c.Log.Current().TableByID(c.Table)
		until := time.Now().Add(time.Hour).UnixMilli()
		c.Log.Must(t, &command.BeginChange{Table: tbl.ID, ExpectVersion: tbl.Schema.Version, UntilMs: until})
		s := &Session{vars: vars.New(nil), sh: New(Parts{Log: c.Log, Tables: truncator{}, Settings: func() Settings { return Settings{} }})}
		tbl = current(s, tbl)
		if err := use(s, tbl); err == nil || tbl.Altering() != until {
			t.Errorf("%s: the table is being altered: %v", about, err)
		}
		s.sh.promises.seen[tbl.ID] = seenPromise{until, time.Now().Add(-alterLease)}
		if err := use(s, tbl); err != nil || current(s, tbl).Altering() != 0 {
			t.Errorf("%s: the change of a dead builder is in the way: %v", about, err)
		}
	}
}

// TestWhoAltersWaitsForAnother: a second ALTER TABLE is no error while a first one is under way.
func TestWhoAltersWaitsForAnother(t *testing.T) {
	c := fakecluster.New(t, 1, 1, types.QuorumAll)
	tbl, _ := c.Log.Current().TableByID(c.Table)
	until := time.Now().Add(time.Hour).UnixMilli()
	c.Log.Must(t, &command.BeginChange{Table: tbl.ID, ExpectVersion: tbl.Schema.Version, UntilMs: until})
	s := &Session{sh: New(Parts{Log: c.Log, Settings: func() Settings { return Settings{WriteTimeout: time.Minute} }})}
	s.sh.promises.seen = map[types.TableID]seenPromise{tbl.ID: {until, time.Now().Add(100*time.Millisecond - alterLease)}}
	if tbl, err := s.unaltered(t.Context(), current(s, tbl)); err != nil || tbl.Altering() != 0 {
		t.Fatalf("it did not wait until the other one was over: %v", err)
	}
}

// current is a table as it is now.
func current(s *Session, t *catalog.Table) *catalog.Table {
	now, _ := s.sh.Log.Current().TableByID(t.ID)
	return now
}
