package session

import (
	"context"
	"errors"
	"time"

	"stele/fe/server"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/sql/parse"
	"stele/sql/plan"
)

// alterTries is how often an ALTER TABLE is planned anew because another one was faster.
const alterTries = 8

// alterColumns runs an ALTER TABLE that changes columns: all of its clauses are one command, and no row is touched. Transactions
// that have written to the table by its columns before cannot commit any more; statements under way are run again.
func (s *Session) alterColumns(ctx context.Context, n *parse.AlterTableStmt, out *output) error {
	_, t, err := s.findTable(s.sh.Log.Current(), n.Table.Schema.O, n.Table.Name.O)
	if err != nil {
		return err
	}
	var changed *catalog.ErrSchemaChanged
	now := time.Now()
	for range alterTries {
		if err = s.alterOnce(ctx, t, n, now); !errors.As(err, &changed) {
			break
		}
		if t, err = s.fresh(ctx, t.ID); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	return out.done(server.Result{Info: "Records: 0  Duplicates: 0  Warnings: 0"})
}

func (s *Session) alterOnce(ctx context.Context, t *catalog.Table, n *parse.AlterTableStmt, now time.Time) error {
	if k := t.Building(); k != nil {
		return sqlErr(1105, "HY000", "Unique key '%s' of table '%s' is being built; try again when it is there", k.Name, t.Name)
	}
	to, err := plan.AlterColumns(s.planContext(s.sh.Log.Current(), now, nil), t, n)
	if err != nil {
		return err
	}
	return s.apply(ctx, &command.AlterColumns{Table: t.ID, ExpectVersion: t.Schema.Version, Columns: to.Columns, LastColumn: to.Last})
}
