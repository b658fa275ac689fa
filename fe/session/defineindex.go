package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"stele/fe/dist"
	"stele/fe/server"
	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/sql/parse"
	"stele/sql/physical"
	"stele/sql/plan"
	"stele/sql/vec"
)

// A builder of a unique key promises to be alive for buildLease and renews the promise every renewEvery. Who finds a key
// whose promise is over undoes it.
const (
	buildLease = 10 * time.Second
	renewEvery = 2 * time.Second
)

// alterKeys runs an ALTER TABLE that adds and drops secondary keys.
func (s *Session) alterKeys(ctx context.Context, n *parse.AlterTableStmt, out *output) error {
	return s.changeKeys(ctx, n.Table, out, func(t *catalog.Table) ([]plan.KeyChange, error) {
		changes, _, err := plan.AlterKeys(t, n)
		return changes, err
	})
}

// createIndex runs CREATE [UNIQUE] INDEX.
func (s *Session) createIndex(ctx context.Context, n *parse.CreateIndexStmt, out *output) error {
	return s.changeKeys(ctx, n.Table, out, func(t *catalog.Table) ([]plan.KeyChange, error) { return plan.CreateIndex(t, n) })
}

// dropIndex runs DROP INDEX.
func (s *Session) dropIndex(ctx context.Context, n *parse.DropIndexStmt, out *output) error {
	return s.changeKeys(ctx, n.Table, out, func(t *catalog.Table) ([]plan.KeyChange, error) { return plan.DropIndex(t, n) })
}

// changeKeys carries out changes of the keys of one table: all, or after an error none of those that add.
func (s *Session) changeKeys(ctx context.Context, name *parse.TableName, out *output, read func(*catalog.Table) ([]plan.KeyChange, error)) error {
	_, t, err := s.findTable(s.sh.Log.Current(), name.Schema.O, name.Name.O)
	if err != nil {
		return err
	}
	if k := t.Building(); k != nil {
		if err := s.undoAbandoned(ctx, t, k); err != nil {
			return err
		}
		if t, err = s.fresh(ctx, t.ID); err != nil {
			return err
		}
		if k := t.Building(); k != nil {
			return sqlErr(1105, "HY000", "Unique key '%s' of table '%s' is being built; try again when it is there", k.Name, t.Name)
		}
	}
	changes, err := read(t)
	if err != nil {
		return err
	}
	var added []string
	for _, c := range inOrder(changes) {
		if t, err = s.fresh(ctx, t.ID); err != nil {
			break
		}
		if c.Add == nil {
			err = s.apply(ctx, &command.DropIndex{Table: t.ID, Name: c.Drop})
		} else if err = s.addKey(ctx, t, *c.Add); err == nil {
			added = append(added, c.Add.Name)
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		return out.done(server.Result{Info: "Records: 0  Duplicates: 0  Warnings: 0"})
	}
	for _, name := range added {
		err = errors.Join(err, s.apply(context.WithoutCancel(ctx), &command.DropIndex{Table: t.ID, Name: name}))
	}
	return err
}

// inOrder puts what can fail first, so that a failure leaves everything as it was. A key that replaces one of its name has to
// wait for the drop.
func inOrder(changes []plan.KeyChange) []plan.KeyChange {
	rank := func(c plan.KeyChange) int {
		replaces := c.Add != nil && slices.ContainsFunc(changes, func(d plan.KeyChange) bool { return strings.EqualFold(d.Drop, c.Add.Name) })
		switch {
		case c.Add != nil && !replaces:
			return 0
		case c.Add == nil:
			return 1
		}
		return 2
	}
	out := slices.Clone(changes)
	slices.SortStableFunc(out, func(a, b plan.KeyChange) int { return rank(a) - rank(b) })
	return out
}

// fresh returns a table as it is now.
func (s *Session) fresh(ctx context.Context, id types.TableID) (*catalog.Table, error) {
	if _, err := s.sh.Log.ReadIndex(ctx); err != nil {
		return nil, err
	}
	t, ok := s.sh.Log.Current().TableByID(id)
	if !ok {
		return nil, &catalog.ErrNotFound{Kind: "table", Name: fmt.Sprint(id)}
	}
	return t, nil
}

// addKey adds a key to a table. A unique one is built while nobody can write to the table: its hidden table is made and
// declared, which ends every transaction that does not know of it, then filled from a snapshot, then published. Whatever
// goes wrong in between, the key is taken back.
func (s *Session) addKey(ctx context.Context, t *catalog.Table, key catalog.UniqueKey) error {
	if !key.Unique {
		return s.apply(ctx, &command.AddIndex{Table: t.ID, ExpectVersion: t.Schema.Version, Key: key})
	}
	id, err := s.sh.Tables.AddIndex(ctx, t, key, time.Now().Add(buildLease))
	if err == nil {
		err = s.buildKey(ctx, t.ID, key.Name, id)
	}
	if err == nil || id == 0 {
		return err
	}
	undo := s.apply(context.WithoutCancel(ctx), &command.DropIndex{Table: t.ID, Name: key.Name, Index: id})
	var gone *catalog.ErrNotFound
	if errors.As(undo, &gone) {
		undo = nil
	}
	return errors.Join(err, undo)
}

// buildKey fills the hidden table of a key and publishes the key, renewing the promise meanwhile.
func (s *Session) buildKey(ctx context.Context, table types.TableID, name string, id types.TableID) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		s.renew(ctx, cancel, table, id)
	}()
	err := s.fill(ctx, table, name, id)
	if err == nil {
		err = s.apply(ctx, &command.PublishIndex{Table: table, Index: id})
	}
	if err != nil && context.Cause(ctx) != nil && ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	cancel(nil)
	<-renewed
	return err
}

// renew keeps the promise of a builder until ctx ends; a promise that cannot be renewed ends the building.
func (s *Session) renew(ctx context.Context, cancel context.CancelCauseFunc, table, id types.TableID) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			err := s.apply(ctx, &command.RenewIndex{Table: table, Index: id, UntilMs: now.Add(buildLease).UnixMilli()})
			if err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("renew the promise to build key %d: %w", id, err))
				return
			}
		}
	}
}

// fill writes an entry for every row of a table. Nobody else writes to either table.
func (s *Session) fill(ctx context.Context, table types.TableID, name string, id types.TableID) error {
	t, err := s.fresh(ctx, table)
	if err != nil {
		return err
	}
	cat := s.sh.Log.Current()
	index, ok := cat.TableByID(id)
	if !ok {
		return &catalog.ErrNotFound{Kind: "key", Name: name}
	}
	u := newUniqueKey(t, name, index)
	scan := &physical.Scan{TableID: t.ID, Fragment: physical.Fragment{Schema: t.Schema}}
	for _, c := range index.Schema.Columns {
		scan.Fragment.Columns = append(scan.Fragment.Columns, c.ID)
	}
	for i := range t.Parts {
		scan.Tablets = append(scan.Tablets, t.Parts[i].Tablets...)
	}
	rows, err := s.sh.Scanner.Scan(ctx, &dist.Query{Snapshot: cat, NowMicros: time.Now().UnixMicro()}, scan)
	if err != nil {
		return err
	}
	defer rows.Close()
	var pending []*vec.Batch
	size, count := 0, 0
	for {
		b, err := rows.Next(ctx)
		if err != nil {
			return err
		}
		if b != nil {
			b = b.Compact()
			pending, size, count = append(pending, u.like(&t.Schema, b)), size+b.Size(), count+b.N
		}
		if count > 0 && (b == nil || count >= chunkRows || size >= chunkBytes) {
			if err := s.fillChunk(ctx, t, u, pending); err != nil {
				return err
			}
			pending, size, count = nil, 0, 0
		}
		if b == nil {
			return nil
		}
	}
}

// fillChunk commits the entries of some rows.
func (s *Session) fillChunk(ctx context.Context, t *catalog.Table, u *uniqueKey, rows []*vec.Batch) error {
	var entries []*vec.Batch
	for _, b := range rows {
		if e := u.entries(b, nil); e.N > 0 {
			entries = append(entries, e)
		}
	}
	if len(entries) == 0 {
		return nil
	}
	writes, err := u.write(vec.ConcatBatches(entries...), types.OpInsert)
	if err != nil {
		return err
	}
	r := s.retrier()
	for {
		err := s.writeOnce(ctx, func(ctx context.Context, _ *catalog.Catalog, tx *txn.Txn) error {
			_, err := tx.Write(ctx, writes, s.lockWait())
			return nameEntry(err, t, []*uniqueKey{u}, writes)
		})
		if err == nil || !mayRetry(err) || isGone(err) || !r.again(ctx, s.sh.Txns, err) {
			return err
		}
	}
}
