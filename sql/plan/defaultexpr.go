package plan

import (
	"slices"
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/vec"
)

// A default that is an expression is worked out where rows are written, for each row by itself, before the generated columns are.

// defaultFunctions are those of checkFunctions that a default may call: what they say need not be the same again.
var defaultFunctions = strings.Fields(`now current_timestamp localtime localtimestamp sysdate curdate current_date curtime current_time
	utc_date utc_time utc_timestamp rand uuid uuid_short random_bytes user session_user system_user current_user database schema version
	connection_id unix_timestamp`)

// defaultDef is a default that is an expression as an ALTER TABLE declares it.
type defaultDef struct {
	expr ast.ExprNode
	// declared is what the column has until the expression is read.
	declared *types.DefaultExpr
}

// defaultOption is the DEFAULT in the definition of a column, or nil.
func defaultOption(def *ast.ColumnDef) ast.ExprNode {
	var last ast.ExprNode
	for _, o := range def.Options {
		if o.Tp == ast.ColumnOptionDefaultValue {
			last = o.Expr
		}
	}
	return last
}

// defaultIsExpr reports whether a DEFAULT that is not the time of a row is more than a literal. What has no literals as defaults in MySQL
// takes those in parentheses there; MariaDB takes them bare, and its dumps have them so.
func defaultIsExpr(col *types.Column, n ast.ExprNode) bool {
	inner := ast.Unparen(n)
	if sign, ok := inner.(*ast.UnaryOperationExpr); ok {
		inner = ast.Unparen(sign.V)
	}
	switch x := inner.(type) {
	case *ast.Literal:
		large := (col.Type.Kind == types.KindText || col.Type.Kind == types.KindBlob) && col.Shown == "" || col.Type.Kind == types.KindJSON
		return large && x.Kind != ast.LiteralNull
	case *ast.FuncCallExpr:
		return !strings.HasSuffix(x.FnName.L, "literal") // DATE '…'
	}
	return true
}

// settleDefault reads the expression that is the default of a column of a table whose columns are known, if it is one.
func (b *binder) settleDefault(t *catalog.Table, name string, n ast.ExprNode) error {
	pos := t.Schema.ColumnNamed(name)
	if pos < 0 || t.Schema.Columns[pos].DefaultExpr == nil {
		return nil
	}
	r := &rowReader{table: t, of: defaultOf{name, pos}}
	ast.Inspect(n, r.visit)
	if r.err != nil {
		return r.err
	}
	clause, _, err := clauseOf(n)
	if err != nil {
		return err
	}
	c := &t.Schema.Columns[pos]
	c.DefaultExpr = &types.DefaultExpr{Clause: clause, Reads: r.columns}
	if _, err := b.rowValue(t, pos, b.tableColumns(t), clause, "default value expression"); err != nil {
		return err
	}
	return readsAgain(clause, "a DEFAULT")
}

// defaultOf says what the expression that is the default of a column may have.
type defaultOf struct {
	column string
	pos    int
}

func (defaultOf) unknown(n *ast.ColumnName, _ bool) error {
	return errorf(errno.UnknownColumn, "Unknown column '%s' in 'default value expression'", n.String())
}

func (d defaultOf) disallowed(what, function string) error {
	switch {
	case what == aVariable:
		return errorf(errno.DefaultVariable, "Default value expression of column '%s' cannot refer user or system variables.", d.column)
	case function == "":
		return errorf(errno.DefaultDisallowed, "Default value expression of column '%s' contains a disallowed function.", d.column)
	case slices.Contains(defaultFunctions, function):
		return nil
	}
	return errorf(errno.DefaultFunction, "Default value expression of column '%s' contains a disallowed function: %s.", d.column, function)
}

// reads refuses a column whose value is not known when the default is worked out.
func (d defaultOf) reads(c *types.Column, pos int) error {
	switch {
	case c.AutoIncrement:
		return errorf(errno.DefaultAuto, "Default value expression of column '%s' cannot refer to an auto-increment column.", d.column)
	case c.DefaultExpr != nil && pos >= d.pos, c.Generated != nil && pos > d.pos:
		return errorf(errno.DefaultOrder, "Default value expression of column '%s' cannot refer to a column defined after it if that column is a generated column or has an expression as default value.", d.column)
	case c.Generated != nil:
		return refuse("a DEFAULT that reads the generated column " + c.Name)
	}
	return nil
}

// computedDefaults binds the defaults of a table that are expressions, in the order in which one may read another.
func (b *binder) computedDefaults(t *catalog.Table) ([]generation, error) {
	var out []generation
	var ids []int
	for i := range t.Schema.Columns {
		d := t.Schema.Columns[i].DefaultExpr
		if d == nil {
			continue
		}
		if ids == nil {
			ids = b.tableColumns(t)
		}
		g, err := b.rowValue(t, i, ids, d.Clause, "default value expression")
		if err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	return out, nil
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

// defaultExprs reads the defaults that clauses of an ALTER TABLE give columns.
func (a *tableAlterer) defaultExprs() error {
	columns := a.to.Schema.Columns
	for _, d := range a.defaults {
		at := slices.IndexFunc(columns, func(c types.Column) bool { return c.DefaultExpr == d.declared })
		if at < 0 {
			continue // another clause has dropped or defined it
		}
		if err := a.b.settleDefault(a.to, columns[at].Name, d.expr); err != nil {
			return err
		}
	}
	return nil
}

// keepsDefault refuses to take columns, or their names, from the default of the column at a position, and to move it before one that it reads.
func (a *tableAlterer) keepsDefault(c *types.Column, pos int) error {
	if c.DefaultExpr == nil {
		return nil
	}
	from, to := &a.change.From.Schema, &a.to.Schema
	if old := from.ColumnIndex(c.ID); old < 0 || from.Columns[old].DefaultExpr != c.DefaultExpr {
		return nil // it is declared by the statement
	}
	for _, id := range c.DefaultExpr.Reads {
		was, is := from.ColumnIndex(id), to.ColumnIndex(id)
		if is < 0 || to.Columns[is].Name != from.Columns[was].Name {
			return errorf(errno.DefaultDependency, "Column '%s' of table '%s' has a default value expression dependency and cannot be dropped or renamed.", from.Columns[was].Name, a.to.Name)
		}
		if err := (defaultOf{c.Name, pos}).reads(&to.Columns[is], is); err != nil {
			return err
		}
	}
	return nil
}
