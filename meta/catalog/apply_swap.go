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
	case c.Copy.Instead == nil && !alikeParted(t, from):
		return nil, refused("table %s: its copy is partitioned otherwise", t.Name)
	case c.Copy.Instead != nil && !hasPartitions(t, c.Copy.Instead):
		return nil, refused("table %s: a partition came or went while its rows were copied", t.Name)
	}
	res, err := d.dropKeys(t.Unique)
	if err != nil {
		return nil, err
	}
	if c.Copy.Instead != nil {
		res.Tablets = append(res.Tablets, d.takePartitions(t, from)...)
	} else {
		res.Tablets = append(res.Tablets, d.takeTablets(t, from)...)
	}
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

// hasPartitions reports whether a table has these partitions and no others.
func hasPartitions(t *Table, ids []types.PartitionID) bool {
	return slices.EqualFunc(t.Parts, ids, func(p Partition, id types.PartitionID) bool { return p.ID == id })
}

// takePartitions gives a table the partitions of its copy, with their tablets and what says which rows they take, and returns the tablets
// that it had.
func (d *draft) takePartitions(t, from *Table) (gone []types.TabletID) {
	for i := range t.Parts {
		gone = append(gone, d.forgetPartition(&t.Parts[i])...)
	}
	t.Parts = slices.Clone(from.Parts)
	t.Partition, t.HashParts, t.Buckets = from.Partition, from.HashParts, from.Buckets
	for i := range t.Parts {
		p := &t.Parts[i]
		for _, id := range p.Tablets {
			d.moveTablet(id, t, p, 0)
		}
		d.parts = d.parts.set(d.o, p.ID, t.ID)
	}
	return gone
}

// moveTablet gives a tablet of a copy to a partition of the table. Its epoch rises: nothing may come to it any more that was sent to the
// copy. What an operator has said of the tablet in whose place it comes, 0 = of none, holds for it.
func (d *draft) moveTablet(id types.TabletID, t *Table, p *Partition, instead types.TabletID) {
	old, _ := d.tablets.get(id)
	next := *old
	next.Table, next.Partition, next.Epoch = t.ID, p.ID, old.Epoch+1
	if was, ok := d.tablets.get(instead); ok {
		next.Extra = was.Extra
	}
	d.tablets = d.tablets.set(d.o, id, &next)
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

// takeTablets gives the partitions of a table the tablets of those of its copy, and returns those that they had.
func (d *draft) takeTablets(t, from *Table) (gone []types.TabletID) {
	for i := range t.Parts {
		p, q := &t.Parts[i], &from.Parts[i]
		for b, id := range q.Tablets {
			instead := types.TabletID(0)
			if len(p.Tablets) == len(q.Tablets) {
				instead = p.Tablets[b]
			}
			d.moveTablet(id, t, p, instead)
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
