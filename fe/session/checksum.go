package session

import (
	"context"

	"stele/fe/account"
	"stele/fe/stmt"
	"stele/meta/model"
	"stele/sql/errno"
	"stele/sql/parse"
	"stele/sql/plan"
	sqltypes "stele/sql/types"
)

// checksum is CHECKSUM TABLE of one table. It is a query, so it reads what any query of the session would, and BEs do most of the work.
func (s *Session) checksum(ctx context.Context, db, table string, quick bool) (any, error) {
	if err := s.check(ctx, []account.Need{{Privileges: model.PrivSelect, Database: db, Table: table}}); err != nil {
		return nil, err
	}
	s.implicit()
	cat, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	_, t, err := s.findTable(cat, db, table)
	if stmt.MadeUp(cat, db) {
		err = sqlErr(errno.WrongObject, "'%s.%s' is not BASE TABLE", db, table)
	}
	if known, ok := sqltypes.AsError(err); ok && db != "" {
		s.warn("Error", known.Code, known.Msg)
		return nil, nil
	}
	if err != nil || quick {
		return nil, err
	}
	n, err := plan.Checksum(db, t)
	if err != nil {
		return nil, err
	}
	return s.askInt(ctx, n)
}

// askInt answers a query of one row with one number.
func (s *Session) askInt(ctx context.Context, n parse.StmtNode) (any, error) {
	q := asked{now: s.clock(), read: s.readFor}
	if err := s.ask(ctx, &q, n, nil); err != nil {
		return nil, s.ended(ctx, err)
	}
	defer q.rows.Close()
	b, err := q.rows.Next(ctx)
	if err != nil || b == nil {
		return nil, s.ended(ctx, err)
	}
	return b.Cols[0].I64[b.Row(0)], nil
}
