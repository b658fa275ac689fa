package session

import (
	"errors"
	"testing"

	"stele/fe/fakecluster"
	"stele/fe/server"
	"stele/meta/command"
	"stele/meta/types"
	"stele/sql/errno"
)

// told takes the end of a statement.
type told struct{ server.ResultWriter }

// Done implements server.ResultWriter.
func (told) Done(server.Result) error { return nil }

// TestDropOfATableThatGoesMeanwhile: what another session drops between the look at the table and the entry in the log was missing all along.
func TestDropOfATableThatGoesMeanwhile(t *testing.T) {
	for _, ifExists := range []bool{false, true} {
		c := fakecluster.New(t, 1, 1, types.QuorumAll)
		s := &Session{sh: New(Parts{Log: c.Log})}
		found, _ := c.Log.Current().TableByID(c.Table)
		var d dropping
		d.add(found, "d.t")
		c.Log.Must(t, &command.DropTable{ID: c.Table})
		err := s.drop(t.Context(), d, ifExists, s.output(told{}))
		var known server.MySQLError
		if ifExists {
			if err != nil || s.warningCount() != 1 {
				t.Errorf("with IF EXISTS: %v, %d warnings", err, s.warningCount())
			}
		} else if !errors.As(err, &known) {
			t.Errorf("%v", err)
		} else if code, _, msg := known.MySQL(); code != errno.BadTable || msg != "Unknown table 'd.t'" {
			t.Errorf("%d %s", code, msg)
		}
	}
}
