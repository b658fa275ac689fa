package catalog

import (
	"slices"

	"stele/meta/command"
	"stele/meta/types"
)

// editTable returns a copy of a table whose partitions may be changed.
func (d *draft) editTable(id types.TableID) (*Table, error) {
	old, ok := d.tables.get(id)
	if !ok {
		return nil, notFound("table", id)
	}
	t := *old
	t.Parts = slices.Clone(old.Parts)
	return &t, nil
}

func partitionIndex(t *Table, id types.PartitionID) int {
	return slices.IndexFunc(t.Parts, func(p Partition) bool { return p.ID == id })
}

func (d *draft) truncateTable(c *command.TruncateTable) (any, error) {
	t, err := d.editTable(c.ID)
	if err != nil {
		return nil, err
	}
	if t.Hidden() {
		return nil, notFound("table", c.ID)
	}
	if c.Unreferenced {
		if err := d.refuseReferenced(t, func(*Table) bool { return false }); err != nil {
			return nil, err
		}
	}
	res, err := d.renewPartitions(t, c.Parts, c.Tablets)
	if err != nil {
		return nil, err
	}
	if len(c.Parts) == len(t.Parts) {
		n, _ := d.counters.get(t.ID)
		n.Auto, n.Fence = 1, 0
		d.counters = d.counters.set(d.o, t.ID, n)
	}
	err = d.truncateIndexes(t, c, &res)
	return res, err
}

// renewPartitions puts new tablets in the place of those of some partitions.
func (d *draft) renewPartitions(t *Table, parts []command.TruncatePartition, tablets []Tablet) (DropResult, error) {
	for i := range tablets { // before the old ones go: an id is never used twice
		if _, ok := d.tablets.get(tablets[i].ID); ok {
			return DropResult{}, exists("tablet", tablets[i].ID)
		}
	}
	var res DropResult
	var renewed []Partition
	for _, tp := range parts {
		at := partitionIndex(t, tp.Partition)
		if at < 0 {
			return DropResult{}, notFound("partition", tp.Partition)
		}
		p := &t.Parts[at]
		if slices.ContainsFunc(renewed, func(r Partition) bool { return r.ID == p.ID }) || len(tp.Tablets) == 0 {
			return DropResult{}, refused("partition %s is named twice or gets no tablets", p.Name)
		}
		for _, id := range p.Tablets {
			d.dropTablet(id)
		}
		res.Tablets = append(res.Tablets, p.Tablets...)
		p.Tablets = tp.Tablets
		renewed = append(renewed, *p)
	}
	if err := d.newTablets(t, renewed, tablets); err != nil {
		return DropResult{}, err
	}
	d.tables = d.tables.set(d.o, t.ID, t)
	return res, nil
}

func (d *draft) addPartition(c *command.AddPartition) error {
	t, err := d.editTable(c.Table)
	if err != nil {
		return err
	}
	if t.Partition == nil || t.Hidden() {
		return refused("table %s is not partitioned", t.Name)
	}
	if err := d.insertPartition(t, c.Partition, c.Tablets, c.TimeMs); err != nil {
		return err
	}
	return d.addIndexPartitions(t, c)
}

// insertPartition adds a partition at its place in the order of ranges, a list behind the others.
func (d *draft) insertPartition(t *Table, p Partition, tablets []Tablet, timeMs int64) error {
	if err := d.newPartition(t, &p, timeMs); err != nil {
		return err
	}
	at := slices.IndexFunc(t.Parts, func(q Partition) bool { return string(p.Lower) < string(q.Lower) })
	if at < 0 {
		at = len(t.Parts)
	}
	t.Parts = slices.Insert(t.Parts, at, p)
	if err := checkPartitions(t); err != nil {
		return err
	}
	if err := d.newTablets(t, t.Parts[at:at+1], tablets); err != nil {
		return err
	}
	d.tables = d.tables.set(d.o, t.ID, t)
	return nil
}

func (d *draft) dropPartition(c *command.DropPartition) (any, error) {
	t, err := d.editTable(c.Table)
	if err != nil {
		return nil, err
	}
	at := partitionIndex(t, c.Partition)
	if at < 0 {
		return nil, notFound("partition", c.Partition)
	}
	if t.Partition == nil {
		return nil, refused("table %s is not partitioned", t.Name)
	}
	if t.Hidden() {
		return nil, notFound("table", c.Table)
	}
	if t.Altering() != 0 {
		return nil, refusedAltering(t)
	}
	if len(t.Parts) == 1 {
		return nil, refused("table %s: its last partition stays", t.Name)
	}
	res := DropResult{Tablets: d.forgetPartition(&t.Parts[at])}
	t.Parts = slices.Delete(t.Parts, at, at+1)
	d.tables = d.tables.set(d.o, t.ID, t)
	for _, index := range d.indexesOf(t) {
		res.Tablets = append(res.Tablets, d.forgetPartition(&index.Parts[at])...)
		index.Parts = slices.Delete(index.Parts, at, at+1)
		d.tables = d.tables.set(d.o, index.ID, index)
	}
	return res, nil
}
