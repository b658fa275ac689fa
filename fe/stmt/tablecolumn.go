package stmt

import (
	"fmt"
	"slices"
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
)

// inKey reports whether a column belongs to the primary key.
func inKey(t *catalog.Table, id types.ColumnID) bool { return slices.Contains(t.Schema.Key, id) }

// columnDefault is what the Default of SHOW COLUMNS prints; nil = NULL.
func columnDefault(c *types.Column) any {
	switch {
	case c.DefaultNow:
		return nowText(c)
	case c.DefaultExpr != nil:
		return c.DefaultExpr.Clause
	case c.Default != nil:
		return *c.Default
	}
	return nil
}

// nowText is CURRENT_TIMESTAMP in the precision of a column.
func nowText(c *types.Column) string {
	if c.Type.Scale > 0 {
		return fmt.Sprintf("CURRENT_TIMESTAMP(%d)", c.Type.Scale)
	}
	return "CURRENT_TIMESTAMP"
}

// columnExtra is what the Extra of SHOW COLUMNS prints.
func columnExtra(c *types.Column) string {
	var words []string
	if c.AutoIncrement {
		words = append(words, "auto_increment")
	}
	if c.DefaultNow || c.DefaultExpr != nil {
		words = append(words, "DEFAULT_GENERATED")
	}
	switch {
	case c.Generated == nil:
	case c.Generated.Virtual:
		words = append(words, "VIRTUAL GENERATED")
	default:
		words = append(words, "STORED GENERATED")
	}
	if c.OnUpdateNow {
		words = append(words, "on update "+nowText(c))
	}
	return strings.Join(words, " ")
}

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
	if inKey(t, id) || slices.Contains(standIn(t), id) {
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
