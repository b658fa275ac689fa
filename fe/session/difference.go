package session

import (
	"fmt"

	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/plan"
	"stele/sql/vec"
)

// difference collects what a statement changes in a table and in the hidden tables of its unique keys.
type difference struct {
	t       *catalog.Table
	keys    []*uniqueKey
	base    byOp
	changes []map[string]*entryChange // per unique key
	order   [][]string
}

// byOp are rows by what is to be done with them, in the order in which it is to be done: deletes first, so that a key may
// move to where another was.
type byOp struct {
	deletes, puts, inserts []*vec.Batch
}

func (b *byOp) add(op types.RowOp, row *vec.Batch) {
	switch op {
	case types.OpDelete:
		b.deletes = append(b.deletes, row)
	case types.OpPut:
		b.puts = append(b.puts, row)
	default:
		b.inserts = append(b.inserts, row)
	}
}

// entryChange is the entry of a key before and after, nil = none.
type entryChange struct{ old, now *vec.Batch }

func newDifference(t *catalog.Table, keys []*uniqueKey) *difference {
	d := &difference{t: t, keys: keys, order: make([][]string, len(keys))}
	for range keys {
		d.changes = append(d.changes, map[string]*entryChange{})
	}
	return d
}

// add notes a change of one row.
func (d *difference) add(op types.RowOp, row *vec.Batch) { d.base.add(op, row) }

// entries notes the entries that a row has had and those that it has now.
func (d *difference) entries(old, now *vec.Batch) {
	for k, u := range d.keys {
		if old != nil && u.hasEntry(old, 0) {
			d.at(k, u.entry(old, 0)).old = u.entries(old, []int32{0})
		}
		if now != nil && u.hasEntry(now, 0) {
			d.at(k, u.entry(now, 0)).now = u.entries(now, []int32{0})
		}
	}
}

func (d *difference) at(k int, entry string) *entryChange {
	c := d.changes[k][entry]
	if c == nil {
		c = &entryChange{}
		d.changes[k][entry] = c
		d.order[k] = append(d.order[k], entry)
	}
	return c
}

// writes routes the changes. Rows are checked against the snapshot; entries need not be, because they follow the rows.
func (d *difference) writes(cat *catalog.Catalog) ([]txn.TabletWrite, error) {
	out, err := d.base.writes(d.t)
	if err != nil {
		return nil, err
	}
	if err := asOf(cat, out); err != nil {
		return nil, err
	}
	for k, u := range d.keys {
		var rows byOp
		for _, entry := range d.order[k] {
			c := d.changes[k][entry]
			switch {
			case c.old == nil && c.now != nil:
				rows.add(types.OpInsert, c.now)
			case c.now == nil && c.old != nil:
				rows.add(types.OpDelete, c.old)
			case !sameRow(c.old, c.now):
				rows.add(types.OpPut, c.now)
			}
		}
		writes, err := rows.writes(u.index)
		if err != nil {
			return nil, err
		}
		for i := range writes {
			writes[i].Index = true
		}
		out = append(out, writes...)
	}
	return out, nil
}

// asOf has leaders refuse writes of rows that have changed since the snapshot.
func asOf(cat *catalog.Catalog, writes []txn.TabletWrite) error {
	for i := range writes {
		tab, ok := cat.Tablet(writes[i].Tablet)
		if !ok {
			return &txn.RetryError{Err: fmt.Errorf("tablet %d is no more", writes[i].Tablet)}
		}
		writes[i].ReadVersion = tab.Version
	}
	return nil
}

// sameRow reports whether two rows of a table hold the same values.
func sameRow(a, b *vec.Batch) bool {
	for i := range a.Cols {
		if !sameValue(a.Cols[i], b.Cols[i], 0) {
			return false
		}
	}
	return true
}

// writes routes rows to the tablets of a table, one write a tablet.
func (b *byOp) writes(t *catalog.Table) ([]txn.TabletWrite, error) {
	var all []*vec.Batch
	var ops []byte
	for _, part := range []struct {
		op   types.RowOp
		rows []*vec.Batch
	}{{types.OpDelete, b.deletes}, {types.OpPut, b.puts}, {types.OpInsert, b.inserts}} {
		for _, row := range part.rows {
			all = append(all, row)
			for range row.N {
				ops = append(ops, byte(part.op))
			}
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	rows := vec.ConcatBatches(all...)
	routes, err := plan.Route(t, rows)
	if err != nil {
		return nil, err
	}
	var out []txn.TabletWrite
	for _, r := range routes {
		w := txn.TabletWrite{Tablet: r.Tablet, Rows: gather(rows, r.Rows), Schema: t.Schema.Version}
		for _, at := range r.Rows {
			w.Ops = append(w.Ops, ops[at])
		}
		out = append(out, w)
	}
	return out, nil
}
