package proc

import (
	"strconv"
	"strings"
	"time"

	"stele/fe/stmt"
	"stele/fe/stmt/admin"
	"stele/meta/catalog"
	"stele/meta/types"
)

var (
	procDBColumns = stmt.Cols(`
		DbId                     int   Id of the database.
		DbName                   text  Its name.
		TableNum                 int   Tables.
		Quota                    text  The largest number: there are no quotas.
		LastConsistencyCheckTime text  When replicas of it were last compared by their rows, as ADMIN CHECK does; N/A unless that was since this FE leads.
		ReplicaQuota             int   The largest number.
	`)
	procTableColumns = stmt.Cols(`
		TableId                  int   Id of the table.
		TableName                text  Its name.
		IndexNum                 int   The table itself and its unique keys.
		PartitionColumnName      text  Columns that it is partitioned by.
		PartitionNum             int   Partitions.
		State                    text  NORMAL.
		Type                     text  OLAP.
		LastConsistencyCheckTime text  When replicas of it were last compared by their rows, as ADMIN CHECK does; N/A unless that was since this FE leads.
		ReplicaCount             int   Replicas.
		PartitionType            text  RANGE, or UNPARTITIONED.
		StoragePath              text  NULL: the BEs' disks.
	`)
	procNodesColumns = stmt.Cols(`
		Nodes text A node below.
	`)
	procPartColumns = stmt.Cols(`
		IndexId                  int   Id of the table, or of a unique key.
		IndexName                text  The table's name, or that of the key.
		State                    text  NORMAL.
		LastConsistencyCheckTime text  When replicas of it were last compared by their rows, as ADMIN CHECK does; N/A unless that was since this FE leads.
	`)
	procSchemaColumns = stmt.Cols(`
		IndexId             int   Id of the table.
		IndexName           text  The table's name.
		SchemaVersion       int   Grows with each ALTER TABLE.
		SchemaHash          int   Always -1.
		ShortKeyColumnCount int   Columns of the key.
		StorageType         text  COLUMN.
		Keys                text  The key.
	`)
	procFieldColumns = stmt.Cols(`
		Field   text  Column.
		Type    text  Its type.
		Null    text  Whether it takes NULL: Yes or No.
		Key     text  Whether it belongs to the key: true or false.
		Default text  Its default, N/A without one.
		Extra   text  auto_increment and the like.
	`)
)

// procDBs answers /dbs and below.
func procDBs(c procCall) (stmt.Result, error) {
	if len(c.rest) == 0 {
		var rows []stmt.Row
		for db := range c.Catalog.Databases() {
			n, checked := 0, time.Time{}
			for t := range c.Catalog.Tables(db.ID) {
				n++
				if at := stmt.LastTableCheck(c.Env, t); at.After(checked) {
					checked = at
				}
			}
			rows = append(rows, stmt.Row{db.ID, db.Name, n, "8388608.000 TB", c.Stamp(checked), int64(1<<63 - 1)})
		}
		return c.table(procDBColumns, rows)
	}
	part, c := c.next()
	db := c.dbNamed(part)
	if db == nil {
		return c.fail("Unknown database id or name \"%s\"", part)
	}
	if len(c.rest) == 0 {
		return c.table(procTableColumns, procTableRows(c.Env, db))
	}
	part, c = c.next()
	t := c.tableNamed(db, part)
	if t == nil {
		return c.fail("Unknown table id or name \"%s\"", part)
	}
	return procTable(c, t)
}

func procTableRows(e *stmt.Env, db *catalog.Database) []stmt.Row {
	var rows []stmt.Row
	for t := range e.Catalog.Tables(db.ID) {
		kind, key := "UNPARTITIONED", ""
		if t.Partition != nil {
			kind, key = "RANGE", stmt.ColumnNames(t, t.Partition.Columns)
		}
		indexes := 1
		for range e.Catalog.KeyTables(t) {
			indexes++
		}
		rows = append(rows, stmt.Row{t.ID, t.Name, indexes, key, len(t.Parts), "NORMAL", "OLAP",
			e.Stamp(stmt.LastTableCheck(e, t)), stmt.WholeSize(e, t).Replicas, kind, nil})
	}
	return rows
}

// dbNamed finds a database by id or name.
func (c procCall) dbNamed(part string) *catalog.Database {
	if id, err := strconv.ParseUint(part, 10, 64); err == nil {
		if db, ok := c.Catalog.DatabaseByID(types.DatabaseID(id)); ok {
			return db
		}
	}
	db, _ := c.Catalog.Database(part)
	return db
}

// tableNamed finds a table of a database by id or name.
func (c procCall) tableNamed(db *catalog.Database, part string) *catalog.Table {
	if id, err := strconv.ParseUint(part, 10, 64); err == nil {
		if t, ok := c.Catalog.TableByID(types.TableID(id)); ok && t.DatabaseID == db.ID {
			return t
		}
	}
	t, _ := c.Catalog.Table(db.ID, part)
	return t
}

func procTable(c procCall, t *catalog.Table) (stmt.Result, error) {
	if len(c.rest) == 0 {
		return c.table(procNodesColumns, []stmt.Row{{"partitions"}, {"temp_partitions"}, {"index_schema"}})
	}
	part, c := c.next()
	switch part {
	case "partitions":
		return procPartitions(c, t)
	case "temp_partitions": // there are none
		return c.table(admin.PartitionColumns, nil)
	case "index_schema":
		return procSchema(c, t)
	}
	return c.missing()
}

func procSchema(c procCall, t *catalog.Table) (stmt.Result, error) {
	if len(c.rest) == 0 {
		keys, key := t.KeyModel, t.Schema.Key
		if keys == "" {
			keys = "PRIMARY"
		}
		if t.Schema.HasRowID() { // the hidden key is nobody's business: what was declared is shown
			key = t.DupKey
		}
		return c.table(procSchemaColumns, []stmt.Row{{t.ID, t.Name, t.Schema.Version, -1, len(key), "COLUMN", keys + "(" + stmt.ColumnNames(t, key) + ")"}})
	}
	part, c := c.next()
	if !isIndex(t, part) {
		return c.fail("Index[%s] does not exist.", part)
	}
	var rows []stmt.Row
	for i := range t.Schema.Columns {
		col := &t.Schema.Columns[i]
		if col.Hidden {
			continue
		}
		null, def := "Yes", any("N/A")
		if col.Type.NotNull {
			null = "No"
		}
		if d := stmt.ColumnDefault(col); d != nil {
			def = d
		}
		rows = append(rows, stmt.Row{col.Name, stmt.TypeText(col.Type, col.Shown), null, stmt.InKey(t, col.ID), def, stmt.ColumnExtra(col)})
	}
	return c.table(procFieldColumns, rows)
}

// isIndex reports whether a part names the one index of a table, which is the table.
func isIndex(t *catalog.Table, part string) bool {
	return part == strconv.FormatUint(uint64(t.ID), 10) || strings.EqualFold(part, t.Name)
}

func procPartitions(c procCall, t *catalog.Table) (stmt.Result, error) {
	if len(c.rest) == 0 {
		return c.table(admin.PartitionColumns, admin.PartitionRows(c.Env, t))
	}
	part, c := c.next()
	p := stmt.PartitionNamed(t, part)
	for i := range t.Parts {
		if part == strconv.FormatUint(uint64(t.Parts[i].ID), 10) {
			p = &t.Parts[i]
		}
	}
	if p == nil {
		return c.fail("Unknown partition id or name \"%s\"", part)
	}
	return procIndexes(c, t, p)
}

// procIndexes answers a partition of a table and below: the table itself is an index of it, and each of its unique keys.
func procIndexes(c procCall, t *catalog.Table, p *catalog.Partition) (stmt.Result, error) {
	var rows []stmt.Row
	var part string
	below := len(c.rest) > 0
	if below {
		part, c = c.next()
	}
	var of *catalog.Partition
	for _, q := range c.WithKeys(t, []*catalog.Partition{p}) {
		index, _, ok := c.Catalog.TableOfPartition(q.ID)
		if !ok {
			continue
		}
		name := c.IndexName(index)
		rows = append(rows, stmt.Row{index.ID, name, "NORMAL", c.Stamp(stmt.LastCheck(c.Env, c.Catalog.TabletsOf(q)))})
		if of == nil && below && (part == strconv.FormatUint(uint64(index.ID), 10) || strings.EqualFold(part, name)) {
			of = q
		}
	}
	switch {
	case !below:
		return c.table(procPartColumns, rows)
	case of == nil:
		return c.fail("Index[%s] does not exist.", part)
	case len(c.rest) == 0:
		return c.table(admin.TabletColumns, admin.TabletRows(c.Env, of))
	}
	part, c = c.next()
	return c.tablet(part, func(tab *catalog.Tablet) bool { return tab.Partition == of.ID })
}

// tablet answers the replicas of the tablet that a part names; one that is unknown has none.
func (c procCall) tablet(part string, here func(*catalog.Tablet) bool) (stmt.Result, error) {
	id, err := strconv.ParseUint(part, 10, 64)
	if err != nil {
		return c.fail("Invalid tablet id format: %s", part)
	}
	var rows []stmt.Row
	if tab, ok := c.Catalog.Tablet(types.TabletID(id)); ok && here(tab) {
		rows = admin.ReplicaRows(c.Env, tab)
	}
	return c.table(admin.ReplicaColumns, rows)
}
