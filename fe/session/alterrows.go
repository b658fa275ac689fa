package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"stele/fe/dist"
	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/contain"
	"stele/meta/types"
	"stele/sql/define"
	"stele/sql/physical"
	"stele/sql/vec"
)

// Whoever changes a table by what its rows are promises to be alive for alterLease and renews the promise every renewEvery. Who finds a
// promise that was not renewed for so long takes the change back.
const (
	alterLease = 10 * time.Second
	renewEvery = 2 * time.Second
)

// prepared changes a table whose rows have to be looked at: for a unique key, which gets an entry for each of them, and for a constraint
// that they have to meet. Nobody else writes to the table meanwhile. What the command says counts when it is applied; whatever goes
// wrong before, the change is taken back. It tells how many rows were written anew.
func (s *Session) prepared(ctx context.Context, c *define.Change, cmd *command.ChangeTable) (rows int64, err error) {
	var keys []catalog.UniqueKey
	for _, i := range c.Built() {
		if !c.Rewrites() { // else they come with the copy
			keys = append(keys, c.To.Unique[i])
		}
	}
	held, err := s.holdParents(ctx, c)
	if err != nil {
		return 0, err
	}
	cmd.Parents = held
	ids, short, err := s.sh.Tables.BeginChange(ctx, c.From, c.To, keys, time.Now().Add(alterLease))
	if err != nil {
		return 0, errors.Join(err, s.releaseParents(ctx, held))
	}
	s.warnShort(short)
	cmd.Begun, cmd.ExpectVersion, cmd.Keys = true, c.From.Schema.Version+1, slices.Clone(cmd.Keys)
	for n, i := range c.Built() {
		if !c.Rewrites() {
			cmd.Keys[i].Index = ids[n]
		}
	}
	work := func(ctx context.Context) error {
		if err := s.lookAtRows(ctx, c, cmd.ExpectVersion, ids); err != nil {
			return err
		}
		return s.checkOrphans(ctx, c)
	}
	if c.Rewrites() {
		work = func(ctx context.Context) (err error) {
			rows, err = s.copyRows(ctx, c, cmd)
			return err
		}
	}
	err = s.promised(ctx, cmd, work)
	s.copied(ctx, cmd.Copy, err)
	if err == nil {
		return rows, nil
	}
	undo := s.apply(context.WithoutCancel(ctx), &command.HoldChange{Table: cmd.Table, Version: cmd.ExpectVersion})
	if isOver(undo) {
		undo = nil
	}
	return 0, errors.Join(err, undo, s.releaseParents(ctx, held))
}

// isOver reports whether a change that is to be taken back is not there any more.
func isOver(err error) bool {
	var refused *catalog.ErrRefused
	var gone *catalog.ErrNotFound
	var changed *catalog.ErrSchemaChanged
	return errors.As(err, &refused) || errors.As(err, &gone) || errors.As(err, &changed)
}

// takeBackAbandoned takes back the change of a table whose promise is broken.
func (s *Session) takeBackAbandoned(ctx context.Context, t *catalog.Table) error {
	until := t.Altering()
	if !s.sh.promises.broken(t.ID, until, time.Now()) {
		return nil
	}
	err := s.apply(ctx, &command.HoldChange{Table: t.ID, ExpiredMs: until + 1})
	if isOver(err) { // whoever changes it lives and has renewed the promise, or somebody else was faster
		return nil
	}
	return err
}

// promised does what the rows have to be looked at for and ends the change, renewing the promise meanwhile.
func (s *Session) promised(ctx context.Context, cmd *command.ChangeTable, work func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		if err := contain.Call(func() error { s.renew(ctx, cancel, cmd); return nil }); err != nil {
			cancel(err)
		}
	}()
	err := work(ctx)
	if err == nil {
		err = s.apply(ctx, cmd)
	}
	if err != nil && context.Cause(ctx) != nil && ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	cancel(nil)
	<-renewed
	return err
}

// renew keeps the promise of a change until ctx ends; a promise that cannot be renewed ends the change.
func (s *Session) renew(ctx context.Context, cancel context.CancelCauseFunc, cmd *command.ChangeTable) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, held := range append([]command.BegunTable{{Table: cmd.Table, Version: cmd.ExpectVersion}}, cmd.Parents...) {
				err := s.apply(ctx, &command.HoldChange{Table: held.Table, Version: held.Version, UntilMs: now.Add(alterLease).UnixMilli()})
				if err != nil && ctx.Err() == nil {
					cancel(fmt.Errorf("renew the promise to change table %d: %w", held.Table, err))
					return
				}
			}
		}
	}
}

// rowLooker reads the rows of a table as they will be after a change.
type rowLooker struct {
	s     *Session
	c     *define.Change
	keys  []*uniqueKey // that get an entry for each row
	reads []int        // columns of the table as it will be that are looked at
	from  []int        // where the scan has each of them, -1 = it is new
}

// lookAtRows checks every row against new constraints and writes its entries of new unique keys. Nobody else writes to the tables.
func (s *Session) lookAtRows(ctx context.Context, c *define.Change, version uint32, ids []types.TableID) error {
	t, err := s.fresh(ctx, c.From.ID)
	if err != nil {
		return err
	}
	if t.Schema.Version != version {
		return &catalog.ErrSchemaChanged{Table: t.ID, Given: version, Current: t.Schema.Version}
	}
	if !c.ReadsRows() {
		return nil
	}
	cat := s.sh.Log.Current()
	l := &rowLooker{s: s, c: c}
	for n, i := range c.Built() {
		index, ok := cat.TableByID(ids[n])
		if !ok {
			return &catalog.ErrNotFound{Kind: "key", Name: c.To.Unique[i].Name}
		}
		l.keys = append(l.keys, newUniqueKey(c.To, c.To.Unique[i].Name, index))
	}
	scan := l.scan(t)
	rows, err := s.sh.Scanner.Scan(ctx, &dist.Query{Snapshot: cat, NowMicros: time.Now().UnixMicro()}, scan)
	if err != nil {
		return err
	}
	defer rows.Close()
	next := func() (*vec.Batch, int, error) {
		b, err := rows.Next(ctx)
		if err != nil || b == nil {
			return nil, 0, err
		}
		b = b.Compact()
		return l.rows(b), b.Size(), nil
	}
	return inChunks(next, func(chunk []*vec.Batch, _ bool) error { return l.take(ctx, chunk) })
}

// scan reads the columns that are looked at of a table as it is.
func (l *rowLooker) scan(t *catalog.Table) *physical.Scan {
	to := &l.c.To.Schema
	wanted := slices.Concat(to.KeyIndexes(), l.columns())
	slices.Sort(wanted)
	scan := &physical.Scan{TableID: t.ID, Fragment: physical.Fragment{Schema: t.Schema}}
	for _, at := range slices.Compact(wanted) {
		l.reads, l.from = append(l.reads, at), append(l.from, -1)
		if id := to.Columns[at].ID; t.Schema.ColumnIndex(id) >= 0 {
			l.from[len(l.from)-1] = len(scan.Fragment.Columns)
			scan.Fragment.Columns = append(scan.Fragment.Columns, id)
		}
	}
	for i := range t.Parts {
		scan.Tablets = append(scan.Tablets, t.Parts[i].Tablets...)
	}
	return scan
}

// columns lists what constraints and entries are made of.
func (l *rowLooker) columns() []int {
	var out []int
	for _, id := range l.c.Reads() {
		out = append(out, l.c.To.Schema.ColumnIndex(id))
	}
	for _, u := range l.keys {
		out = append(out, u.from...)
	}
	return out
}

// rows makes rows of the table as it will be out of what the scan has read; only the columns that are looked at are there.
func (l *rowLooker) rows(b *vec.Batch) *vec.Batch {
	columns := l.c.To.Schema.Columns
	out := &vec.Batch{Cols: make([]*vec.Vector, len(columns)), N: b.N}
	for i, at := range l.reads {
		if l.from[i] < 0 {
			out.Cols[at] = initialVector(&columns[at], b.N)
			continue
		}
		v := *b.Cols[l.from[i]]
		v.Type = columns[at].Type // the same values, perhaps with more room
		out.Cols[at] = &v
	}
	return out
}

// initialVector is what rows that are there have in a new column.
func initialVector(c *types.Column, n int) *vec.Vector {
	cb := vec.NewColumnBuilder(c.Type, n)
	for range n {
		if c.Initial == nil {
			cb.AppendNull()
		} else {
			cb.AppendValue(define.InitialValue(c))
		}
	}
	return cb.Finish()
}

// take looks at some rows.
func (l *rowLooker) take(ctx context.Context, rows []*vec.Batch) error {
	for _, b := range rows {
		if err := l.c.Verify(b); err != nil {
			return err
		}
	}
	for _, u := range l.keys {
		if err := l.enter(ctx, u, rows); err != nil {
			return err
		}
	}
	return nil
}

// enter commits the entries of some rows.
func (l *rowLooker) enter(ctx context.Context, u *uniqueKey, rows []*vec.Batch) error {
	s := l.s
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
		err := s.writeOnce(ctx, &r, func(ctx context.Context, _ *catalog.Catalog, tx *txn.Txn) error {
			_, err := tx.Write(ctx, writes, s.lockWait())
			return nameEntry(err, l.c.To, []*uniqueKey{u}, writes, rows...)
		})
		if err == nil || !mayRetry(err) || isGone(err) || !r.again(ctx, s.sh.Txns, err) {
			return err
		}
	}
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
