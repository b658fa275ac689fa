package session

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"stele/fe/txn"
	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/plan"
	"stele/sql/vec"
)

// upsert runs INSERT ... ON DUPLICATE KEY UPDATE: it reads the rows that are there in the snapshot, works out the row
// that each key ends up with, and writes those. A row that has changed since the snapshot makes the leader refuse, and
// the statement is tried again.
func (i *inserter) upsert(ctx context.Context, rows *vec.Batch) error {
	if rows.N > 1 && i.updatesApart() {
		if done, err := i.upsertMany(ctx, rows); err != nil || done {
			return err
		}
	}
	routes, err := plan.Route(i.plan.Table, rows)
	if err != nil {
		return err
	}
	if rows.N == 1 && !i.remembers {
		if err := i.upsertRow(ctx, routes[0].Tablet, rows); !errors.Is(err, txn.ErrGeneral) {
			return err
		}
	}
	var writes []txn.TabletWrite
	for _, r := range routes {
		w, err := i.upsertTablet(ctx, r.Tablet, gather(rows, r.Rows))
		if err != nil {
			return err
		}
		if w.Rows.N > 0 {
			writes = append(writes, w)
		}
	}
	if len(writes) == 0 {
		return nil
	}
	if writes, err = i.referUpserted(writes); err != nil {
		return err
	}
	counts, err := i.write(ctx, writes, i.refs.take(), i.s.lockWait(), func(err error) error {
		if isDuplicate(err) {
			return &txn.RetryError{Err: fmt.Errorf("a row was inserted meanwhile: %w", err)}
		}
		return err
	})
	if err != nil {
		return err
	}
	i.counts.Inserted += counts.Inserted
	return nil
}

// referUpserted adds the locks of what new rows refer to, and rows that an update may have given another key.
func (i *inserter) referUpserted(writes []txn.TabletWrite) (_ []txn.TabletWrite, err error) {
	if i.refs == nil {
		return writes, nil
	}
	all, n := i.updatesReference(), len(writes)
	for k := range n {
		var pick []int32
		for row := range writes[k].Rows.N {
			if op := writes[k].Ops[row]; all || types.RowOp(op) == types.OpInsert {
				pick = append(pick, int32(row))
			}
		}
		if len(pick) == 0 {
			continue
		}
		if writes, err = i.refs.refer(writes, writes[k].Rows, pick); err != nil {
			return nil, err
		}
	}
	return writes, nil
}

// updatesReference reports whether ON DUPLICATE KEY UPDATE assigns a column of a foreign key.
func (i *inserter) updatesReference() bool {
	return i.refs != nil && slices.ContainsFunc(i.refs.refs, func(k *reference) bool {
		return slices.ContainsFunc(i.plan.Updated(), func(c int) bool { return slices.Contains(k.from, c) })
	})
}

// upsertRow has the leader of its tablet put a single row, or update the one that is there; txn.ErrGeneral says that nothing has
// happened.
func (i *inserter) upsertRow(ctx context.Context, tablet types.TabletID, row *vec.Batch) error {
	change, ok := i.plan.Upsert(i.pctx)
	if !ok || i.plan.Checked() || i.refs != nil {
		return txn.ErrGeneral
	}
	out, err := i.s.modifyRow(ctx, i.cat, i.t, i.plan.Table, txn.RowChange{Tablet: tablet, Values: row, Change: change,
		Key: vec.AppendRowKey(nil, row, i.plan.Table.Schema.KeyIndexes(), 0), NowMicros: i.pctx.NowMicros})
	i.counts.Inserted += out.inserted
	if err == nil && out.inserted == 0 {
		i.passOver(row, 0)
	}
	i.updated += out.changed
	i.same += out.matched - out.changed
	return err
}

// merged is the row that a key ends up with.
type merged struct {
	row     *vec.Batch // one row
	existed bool       // in the snapshot
	changed bool
}

func (i *inserter) upsertTablet(ctx context.Context, tablet types.TabletID, rows *vec.Batch) (txn.TabletWrite, error) {
	tab, ok := i.cat.Tablet(tablet)
	if !ok {
		return txn.TabletWrite{}, &txn.RetryError{Err: fmt.Errorf("tablet %d is no more", tablet)}
	}
	schema := &i.plan.Table.Schema
	keys := vec.EncodeKeys(rows, schema.KeyIndexes())
	state, err := i.existing(ctx, tablet, keys)
	if err != nil {
		return txn.TabletWrite{}, err
	}
	var order []string
	for k := range rows.N {
		fresh := gather(rows, []int32{int32(k)})
		key := string(keys[k])
		old := state[key]
		if old == nil {
			state[key] = &merged{row: fresh, changed: true}
			order = append(order, key)
			continue
		}
		i.passOver(fresh, 0)
		next, changed, err := i.assign(old.row, fresh, k+1)
		if err != nil {
			return txn.TabletWrite{}, err
		}
		if changed {
			i.updated++
			i.tell(next)
			if old.existed && !old.changed {
				order = append(order, key)
			}
			old.row, old.changed = next, true
		} else {
			i.same++
		}
	}
	w := txn.TabletWrite{Tablet: tablet, ReadVersion: tab.Version, Rows: &vec.Batch{}, Schema: schema.Version}
	var out []*vec.Batch
	for _, key := range order {
		m := state[key]
		op := types.OpInsert
		if m.existed {
			op = types.OpPut
		}
		w.Ops = append(w.Ops, byte(op))
		out = append(out, m.row)
	}
	if len(out) > 0 {
		w.Rows = vec.ConcatBatches(out...)
	}
	return w, nil
}

// existing reads the rows of some keys.
func (i *inserter) existing(ctx context.Context, tablet types.TabletID, keys [][]byte) (map[string]*merged, error) {
	found, err := i.readKeys(ctx, i.plan.Table, tablet, keys)
	if err != nil {
		return nil, err
	}
	out := map[string]*merged{}
	for _, b := range found {
		for k, key := range vec.EncodeKeys(b, i.plan.Table.Schema.KeyIndexes()) {
			out[string(key)] = &merged{row: gather(b, []int32{int32(k)}), existed: true}
		}
	}
	return out, nil
}

// assign applies the assignments to a row that is there; changed tells whether they made a difference.
func (i *inserter) assign(old, fresh *vec.Batch, row int) (next *vec.Batch, changed bool, err error) {
	if next, err = i.assigned(old, fresh, row); err != nil {
		return nil, false, err
	}
	if ok, err := i.plan.CheckRow(i.pctx, next); err != nil || !ok {
		return old, false, err
	}
	return next, i.differs(old, next, 0), nil
}

// assigned works out what the assignments make of rows that are there, the first of which has met row number row of the statement.
func (i *inserter) assigned(old, fresh *vec.Batch, row int) (*vec.Batch, error) {
	next := &vec.Batch{Cols: append([]*vec.Vector(nil), old.Cols...), N: old.N}
	ectx := expr.Context{Loc: i.s.vars.Zone(), NowMicros: i.pctx.NowMicros}
	// What assignments before have set is part of the expressions: they refer to the row as it was.
	in := &vec.Batch{Cols: append(append([]*vec.Vector(nil), old.Cols...), fresh.Cols...), N: old.N}
	for _, a := range i.plan.OnDuplicate {
		if a.Keeps {
			next.Cols[a.Column] = old.Cols[a.Column]
			continue
		}
		prog, err := expr.Compile(a.Expr, ectx)
		if err != nil {
			return nil, err
		}
		v, err := prog.Eval(in)
		if err != nil {
			return nil, err
		}
		if next.Cols[a.Column], err = plan.ConvertColumn(i.pctx, v, &i.plan.Table.Schema.Columns[a.Column], i.plan.Mode == plan.ModeIgnore, row); err != nil {
			return nil, err
		}
	}
	i.told.hear(i.plan.OnDuplicate, next)
	return next, i.plan.Follow(i.pctx, next, row)
}

// differs reports whether the assignments have changed a row. A column may be assigned twice.
func (i *inserter) differs(old, next *vec.Batch, row int) bool {
	return slices.ContainsFunc(i.plan.OnDuplicate, func(a plan.Assign) bool {
		return !a.Auto && !sameValue(old.Cols[a.Column], next.Cols[a.Column], row)
	})
}

// sameValue reports whether row i of two vectors of one type holds the same value.
func sameValue(a, b *vec.Vector, i int) bool {
	return string(vec.AppendKey(nil, a, i)) == string(vec.AppendKey(nil, b, i))
}
