package define

import (
	"slices"
	"strings"

	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/plan"
)

// CREATE TABLE ... SELECT makes a table with the columns of a query, beside those that the statement declares.

// selected adds the columns of the query behind those that are only declared; the declaration of a column that is in both
// says what it is, the query where it stands.
func (c *creator) selected() error {
	fresh, err := plan.QueryColumns(c.ctx.Context, c.stmt.Select)
	if err != nil {
		return err
	}
	declared := c.table.Schema.Columns
	var columns []types.Column
	for _, col := range declared {
		if !slices.ContainsFunc(fresh, func(x types.Column) bool { return strings.EqualFold(x.Name, col.Name) }) {
			columns = append(columns, col)
		}
	}
	for _, col := range fresh {
		switch i := c.find(col.Name); {
		case strings.EqualFold(col.Name, types.RowIDColumn):
			return errorf(errno.WrongColumnName, "Incorrect column name '%s'", col.Name)
		case slices.ContainsFunc(columns, func(x types.Column) bool { return strings.EqualFold(x.Name, col.Name) }):
			return errorf(errno.DuplicateColumn, "Duplicate column name '%s'", col.Name)
		case i >= 0:
			col = declared[i]
		}
		columns = append(columns, col)
	}
	for i := range columns {
		columns[i].ID = types.ColumnID(i + 1)
	}
	c.table.Schema.Columns = columns
	return nil
}
