package plan

import (
	"slices"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/physical"
	sqltypes "stele/sql/types"
)

// columnFlags is what clients are told of a stored column.
func columnFlags(t *catalog.Table, c *types.Column) uint16 {
	f := keyFlags(t, c.ID)
	if c.AutoIncrement {
		f |= physical.FlagAutoIncrement
	}
	if c.OnUpdateNow {
		f |= physical.FlagOnUpdateNow
	}
	if c.Type.NotNull && c.Default == nil && !c.DefaultNow && c.DefaultExpr == nil && !c.AutoIncrement {
		f |= physical.FlagNoDefault
	}
	switch {
	case sqltypes.ZerofillWidth(c) > 0:
		f |= physical.FlagZerofill
	case c.IsSet():
		f |= physical.FlagSet
	case len(c.Elems) > 0:
		f |= physical.FlagEnum
	}
	return f
}

// keyFlags tells of the keys that a column is part of: the primary key, a unique key of its own, or another that it begins.
func keyFlags(t *catalog.Table, id types.ColumnID) (f uint16) {
	if !t.Schema.HasRowID() && slices.Contains(t.Schema.Key, id) {
		f |= physical.FlagPrimaryKey
	}
	for i := range t.Unique {
		k := &t.Unique[i]
		switch {
		case k.Building() || k.Columns[0] != id:
		case k.Unique && len(k.Columns) == 1:
			f |= physical.FlagUniqueKey
		default:
			f |= physical.FlagMultipleKey
		}
	}
	return f
}
