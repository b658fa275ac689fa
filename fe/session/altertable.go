package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stele/fe/server"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/sql/define"
	"stele/sql/errno"
	"stele/sql/parse"
)

// alterTries is how often an ALTER TABLE is planned anew because another one was faster.
const alterTries = 8

// planChange works out what a statement makes of a table.
type planChange func(*define.Context, *catalog.Table) (*define.Change, error)

// alter runs an ALTER TABLE in the grammar of MySQL.
func (s *Session) alter(ctx context.Context, n *parse.AlterTableStmt, out *output) error {
	return s.changeTable(ctx, n.Table, out, func(dctx *define.Context, t *catalog.Table) (*define.Change, error) {
		return define.AlterTable(dctx, t, n)
	})
}

// createIndex runs CREATE [UNIQUE] INDEX.
func (s *Session) createIndex(ctx context.Context, n *parse.CreateIndexStmt, out *output) error {
	return s.changeTable(ctx, n.Table, out, func(dctx *define.Context, t *catalog.Table) (*define.Change, error) {
		return define.CreateIndex(dctx, t, n)
	})
}

// dropIndex runs DROP INDEX.
func (s *Session) dropIndex(ctx context.Context, n *parse.DropIndexStmt, out *output) error {
	return s.changeTable(ctx, n.Table, out, func(dctx *define.Context, t *catalog.Table) (*define.Change, error) {
		return define.DropIndex(dctx, t, n)
	})
}

// changeTable changes a table, all at once or not at all. Transactions that have written to it by other columns before cannot commit
// any more; statements under way are run again.
func (s *Session) changeTable(ctx context.Context, name *parse.TableName, out *output, planned planChange) error {
	_, t, err := s.findTable(s.sh.Log.Current(), name.Schema.O, name.Name.O)
	if err != nil {
		return err
	}
	var changed *catalog.ErrSchemaChanged
	now, rows := time.Now(), int64(0)
	for range alterTries {
		rows, err = s.changeOnce(ctx, name, t, now, planned)
		if !errors.As(err, &changed) {
			break
		}
		if t, err = s.fresh(ctx, t.ID); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	return out.done(server.Result{AffectedRows: uint64(rows), Warnings: s.warningCount(),
		Info: fmt.Sprintf("Records: %d  Duplicates: 0  Warnings: %d", rows, s.warningCount())})
}

// changeOnce is one try. It tells how many rows were written anew.
func (s *Session) changeOnce(ctx context.Context, name *parse.TableName, t *catalog.Table, now time.Time, planned planChange) (rows int64, err error) {
	if t, err = s.unaltered(ctx, t); err != nil {
		return 0, err
	}
	c, err := planned(s.defineContext(s.planContext(s.sh.Log.Current(), now, nil)), t)
	if err != nil {
		return 0, err
	}
	if !c.Idle() {
		if rows, err = s.doChange(ctx, name, c); err != nil {
			return 0, err
		}
	}
	for _, note := range c.Notes {
		s.warn("Note", errno.UnknownError, note)
	}
	return rows, nil
}

// unaltered returns a table that nobody else is changing. It waits for that as writers do; a change whose promise is broken is taken back.
func (s *Session) unaltered(ctx context.Context, t *catalog.Table) (*catalog.Table, error) {
	if t.Altering() == 0 {
		return t, nil
	}
	for r := s.retrier(); ; {
		if err := s.takeBackAbandoned(ctx, t); err != nil {
			return nil, err
		}
		t, err := s.fresh(ctx, t.ID)
		if err != nil || t.Altering() == 0 {
			return t, err
		}
		err = sqlErr(errno.UnknownError, "Table '%s' is being altered; try again when that is done", t.Name)
		if !r.again(ctx, s.sh.Txns, err) {
			return nil, err
		}
	}
}

// doChange does a change: by one command where the rows need not be looked at.
func (s *Session) doChange(ctx context.Context, name *parse.TableName, c *define.Change) (rows int64, err error) {
	cmd := &command.ChangeTable{Table: c.From.ID, ExpectVersion: c.From.Schema.Version, Fence: c.Columns, Columns: c.To.Schema.Columns,
		LastColumn: c.To.HighestColumn(), Keys: c.To.Unique, Checks: c.To.Checks, Comment: c.To.Comment, Collation: c.To.Collation, AutoIncrement: c.AutoIncrement,
		ForeignKeys: c.To.ForeignKeys}
	if c.Rename != nil {
		if cmd.Rename, err = s.newName(name, c); err != nil {
			return 0, err
		}
	}
	if c.LooksAtRows() {
		return s.prepared(ctx, c, cmd)
	}
	if _, err := s.parentsOf(ctx, c.From.ID, newKeys(c)); err != nil {
		return 0, err
	}
	return 0, s.apply(ctx, cmd)
}

// newName is the rename in an ALTER TABLE. A table may be given the name that it has, which RENAME TABLE refuses.
func (s *Session) newName(name *parse.TableName, c *define.Change) (*command.TableRename, error) {
	r := &renamer{s: s, cat: s.sh.Log.Current(), moved: map[placeName]types.TableID{}}
	db, _, err := s.findTable(r.cat, name.Schema.O, name.Name.O)
	if err != nil {
		return nil, err
	}
	if to := c.Rename; to.Name.O == c.From.Name && (to.Schema.O == db.Name || to.Schema.O == "" && s.db == db.Name) {
		return nil, nil
	}
	if err := r.add(name, c.Rename); err != nil {
		return nil, err
	}
	return &r.cmd.Renames[0], nil
}
