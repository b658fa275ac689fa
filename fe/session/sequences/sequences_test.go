package sequences

import (
	"testing"

	"stele/fe/fakecluster"
	"stele/meta/command"
	"stele/meta/types"
)

// TestSequencesOfDroppedTablesAreForgotten: whoever drops a table or its database, nothing is kept of it; what is there stays as it is.
func TestSequencesOfDroppedTablesAreForgotten(t *testing.T) {
	c := fakecluster.New(t, 1, 1, types.QuorumAll)
	s := New(c.Log)
	tbl, _ := c.Log.Current().TableByID(c.Table)
	auto := s.AutoIncrement(tbl)
	if _, err := s.RowIDs(t.Context(), c.Table, 5); err != nil {
		t.Fatal(err)
	}
	s.Prune()
	if s.AutoIncrement(tbl) != auto || len(s.rows) != 1 {
		t.Errorf("the ranges of a table that is there are gone: %v, %v", s.auto, s.rows)
	}
	c.Log.Must(t, &command.DropDatabase{ID: tbl.DatabaseID})
	s.Prune()
	if len(s.auto) != 0 || len(s.rows) != 0 {
		t.Errorf("ranges of a table whose database was dropped: %v, %v", s.auto, s.rows)
	}
}
