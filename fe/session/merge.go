package session

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"stele/fe/dist"
	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/physical"
	"stele/sql/plan"
	"stele/sql/vec"
)

// merger works out what INSERT IGNORE, REPLACE and ON DUPLICATE KEY UPDATE make of a table with unique keys: it reads the
// rows that any key of the new ones meets, applies the new rows to them one by one as MySQL does, and writes the
// difference. A row that has changed since the snapshot, or a key that was taken meanwhile, makes a leader refuse, and the
// statement is tried again.
type merger struct {
	i      *inserter
	schema *types.Schema
	rows   map[string]*mergedRow // by primary key; a known key without a row is one without old and now
	order  []string
	owners []map[string]string   // per unique key: entry -> primary key of its row, "" = none
	moved  map[string]*vec.Batch // what ON DUPLICATE KEY UPDATE has made of a row that has another primary key now
}

// mergedRow is what becomes of one primary key.
type mergedRow struct {
	old, now *vec.Batch // one row each, nil = none
}

// merge writes a chunk of an INSERT through the merger.
func (i *inserter) merge(ctx context.Context, rows *vec.Batch) error {
	m := &merger{i: i, schema: &i.plan.Table.Schema, rows: map[string]*mergedRow{}}
	for range i.keys {
		m.owners = append(m.owners, map[string]string{})
	}
	if err := i.land(); err != nil { // it reads what was written
		return err
	}
	if err := m.load(ctx, rows); err != nil {
		return err
	}
	for k := range rows.N {
		if err := m.apply(ctx, gather(rows, []int32{int32(k)}), k+1); err != nil {
			return err
		}
	}
	i.seen.touched(m)
	writes, err := m.writes()
	if err != nil || len(writes) == 0 {
		return err
	}
	if writes, err = m.refer(writes); err != nil {
		return err
	}
	if _, err = i.write(ctx, writes, i.refs.take(), i.s.lockWait(), i.s.overtaken); err != nil || i.falls == nil {
		return err
	}
	if lost := m.fallen(); !lost.none() {
		return i.falls.run(ctx, lost)
	}
	return nil
}

// refer adds the locks of what new rows refer to, and rows that have another key now.
func (m *merger) refer(writes []txn.TabletWrite) (_ []txn.TabletWrite, err error) {
	for _, key := range m.order {
		r := m.rows[key]
		switch {
		case m.i.refs == nil || r.now == nil || r.now == r.old:
			continue
		case r.old == nil || m.i.plan.OnDuplicate == nil:
			writes, err = m.i.refs.refer(writes, r.now, nil)
		default:
			writes, err = m.i.refs.referChanged(writes, r.old, r.now, []int32{0})
		}
		if err != nil {
			return nil, err
		}
	}
	return writes, nil
}

// fallen are the rows that foreign keys may refer to and that are gone or have become others. What REPLACE replaces is gone, whatever comes.
func (m *merger) fallen() *fallen {
	lost := &fallen{}
	for _, key := range m.order {
		switch r := m.rows[key]; {
		case r.old == nil || r.old == r.now:
		case r.now == nil && m.moved[key] != nil:
			lost.old, lost.now = append(lost.old, r.old), append(lost.now, m.moved[key])
		case r.now == nil || m.i.plan.OnDuplicate == nil:
			lost.gone = append(lost.gone, r.old)
		default:
			lost.old, lost.now = append(lost.old, r.old), append(lost.now, r.now)
		}
	}
	return lost
}

// overtaken is the failure of a statement whose key another transaction has taken since the snapshot: a new snapshot helps,
// and a transaction that is bound to the old one has lost. Other errors stay.
func (s *Session) overtaken(err error) error {
	if !isDuplicate(err) {
		return err
	}
	var r *txn.Refusal
	errors.As(err, &r)
	if s.inTx {
		return &txn.Refusal{Code: bepb.WriteResponse_CONFLICT, Tablet: r.Tablet, Row: r.Row, Msg: "a row was inserted meanwhile: " + r.Msg}
	}
	return &txn.RetryError{Err: fmt.Errorf("a row was inserted meanwhile: %w", r)}
}

// movesRows reports whether ON DUPLICATE KEY UPDATE may give a row another key or tablet.
func (i *inserter) movesRows() bool {
	t := i.plan.Table
	return slices.ContainsFunc(i.plan.Updated(), func(column int) bool {
		return slices.Contains(t.Locator(), t.Schema.Columns[column].ID)
	})
}

// key is the primary key of a one-row batch.
func (m *merger) key(row *vec.Batch) string {
	return string(vec.AppendRowKey(nil, row, m.schema.KeyIndexes(), 0))
}

// load reads the rows that the keys of new rows meet.
func (m *merger) load(ctx context.Context, fresh *vec.Batch) error {
	if !m.schema.HasRowID() { // a fresh row id meets nothing
		if err := m.loadRows(ctx, fresh); err != nil {
			return err
		}
	}
	for k, u := range m.i.keys {
		if err := m.loadOwners(ctx, k, u.entries(fresh, nil)); err != nil {
			return err
		}
	}
	return nil
}

// loadRows reads the rows with the primary keys of some rows; only the columns that find a row need be there.
func (m *merger) loadRows(ctx context.Context, like *vec.Batch) error {
	routes, err := plan.Route(m.i.plan.Table, like)
	if err != nil {
		return err
	}
	for _, r := range routes {
		var wanted [][]byte
		for _, at := range r.Rows {
			key := vec.AppendRowKey(nil, like, m.schema.KeyIndexes(), int(at))
			if m.rows[string(key)] == nil {
				m.rows[string(key)] = &mergedRow{}
				m.order = append(m.order, string(key))
				wanted = append(wanted, key)
			}
		}
		if len(wanted) == 0 {
			continue
		}
		slices.SortFunc(wanted, slices.Compare[[]byte])
		found, err := m.i.existing(ctx, r.Tablet, wanted)
		if err != nil {
			return err
		}
		for key, f := range found {
			m.rows[key].old, m.rows[key].now = f.row, f.row
			m.own(key, f.row)
		}
	}
	return nil
}

// own records whose entries those of a row are.
func (m *merger) own(key string, row *vec.Batch) {
	for k, u := range m.i.keys {
		if u.hasEntry(row, 0) {
			m.owners[k][u.entry(row, 0)] = key
		}
	}
}

// disown gives up the entries of a row.
func (m *merger) disown(row *vec.Batch) {
	for k, u := range m.i.keys {
		if u.hasEntry(row, 0) {
			m.owners[k][u.entry(row, 0)] = ""
		}
	}
}

// loadOwners reads the rows that have some entries of unique key k.
func (m *merger) loadOwners(ctx context.Context, k int, entries *vec.Batch) error {
	u := m.i.keys[k]
	var unknown []int32
	for n, e := range vec.EncodeKeys(entries, u.index.Schema.KeyIndexes()) {
		if _, known := m.owners[k][string(e)]; !known {
			m.owners[k][string(e)] = ""
			unknown = append(unknown, int32(n))
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	found, err := m.i.lookup(ctx, u, gather(entries, unknown))
	if err != nil {
		return err
	}
	for _, f := range found {
		if err := m.loadRows(ctx, u.like(m.schema, f)); err != nil {
			return err
		}
	}
	return nil
}

// like makes rows of the owner out of entries, with the columns that find a row.
func (u *uniqueKey) like(owner *types.Schema, entries *vec.Batch) *vec.Batch {
	out := &vec.Batch{Cols: make([]*vec.Vector, len(owner.Columns)), N: entries.N}
	for i, at := range u.from {
		out.Cols[at] = entries.Cols[i]
	}
	return out
}

// lookup reads those of some entries that exist.
func (i *inserter) lookup(ctx context.Context, u *uniqueKey, entries *vec.Batch) ([]*vec.Batch, error) {
	routes, err := plan.Route(u.index, entries)
	if err != nil {
		return nil, err
	}
	keys := vec.EncodeKeys(entries, u.index.Schema.KeyIndexes())
	var out []*vec.Batch
	for _, r := range routes {
		var wanted [][]byte
		for _, at := range r.Rows {
			wanted = append(wanted, keys[at])
		}
		slices.SortFunc(wanted, slices.Compare[[]byte])
		found, err := i.readKeys(ctx, u.index, r.Tablet, wanted)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// readKeys reads all columns of the rows with some primary keys from one tablet, as the statement sees them.
func (i *inserter) readKeys(ctx context.Context, t *catalog.Table, tablet types.TabletID, keys [][]byte) ([]*vec.Batch, error) {
	return i.readColumns(ctx, t, tablet, keys, columnIDs(&t.Schema))
}

// columnIDs lists all columns of a table.
func columnIDs(s *types.Schema) []types.ColumnID {
	out := make([]types.ColumnID, len(s.Columns))
	for i := range s.Columns {
		out[i] = s.Columns[i].ID
	}
	return out
}

// readsOwn reports whether what the statement reads has the rows of its earlier chunks.
func (i *inserter) readsOwn() bool { return i.s.inTx || i.remembers }

// nowMicros is the time of the statement.
func (i *inserter) nowMicros() int64 {
	if i.pctx == nil { // it was planned by what is kept of the one before
		return i.s.clock().UnixMicro()
	}
	return i.pctx.NowMicros
}

// readColumns is readKeys of some columns.
func (i *inserter) readColumns(ctx context.Context, t *catalog.Table, tablet types.TabletID, keys [][]byte, columns []types.ColumnID) ([]*vec.Batch, error) {
	f := physical.Fragment{Schema: t.Schema, Keys: keys, Columns: columns}
	q := &dist.Query{Snapshot: i.cat, NowMicros: i.nowMicros()}
	if i.readsOwn() {
		q.Txn, q.Leads = i.t.ID(), i.t.Leads
	}
	rows, err := i.s.sh.Scanner.Scan(ctx, q, &physical.Scan{TableID: t.ID, Tablets: []types.TabletID{tablet}, Fragment: f})
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*vec.Batch
	for {
		b, err := rows.Next(ctx)
		if err != nil || b == nil {
			return out, err
		}
		out = append(out, b.Compact())
	}
}

// meets lists the primary keys of the rows that a new row meets: by its primary key first, then by its unique keys.
func (m *merger) meets(fresh *vec.Batch) []string {
	var out []string
	if r := m.rows[m.key(fresh)]; r != nil && r.now != nil {
		out = append(out, m.key(fresh))
	}
	for k, u := range m.i.keys {
		if !u.hasEntry(fresh, 0) {
			continue
		}
		if owner := m.owners[k][u.entry(fresh, 0)]; owner != "" && !slices.Contains(out, owner) {
			out = append(out, owner)
		}
	}
	return out
}

// apply does what the statement says with one new row.
func (m *merger) apply(ctx context.Context, fresh *vec.Batch, number int) error {
	i := m.i
	met := m.meets(fresh)
	switch {
	case len(met) == 0:
		i.counts.Inserted++
		m.set(fresh)
	case i.plan.OnDuplicate != nil:
		i.passOver(fresh, 0)
		return m.update(ctx, met[0], fresh, number)
	case i.plan.Mode == plan.ModeIgnore:
		i.counts.Ignored++
		i.passOver(fresh, 0)
		i.leftOut.add(m.collision(fresh, met[0]))
	default:
		for _, key := range met {
			m.remove(key)
		}
		m.set(fresh)
		i.counts.Replaced++
		i.removed += int64(len(met) - 1)
	}
	return nil
}

// set puts a row where none is.
func (m *merger) set(row *vec.Batch) {
	key := m.key(row)
	r := m.rows[key]
	if r == nil {
		r = &mergedRow{}
		m.rows[key] = r
		m.order = append(m.order, key)
	}
	r.now = row
	m.own(key, row)
}

// remove takes a row away.
func (m *merger) remove(key string) {
	r := m.rows[key]
	m.disown(r.now)
	r.now = nil
}

// update applies ON DUPLICATE KEY UPDATE to the row that a new one has met.
func (m *merger) update(ctx context.Context, key string, fresh *vec.Batch, number int) error {
	i := m.i
	next, changed, err := i.assign(m.rows[key].now, fresh, number)
	if err != nil {
		return err
	}
	if !changed {
		i.same++
		return nil
	}
	if err := i.s.keepNumbers(ctx, i.plan.Numbers(), i.plan.OnDuplicate, next); err != nil {
		return err
	}
	if stays, err := i.stays(next); err != nil || !stays {
		i.same++
		return err
	}
	if err := m.load(ctx, next); err != nil { // its keys may be new ones
		return err
	}
	before := m.rows[key].now
	m.remove(key)
	if met := m.meets(next); len(met) > 0 {
		m.set(before)
		if i.plan.Mode == plan.ModeIgnore {
			i.same++
			return nil
		}
		return m.collision(next, met[0])
	}
	m.set(next)
	if m.key(next) != key && m.rows[key].old != nil {
		if m.moved == nil {
			m.moved = map[string]*vec.Batch{}
		}
		m.moved[key] = next
	}
	i.updated++
	i.tell(next)
	return nil
}

// stays reports whether a partition takes a row as it was updated, which is an error if the statement does not ignore those that none takes.
func (i *inserter) stays(next *vec.Batch) (bool, error) {
	if !i.plan.Places() {
		return true, nil
	}
	var out plan.Warnings
	_, err := i.plan.Placed(next, &out)
	return out.Count == 0, err
}

// collision is the error of an update whose row meets a second one.
func (m *merger) collision(row *vec.Batch, key string) error {
	t := m.i.plan.Table
	if m.key(row) == key {
		return duplicate(t, "PRIMARY", row, 0, t, t.Schema.KeyIndexes(), nil)
	}
	for k, u := range m.i.keys {
		if u.hasEntry(row, 0) && m.owners[k][u.entry(row, 0)] == key {
			return duplicate(t, u.name, row, 0, t, u.key, u.prefix)
		}
	}
	return fmt.Errorf("BUG: a row of table %d meets another by no key", t.ID)
}

// writes is the difference between what was and what is to be.
func (m *merger) writes() ([]txn.TabletWrite, error) {
	d := newDifference(m.i.plan.Table, m.i.keys)
	for _, key := range m.order {
		r := m.rows[key]
		switch {
		case r.old == r.now:
		case r.old == nil:
			d.add(types.OpInsert, r.now)
		case r.now == nil:
			d.add(types.OpDelete, r.old)
		default:
			d.add(types.OpPut, r.now)
		}
		if r.old != r.now {
			d.entries(r.old, r.now)
		}
	}
	return d.writes(m.i.cat)
}
