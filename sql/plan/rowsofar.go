package plan

import (
	"strings"

	"stele/sql/expr"
	ast "stele/sql/parse"
	sqltypes "stele/sql/types"
)

// soFar is what a name means in a row of VALUES: what an earlier value of the row gave to the column, or else its default. Nil = the table has no such
// column. What numbers the row is not known yet: a column that is to draw a number is 0, as in MySQL.
func (p *InsertPlan) soFar(name *ast.ColumnName, earlier []*expr.Node, row int) (*expr.Node, error) {
	if name.Table.O != "" && !strings.EqualFold(name.Table.O, p.target.name) {
		return nil, nil
	}
	pos, err := p.target.named(name.Name.O)
	if err != nil {
		return nil, nil //nolint:nilerr // an outer query, or nobody, knows the name
	}
	c := &p.Table.Schema.Columns[pos]
	if len(c.Elems) > 0 || c.Bits > 0 || c.Generated != nil {
		return nil, refuse("an ENUM, SET, BIT or generated column among the values of a row of VALUES")
	}
	value, err := p.valueSoFar(pos, earlier, row)
	if err == nil && value.Null && c.AutoIncrement {
		value = expr.Value{}
	}
	t := c.Type
	t.NotNull = t.NotNull && !value.Null
	return &expr.Node{Kind: expr.NodeConst, Type: t, Value: value}, err
}

// valueSoFar is the value of a column as the table stores it.
func (p *InsertPlan) valueSoFar(pos int, earlier []*expr.Node, row int) (expr.Value, error) {
	c := &p.Table.Schema.Columns[pos]
	for i, x := range earlier {
		if p.columns[i] != pos {
			continue
		}
		if x.Kind != expr.NodeConst {
			return expr.Value{}, refuse("a value of VALUES that names a column whose value is a subquery")
		}
		if x.Value.Null && c.AutoIncrement {
			return x.Value, nil
		}
		l := leniency{p.filler.strict, p.filler.lenient, p.filler.zeros, new(Warnings)} // the row itself warns
		return convertValue(x.Value, x.Type, c, l, p.filler.b.evalContext(), row)
	}
	switch {
	case c.DefaultExpr != nil:
		return expr.Value{}, refuse("a value of VALUES that names a column whose default is an expression")
	case c.AutoIncrement:
		return expr.Value{Null: true}, nil
	case c.Default == nil && c.Type.NotNull && !c.DefaultNow:
		return sqltypes.ZeroValue(c.Type), nil
	}
	d, err := p.filler.b.defaultValue(c)
	if err != nil {
		return expr.Value{}, err
	}
	return d.Value, nil
}
