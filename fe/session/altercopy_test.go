package session

import (
	"context"
	"errors"
	"testing"
	"time"

	"stele/fe/ddl"
	"stele/fe/fakecluster"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/sql/define"
	"stele/sql/parse"
	"stele/sql/plan"
)

var errNoRoom = errors.New("no room")

// copies makes tables, but none of more than so many.
type copies struct {
	*ddl.Tables
	left int
	made []catalog.Table
}

func (d *copies) Create(ctx context.Context, t catalog.Table) (types.TableID, ddl.Shortage, error) {
	if d.left--; d.left < 0 {
		return 0, ddl.Shortage{}, errNoRoom
	}
	d.made = append(d.made, t)
	return d.Tables.Create(ctx, t)
}

// rewriting is a session that is about to give a column of table t another type.
func rewriting(t *testing.T, left int) (*Session, *copies, *catalog.Table, *define.Change) {
	t.Helper()
	c := fakecluster.New(t, 3, 2, types.QuorumMajority)
	d := &copies{Tables: ddl.New(c.Log, c.Clients, c), left: left}
	s := &Session{sh: New(Parts{Name: "fe1", Log: c.Log, Tables: d, Settings: func() Settings { return Settings{WriteTimeout: time.Minute} }})}
	tbl, _ := c.Log.Current().TableByID(c.Table)
	st, err := parse.Parse("ALTER TABLE t MODIFY v VARCHAR(20), ADD UNIQUE KEY (v), ADD COLUMN w INT DEFAULT 4", 0)
	if err != nil {
		t.Fatal(err)
	}
	change, err := define.AlterTable(&define.Context{Context: &plan.Context{Catalog: s.names(c.Log.Current()), CurrentDB: "d"}}, tbl, st.Node.(*parse.AlterTableStmt))
	if err != nil || !change.Rewrites() {
		t.Fatalf("the rows are written anew: %t, %v", change != nil && change.Rewrites(), err)
	}
	return s, d, tbl, change
}

// TestCopyThatCannotBeMade: an ALTER TABLE whose copy fails leaves the table as it was, for everybody, and nothing that is to be swept.
func TestCopyThatCannotBeMade(t *testing.T) {
	s, _, tbl, change := rewriting(t, 0)
	if _, err := s.doChange(t.Context(), nil, change); !errors.Is(err, errNoRoom) {
		t.Fatal(err)
	}
	now := current(s, tbl)
	if now.Altering() != 0 || len(now.Unique) != 0 || now.Schema.Columns[1].Type != tbl.Schema.Columns[1].Type || now.Parts[0].Tablets[0] != tbl.Parts[0].Tablets[0] {
		t.Errorf("the table is %+v", now)
	}
	if s.sh.claims.has(1) {
		t.Error("the claim to a copy that was not made is open")
	}
}

// TestCopyOfADeadFrontendIsSwept: what an FE that died has left of a copy goes with the sweep, and nobody can swap it in any more.
func TestCopyOfADeadFrontendIsSwept(t *testing.T) {
	s, d, tbl, change := rewriting(t, 1)
	ctx := t.Context()
	if _, _, err := d.BeginChange(ctx, tbl, change.To, nil, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	begun := current(s, tbl)
	owner := &catalog.TableOwner{FE: "fe1", StartMs: 1, Claim: 7}
	id, _, err := d.Create(ctx, copyOf(change, begun, owner))
	if err != nil {
		t.Fatal(err)
	}
	made, _ := s.sh.Log.Current().TableByID(id)
	if made.Schema.Version != begun.Schema.Version+1 || made.Replicas != tbl.Replicas || len(made.Parts[0].Tablets) != len(tbl.Parts[0].Tablets) || !made.Unique[0].Enforced() {
		t.Errorf("the copy is %+v", made)
	}
	if err := s.sh.sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if _, there := s.sh.Log.Current().TableByID(id); there {
		t.Error("the copy is still there")
	}
	swap := &command.ChangeTable{Table: tbl.ID, ExpectVersion: begun.Schema.Version, Begun: true, Copy: &command.TableCopy{Table: id, Owner: *owner}}
	var gone *catalog.ErrNotFound
	if err := s.apply(ctx, swap); !errors.As(err, &gone) {
		t.Errorf("a copy that is no more was swapped in: %v", err)
	}
	if now := current(s, tbl); now.Altering() == 0 {
		t.Errorf("the table is %+v", now)
	}
}
