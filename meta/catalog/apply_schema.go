package catalog

import (
	"cmp"
	"slices"
	"strings"

	"stele/meta/command"
	"stele/meta/types"
)

func (d *draft) applySchema(cmd command.Command) (any, error, bool) {
	var result any
	var err error
	switch c := cmd.(type) {
	case *command.CreateDatabase:
		result, err = d.createDatabase(c)
	case *command.AlterDatabase:
		err = d.changeDatabase(c.ID, func(db *Database) { db.Collation = c.Collation })
	case *command.SetDatabaseReplicas:
		err = d.setDatabaseReplicas(c)
	case *command.DropDatabase:
		result, err = d.dropDatabase(c)
	case *command.CreateTable:
		err = d.createTable(c)
	case *command.DropTable:
		result, err = d.dropNamed(c)
	case *command.TruncateTable:
		result, err = d.truncateTable(c)
	case *command.AddPartition:
		err = d.addPartition(c)
	case *command.DropPartition:
		result, err = d.dropPartition(c)
	case *command.AlterTable:
		err = d.alterTable(c)
	case *command.RenameTables:
		err = d.renameTables(c)
	case *command.ChangeViews:
		err = d.changeViews(c)
	default:
		return d.applyIndex(cmd)
	}
	return result, err, true
}

func (d *draft) createDatabase(c *command.CreateDatabase) (any, error) {
	if c.Name == "" {
		return nil, refused("a database needs a name")
	}
	if _, ok := d.dbNames.get(c.Name); ok {
		return nil, exists("database", c.Name)
	}
	id := c.ID
	if id == 0 {
		id = types.DatabaseID(d.drawID())
	} else if err := d.drawn("database", uint64(id)); err != nil {
		return nil, err
	} else if _, ok := d.dbs.get(id); ok {
		return nil, exists("database", id)
	}
	d.dbs = d.dbs.set(d.o, id, &Database{ID: id, Name: c.Name, Collation: c.Collation})
	d.dbNames = d.dbNames.set(d.o, c.Name, id)
	return IDResult{ID: uint64(id)}, nil
}

func (d *draft) changeDatabase(id types.DatabaseID, change func(*Database)) error {
	old, ok := d.dbs.get(id)
	if !ok {
		return notFound("database", id)
	}
	db := *old
	change(&db)
	d.dbs = d.dbs.set(d.o, id, &db)
	return nil
}

// maxReplicas is how many replicas a declaration may ask for.
const maxReplicas = 255

func (d *draft) setDatabaseReplicas(c *command.SetDatabaseReplicas) error {
	id, ok := d.dbNames.get(c.Name)
	switch {
	case !ok:
		return notFound("database", c.Name)
	case c.Replicas < 0 || c.Replicas > maxReplicas:
		return refused("database %s: %d replicas, 0 to %d are possible", c.Name, c.Replicas, maxReplicas)
	}
	return d.changeDatabase(id, func(db *Database) { db.Replicas = c.Replicas })
}

func (d *draft) dropDatabase(c *command.DropDatabase) (any, error) {
	db, ok := d.dbs.get(c.ID)
	if !ok {
		return nil, notFound("database", c.ID)
	}
	var res DropResult
	for _, t := range slices.Collect(d.AllTables()) {
		if t.DatabaseID != c.ID || t.Hidden() {
			continue
		}
		if c.Unreferenced {
			if err := d.refuseReferenced(t, func(child *Table) bool { return child.DatabaseID == c.ID }); err != nil {
				return nil, err
			}
		}
		dropped, err := d.dropTable(t.ID)
		if err != nil {
			return nil, err
		}
		res.Tablets = append(res.Tablets, dropped.Tablets...)
	}
	for _, v := range slices.Collect(d.Views(c.ID)) {
		d.dropView(v)
	}
	d.dbs = d.dbs.del(d.o, c.ID)
	d.dbNames = d.dbNames.del(d.o, db.Name)
	return res, nil
}

func (d *draft) createTable(c *command.CreateTable) error {
	t := c.Table
	if err := d.checkTable(&t); err != nil {
		return err
	}
	if _, ok := d.tables.get(t.ID); ok {
		return exists("table", t.ID)
	}
	if err := d.drawn("table", uint64(t.ID)); err != nil {
		return err
	}
	if _, ok := d.tableNames.get(tableName{t.DatabaseID, t.Name}); ok && t.Owner == nil {
		return exists("table", t.Name)
	}
	if t.Hidden() {
		return refused("table %s: a hidden table comes with its owner", t.Name)
	}
	t.CreatedMs = c.TimeMs
	foreign := t.ForeignKeys
	t.ForeignKeys, t.ReferencedBy = nil, nil
	if err := d.newParts(&t, c.Tablets, c.TimeMs); err != nil {
		return err
	}
	if c.Fit && t.Owner == nil {
		if err := cmp.Or(d.checkGroup(&t), d.checkHashBy(&t)); err != nil {
			return err
		}
	}
	d.tables = d.tables.set(d.o, t.ID, &t)
	if t.Named() {
		d.tableNames = d.tableNames.set(d.o, tableName{t.DatabaseID, t.Name}, t.ID)
	}
	d.counters = d.counters.set(d.o, t.ID, tableCounters{Row: 1, Auto: 1})
	if err := d.createIndexes(&t, c.Indexes, c.TimeMs); err != nil {
		return err
	}
	if err := d.setForeignKeys(&t, foreign, nil); err != nil || !t.Named() {
		return err
	}
	d.tables = d.tables.set(d.o, t.ID, &t)
	return d.bindAwaiting(&t)
}

// newParts stores all partitions of a new table.
func (d *draft) newParts(t *Table, tablets []Tablet, timeMs int64) error {
	t.Parts = slices.Clone(t.Parts)
	if err := checkPartitions(t); err != nil {
		return err
	}
	for i := range t.Parts {
		if err := d.newPartition(t, &t.Parts[i], timeMs); err != nil {
			return err
		}
	}
	return d.newTablets(t, t.Parts, tablets)
}

// checkTable checks what a table says of itself, without its partitions.
func (d *draft) checkTable(t *Table) error {
	if _, ok := d.dbs.get(t.DatabaseID); !ok {
		return notFound("database", t.DatabaseID)
	}
	switch {
	case t.Name == "":
		return refused("a table needs a name")
	case t.Schema.TableID != t.ID:
		return refused("table %d: its schema is of table %d", t.ID, t.Schema.TableID)
	case len(t.Schema.Key) == 0 || len(t.Schema.Columns) == 0:
		return refused("table %s: a schema needs columns and a key", t.Name)
	case t.Quorum > types.QuorumAll:
		return refused("table %s: write quorum %d is unknown", t.Name, t.Quorum)
	}
	ids, names := map[types.ColumnID]bool{}, map[string]bool{}
	for i := range t.Schema.Columns {
		col := &t.Schema.Columns[i]
		if ids[col.ID] || names[strings.ToLower(col.Name)] {
			return refused("table %s: column %s (id %d) is declared twice", t.Name, col.Name, col.ID)
		}
		ids[col.ID], names[strings.ToLower(col.Name)] = true, true
	}
	used := slices.Concat(t.Schema.Key, t.HashBy, t.DupKey)
	if t.Partition != nil {
		used = append(used, t.Partition.Columns...)
	}
	for i := range t.Unique {
		if !t.Unique[i].Building() { // it may be over a column that comes with it
			used = append(used, t.Unique[i].Columns...)
		}
	}
	for i := range t.Checks {
		used = append(used, t.Checks[i].Columns...)
	}
	for i := range t.Schema.Columns {
		if g := t.Schema.Columns[i].Generated; g != nil {
			used = append(used, g.Reads...)
		}
		if d := t.Schema.Columns[i].DefaultExpr; d != nil {
			used = append(used, d.Reads...)
		}
	}
	for _, id := range used {
		if !ids[id] {
			return refused("table %s: column id %d is used and not declared", t.Name, id)
		}
	}
	return nil
}

// checkPartitions checks that names are unique, and that no key belongs to two partitions: ranges ascend without overlap.
func checkPartitions(t *Table) error {
	if len(t.Parts) == 0 && t.Partition == nil {
		return refused("table %s has no partition", t.Name)
	}
	names := map[string]bool{}
	for i := range t.Parts {
		p := &t.Parts[i]
		if name := strings.ToLower(p.Name); names[name] {
			return exists("partition", p.Name)
		} else {
			names[name] = true
		}
	}
	if t.Partition != nil && t.Partition.List {
		return checkLists(t)
	}
	for i := range t.Parts {
		p := &t.Parts[i]
		if p.Listed != nil {
			return refused("partition %s: it has a list in a table of ranges", p.Name)
		}
		if p.Upper != nil && string(p.Lower) >= string(p.Upper) {
			return refused("partition %s: its range is empty", p.Name)
		}
		if i == 0 {
			continue
		}
		if before := &t.Parts[i-1]; p.Lower == nil || before.Upper == nil || string(before.Upper) > string(p.Lower) {
			return refused("partition %s: its range overlaps that of %s", p.Name, before.Name)
		}
	}
	return nil
}

// checkLists checks that lists ascend, and that no value is in two of them.
func checkLists(t *Table) error {
	taken := map[string]bool{}
	for i := range t.Parts {
		p := &t.Parts[i]
		if len(p.Listed) == 0 || p.Lower != nil || p.Upper != nil {
			return refused("partition %s: it is no list", p.Name)
		}
		for j, l := range p.Listed {
			if j > 0 && string(p.Listed[j-1].Key) >= string(l.Key) || taken[string(l.Key)] {
				return refused("partition %s: a value of its list is there already, or out of order", p.Name)
			}
			taken[string(l.Key)] = true
		}
	}
	return nil
}

// newPartition indexes a partition that is new to the catalog.
func (d *draft) newPartition(t *Table, p *Partition, timeMs int64) error {
	if err := d.drawn("partition", uint64(p.ID)); err != nil {
		return err
	}
	if _, ok := d.parts.get(p.ID); ok {
		return exists("partition", p.ID)
	}
	if len(p.Tablets) == 0 {
		return refused("partition %s has no tablets", p.Name)
	}
	if p.Replicas == 0 {
		p.Replicas = t.Replicas
	}
	p.CreatedMs = timeMs
	d.parts = d.parts.set(d.o, p.ID, t.ID)
	return nil
}

// newTablets stores the tablets of partitions: exactly those that the partitions name, each at its start.
func (d *draft) newTablets(t *Table, parts []Partition, tablets []Tablet) error {
	type place struct {
		part   types.PartitionID
		bucket int32
	}
	places := map[types.TabletID]place{}
	named := 0
	for i := range parts {
		for b, id := range parts[i].Tablets {
			places[id] = place{parts[i].ID, int32(b)}
			named++
		}
	}
	if named != len(places) || named != len(tablets) {
		return refused("table %s: %d tablets for %d places", t.Name, len(tablets), named)
	}
	for i := range tablets {
		tab := cloneTablet(&tablets[i])
		at, ok := places[tab.ID]
		if !ok {
			return refused("table %s: tablet %d has no place or is given twice", t.Name, tab.ID)
		}
		delete(places, tab.ID)
		if err := d.checkNewTablet(tab); err != nil {
			return err
		}
		tab.Table, tab.Partition, tab.Bucket = t.ID, at.part, at.bucket
		tab.Version, tab.Epoch, tab.Rows, tab.Redo = types.InitialVersion, 1, 0, nil
		for j := range tab.Replicas {
			r := &tab.Replicas[j]
			*r = Replica{ID: r.ID, BE: r.BE, Disk: r.Disk, Version: tab.Version, LastSuccess: tab.Version, Settled: tab.Version}
		}
		d.putTablet(tab)
	}
	return nil
}

func (d *draft) checkNewTablet(t *Tablet) error {
	if err := d.drawn("tablet", uint64(t.ID)); err != nil {
		return err
	}
	if _, ok := d.tablets.get(t.ID); ok {
		return exists("tablet", t.ID)
	}
	if t.Replica(t.Leader) == nil {
		return refused("tablet %d: its leader, backend %d, has no replica", t.ID, t.Leader)
	}
	for i := range t.Replicas {
		r := &t.Replicas[i]
		if err := d.drawn("replica", uint64(r.ID)); err != nil {
			return err
		}
		if _, ok := d.bes.get(r.BE); !ok {
			return notFound("be", r.BE)
		}
		for j := range i {
			if t.Replicas[j].BE == r.BE || t.Replicas[j].ID == r.ID {
				return refused("tablet %d: replica %d shares its id or backend with another", t.ID, r.ID)
			}
		}
	}
	return nil
}

// dropNamed drops a table that users know; a hidden one goes with its key.
func (d *draft) dropNamed(c *command.DropTable) (any, error) {
	t, ok := d.tables.get(c.ID)
	switch {
	case ok && t.Hidden():
		return nil, notFound("table", c.ID)
	case ok && c.Owner != nil && (t.Owner == nil || *t.Owner != *c.Owner):
		return nil, refused("table %s is not that session's", t.Name)
	case ok && c.Unreferenced:
		if err := d.refuseReferenced(t, func(child *Table) bool { return slices.Contains(c.With, child.ID) }); err != nil {
			return nil, err
		}
	}
	return d.dropTable(c.ID)
}

func (d *draft) dropTable(id types.TableID) (DropResult, error) {
	t, ok := d.tables.get(id)
	if !ok {
		return DropResult{}, notFound("table", id)
	}
	var res DropResult
	for i := range t.Parts {
		res.Tablets = append(res.Tablets, d.forgetPartition(&t.Parts[i])...)
	}
	d.tables = d.tables.del(d.o, id)
	if t.Hidden() {
		return res, nil
	}
	if t.Named() {
		d.tableNames = d.tableNames.del(d.o, tableName{t.DatabaseID, t.Name})
	}
	if err := d.parted(t); err != nil {
		return DropResult{}, err
	}
	d.counters = d.counters.del(d.o, id)
	for _, k := range t.Unique {
		if !k.Enforced() {
			continue
		}
		index, err := d.dropTable(k.Index)
		if err != nil {
			return DropResult{}, err
		}
		res.Tablets = append(res.Tablets, index.Tablets...)
	}
	return res, nil
}

// forgetPartition drops a partition's tablets and its hint.
func (d *draft) forgetPartition(p *Partition) []types.TabletID {
	for _, id := range p.Tablets {
		d.dropTablet(id)
	}
	d.parts = d.parts.del(d.o, p.ID)
	d.hints = d.hints.del(d.o, p.ID)
	return p.Tablets
}
