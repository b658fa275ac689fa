package stmt

import (
	"fmt"
	"slices"
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
	sqltypes "stele/sql/types"
)

// TypeText prints a type the way MySQL 8 does in COLUMN_TYPE, SHOW COLUMNS and DESCRIBE. shown is the type as the user
// wrote it, when that prints otherwise; "" = as MySQL's.
func TypeText(t types.ColumnType, shown string) string {
	if shown != "" {
		return shown
	}
	return sqltypes.TypeName(t)
}

// InKey reports whether a column belongs to the primary key.
func InKey(t *catalog.Table, id types.ColumnID) bool { return slices.Contains(t.Schema.Key, id) }

// ColumnDefault is what the Default of SHOW COLUMNS prints; nil = NULL.
func ColumnDefault(c *types.Column) any {
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

// ColumnExtra is what the Extra of SHOW COLUMNS prints.
func ColumnExtra(c *types.Column) string {
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
