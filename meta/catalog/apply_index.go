package catalog

import (
	"slices"
	"strings"

	"stele/meta/command"
	"stele/meta/types"
)

func (d *draft) applyIndex(cmd command.Command) (any, error, bool) {
	var result any
	var err error
	switch c := cmd.(type) {
	case *command.AddIndex:
		err = d.addIndex(c)
	case *command.AlterColumns:
		err = d.alterColumns(c)
	case *command.RenewIndex:
		err = d.editKey(c.Table, c.Index, func(t *Table, k *UniqueKey) { k.BuildUntilMs = c.UntilMs })
	case *command.PublishIndex:
		err = d.editKey(c.Table, c.Index, func(t *Table, k *UniqueKey) {
			k.BuildUntilMs = 0
			t.Schema.Version++
		})
	case *command.DropIndex:
		result, err = d.dropIndex(c)
	case *command.BeginChange:
		err = d.beginChange(c)
	case *command.HoldChange:
		result, err = d.holdChange(c)
	case *command.ChangeTable:
		result, err = d.changeTable(c)
	default:
		return nil, nil, false
	}
	return result, err, true
}

func refusedAltering(t *Table) error {
	return refused("table %s is being altered: try again when that is done", t.Name)
}

// indexesOf returns copies of the hidden tables of a table whose partitions may be changed, in the order of its keys.
func (d *draft) indexesOf(t *Table) []*Table {
	var out []*Table
	for _, k := range t.Unique {
		if !k.Enforced() {
			continue
		}
		index, err := d.editTable(k.Index)
		if err != nil {
			panic("BUG: a unique key without its hidden table")
		}
		out = append(out, index)
	}
	return out
}

// createIndexes stores the hidden tables of a new table: one a unique key, in their order.
func (d *draft) createIndexes(t *Table, indexes []command.IndexTable, timeMs int64) error {
	names := map[string]bool{}
	for _, k := range t.Unique {
		if name := strings.ToLower(k.Name); names[name] {
			return exists("key", k.Name)
		} else {
			names[name] = true
		}
		if k.Building() {
			return refused("table %s: key %s of a new table cannot be in the making", t.Name, k.Name)
		}
		if !k.Enforced() {
			continue
		}
		if len(indexes) == 0 {
			return refused("table %s: unique key %s comes without its hidden table", t.Name, k.Name)
		}
		if err := d.createIndex(t, &k, &indexes[0], timeMs); err != nil {
			return err
		}
		indexes = indexes[1:]
	}
	if len(indexes) > 0 {
		return refused("table %s: more hidden tables than unique keys", t.Name)
	}
	return nil
}

// createIndex stores one hidden table.
func (d *draft) createIndex(owner *Table, k *UniqueKey, c *command.IndexTable, timeMs int64) error {
	t := c.Table
	if err := d.checkTable(&t); err != nil {
		return err
	}
	if err := checkIndex(owner, k, &t); err != nil {
		return err
	}
	if _, ok := d.tables.get(t.ID); ok {
		return exists("table", t.ID)
	}
	if err := d.drawn("table", uint64(t.ID)); err != nil {
		return err
	}
	t.CreatedMs = timeMs
	if err := d.newParts(&t, c.Tablets, timeMs); err != nil {
		return err
	}
	d.tables = d.tables.set(d.o, t.ID, &t)
	return nil
}

// checkIndex checks that a hidden table fits its owner (C8).
func checkIndex(owner *Table, k *UniqueKey, t *Table) error {
	switch {
	case t.ID != k.Index || t.IndexOf != owner.ID:
		return refused("key %s: hidden table %d is not its own", k.Name, t.ID)
	case !slices.Equal(t.Schema.Key, k.Columns):
		return refused("key %s: its hidden table has another key", k.Name)
	case len(t.Parts) != len(owner.Parts) || (t.Partition == nil) != (owner.Partition == nil):
		return refused("key %s: its hidden table is partitioned otherwise", k.Name)
	}
	for i := range t.Parts {
		if !t.Parts[i].TakesAlike(&owner.Parts[i]) {
			return refused("key %s: its hidden table is partitioned otherwise", k.Name)
		}
	}
	return nil
}

// tableToAlter edits a table whose schema is still the one that a change was planned on, and that nobody else is changing.
func (d *draft) tableToAlter(id types.TableID, planned uint32) (*Table, error) {
	t, err := d.editTable(id)
	if err != nil {
		return nil, err
	}
	if t.Hidden() {
		return nil, notFound("table", id)
	}
	if planned != t.Schema.Version {
		return nil, &ErrSchemaChanged{Table: t.ID, Given: planned, Current: t.Schema.Version}
	}
	if t.Altering() != 0 {
		return nil, refusedAltering(t)
	}
	return t, nil
}

func (d *draft) addIndex(c *command.AddIndex) error {
	t, err := d.tableToAlter(c.Table, c.ExpectVersion)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(t.Unique, func(k UniqueKey) bool { return strings.EqualFold(k.Name, c.Key.Name) }) {
		return exists("key", c.Key.Name)
	}
	t.Unique = append(slices.Clone(t.Unique), c.Key)
	if c.Key.Enforced() != (c.Index != nil) || c.Key.Enforced() != c.Key.Building() {
		return refused("key %s: only a unique key has a hidden table, and it starts in the making", c.Key.Name)
	}
	if c.Index != nil {
		if err := d.createIndex(t, &c.Key, c.Index, c.TimeMs); err != nil {
			return err
		}
		d.fence(t)
	}
	reindex(t)
	if err := d.checkTable(t); err != nil {
		return err
	}
	d.tables = d.tables.set(d.o, t.ID, t)
	return nil
}

// IndexedColumns returns the columns of the keys that are not enforced: they are kept as filters.
func IndexedColumns(keys []UniqueKey) []types.ColumnID {
	var out []types.ColumnID
	for _, k := range keys {
		for _, id := range k.Columns {
			if !k.Unique && !k.FullText && !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	slices.Sort(out)
	return out
}

// reindex has the schema, in a new version of it, name the columns of the secondary keys.
func reindex(t *Table) {
	if next := IndexedColumns(t.Unique); !slices.Equal(next, t.Schema.Indexed) {
		t.Schema.Indexed = next
		t.Schema.Version++
	}
}

// fence lets no transaction commit that has written to the table before: whoever planned it did not know the key.
func (d *draft) fence(t *Table) {
	t.Schema.Version++
	for i := range t.Parts {
		for _, id := range t.Parts[i].Tablets {
			old, _ := d.tablets.get(id)
			next := *old
			next.Epoch++
			d.tablets = d.tablets.set(d.o, id, &next)
		}
	}
}

// editKey changes a key in the making.
func (d *draft) editKey(table, index types.TableID, edit func(*Table, *UniqueKey)) error {
	t, err := d.editTable(table)
	if err != nil {
		return err
	}
	t.Unique = slices.Clone(t.Unique)
	i := slices.IndexFunc(t.Unique, func(k UniqueKey) bool { return k.Index == index && k.Building() })
	if index == 0 || i < 0 {
		return notFound("key", index)
	}
	edit(t, &t.Unique[i])
	d.tables = d.tables.set(d.o, t.ID, t)
	return nil
}

func (d *draft) dropIndex(c *command.DropIndex) (any, error) {
	t, err := d.editTable(c.Table)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(t.Unique, func(k UniqueKey) bool {
		return strings.EqualFold(k.Name, c.Name) && (c.Index == 0 || k.Index == c.Index)
	})
	if i < 0 {
		return nil, notFound("key", c.Name)
	}
	k := t.Unique[i]
	if c.ExpiredMs != 0 && (!k.Building() || k.BuildUntilMs >= c.ExpiredMs) {
		return nil, refused("key %s is not abandoned", k.Name)
	}
	t.Unique = slices.Delete(slices.Clone(t.Unique), i, i+1)
	var res DropResult
	if k.Enforced() {
		t.Schema.Version++
		if res, err = d.dropTable(k.Index); err != nil {
			return nil, err
		}
	}
	reindex(t)
	if err := d.checkReferences(t); err != nil {
		return nil, err
	}
	d.tables = d.tables.set(d.o, t.ID, t)
	return res, nil
}

// truncateIndexes renews the partitions of hidden tables that belong to those renewed of their owner.
func (d *draft) truncateIndexes(t *Table, c *command.TruncateTable, res *DropResult) error {
	if t.Altering() != 0 {
		return refusedAltering(t)
	}
	indexes := d.indexesOf(t)
	if len(indexes) != len(c.Indexes) {
		return &ErrSchemaChanged{Table: t.ID, Current: t.Schema.Version}
	}
	for i, index := range indexes {
		ti := &c.Indexes[i]
		if ti.Table != index.ID || len(ti.Parts) != len(c.Parts) {
			return &ErrSchemaChanged{Table: t.ID, Current: t.Schema.Version}
		}
		for j := range ti.Parts {
			if partitionIndex(index, ti.Parts[j].Partition) != partitionIndex(t, c.Parts[j].Partition) {
				return refused("table %s: other partitions of its hidden tables are truncated", t.Name)
			}
		}
		dropped, err := d.renewPartitions(index, ti.Parts, ti.Tablets)
		if err != nil {
			return err
		}
		res.Tablets = append(res.Tablets, dropped.Tablets...)
	}
	return nil
}

// addIndexPartitions adds to hidden tables what their owner has got.
func (d *draft) addIndexPartitions(t *Table, c *command.AddPartition) error {
	if t.Altering() != 0 {
		return refusedAltering(t)
	}
	indexes := d.indexesOf(t)
	if len(indexes) != len(c.Indexes) {
		return &ErrSchemaChanged{Table: t.ID, Current: t.Schema.Version}
	}
	for i, index := range indexes {
		p := c.Indexes[i].Partition
		if c.Indexes[i].Table != index.ID {
			return &ErrSchemaChanged{Table: t.ID, Current: t.Schema.Version}
		}
		p.Name, p.Lower, p.Upper, p.Listed = c.Partition.Name, c.Partition.Lower, c.Partition.Upper, c.Partition.Listed
		if err := d.insertPartition(index, p, c.Indexes[i].Tablets, c.TimeMs); err != nil {
			return err
		}
	}
	return nil
}

// alterIndexes has the hidden tables follow how their owner is kept.
func (d *draft) alterIndexes(t *Table, replicas []command.PartitionReplicas) error {
	for _, index := range d.indexesOf(t) {
		index.DatabaseID, index.Replicas, index.Quorum, index.Medium = t.DatabaseID, t.Replicas, t.Quorum, t.Medium
		for i := range index.Parts {
			p, of := &index.Parts[i], &t.Parts[i]
			p.Replicas, p.Name, p.Medium, p.OwnMedium = of.Replicas, of.Name, of.Medium, of.OwnMedium
		}
		for _, pr := range replicas {
			d.forgetExtra(&index.Parts[partitionIndex(t, pr.Partition)])
		}
		d.tables = d.tables.set(d.o, index.ID, index)
	}
	return nil
}
