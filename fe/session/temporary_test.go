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
	silent := map[string]time.Duration{"fe2": time.Hour - 1, "fe4": time.Hour}
	sh := New(Parts{Name: "fe1", Log: c.Log, Started: started, Logger: slog.New(slog.DiscardHandler),
		Silent: func(fe string) time.Duration { return silent[fe] }, Settings: func() Settings { return Settings{TemporaryKeep: time.Hour} }})
	c.Log.Must(t, &command.AddFE{FE: catalog.FE{Name: "fe2", Host: "h2"}})
	c.Log.Must(t, &command.AddFE{FE: catalog.FE{Name: "fe4", Host: "h4"}})
	s := &Session{sh: sh, info: server.ConnInfo{ID: 7}}
	mine, other := sh.newOwner(7), sh.newOwner(7)
	if sh.abandoned(c.Log.Current(), mine, time.Hour) || mine.Claim == other.Claim {
		t.Errorf("the table of a living session is abandoned: %+v, %+v", mine, other)
	}
	sh.endUnless(nil, other.Claim)
	for about, want := range map[string]struct {
		owner     catalog.TableOwner
		abandoned bool
	}{
		"one that could not be made":      {*other, true},
		"one of a process before":         {catalog.TableOwner{FE: "fe1", StartMs: 4000, Claim: mine.Claim}, true},
		"another FE's, which sees itself": {catalog.TableOwner{FE: "fe2", StartMs: 1, Claim: 9}, false},
		"that of an FE silent for long":   {catalog.TableOwner{FE: "fe4", StartMs: 1, Claim: 9}, true},
		"that of an FE that was dropped":  {catalog.TableOwner{FE: "fe3", StartMs: 1, Claim: 9}, true},
	} {
		if got := sh.abandoned(c.Log.Current(), &want.owner, time.Hour); got != want.abandoned {
			t.Errorf("%s: abandoned=%t", about, got)
		}
	}
	tbl, _ := c.Log.Current().TableByID(c.Table)
	owned := *tbl
	owned.Owner = mine
	published, err := s.unmake(t.Context(), &owned) // whose answer was lost: others may have written to it
	if _, there := c.Log.Current().TableByID(tbl.ID); err != nil || !published || !there {
		t.Errorf("a published table is taken back: published=%t, there=%t, %v", published, there, err)
	}
	s.ownTable("mine", &owned)
	if _, ok := s.names(c.Log.Current()).Table("d", "mine"); !ok {
		t.Error("a session does not find its table")
	}
	if sh.endUnless(s.temps, mine.Claim); sh.abandoned(c.Log.Current(), mine, time.Hour) {
		t.Error("the table that a session has is abandoned")
	}
	s.dropTemporaries(t.Context())
	if _, ok := c.Log.Current().TableByID(tbl.ID); ok || len(s.temps) > 0 {
		t.Error("the end of a session leaves its tables")
	}
	if !sh.abandoned(c.Log.Current(), mine, time.Hour) {
		t.Error("what the end of a session cannot drop is not swept while its connection goes on")
	}
	if err := sh.sweep(t.Context()); err != nil {
		t.Errorf("nothing to sweep: %v", err)
	}
}
