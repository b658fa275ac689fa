package catalog

import (
	"slices"

	"stele/meta/command"
	"stele/meta/types"
)

// swapRows gives a table that is altered the rows of its copy, by which they are stored as it will be. The copy goes.
func (d *draft) swapRows(t *Table, c *command.ChangeTable) (any, error) {
	from, ok := d.tables.get(c.Copy.Table)
	switch {
	case !c.Begun:
		return nil, refused("table %s: its rows can be swapped only by a change that has begun", t.Name)
	case !ok:
		return nil, notFound("table", c.Copy.Table)
	case from.Owner == nil || *from.Owner != c.Copy.Owner || from.ID == t.ID:
		return nil, refused("table %s is not the copy of %s that its session has made", from.Name, t.Name)
	case from.Schema.Version != t.Schema.Version+1:
		return nil, &ErrSchemaChanged{Table: t.ID, Given: from.Schema.Version, Current: t.Schema.Version}
	case !alikeParted(t, from):
		return nil, refused("table %s: its copy is partitioned otherwise", t.Name)
	}
	res, err := d.dropKeys(t.Unique)
	if err != nil {
		return nil, err
	}
	res.Tablets = append(res.Tablets, d.takeTablets(t, from)...)
	last := max(t.HighestColumn(), c.LastColumn)
	t.Schema = from.Schema
	t.Schema.TableID, t.LastColumn = t.ID, last
	t.HashBy, t.DupKey, t.KeyModel, t.Unique = from.HashBy, from.DupKey, from.KeyModel, from.Unique
	for _, index := range d.indexesOf(t) {
		index.IndexOf = t.ID
		d.tables = d.tables.set(d.o, index.ID, index)
	}
	d.tables = d.tables.del(d.o, from.ID)
	d.counters = d.counters.del(d.o, from.ID)
	if err := d.alterIndexes(t, nil); err != nil {
		return nil, err
	}
	return res, d.settle(t, c)
}

// alikeParted reports whether two tables have the same partitions, whatever their rows.
func alikeParted(a, b *Table) bool {
	p, q := a.Partition, b.Partition
	if (p == nil) != (q == nil) || p != nil && (!slices.Equal(p.Columns, q.Columns) || p.List != q.List || p.Func != q.Func) {
		return false
	}
	return slices.EqualFunc(a.Parts, b.Parts, func(p, q Partition) bool { return p.TakesAlike(&q) })
}

// dropKeys drops the hidden tables of unique keys.
func (d *draft) dropKeys(keys []UniqueKey) (DropResult, error) {
	var res DropResult
	for _, k := range keys {
		if !k.Enforced() {
			continue
		}
		dropped, err := d.dropTable(k.Index)
		if err != nil {
			return DropResult{}, err
		}
		res.Tablets = append(res.Tablets, dropped.Tablets...)
	}
	return res, nil
}

// takeTablets gives the partitions of a table the tablets of those of its copy, and returns those that they had. What an operator has said
// of a tablet holds for the one in its place. The epochs rise: nothing may come to a tablet any more that was sent to the copy.
func (d *draft) takeTablets(t, from *Table) (gone []types.TabletID) {
	for i := range t.Parts {
		p, q := &t.Parts[i], &from.Parts[i]
		for b, id := range q.Tablets {
			old, _ := d.tablets.get(id)
			next := *old
			next.Table, next.Partition, next.Epoch = t.ID, p.ID, old.Epoch+1
			if b < len(p.Tablets) && len(p.Tablets) == len(q.Tablets) {
				was, _ := d.tablets.get(p.Tablets[b])
				next.Extra = was.Extra
			}
			d.tablets = d.tablets.set(d.o, id, &next)
		}
		for _, id := range p.Tablets {
			d.dropTablet(id)
		}
		gone = append(gone, p.Tablets...)
		p.Tablets = slices.Clone(q.Tablets)
		d.parts = d.parts.del(d.o, q.ID)
		d.hints = d.hints.del(d.o, q.ID)
	}
	return gone
}
