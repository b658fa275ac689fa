package session

import (
	"context"
	"time"

	"stele/meta/catalog"
	"stele/sql/parse"
	"stele/sql/plan"
)

// countAll returns how many rows a query with SQL_CALC_FOUND_ROWS would have without its LIMIT, 0 for any other. It is a query
// of its own over the same snapshot, so it costs what such a query costs.
func (s *Session) countAll(ctx context.Context, n parse.StmtNode, params []plan.Param, cat *catalog.Catalog, now time.Time) (int64, error) {
	sel, ok := n.(*parse.SelectStmt)
	if !ok || sel.SelectStmtOpts == nil || !sel.CalcFoundRows || sel.Limit == nil {
		return 0, nil
	}
	all := *sel
	all.Limit = nil
	p, err := plan.Select(s.planContext(cat, now, params), &all)
	if err != nil {
		return 0, err
	}
	rows, err := s.build(p, cat, now)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var total int64
	for {
		b, err := rows.Next(ctx)
		if err != nil || b == nil {
			return total, err
		}
		total += int64(b.Rows())
	}
}
