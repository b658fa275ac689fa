package stmt

import (
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
