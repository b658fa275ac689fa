package session

import (
	"context"
	"errors"
	"time"

	"stele/meta/catalog"
	"stele/meta/command"
	"stele/sql/parse"
	"stele/sql/plan"
)

// fillPrefix begins the name that a table has in its session while it is filled: the query may read another one of its name.
const fillPrefix = "\x00"

// fillCreated writes the rows of a CREATE TABLE ... SELECT into the table that was made for them, in a transaction of its own. Until then
// the table is the session's, and nobody else sees it: when filling it fails it is dropped, and when the FE dies it is swept.
func (s *Session) fillCreated(ctx context.Context, t *catalog.Table, n *parse.CreateTableStmt, params []plan.Param, out *output) error {
	place := placeName{t.DatabaseID, fillPrefix + t.Name}
	s.ownTable(place, t.ID)
	defer delete(s.temps, place)
	alone := func(ctx context.Context, try attempt) error { return s.writeAlone(ctx, s.retrier(), try) }
	ins, err := s.insertAs(ctx, alone, func(cat *catalog.Catalog, now time.Time) (*plan.InsertPlan, *plan.Context, error) {
		pctx := s.planContext(cat, now, params)
		p, err := plan.Filling(pctx, n, place.name)
		return p, pctx, err
	})
	temporary := n.TemporaryKeyword != parse.TemporaryNone
	if err == nil && !temporary {
		err = s.apply(ctx, &command.AlterTable{Table: catalog.Table{ID: t.ID}, Set: &command.TableSet{Publish: true}})
	}
	if err != nil {
		return errors.Join(err, s.unmake(context.WithoutCancel(ctx), t))
	}
	if temporary {
		s.ownTable(placeName{t.DatabaseID, t.Name}, t.ID)
	}
	return out.done(ins.result())
}

// unmake drops a table that could not be filled.
func (s *Session) unmake(ctx context.Context, t *catalog.Table) error {
	err := s.apply(ctx, &command.DropTable{ID: t.ID})
	s.sh.sequences.drop(t.ID)
	var gone *catalog.ErrNotFound
	if errors.As(err, &gone) {
		return nil
	}
	return err
}
