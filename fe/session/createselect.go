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
	name := fillPrefix + t.Name
	s.ownTable(name, t)
	defer func() { delete(s.temps, placeName{t.DatabaseID, name}) }()
	alone := func(ctx context.Context, try attempt) error {
		r := s.retrier()
		return s.writeAlone(ctx, &r, try)
	}
	ins, err := s.insertAs(ctx, alone, func(cat *catalog.Catalog, now time.Time) (*plan.InsertPlan, *plan.Context, error) {
		pctx := s.planContext(cat, now, params)
		p, err := plan.Filling(pctx, n, name)
		return p, pctx, err
	})
	temporary := n.TemporaryKeyword != parse.TemporaryNone
	if err == nil && !temporary {
		err = s.apply(ctx, &command.AlterTable{Table: catalog.Table{ID: t.ID}, Set: &command.TableSet{Publish: true}})
	}
	if err != nil {
		if published, undo := s.unmake(context.WithoutCancel(ctx), t); !published {
			return errors.Join(err, undo)
		}
	}
	if temporary {
		s.ownTable(t.Name, t)
	}
	return out.done(ins.result())
}

// unmake drops a table that could not be filled, or of which it is not known whether it was published: then others may have written to
// it already, and it stays.
func (s *Session) unmake(ctx context.Context, t *catalog.Table) (published bool, err error) {
	err = s.apply(ctx, &command.DropTable{ID: t.ID, Owner: t.Owner})
	var public *catalog.ErrRefused
	if errors.As(err, &public) {
		return true, nil
	}
	var gone *catalog.ErrNotFound
	if errors.As(err, &gone) {
		return false, nil
	}
	return false, err
}
