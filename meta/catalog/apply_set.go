package catalog

import (
	"slices"

	"stele/meta/command"
	"stele/meta/types"
)

// alterTable changes properties of a table and of its partitions.
func (d *draft) alterTable(c *command.AlterTable) error {
	if c.Set == nil {
		return d.replaceTable(c)
	}
	t, err := d.editTable(c.Table.ID)
	if err != nil {
		return err
	}
	if t.Hidden() {
		return notFound("table", t.ID)
	}
	if c.Set.Alone && t.Colocate != "" && (c.Set.Replicas > 0 || len(c.PartReplicas) > 0) {
		return refused("table %s is in colocate group %s: all tables of it have the same number of replicas", t.Name, t.Colocate)
	}
	setProperties(t, c.Set)
	if err := d.checkTable(t); err != nil {
		return err
	}
	if err := alterPartitions(t, c); err != nil {
		return err
	}
	if c.Set.Publish {
		if err := d.publish(t); err != nil {
			return err
		}
	}
	if c.Set.Colocate != nil || c.Set.Publish {
		if err := d.checkGroup(t); err != nil {
			return err
		}
	}
	if c.Set.Publish {
		if err := d.bindAwaiting(t); err != nil {
			return err
		}
	}
	return d.putAltered(t, c)
}

func setProperties(t *Table, s *command.TableSet) {
	if s.Quorum != nil {
		t.Quorum = *s.Quorum
	}
	if s.Medium != nil {
		t.Medium = *s.Medium
	}
	if s.Replicas > 0 {
		t.Replicas = s.Replicas
	}
	if s.Colocate != nil {
		t.Colocate, t.ColocatedMs = *s.Colocate, s.ColocatedMs
	}
}

// publish gives a table of a session to everybody.
func (d *draft) publish(t *Table) error {
	if t.Owner == nil {
		return refused("table %s belongs to no session", t.Name)
	}
	name := tableName{t.DatabaseID, t.Name}
	if _, taken := d.tableNames.get(name); taken {
		return exists("table", t.Name)
	}
	t.Owner = nil
	d.tableNames = d.tableNames.set(d.o, name, t.ID)
	return nil
}

// checkGroup refuses a table that joins a colocate group and has other numbers than the tables of it: they may have changed since
// whoever asks for it has looked.
func (d *draft) checkGroup(t *Table) error {
	if t.Colocate == "" {
		return nil
	}
	for i := range t.Parts {
		if t.Parts[i].Replicas != t.Replicas {
			return refused("table %s: partition %s has another number of replicas, which colocate group %s does not allow", t.Name, t.Parts[i].Name, t.Colocate)
		}
	}
	for other := range d.Tables(t.DatabaseID) {
		if other.ID != t.ID && other.Colocate == t.Colocate && (other.Replicas != t.Replicas || other.Buckets != t.Buckets) {
			return refused("table %s: colocate group %s has %d replicas and %d buckets", t.Name, t.Colocate, other.Replicas, other.Buckets)
		}
	}
	return nil
}

// checkHashBy refuses a table whose rows are distributed by other types of columns than those of its colocate group.
func (d *draft) checkHashBy(t *Table) error {
	if t.Colocate == "" {
		return nil
	}
	kinds := func(t *Table) (out []types.Kind) {
		for _, id := range t.HashBy {
			if i := t.Schema.ColumnIndex(id); i >= 0 {
				out = append(out, t.Schema.Columns[i].Type.Kind)
			}
		}
		return out
	}
	for other := range d.Tables(t.DatabaseID) {
		if other.ID != t.ID && other.Colocate == t.Colocate && !slices.Equal(kinds(other), kinds(t)) {
			return refused("table %s: colocate group %s is distributed by columns of other types", t.Name, t.Colocate)
		}
	}
	return nil
}

// replaceTable gives a table a whole record, as logs from before TableSet say it.
func (d *draft) replaceTable(c *command.AlterTable) error {
	old, ok := d.tables.get(c.Table.ID)
	if !ok {
		return notFound("table", c.Table.ID)
	}
	if c.ExpectVersion != old.Schema.Version {
		return &ErrSchemaChanged{Table: old.ID, Given: c.ExpectVersion, Current: old.Schema.Version}
	}
	t := c.Table
	if t.Schema.Version < old.Schema.Version {
		return refused("table %s: its schema version goes back", old.Name)
	}
	if !old.Named() {
		return notFound("table", old.ID)
	}
	t.Owner, t.Unique, t.IndexOf, t.AlterUntilMs = nil, old.Unique, old.IndexOf, old.AlterUntilMs
	t.ForeignKeys, t.ReferencedBy = old.ForeignKeys, old.ReferencedBy
	if err := d.checkTable(&t); err != nil {
		return err
	}
	t.Parts, t.CreatedMs = slices.Clone(old.Parts), old.CreatedMs
	if err := alterPartitions(&t, c); err != nil {
		return err
	}
	from, to := tableName{old.DatabaseID, old.Name}, tableName{t.DatabaseID, t.Name}
	if err := d.checkReferences(&t); err != nil {
		return err
	}
	if from != to {
		d.forgetForeignKeys(old)
		if err := d.noteForeignKeys(&t); err != nil {
			return err
		}
		if _, taken := d.tableNames.get(to); taken {
			return exists("table", t.Name)
		}
		d.tableNames = d.tableNames.del(d.o, from)
		d.tableNames = d.tableNames.set(d.o, to, t.ID)
	}
	if err := d.putAltered(&t, c); err != nil || from == to {
		return err
	}
	return d.bindAwaiting(&t)
}

// putAltered stores a table whose properties are others, and has its hidden tables follow.
func (d *draft) putAltered(t *Table, c *command.AlterTable) error {
	for _, pr := range c.PartReplicas {
		d.forgetExtra(&t.Parts[partitionIndex(t, pr.Partition)])
	}
	d.tables = d.tables.set(d.o, t.ID, t)
	return d.alterIndexes(t, c.PartReplicas)
}

// forgetExtra lets what a partition says hold for all its tablets again.
func (d *draft) forgetExtra(p *Partition) {
	for _, id := range p.Tablets {
		if old, ok := d.tablets.get(id); ok && old.Extra != 0 {
			t := *old
			t.Extra = 0
			d.tablets = d.tablets.set(d.o, id, &t)
		}
	}
}

func alterPartitions(t *Table, c *command.AlterTable) error {
	for _, pr := range c.PartReplicas {
		at := partitionIndex(t, pr.Partition)
		if at < 0 {
			return notFound("partition", pr.Partition)
		}
		t.Parts[at].Replicas = pr.Replicas
	}
	for _, pm := range c.PartMedia {
		at := partitionIndex(t, pm.Partition)
		if at < 0 {
			return notFound("partition", pm.Partition)
		}
		t.Parts[at].Medium, t.Parts[at].OwnMedium = pm.Medium, true
	}
	for _, pn := range c.PartNames {
		at := partitionIndex(t, pn.Partition)
		if at < 0 {
			return notFound("partition", pn.Partition)
		}
		t.Parts[at].Name = pn.Name
	}
	return checkPartitions(t)
}
