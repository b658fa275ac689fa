package session

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/zeebo/xxh3"

	"stele/fe/server"
	"stele/meta/model"
	"stele/sql/errno"
	"stele/sql/plan"
	"stele/sql/vec"
)

// leavesOut reports whether rows may have to be left out, because of keys or foreign keys.
func (m *modifier) leavesOut() bool {
	return m.plan.Ignore && (m.whole && len(m.plan.Assign) > 0 || m.refs != nil || m.falls != nil)
}

// runIgnoring is run for UPDATE IGNORE of key columns, and UPDATE and DELETE IGNORE where foreign keys are to be kept: a row that meets a key, refers
// to nothing or is referred to stays as it is, with a warning. Which rows those are is asked before a batch is written. Few are found out by a
// refused write, which is undone by writing what came before it again: those whose key was taken meanwhile, or which others refer to by
// cascades, or by a key of the same table. The transaction keeps what the statement writes (txn.Keep).
func (m *modifier) runIgnoring(ctx context.Context) error {
	for {
		b, err := m.source.Next(ctx)
		if err != nil || b == nil {
			return err
		}
		w, err := m.work(ctx, b.Compact())
		if err != nil {
			return err
		}
		for _, leave := range []func(context.Context, *worked) error{m.leaveMet, m.leaveOrphans, m.leaveReferred} {
			if err := leave(ctx, &w); err != nil {
				return err
			}
		}
		size := len(w.rows)
		if m.refersToItself() { // what is written before a row decides
			size = 1
		}
		for part := range slices.Chunk(w.rows, max(size, 1)) {
			if err := m.writeIgnoring(ctx, worked{w.tablets, w.old, w.next, part}); err != nil {
				return err
			}
		}
	}
}

// refersToItself reports whether a foreign key of the table refers to the table.
func (m *modifier) refersToItself() bool {
	t := m.plan.Table
	return slices.ContainsFunc(t.ForeignKeys, func(f model.ForeignKey) bool { return f.RefTable == t.ID })
}

// writeIgnoring writes rows, halves of them if that is refused, and leaves out one that is refused alone.
func (m *modifier) writeIgnoring(ctx context.Context, w worked) error {
	mark := m.t.Mark()
	err := m.enter(w)
	if err == nil {
		err = m.flush(ctx)
	}
	var known server.MySQLError
	if err == nil || !errors.As(err, &known) {
		return err
	}
	code, _, msg := known.MySQL()
	if !slices.Contains([]uint16{errno.DuplicateEntry, errno.NoReferencedRow, errno.RowIsReferenced}, code) {
		return err
	}
	if rerr := m.t.RollbackTo(ctx, mark); rerr != nil {
		return fmt.Errorf("go back behind a row that is left out (%s): %w", msg, rerr) // which is the error: all is undone
	}
	m.forget()
	m.refs.forget()
	if len(w.rows) == 1 {
		m.leave(err, 1)
		return nil
	}
	half := len(w.rows) / 2
	for _, rows := range [][]int32{w.rows[:half], w.rows[half:]} {
		if err := m.writeIgnoring(ctx, worked{w.tablets, w.old, w.next, rows}); err != nil {
			return err
		}
	}
	return nil
}

// leave notes that rows are left out for an error which names the first of them.
func (m *modifier) leave(err error, rows int64) {
	if len(m.plan.Assign) == 0 {
		m.matched -= rows
	} else {
		m.changed -= rows
	}
	var known server.MySQLError
	if errors.As(err, &known) {
		code, _, msg := known.MySQL()
		m.s.warn("Warning", code, msg)
	}
}

// leaveMet leaves out rows whose new keys others have, as if the rows were updated one after another.
func (m *modifier) leaveMet(ctx context.Context, w *worked) error {
	if w.next == nil || !m.whole || len(w.rows) == 0 {
		return nil
	}
	asker := &inserter{s: m.s, cat: m.cat, t: m.t, plan: &plan.InsertPlan{Table: m.plan.Table}, pctx: m.pctx, keys: m.keys, remembers: true}
	next := gather(w.next, w.rows)
	now, err := asker.askKeys(ctx, next, false)
	if err != nil {
		return err
	}
	before := asker.hashes(gather(w.old, w.rows))
	moved := make([]map[xxh3.Uint128]bool, len(now.keys)) // whether a key that rows of the batch have given up or taken is there
	for k := range moved {
		moved[k] = map[xxh3.Uint128]bool{}
	}
	kept := make([]int32, 0, len(w.rows))
	for i, row := range w.rows {
		if key := now.meetsMoved(before, moved, i); key >= 0 {
			m.leave(asker.duplicate(next, i, key), 1)
			continue
		}
		kept = append(kept, row)
		for k := range now.keys {
			if before[k].has(i) {
				moved[k][before[k].hash[i]] = false
			}
		}
		for k := range now.keys {
			if c := &now.keys[k]; c.has(i) {
				moved[k][c.hash[i]] = true
			}
		}
	}
	w.rows = kept
	return nil
}

// meetsMoved returns the first key by which a row, which had other keys before, meets another, -1 = none. moved are the keys that rows
// have left and taken since the table was asked.
func (r *rowKeys) meetsMoved(before []keyColumn, moved []map[xxh3.Uint128]bool, row int) int {
	for k := range r.keys {
		c := &r.keys[k]
		if !c.has(row) || before[k].has(row) && before[k].hash[row] == c.hash[row] {
			continue
		}
		there, known := moved[k][c.hash[row]]
		if !known {
			there = c.met(row)
		}
		if there {
			return k
		}
	}
	return -1
}

// hashes are the keys of rows, as askKeys has them.
func (i *inserter) hashes(rows *vec.Batch) []keyColumn {
	schema := &i.plan.Table.Schema
	out := make([]keyColumn, 1+len(i.keys))
	if out[0].none = slices.Repeat([]bool{schema.HasRowID()}, rows.N); !schema.HasRowID() {
		out[0].place(vec.EncodeKeys(rows, schema.KeyIndexes()), eachRow(rows.N))
	}
	for k, u := range i.keys {
		c := &out[1+k]
		c.none = make([]bool, rows.N)
		var pick []int32
		for row := range rows.N {
			if c.none[row] = !u.hasEntry(rows, row); !c.none[row] {
				pick = append(pick, int32(row))
			}
		}
		if len(pick) > 0 {
			c.place(vec.EncodeKeys(u.entries(rows, pick), u.index.Schema.KeyIndexes()), pick)
		}
	}
	return out
}

// place notes the keys of some rows.
func (k *keyColumn) place(keys [][]byte, rows []int32) {
	k.hash = make([]xxh3.Uint128, len(k.none))
	for n, row := range rows {
		k.hash[row] = xxh3.Hash128(keys[n])
	}
}

// leaveOrphans leaves out rows that are to refer to what is not there, and locks what the others refer to.
func (m *modifier) leaveOrphans(ctx context.Context, w *worked) error {
	if m.refs == nil || w.next == nil {
		return nil
	}
	for _, k := range m.refs.refs {
		if k.self || len(w.rows) == 0 {
			continue
		}
		keys, of := k.keys(w.next, k.from, m.refs.changed(k, w.old, w.next, w.rows))
		if keys.N == 0 {
			continue
		}
		var missing map[string]bool
		if k.target != nil {
			shares, err := k.share(keys)
			if err != nil {
				return err
			}
			if missing, err = missed(ctx, m.t, shares, m.lockWait()); err != nil {
				return err
			}
		}
		out := map[int32]bool{}
		for i, key := range vec.EncodeKeys(keys, positions(len(keys.Cols))) {
			if k.target == nil || missing[string(key)] {
				out[of[i]] = true
			}
		}
		m.leaveRows(w, out, func() error { return m.refs.noParent(k) })
	}
	return nil
}

// leaveRows leaves out rows for an error.
func (m *modifier) leaveRows(w *worked, out map[int32]bool, why func() error) {
	kept := make([]int32, 0, len(w.rows))
	for _, row := range w.rows {
		if out[row] {
			m.leave(why(), 1)
		} else {
			kept = append(kept, row)
		}
	}
	w.rows = kept
}

// leaveReferred leaves out rows that others refer to, where these have to go first. What cascades, or a table that refers to itself, would do to
// those others is not known before the rows are written.
func (m *modifier) leaveReferred(ctx context.Context, w *worked) error {
	if m.falls == nil || len(w.rows) == 0 {
		return nil
	}
	f := &fallen{gone: []*vec.Batch{gather(w.old, w.rows)}}
	if w.next != nil {
		f = &fallen{old: f.gone, now: []*vec.Batch{gather(w.next, w.rows)}}
	}
	restricts := true
	if err := m.falls.each(ctx, func(d *dependents) error {
		restricts = restricts && d.restricts(f) && !d.k.self
		return nil
	}); err != nil || !restricts {
		return err
	}
	return m.falls.each(ctx, func(d *dependents) error {
		found, err := d.found(ctx, f)
		if err != nil || len(found) == 0 {
			return err
		}
		out := map[int32]bool{}
		keys, of := d.k.keys(w.old, d.k.to, w.rows)
		for i, key := range vec.EncodeKeys(keys, positions(len(keys.Cols))) {
			if _, goes := d.at[string(key)]; goes && found[string(key)] {
				out[of[i]] = true
			}
		}
		m.leaveRows(w, out, d.hasChild)
		return nil
	})
}

// restricts reports whether rows that refer by the key are in the way of what becomes of their parents.
func (d *dependents) restricts(f *fallen) bool {
	if d.action = d.k.f.OnDelete; len(f.gone) == 0 {
		d.action = d.k.f.OnUpdate
	}
	return d.action == model.ReferenceNoAction || d.action == model.ReferenceRestrict || slices.Contains(d.c.updated, d.t.ID)
}

// found are the keys of rows that are to go, or to become others, to which rows refer.
func (d *dependents) found(ctx context.Context, f *fallen) (map[string]bool, error) {
	d.at = map[string]newKey{}
	for _, b := range f.gone {
		d.add(b, nil)
	}
	for i, b := range f.old {
		d.add(b, f.now[i])
	}
	if len(d.at) == 0 {
		return nil, nil
	}
	m, err := d.modifier(ctx, "DELETE FROM %s")
	if err != nil {
		return nil, err
	}
	defer m.source.Close()
	found := map[string]bool{}
	return found, d.each(ctx, m, func(b *vec.Batch) error {
		keys, _ := d.k.keys(b, d.k.from, nil)
		for _, key := range vec.EncodeKeys(keys, positions(len(keys.Cols))) {
			found[string(key)] = true
		}
		return nil
	})
}
