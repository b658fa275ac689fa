package mysql

import (
	"context"
	"strings"
	"unicode/utf8"

	"stele/fe/stmt"
	"stele/meta/types"
	"stele/sql/define"
)

// schemaRows makes the Rows of a table of information_schema out of all tables.
func schemaRows(rows func(e *stmt.Env, t schemaTable) []stmt.Row) func(context.Context, *stmt.Env) ([]stmt.Row, error) {
	return func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		var out []stmt.Row
		for t := range schemaTables(e) {
			out = append(out, rows(e, t)...)
		}
		return out, nil
	}
}

// tableRows is schemaRows without views.
func tableRows(rows func(e *stmt.Env, t schemaTable) []stmt.Row) func(context.Context, *stmt.Env) ([]stmt.Row, error) {
	return schemaRows(func(e *stmt.Env, t schemaTable) []stmt.Row {
		if t.table == nil {
			return nil
		}
		return rows(e, t)
	})
}

// fixedRows makes the Rows of a table that does not change; nil = empty.
func fixedRows(rows []stmt.Row) func(context.Context, *stmt.Env) ([]stmt.Row, error) {
	return func(context.Context, *stmt.Env) ([]stmt.Row, error) { return rows, nil }
}

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "SCHEMATA", Local: true, Doc: "The databases.",
	Columns: stmt.Cols(`
		CATALOG_NAME name
		SCHEMA_NAME name
		DEFAULT_CHARACTER_SET_NAME name
		DEFAULT_COLLATION_NAME name
		SQL_PATH text
		DEFAULT_ENCRYPTION name
	`),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		var rows []stmt.Row
		for _, name := range databaseNames(e) {
			c := collationOf(e, name)
			rows = append(rows, stmt.Row{"def", name, c.Charset(), c.String(), nil, "NO"})
		}
		return rows, nil
	}})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "TABLES", Doc: "The tables, those of the system included.",
	Columns: stmt.Cols(`
		TABLE_CATALOG name
		TABLE_SCHEMA name
		TABLE_NAME name
		TABLE_TYPE name
		ENGINE name
		VERSION int
		ROW_FORMAT name
		TABLE_ROWS uint
		AVG_ROW_LENGTH uint
		DATA_LENGTH uint
		MAX_DATA_LENGTH uint
		INDEX_LENGTH uint
		DATA_FREE uint
		AUTO_INCREMENT uint
		CREATE_TIME time
		UPDATE_TIME time
		CHECK_TIME time
		TABLE_COLLATION name
		CHECKSUM int
		CREATE_OPTIONS text
		TABLE_COMMENT text
	`),
	Rows: schemaRows(func(e *stmt.Env, t schemaTable) []stmt.Row {
		f := t.facts(e)
		return []stmt.Row{{"def", t.db, t.name, t.kind, f.engine, f.version, f.format, f.rows, f.avgRow, f.data, f.none(), f.none(), f.none(), f.auto, f.created, nil, nil,
			f.coll, nil, f.options, f.comment}}
	})})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "COLUMNS", Local: true, Doc: "The columns of all tables.",
	Columns: stmt.Cols(`
		TABLE_CATALOG name
		TABLE_SCHEMA name
		TABLE_NAME name
		COLUMN_NAME name
		ORDINAL_POSITION uint
		COLUMN_DEFAULT long
		IS_NULLABLE name
		DATA_TYPE long
		CHARACTER_MAXIMUM_LENGTH int
		CHARACTER_OCTET_LENGTH int
		NUMERIC_PRECISION uint
		NUMERIC_SCALE uint
		DATETIME_PRECISION uint
		CHARACTER_SET_NAME name
		COLLATION_NAME name
		COLUMN_TYPE long
		COLUMN_KEY name
		EXTRA text
		PRIVILEGES text
		COLUMN_COMMENT text
		GENERATION_EXPRESSION long
		SRS_ID uint
	`),
	Rows: schemaRows(func(e *stmt.Env, t schemaTable) []stmt.Row {
		columns, err := t.columns(e)
		if err != nil { // a view of what is gone
			return nil
		}
		rows := make([]stmt.Row, len(columns))
		for i := range columns {
			c := &columns[i]
			m := measuresOf(c)
			rows[i] = stmt.Row{"def", t.db, t.name, c.Name, i + 1, stmt.ColumnDefault(c), nullable(c), dataType(c), m.chars, m.octets, m.precision, m.scale,
				m.fraction, m.charset, textCollation(c), stmt.TypeText(c.Type, c.Shown), t.key(c), stmt.ColumnExtra(c), columnPrivileges, c.Comment,
				generation(c), nil}
		}
		return rows
	})})

// dataType is DATA_TYPE: the name of a column's type without parameters.
func dataType(c *types.Column) string {
	text := stmt.TypeText(c.Type, c.Shown)
	if at := strings.IndexAny(text, "( "); at >= 0 {
		text = text[:at]
	}
	return text
}

// measures are the columns of COLUMNS that tell how large a type is; nil = does not apply.
type measures struct {
	chars, octets, precision, scale, fraction, charset any
}

// intDigits are the digits of the integer types.
var intDigits = map[types.Kind]int{types.KindTinyInt: 3, types.KindBool: 3, types.KindSmallInt: 5, types.KindMediumInt: 7, types.KindInt: 10, types.KindBigInt: 19}

func measuresOf(c *types.Column) measures {
	var m measures
	switch t := c.Type; {
	case len(c.Elems) > 0:
		chars := memberChars(c)
		m.chars, m.octets, m.charset = chars, chars*4, t.Collation.Charset()
	case c.Bits > 0:
		m.precision = c.Bits
	default:
		return typeMeasures(t)
	}
	return m
}

// memberChars are the characters of the longest value: of an ENUM its longest member, of a SET all of them with the commas between.
func memberChars(c *types.Column) int64 {
	longest, all := 0, len(c.Elems)-1
	for _, e := range c.Elems {
		n := utf8.RuneCountInString(e)
		longest, all = max(longest, n), all+n
	}
	if c.IsSet() {
		return int64(all)
	}
	return int64(longest)
}

func typeMeasures(t types.ColumnType) measures {
	var m measures
	switch t.Kind {
	case types.KindChar, types.KindVarChar:
		m.chars, m.octets, m.charset = int64(t.Length), int64(t.Length)*4, t.Collation.Charset()
	case types.KindText:
		m.chars, m.octets, m.charset = int64(t.Length), int64(t.Length), t.Collation.Charset()
	case types.KindBinary, types.KindVarBinary, types.KindBlob:
		m.chars, m.octets = int64(t.Length), int64(t.Length)
	case types.KindFloat:
		m.precision = 12
	case types.KindDouble:
		m.precision = 22
	case types.KindDecimal:
		m.precision, m.scale = t.Length, t.Scale
	case types.KindDateTime, types.KindTimestamp, types.KindTime:
		m.fraction = t.Scale
	case types.KindBigInt, types.KindInt, types.KindMediumInt, types.KindSmallInt, types.KindTinyInt, types.KindBool:
		digits := intDigits[t.Kind]
		if t.Unsigned && (t.Kind == types.KindBigInt || t.Kind == types.KindMediumInt) {
			digits++
		}
		m.precision, m.scale = digits, 0
	}
	return m
}

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "STATISTICS", Local: true, Doc: "The indexes, column by column.",
	Columns: stmt.Cols(`
		TABLE_CATALOG name
		TABLE_SCHEMA name
		TABLE_NAME name
		NON_UNIQUE int
		INDEX_SCHEMA name
		INDEX_NAME name
		SEQ_IN_INDEX uint
		COLUMN_NAME name
		COLLATION name
		CARDINALITY int
		SUB_PART int
		PACKED name
		NULLABLE name
		INDEX_TYPE name
		COMMENT name
		INDEX_COMMENT text
		IS_VISIBLE name
		EXPRESSION long
	`),
	Rows: schemaRows(func(e *stmt.Env, t schemaTable) []stmt.Row {
		var rows []stmt.Row
		for _, k := range t.indexParts(e) {
			rows = append(rows, stmt.Row{"def", t.db, t.name, k.nonUnique, t.db, k.index, k.seq, k.column, k.order, k.cardinality, k.prefix, nil, k.null, k.kind, "", "",
				"YES", nil})
		}
		return rows
	})})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "KEY_COLUMN_USAGE", Local: true, Doc: "The columns of primary, unique and foreign keys.",
	Columns: stmt.Cols(`
		CONSTRAINT_CATALOG name
		CONSTRAINT_SCHEMA name
		CONSTRAINT_NAME name
		TABLE_CATALOG name
		TABLE_SCHEMA name
		TABLE_NAME name
		COLUMN_NAME name
		ORDINAL_POSITION uint
		POSITION_IN_UNIQUE_CONSTRAINT uint
		REFERENCED_TABLE_SCHEMA name
		REFERENCED_TABLE_NAME name
		REFERENCED_COLUMN_NAME name
	`),
	Rows: schemaRows(func(e *stmt.Env, t schemaTable) []stmt.Row {
		var rows []stmt.Row
		for _, k := range t.indexParts(e) {
			if k.nonUnique == 0 {
				rows = append(rows, stmt.Row{"def", t.db, k.index, "def", t.db, t.name, k.column, k.seq, nil, nil, nil, nil})
			}
		}
		return append(rows, referringColumns(e, t)...)
	})})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "TABLE_CONSTRAINTS", Local: true, Doc: "Primary, unique and foreign keys, CHECK constraints.",
	Columns: stmt.Cols(`
		CONSTRAINT_CATALOG name
		CONSTRAINT_SCHEMA name
		CONSTRAINT_NAME name
		TABLE_SCHEMA name
		TABLE_NAME name
		CONSTRAINT_TYPE name
		ENFORCED name
	`),
	Rows: tableRows(func(_ *stmt.Env, t schemaTable) []stmt.Row {
		var rows []stmt.Row
		for _, k := range indexesOf(t.table) {
			kind := "UNIQUE"
			if k.name == "PRIMARY" {
				kind = "PRIMARY KEY"
			}
			if k.unique {
				rows = append(rows, stmt.Row{"def", t.db, k.name, t.db, t.name, kind, "YES"})
			}
		}
		for i := range t.table.ForeignKeys {
			rows = append(rows, stmt.Row{"def", t.db, t.table.ForeignKeys[i].Name, t.db, t.name, "FOREIGN KEY", "YES"})
		}
		for _, c := range t.table.Checks {
			enforced := "YES"
			if c.NotEnforced {
				enforced = "NO"
			}
			rows = append(rows, stmt.Row{"def", t.db, c.Name, t.db, t.name, "CHECK", enforced})
		}
		return rows
	})})

// referringColumns are the columns of the foreign keys of a table.
func referringColumns(e *stmt.Env, t schemaTable) []stmt.Row {
	var rows []stmt.Row
	if t.table == nil {
		return nil
	}
	for i := range t.table.ForeignKeys {
		f := &t.table.ForeignKeys[i]
		r := define.ReferenceOf(e.Catalog, f)
		for n, id := range f.Columns {
			column := t.table.Schema.Columns[t.table.Schema.ColumnIndex(id)].Name
			rows = append(rows, stmt.Row{"def", t.db, f.Name, "def", t.db, t.name, column, n + 1, n + 1, r.Database, r.Table, r.Columns[n]})
		}
	}
	return rows
}

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "REFERENTIAL_CONSTRAINTS", Local: true,
	Doc: "The foreign keys. UNIQUE_CONSTRAINT_NAME is NULL while the table is not there that one refers to.",
	Columns: stmt.Cols(`
		CONSTRAINT_CATALOG name
		CONSTRAINT_SCHEMA name
		CONSTRAINT_NAME name
		UNIQUE_CONSTRAINT_CATALOG name
		UNIQUE_CONSTRAINT_SCHEMA name
		UNIQUE_CONSTRAINT_NAME name
		MATCH_OPTION name
		UPDATE_RULE name
		DELETE_RULE name
		TABLE_NAME name
		REFERENCED_TABLE_NAME name
	`),
	Rows: tableRows(func(e *stmt.Env, t schemaTable) []stmt.Row {
		var rows []stmt.Row
		for i := range t.table.ForeignKeys {
			f := &t.table.ForeignKeys[i]
			r := define.ReferenceOf(e.Catalog, f)
			var key any
			if r.Key != "" {
				key = r.Key
			}
			rows = append(rows, stmt.Row{"def", t.db, f.Name, "def", r.Database, key, "NONE", f.OnUpdate.String(), f.OnDelete.String(), t.name, r.Table})
		}
		return rows
	})})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "CHECK_CONSTRAINTS", Local: true, Doc: "The CHECK constraints. Names are unique in a table.",
	Columns: stmt.Cols(`
		CONSTRAINT_CATALOG name
		CONSTRAINT_SCHEMA name
		CONSTRAINT_NAME name
		CHECK_CLAUSE long
	`),
	Rows: tableRows(func(_ *stmt.Env, t schemaTable) []stmt.Row {
		var rows []stmt.Row
		for _, c := range t.table.Checks {
			rows = append(rows, stmt.Row{"def", t.db, c.Name, "(" + c.Clause + ")"})
		}
		return rows
	})})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "PARTITIONS", Doc: "The partitions of all tables; a table without any has one row.",
	Columns: stmt.Cols(`
		TABLE_CATALOG name
		TABLE_SCHEMA name
		TABLE_NAME name
		PARTITION_NAME name
		SUBPARTITION_NAME name
		PARTITION_ORDINAL_POSITION uint
		SUBPARTITION_ORDINAL_POSITION uint
		PARTITION_METHOD name
		SUBPARTITION_METHOD name
		PARTITION_EXPRESSION text
		SUBPARTITION_EXPRESSION text
		PARTITION_DESCRIPTION long
		TABLE_ROWS uint
		AVG_ROW_LENGTH uint
		DATA_LENGTH uint
		MAX_DATA_LENGTH uint
		INDEX_LENGTH uint
		DATA_FREE uint
		CREATE_TIME time
		UPDATE_TIME time
		CHECK_TIME time
		CHECKSUM int
		PARTITION_COMMENT text
		NODEGROUP name
		TABLESPACE_NAME name
	`),
	Rows: schemaRows(partitionSchemaRows)})

func partitionSchemaRows(e *stmt.Env, t schemaTable) []stmt.Row {
	if t.table == nil {
		return nil
	}
	var rows []stmt.Row
	for i := range t.table.Parts {
		p := &t.table.Parts[i]
		s, _ := stmt.PartSize(e, p)
		var bytes int64
		for tab := range e.Catalog.TabletsOf(p) {
			bytes += stmt.OneCopy(e, tab)
		}
		var name, at, method, expr, desc any
		if t.table.Partition != nil {
			name, at = p.Name, i+1
			method, expr, desc = define.PartitionMethod(t.table.Partition), define.PartitionExpression(t.table), define.PartitionValues(t.table, p)
		}
		rows = append(rows, stmt.Row{"def", t.db, t.name, name, nil, at, nil, method, nil, expr, nil, desc, s.Rows, bytes / max(s.Rows, 1), bytes, 0, 0, 0,
			e.When(p.CreatedMs), nil, nil, nil, "", nil, nil})
	}
	return rows
}
