package session

import (
	"log/slog"
	"testing"
	"time"

	"stele/fe/fakecluster"
	"stele/fe/server"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
)

// TestTablesOfEndedSessionsAreAbandoned: a table of a session is dropped when nobody can use it any more, and never while somebody can.
func TestTablesOfEndedSessionsAreAbandoned(t *testing.T) {
	c := fakecluster.New(t, 1, 1, types.QuorumAll)
	started := time.UnixMilli(5000)
	sh := New(Parts{Name: "fe1", Log: c.Log, Started: started, Logger: slog.New(slog.DiscardHandler)})
	c.Log.Must(t, &command.AddFE{FE: catalog.FE{Name: "fe2", Host: "h2"}})
	s := &Session{sh: sh, info: server.ConnInfo{ID: 7}}
	sh.live.Store(s.info.ID, s)
	if o := s.owner(); sh.abandoned(c.Log.Current(), o) {
		t.Errorf("the tables of a living session are abandoned: %+v", o)
	}
	for about, want := range map[string]struct {
		owner     catalog.TableOwner
		abandoned bool
	}{
		"a session that has ended":        {catalog.TableOwner{FE: "fe1", StartMs: 5000, Session: 8}, true},
		"one of a process before":         {catalog.TableOwner{FE: "fe1", StartMs: 4000, Session: 7}, true},
		"another FE's, which sees itself": {catalog.TableOwner{FE: "fe2", StartMs: 1, Session: 9}, false},
		"that of an FE that was dropped":  {catalog.TableOwner{FE: "fe3", StartMs: 1, Session: 9}, true},
	} {
		if got := sh.abandoned(c.Log.Current(), &want.owner); got != want.abandoned {
			t.Errorf("%s: abandoned=%t", about, got)
		}
	}
	next := &Session{sh: sh, info: s.info} // another user comes to the connection
	sh.live.Store(next.info.ID, next)
	s.tx, s.sh.locks = nil, newUserLocks()
	s.Close()
	if sh.abandoned(c.Log.Current(), next.owner()) {
		t.Error("the session before on the connection took the living one with it")
	}
	sh.live.Delete(s.info.ID)
	if !sh.abandoned(c.Log.Current(), s.owner()) {
		t.Error("the tables of a session that has ended are kept")
	}

	tbl, _ := c.Log.Current().TableByID(c.Table)
	s.ownTable(placeName{tbl.DatabaseID, "mine"}, tbl.ID)
	if _, ok := s.names(c.Log.Current()).Table("d", "mine"); !ok {
		t.Error("a session does not find its table")
	}
	s.dropTemporaries(t.Context())
	if _, ok := c.Log.Current().TableByID(tbl.ID); ok || len(s.temps) > 0 {
		t.Error("the end of a session leaves its tables")
	}
	if err := sh.sweep(t.Context()); err != nil {
		t.Errorf("nothing to sweep: %v", err)
	}
}
