package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"stele/fe/dist"
	"stele/fe/server"
	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/model"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/exec"
	"stele/sql/parse"
	"stele/sql/plan"
	"stele/sql/spool"
	"stele/sql/vec"
)

// update runs UPDATE.
func (s *Session) update(ctx context.Context, n *parse.UpdateStmt, params []plan.Param, out *output) error {
	m, err := s.modify(ctx, model.PrivUpdate, n, params, func(_ *catalog.Catalog, pctx *plan.Context) ([]*plan.ModifyPlan, error) {
		return plan.Updates(pctx, n)
	})
	if err != nil {
		return err
	}
	return s.updated(m, out)
}

// updated answers an UPDATE.
func (s *Session) updated(m modified, out *output) error {
	affected := m.changed
	if s.info.FoundRows {
		affected = m.matched
	}
	s.lastInsertID = m.told.or(s.lastInsertID)
	return out.done(server.Result{AffectedRows: uint64(affected), LastInsertID: m.told.or(0), Warnings: s.warningCount(),
		Info: fmt.Sprintf("Rows matched: %d  Changed: %d  Warnings: %d", m.matched, m.changed, s.warningCount())})
}

// delete runs DELETE.
func (s *Session) delete(ctx context.Context, n *parse.DeleteStmt, params []plan.Param, out *output) error {
	m, err := s.modify(ctx, model.PrivDelete, n, params, func(_ *catalog.Catalog, pctx *plan.Context) ([]*plan.ModifyPlan, error) {
		return plan.Deletes(pctx, n)
	})
	if err != nil {
		return err
	}
	return s.deleted(m, out)
}

// deleted answers a DELETE.
func (s *Session) deleted(m modified, out *output) error {
	return out.done(server.Result{AffectedRows: uint64(m.matched), Warnings: s.warningCount()})
}

// modified counts what an UPDATE or DELETE did; inserted is what ON DUPLICATE KEY UPDATE did where there was no row.
type modified struct {
	matched, changed, inserted int64
	told                       toldID
}

// modify runs an UPDATE or DELETE, which needs a privilege on each table that it writes, until it commits. n is nil if it has no queries in it.
func (s *Session) modify(ctx context.Context, need model.Privilege, n parse.Node, params []plan.Param,
	planned func(*catalog.Catalog, *plan.Context) ([]*plan.ModifyPlan, error)) (modified, error) {
	var total modified
	warned := s.warnings
	err := s.write(ctx, s.lockingFirst(n, params, func(ctx context.Context, cat *catalog.Catalog, t *txn.Txn) error {
		now := s.clock()
		pctx := s.planContext(cat, now, params)
		plans, err := planned(cat, pctx)
		if err != nil {
			return err
		}
		if total, err = s.modifyThere(ctx, cat, t, pctx, need, plans); !errors.Is(err, txn.ErrGeneral) {
			return err
		}
		all, err := s.modifiers(ctx, cat, t, pctx, need, plans, now)
		defer func() {
			for _, m := range all {
				m.source.Close()
			}
		}()
		if err != nil {
			return err
		}
		if slices.ContainsFunc(all, (*modifier).leavesOut) {
			t.Keep() // here, before the first of several tables is written: what is given up then cannot be gone back to
		}
		lockFor(t, false, s.inTx, s.contended)
		total = modified{}
		s.warnings = warned // those of an earlier try
		for _, m := range all {
			run := m.run
			if m.leavesOut() {
				run = m.runIgnoring
			}
			if err := run(ctx); err != nil {
				return err
			}
			total.matched, total.changed = total.matched+m.matched, total.changed+m.changed
			if m.told.value != nil {
				total.told = m.told
			}
		}
		s.warnPlanned(pctx)
		return nil
	}))
	return total, err
}

// modifyThere has the leader of a tablet do a statement that modifies one row, or the BE that leads all tablets in question one that modifies some;
// txn.ErrGeneral says that nothing has happened. What the account lacks is for the general way to say.
func (s *Session) modifyThere(ctx context.Context, cat *catalog.Catalog, t *txn.Txn, pctx *plan.Context, need model.Privilege, plans []*plan.ModifyPlan) (modified, error) {
	if len(plans) != 1 || len(plans[0].Via) > 0 || s.locked != nil || !s.holds(need|model.PrivSelect, plans[0].Database, plans[0].Table) {
		return modified{}, txn.ErrGeneral
	}
	p := plans[0]
	one, isOne := p.OneRow(pctx)
	var found *plan.FoundRows
	if !isOne {
		var ok bool
		if found, ok = p.FoundRows(pctx); !ok || !dist.ReadsFew(found.Find) {
			return modified{}, txn.ErrGeneral
		}
	}
	if s.keepsForeign(cat, p.Table, p.Assign, p.Written()) {
		return modified{}, txn.ErrGeneral
	}
	if isOne {
		return s.modifyRow(ctx, cat, t, p.Table, txn.RowChange{Tablet: one.Tablet, Key: one.Key, Change: one.Change, Delete: one.Delete, NowMicros: pctx.NowMicros})
	}
	if err := s.readable(p.Source); err != nil {
		return modified{}, err
	}
	m, err := s.modifyFound(ctx, cat, t, p.Table, found, pctx.NowMicros)
	if err == nil {
		s.warnPlanned(pctx)
	}
	return m, err
}

// modifyFound has the BE that leads all tablets in question find rows, in the state that the statement reads, and modify them.
func (s *Session) modifyFound(ctx context.Context, cat *catalog.Catalog, t *txn.Txn, table *catalog.Table, found *plan.FoundRows, nowMicros int64) (modified, error) {
	c := txn.RowsChange{Find: found.Find, Change: found.Change, NowMicros: nowMicros}
	for _, id := range found.Tablets {
		tab, ok := cat.Tablet(id)
		if !ok {
			return modified{}, txn.ErrGeneral
		}
		c.Tablets = append(c.Tablets, txn.TabletWrite{Tablet: id, ReadVersion: tab.Version, Schema: table.Schema.Version})
	}
	out, err := t.ModifyRows(ctx, c, s.lockWait())
	return modified{matched: out.Matched, changed: out.Counts.Replaced + out.Counts.Deleted}, err
}

// modifiers makes one for each table that a statement writes. Of several none sees what another one writes. After an error, too, the
// sources of those that are returned are the caller's to close.
func (s *Session) modifiers(ctx context.Context, cat *catalog.Catalog, t *txn.Txn, pctx *plan.Context, need model.Privilege,
	plans []*plan.ModifyPlan, now time.Time) (all []*modifier, err error) {
	for _, p := range plans {
		if err := s.mayWrite(need, p.Via, p.Database, p.Table); err != nil {
			return all, err
		}
		m, err := s.modifier(ctx, cat, t, pctx, p, now)
		if err != nil {
			return all, err
		}
		all = append(all, m)
	}
	if len(all) == 1 {
		return all, nil
	}
	shareGone(all)
	fallLast(all)
	for _, m := range all {
		held, err := spool.Hold(ctx, m.source, s.sh.Settings().SpillDir)
		if err != nil {
			m.source = &batches{} // Hold has closed it
			return all, err
		}
		m.source = held
	}
	return all, nil
}

// fallLast has a statement that updates several tables give parents new keys behind all else that it writes: a row that has followed its parent would be
// written over by what it was. A table that is to refer to other rows stays where it is, and has to find all that its rows refer to.
func fallLast(all []*modifier) {
	if len(all[0].plan.Assign) == 0 || !slices.ContainsFunc(all, func(m *modifier) bool { return m.falls != nil }) {
		return
	}
	turn := func(m *modifier) int {
		if m.falls != nil || m.assignsReference() {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(all, func(a, b *modifier) int { return turn(a) - turn(b) })
	fell := false
	for _, m := range all {
		if m.refs != nil {
			m.refs.anew = fell
		}
		fell = fell || m.falls != nil
	}
}

// assignsReference reports whether columns of a foreign key are written.
func (m *modifier) assignsReference() bool {
	written := m.plan.Written()
	return slices.ContainsFunc(m.plan.Table.ForeignKeys, func(f model.ForeignKey) bool {
		return slices.ContainsFunc(places(m.plan.Table, f.Columns), func(c int) bool { return slices.Contains(written, c) })
	})
}

// shareGone has the modifiers of one table, which a DELETE may name several times, tell one another which rows they delete.
func shareGone(all []*modifier) {
	for i, m := range all {
		for _, other := range all[:i] {
			if other.plan.Table.ID != m.plan.Table.ID {
				continue
			}
			if other.gone == nil {
				other.gone = map[string]struct{}{}
			}
			m.gone = other.gone
		}
	}
}

// modifier makes the modifier of one table, which owns the rows that it reads.
func (s *Session) modifier(ctx context.Context, cat *catalog.Catalog, t *txn.Txn, pctx *plan.Context, p *plan.ModifyPlan, now time.Time) (*modifier, error) {
	m, err := s.bareModifier(ctx, cat, t, pctx, p)
	if err != nil {
		return nil, err
	}
	m.source, err = s.source(ctx, p.Source, cat, now)
	return m, err
}

// bareModifier is modifier without the rows.
func (s *Session) bareModifier(ctx context.Context, cat *catalog.Catalog, t *txn.Txn, pctx *plan.Context, p *plan.ModifyPlan) (*modifier, error) {
	keys, err := s.keysOf(ctx, cat, p.Table)
	if err != nil {
		return nil, err
	}
	m := &modifier{s: s, cat: cat, t: t, plan: p, pctx: pctx, pending: map[types.TabletID]*tabletRows{}, keys: keys}
	m.whole = p.MovesRows || m.assignsKey()
	if !p.Table.HasForeignKeys() {
		return m, nil
	}
	var written []int
	if len(p.Assign) > 0 {
		written = p.Written()
		if m.refs, err = s.referrer(cat, p.Table); err != nil {
			return nil, err
		}
	}
	if m.falls = s.cascade(cat, t, p.Table, written); m.falls != nil {
		t.Keep() // what refers to the rows is looked for with what the statement has written
	}
	return m, nil
}

// modifier is one try of an UPDATE or DELETE: it reads the rows to change in the snapshot and writes them back in
// chunks. A leader refuses rows that have changed since the snapshot, and the statement is tried again.
type modifier struct {
	s    *Session
	cat  *catalog.Catalog
	t    *txn.Txn
	plan *plan.ModifyPlan
	pctx *plan.Context
	keys []*uniqueKey

	source exec.Stream
	// whole: the rows must be written together, because one may take the key that another gives up.
	whole bool
	touch bool           // write the rows as they are, for their locks
	share bool           // with touch: lock them shared, and write nothing
	wait  *time.Duration // for locks, nil = as the session says

	refs   *referrer // nil = the table has no foreign keys
	falls  *cascade  // nil = nothing refers to what is written
	fallen fallen    // since the last flush
	shares []txn.TabletWrite

	pending map[types.TabletID]*tabletRows
	order   []types.TabletID
	rows    int
	bytes   int

	gone map[string]struct{} // the keys of deleted rows; nil = nobody else deletes rows of the table

	matched, changed int64
	told             toldID
}

// tabletRows is what is to be written to one tablet: deletes before puts, so that a key may move to where another was.
type tabletRows struct {
	deletes, puts, inserts []*vec.Batch
	index                  bool // of a unique key
}

func (m *modifier) run(ctx context.Context) error {
	for {
		b, err := m.source.Next(ctx)
		if err != nil {
			return err
		}
		if b == nil {
			return m.flush(ctx)
		}
		if err := m.take(ctx, b.Compact()); err != nil {
			return err
		}
		if m.whole && m.bytes > movedBytes {
			return sqlErr(errno.UnknownError, "UPDATE of key columns: the rows take more than %d bytes; update fewer rows at a time", movedBytes)
		}
		if !m.whole && (m.rows >= chunkRows || m.bytes >= chunkBytes) {
			if err := m.flush(ctx); err != nil {
				return err
			}
		}
	}
}

// movedBytes bounds the rows that an UPDATE of key columns moves: they travel in one message a BE.
const movedBytes = 32 << 20

// take works out what becomes of the rows of one batch, and collects what is to be written.
func (m *modifier) take(ctx context.Context, b *vec.Batch) error {
	if m.touch {
		old := &vec.Batch{Cols: b.Cols[:len(m.plan.Table.Schema.Columns)], N: b.N}
		m.group(b.Cols[m.plan.TabletColumn].I64, old, nil, func(r *tabletRows, rows *vec.Batch) { r.puts = append(r.puts, rows) })
		return nil
	}
	w, err := m.work(ctx, b)
	if err != nil {
		return err
	}
	return m.enter(w)
}

// worked are rows of which it is worked out what becomes of them.
type worked struct {
	tablets   []int64 // of the old rows
	old, next *vec.Batch
	rows      []int32 // those that change; next = nil: that go
}

// work works out what becomes of the rows of one batch.
func (m *modifier) work(ctx context.Context, b *vec.Batch) (w worked, err error) {
	w = worked{tablets: b.Cols[m.plan.TabletColumn].I64, old: &vec.Batch{Cols: b.Cols[:len(m.plan.Table.Schema.Columns)], N: b.N}}
	if len(m.plan.Assign) == 0 {
		w.rows = m.stillThere(w.old)
		m.matched += int64(len(w.rows))
		return w, nil
	}
	if w.next, w.rows, err = m.assign(b, w.old); err != nil {
		return w, err
	}
	m.matched += int64(b.N)
	m.changed += int64(len(w.rows))
	m.told.hear(m.plan.Assign, w.next)
	return w, m.s.keepNumbers(ctx, m.plan.Table, m.plan.Assign, w.next)
}

// enter collects what is to be written for the rows that change.
func (m *modifier) enter(w worked) error {
	if len(w.rows) == 0 {
		return nil
	}
	if w.next == nil {
		return m.enterGone(w)
	}
	if err := m.moveEntries(w.old, w.next, w.rows); err != nil {
		return err
	}
	if m.falls != nil {
		m.fallen.old, m.fallen.now = append(m.fallen.old, gather(w.old, w.rows)), append(m.fallen.now, gather(w.next, w.rows))
	}
	var err error
	if m.shares, err = m.refs.referChanged(m.shares, w.old, w.next, w.rows); err != nil {
		return err
	}
	if !m.plan.MovesRows {
		m.group(w.tablets, w.next, w.rows, func(r *tabletRows, rows *vec.Batch) { r.puts = append(r.puts, rows) })
		return nil
	}
	m.group(w.tablets, w.old, w.rows, func(r *tabletRows, rows *vec.Batch) { r.deletes = append(r.deletes, rows) })
	moved := gather(w.next, w.rows)
	routes, err := plan.Route(m.plan.Table, moved)
	if err != nil {
		return err
	}
	for _, r := range routes {
		m.at(r.Tablet).inserts = append(m.at(r.Tablet).inserts, gather(moved, r.Rows))
	}
	return nil
}

// enterGone is enter for rows that are deleted.
func (m *modifier) enterGone(w worked) error {
	old := w.old
	if len(w.rows) < old.N {
		old = gather(old, w.rows)
	}
	if m.falls != nil {
		m.fallen.gone = append(m.fallen.gone, old)
	}
	m.group(w.tablets, w.old, w.rows, func(r *tabletRows, rows *vec.Batch) { r.deletes = append(r.deletes, rows) })
	return m.dropEntries(old)
}

// eachRow lists 0 to n - 1.
func eachRow(n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(i)
	}
	return out
}

// stillThere picks the rows that are not deleted under another name of the table, and notes them as deleted.
func (m *modifier) stillThere(rows *vec.Batch) []int32 {
	if m.gone == nil {
		return eachRow(rows.N)
	}
	sel := make([]int32, 0, rows.N)
	for i := range rows.N {
		key := string(vec.AppendRowKey(nil, rows, m.plan.Table.Schema.KeyIndexes(), i))
		if _, gone := m.gone[key]; !gone {
			m.gone[key] = struct{}{}
			sel = append(sel, int32(i))
		}
	}
	return sel
}

// assign computes the new rows, and which of them differ from the old ones.
func (m *modifier) assign(b, old *vec.Batch) (next *vec.Batch, changed []int32, err error) {
	next = &vec.Batch{Cols: append([]*vec.Vector(nil), old.Cols...), N: b.N}
	differs := make([]bool, b.N)
	for k, a := range m.plan.Assign {
		if a.Keeps {
			next.Cols[a.Column] = old.Cols[a.Column]
			continue
		}
		v, err := plan.ConvertColumn(m.pctx, b.Cols[m.plan.Values+k], &m.plan.Table.Schema.Columns[a.Column], m.plan.Ignore, int(m.matched)+1)
		if err != nil {
			return nil, nil, err
		}
		next.Cols[a.Column] = v
		if a.Auto {
			continue
		}
		for i := range differs {
			differs[i] = differs[i] || !sameValue(old.Cols[a.Column], v, i)
		}
	}
	if err := m.plan.Follow(m.pctx, next, int(m.matched)+1); err != nil {
		return nil, nil, err
	}
	for i, d := range differs {
		if d {
			changed = append(changed, int32(i))
		}
	}
	if m.plan.Checked() {
		changed, err = m.plan.CheckRows(m.pctx, next, changed)
	}
	return next, changed, err
}

// group hands the rows of each tablet to add; sel picks rows, nil = all.
func (m *modifier) group(tablets []int64, b *vec.Batch, sel []int32, add func(*tabletRows, *vec.Batch)) {
	by := map[types.TabletID][]int32{}
	var order []types.TabletID
	each := func(i int32) {
		id := types.TabletID(tablets[i])
		if by[id] == nil {
			order = append(order, id)
		}
		by[id] = append(by[id], i)
	}
	if sel == nil {
		for i := range b.N {
			each(int32(i))
		}
	}
	for _, i := range sel {
		each(i)
	}
	for _, id := range order {
		rows := gather(b, by[id])
		m.rows, m.bytes = m.rows+rows.N, m.bytes+rows.Size()
		add(m.at(id), rows)
	}
}

func (m *modifier) at(id types.TabletID) *tabletRows {
	r := m.pending[id]
	if r == nil {
		r = &tabletRows{}
		m.pending[id] = r
		m.order = append(m.order, id)
	}
	return r
}

// flush writes what has been collected.
func (m *modifier) flush(ctx context.Context) error {
	var writes []txn.TabletWrite
	for _, id := range m.order {
		tab, ok := m.cat.Tablet(id)
		if !ok {
			return &txn.RetryError{Err: fmt.Errorf("tablet %d is no more", id)}
		}
		r := m.pending[id]
		w := txn.TabletWrite{Tablet: id, ReadVersion: tab.Version, Schema: m.plan.Table.Schema.Version, Index: r.index}
		if r.index { // the row that the entry belongs to is checked
			w.ReadVersion = 0
		}
		var all []*vec.Batch
		for _, part := range []struct {
			op   types.RowOp
			rows []*vec.Batch
		}{{types.OpDelete, r.deletes}, {types.OpPut, r.puts}, {types.OpInsert, r.inserts}} {
			for _, b := range part.rows {
				for range b.N {
					w.Ops = append(w.Ops, byte(part.op))
				}
				all = append(all, b)
			}
		}
		if w.Rows = all[0]; len(all) > 1 {
			w.Rows = vec.ConcatBatches(all...)
		}
		writes = append(writes, w)
	}
	if len(writes) == 0 {
		return nil
	}
	if m.share {
		writes = m.shared(writes)
	}
	writes = append(writes, m.shares...)
	lost := m.fallen
	m.forget()
	_, err := m.refs.write(writes, m.refs.take(), func(writes []txn.TabletWrite) (txn.Counts, error) { return m.t.Write(ctx, writes, m.lockWait()) })
	if err != nil {
		return nameEntry(err, m.plan.Table, m.keys, writes)
	}
	if m.falls == nil || lost.none() {
		return nil
	}
	return m.falls.run(ctx, &lost)
}

// forget drops what has been collected.
func (m *modifier) forget() {
	m.pending, m.order, m.rows, m.bytes, m.shares, m.fallen = map[types.TabletID]*tabletRows{}, nil, 0, 0, nil, fallen{}
}

// keepsForeign reports whether a statement that deletes rows, or assigns some columns, has foreign keys to keep.
func (s *Session) keepsForeign(cat *catalog.Catalog, t *catalog.Table, assign []plan.Assign, written []int) bool {
	if !t.HasForeignKeys() || !s.keepsForeignKeys(t) {
		return false
	}
	if len(assign) == 0 {
		return len(t.ReferencedBy) > 0
	}
	for i := range t.ForeignKeys {
		if slices.ContainsFunc(places(t, t.ForeignKeys[i].Columns), func(c int) bool { return slices.Contains(written, c) }) {
			return true
		}
	}
	return writesReferred(cat, t, written)
}

// lockWait is how long the statement waits for row locks.
func (m *modifier) lockWait() time.Duration {
	if m.wait != nil {
		return *m.wait
	}
	return m.s.lockWait()
}
