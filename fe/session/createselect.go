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

// fillCreated writes the rows of a CREATE TABLE ... SELECT into the table that was made for them, in a transaction of its own.
// When that fails the table goes again. An FE that dies in between leaves the table, empty.
func (s *Session) fillCreated(ctx context.Context, spec *plan.TableSpec, n *parse.CreateTableStmt, out *output) error {
	_, t, err := s.findTable(s.sh.Log.Current(), spec.Database, spec.Table.Name)
	if err != nil {
		return err
	}
	alone := func(ctx context.Context, try attempt) error { return s.writeAlone(ctx, s.retrier(), try) }
	err = s.insertBy(ctx, alone, out, func(cat *catalog.Catalog, now time.Time) (*plan.InsertPlan, *plan.Context, error) {
		pctx := s.planContext(cat, now, nil)
		p, err := plan.Filling(pctx, n)
		return p, pctx, err
	})
	if err == nil {
		return nil
	}
	undo := s.apply(context.WithoutCancel(ctx), &command.DropTable{ID: t.ID})
	s.sh.sequences.drop(t.ID)
	var gone *catalog.ErrNotFound
	if errors.As(undo, &gone) {
		undo = nil
	}
	return errors.Join(err, undo)
}
