package mysql

import (
	"slices"

	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/types"
)

// generation is the expression of a generated column, "" of any other.
func generation(c *types.Column) string {
	if c.Generated == nil {
		return ""
	}
	return c.Generated.Clause
}

// standIn is the unique key that MySQL shows as the primary key of a table without one: the first over NOT NULL columns.
func standIn(t *catalog.Table) []types.ColumnID {
	if !t.Schema.HasRowID() {
		return nil
	}
	for _, k := range t.VisibleKeys() {
		nullable := slices.ContainsFunc(k.Columns, func(id types.ColumnID) bool { return !t.Schema.Columns[t.Schema.ColumnIndex(id)].Type.NotNull })
		if k.Unique && !nullable && !t.Cuts(&k) {
			return k.Columns
		}
	}
	return nil
}

// columnKey is the Key of SHOW COLUMNS: PRI, UNI, MUL or nothing.
func columnKey(t *catalog.Table, id types.ColumnID) string {
	if stmt.InKey(t, id) || slices.Contains(standIn(t), id) {
		return "PRI"
	}
	key := ""
	for _, k := range t.VisibleKeys() {
		if len(k.Columns) == 0 || k.Columns[0] != id {
			continue
		}
		if k.Unique && len(k.Columns) == 1 {
			return "UNI"
		}
		key = "MUL"
	}
	return key
}

// nullable is YES or NO.
func nullable(c *types.Column) string {
	if c.Type.NotNull {
		return "NO"
	}
	return "YES"
}

// visible yields the columns that users see, numbered from 1.
func visible(t *catalog.Table) func(yield func(int, *types.Column) bool) {
	return func(yield func(int, *types.Column) bool) {
		n := 0
		for i := range t.Schema.Columns {
			if c := &t.Schema.Columns[i]; !c.Hidden {
				if n++; !yield(n, c) {
					return
				}
			}
		}
	}
}

// index is one index as SHOW INDEX lists it.
type index struct {
	name    string
	unique  bool
	columns []types.ColumnID
	prefix  func(part int) int32
	// fullText: MATCH searches it.
	fullText bool
}

// indexesOf are the indexes of a table, the primary key first. A table without a declared key has no PRIMARY.
func indexesOf(t *catalog.Table) []index {
	var out []index
	if !t.Schema.HasRowID() {
		out = append(out, index{name: "PRIMARY", unique: true, columns: t.Schema.Key, prefix: func(int) int32 { return 0 }})
	}
	for _, k := range t.VisibleKeys() {
		out = append(out, index{name: k.Name, unique: k.Unique, columns: k.Columns, prefix: k.Prefix, fullText: k.FullText})
	}
	return out
}
