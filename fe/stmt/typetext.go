package stmt

import (
	"fmt"

	"stele/meta/types"
)

// TypeText prints a type the way MySQL 8 does in COLUMN_TYPE, SHOW COLUMNS and DESCRIBE. shown is the type as the user
// wrote it, when that prints otherwise; "" = as MySQL's.
func TypeText(t types.ColumnType, shown string) string {
	if shown != "" {
		return shown
	}
	switch t.Kind {
	case types.KindBool:
		return "tinyint(1)"
	case types.KindDecimal:
		return fmt.Sprintf("decimal(%d,%d)", t.Length, t.Scale)
	case types.KindChar, types.KindBinary:
		return fmt.Sprintf("%s(%d)", typeName(t), max(t.Length, 1))
	case types.KindVarChar, types.KindVarBinary:
		return fmt.Sprintf("%s(%d)", typeName(t), t.Length)
	case types.KindDateTime, types.KindTimestamp, types.KindTime:
		if t.Scale > 0 {
			return fmt.Sprintf("%s(%d)", typeName(t), t.Scale)
		}
	}
	if t.Unsigned {
		return typeName(t) + " unsigned"
	}
	return typeName(t)
}

// kindNames are the names of kinds that do not depend on their length.
var kindNames = map[types.Kind]string{
	types.KindNull: "null", types.KindTinyInt: "tinyint", types.KindSmallInt: "smallint", types.KindMediumInt: "mediumint",
	types.KindInt: "int", types.KindBigInt: "bigint", types.KindFloat: "float", types.KindDouble: "double", types.KindDecimal: "decimal",
	types.KindChar: "char", types.KindVarChar: "varchar", types.KindBinary: "binary", types.KindVarBinary: "varbinary",
	types.KindDate: "date", types.KindDateTime: "datetime", types.KindTimestamp: "timestamp", types.KindTime: "time",
	types.KindYear: "year", types.KindJSON: "json", types.KindBool: "tinyint",
}

// typeName is DATA_TYPE: the name without parameters.
func typeName(t types.ColumnType) string {
	if t.Kind != types.KindText && t.Kind != types.KindBlob {
		return kindNames[t.Kind]
	}
	name := "text"
	if t.Kind == types.KindBlob {
		name = "blob"
	}
	switch {
	case t.Length > 1<<24-1:
		return "long" + name
	case t.Length > 1<<16-1:
		return "medium" + name
	case t.Length > 0 && t.Length <= 1<<8-1:
		return "tiny" + name
	}
	return name
}
