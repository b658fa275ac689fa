package plan

import (
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/vec"
)

// A default that is an expression is worked out where rows are written, for each row by itself, before the generated columns are.

// computedDefaults binds the defaults of a table that are expressions, in the order in which one may read another.
func (b *binder) computedDefaults(t *catalog.Table) ([]generation, error) {
	var out []generation
	var ids []int
	for i := range t.Schema.Columns {
		if t.Schema.Columns[i].DefaultExpr == nil {
			continue
		}
		if ids == nil {
			ids = b.tableColumns(t)
		}
		g, err := b.defaultExpr(t, i, ids)
		if err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	return out, nil
}

// defaultExpr binds the default of a column that is an expression.
func (b *binder) defaultExpr(t *catalog.Table, pos int, ids []int) (generation, error) {
	return b.rowValue(t, pos, ids, t.Schema.Columns[pos].DefaultExpr.Clause, "default value expression")
}

// ask notes that a row of the statement says DEFAULT for a column where that is an expression.
func (f *filler) ask(col, row int) {
	if f.asked == nil {
		f.asked = map[askedCell]bool{}
	}
	f.asked[askedCell{col, row}] = true
}

// computeDefaults works out the defaults that are expressions, for the rows that want them.
func (f *filler) computeDefaults(rows *vec.Batch, firstRow int) error {
	for _, g := range f.computed {
		wanting := f.wanting(g.pos, rows.N, firstRow)
		if len(wanting) == 0 {
			continue
		}
		some := (&vec.Batch{Cols: rows.Cols, N: rows.N, Sel: wanting}).Compact()
		if err := work([]generation{g}, f.table, some, f.b.evalContext(), leniency{f.strict, f.lenient, f.zeros, f.warnings}, firstRow); err != nil {
			return err
		}
		rows.Cols[g.pos] = mixed(rows.Cols[g.pos], some.Cols[g.pos], wanting)
	}
	return nil
}

// wanting are the rows of n that get the default of a column.
func (f *filler) wanting(col, n, firstRow int) []int32 {
	var out []int32
	for i := range n {
		if !f.given[col] || f.asked[askedCell{col, firstRow + i}] {
			out = append(out, int32(i))
		}
	}
	return out
}

// mixed is a column with other values in the rows at some positions, which ascend.
func mixed(v, other *vec.Vector, at []int32) *vec.Vector {
	if len(at) == v.N {
		return other
	}
	cb := vec.NewColumnBuilder(v.Type, v.N)
	k := 0
	for i := range v.N {
		from, row := v, i
		if k < len(at) && at[k] == int32(i) {
			from, row = other, k
			k++
		}
		if x := from.Value(row); x.Null {
			cb.AppendNull()
		} else {
			cb.AppendValue(x)
		}
	}
	return cb.Finish()
}

// assignedDefault is DEFAULT as the value of an assignment to a column whose default is an expression.
func (e *env) assignedDefault(c *types.Column) (*expr.Node, error) {
	if len(c.DefaultExpr.Reads) > 0 {
		return nil, refuse("SET " + c.Name + " = DEFAULT, an expression that reads columns")
	}
	n, err := ast.ParseExpr(c.DefaultExpr.Clause)
	if err != nil {
		return nil, err
	}
	x, err := e.bind(n)
	if err != nil {
		return nil, err
	}
	return e.b.storedText(x, c.Type), nil
}
