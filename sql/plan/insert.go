package plan

import (
	"slices"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/physical"
	"stele/sql/vec"
)

// InsertMode is what an INSERT does with a row whose key is there already.
type InsertMode uint8

// Insert modes.
const (
	ModeInsert InsertMode = iota // error 1062, or OnDuplicate
	ModeIgnore
	ModeReplace
)

// Assign sets one column of a row. Auto marks ON UPDATE CURRENT_TIMESTAMP, and DEFAULT for a generated column: it applies only when
// another assignment has changed the row.
type Assign struct {
	Column int // position in the table's schema
	Auto   bool
	// Tells: the value is what LAST_INSERT_ID() is afterwards.
	Tells bool
	// Keeps: the column is assigned what it has, which need not be what the session's sql_mode would take.
	Keeps bool
	// Expr is over the old row's columns followed by the new row's, both in schema order (ON DUPLICATE KEY UPDATE); nil in
	// an UPDATE, whose source yields the values. Its value still has to go through ConvertColumn.
	Expr *expr.Node
}

// InsertPlan is a checked INSERT or REPLACE. Either Rows holds all rows, or Source yields them: each of its batches must go
// through Convert. In both the result has the table's columns in schema order; a NULL in the AUTO_INCREMENT column or in the
// hidden row id is a number that the caller has to draw.
type InsertPlan struct {
	Database string
	Table    *catalog.Table
	Mode     InsertMode
	Rows     *vec.Batch
	Source   *physical.Node
	// OnDuplicate is ON DUPLICATE KEY UPDATE.
	OnDuplicate []Assign
	// NeedsRowID: the table has no primary key, its hidden key column is to be filled.
	NeedsRowID bool
	// NumbersOf is the table whose numbers and row ids new rows draw, nil = their own.
	NumbersOf *catalog.Table
	// AutoIncrement is the position of the AUTO_INCREMENT column, or -1.
	AutoIncrement int

	// Partitions are the only ones that rows may go to, nil = all are: see Placed.
	Partitions []types.PartitionID
	// Via are the views by which the statement names the table, the outermost first.
	Via []ViewUse

	generated []generation // of new rows
	follows   []generation // of rows that ON DUPLICATE KEY UPDATE changes

	target  target
	columns []int // schema positions of what is given, in order
	filler  *filler
	// refill, when set, makes rows of those of another table: see TableChange.Filling.
	refill *refill
}

// Insert plans INSERT and REPLACE, of values or of a query.
func Insert(ctx *Context, stmt *ast.InsertStmt) (*InsertPlan, error) {
	b := newBinder(ctx)
	name, err := onlyTable(stmt.Table)
	if err != nil {
		return nil, err
	}
	mode := ModeInsert
	if stmt.IsReplace {
		mode = ModeReplace
	} else if stmt.IgnoreErr {
		mode = ModeIgnore
	}
	var names []string
	for _, c := range stmt.Columns {
		names = append(names, c.Name.O)
	}
	p, err := newInsert(b, name.Schema.O, name.Name.O, mode, names, stmt.Columns != nil)
	if err != nil {
		return nil, err
	}
	if err := p.within(stmt.PartitionNames); err != nil {
		return nil, err
	}
	if stmt.Select != nil {
		err = p.fromQuery(b, stmt.Select)
	} else {
		err = p.fromLists(b, stmt.Lists)
	}
	if err != nil {
		return nil, err
	}
	return p, p.onDuplicate(b, stmt.OnDuplicate)
}

// onlyTable returns the one named table of a FROM clause.
func onlyTable(refs *ast.TableRefsClause) (*ast.TableName, error) {
	j := refs.TableRefs
	if src, ok := j.Left.(*ast.TableSource); ok && j.Right == nil {
		if t, ok := src.Source.(*ast.TableName); ok {
			return t, nil
		}
	}
	return nil, refuse("a write to anything but one table")
}

// newInsert resolves the table and the columns that values are given for.
func newInsert(b *binder, db, table string, mode InsertMode, names []string, listed bool) (*InsertPlan, error) {
	if db == "" {
		db = b.ctx.CurrentDB
	}
	b.writes(mode == ModeIgnore)
	p := &InsertPlan{Database: db, Mode: mode, AutoIncrement: -1}
	if err := p.resolve(b, table); err != nil {
		return nil, err
	}
	t := p.Table
	if err := p.settle(b); err != nil {
		return nil, err
	}
	given := map[int]bool{}
	if !listed {
		for _, c := range p.target.columns {
			if err := c.writable(); err != nil {
				return nil, err
			}
			p.columns, given[c.pos] = append(p.columns, c.pos), true
		}
	}
	for _, n := range names {
		i, err := p.target.named(n)
		if err != nil {
			return nil, err
		}
		if given[i] {
			return nil, errorf(errno.ColumnSpecifiedTwice, "Column '%s' specified twice", n)
		}
		given[i] = true
		p.columns = append(p.columns, i)
	}
	var err error
	p.filler, err = newFiller(b, t, mode == ModeIgnore, given)
	return p, err
}

// Numbers is the table of whose numbers new rows draw theirs.
func (p *InsertPlan) Numbers() *catalog.Table {
	if p.NumbersOf != nil {
		return p.NumbersOf
	}
	return p.Table
}

// settle finds out what new rows of the table have to meet, and what becomes of them.
func (p *InsertPlan) settle(b *binder) error {
	t := p.Table
	constraints, err := b.constraints(t)
	if err != nil {
		return err
	}
	p.target.checks = slices.Concat(p.target.checks, constraints)
	if p.generated, err = b.generations(t, generatedColumns(t)); err != nil {
		return err
	}
	p.NeedsRowID = t.Schema.HasRowID()
	for i := range t.Schema.Columns {
		if t.Schema.Columns[i].AutoIncrement {
			p.AutoIncrement = i
		}
	}
	return nil
}

// resolve finds the table, by its name or that of a view.
func (p *InsertPlan) resolve(b *binder, name string) error {
	if v, ok := b.ctx.Catalog.View(p.Database, name); ok {
		return b.viewTarget(p, v)
	}
	t, err := b.ctx.BaseTable(p.Database, name)
	if err == nil {
		p.Table, p.target = t, tableTarget(t)
	}
	return err
}

// fromQuery plans INSERT ... SELECT.
func (p *InsertPlan) fromQuery(b *binder, q ast.ResultSetNode) error {
	out, err := b.query(q, nil, nil)
	if err != nil {
		return err
	}
	if len(out.fields) != len(p.columns) {
		return errorf(errno.ColumnCount, "Column count doesn't match value count at row 1")
	}
	if out, err = b.giveFields(out, p.Table, p.columns); err != nil {
		return err
	}
	if err := p.givesNone(); err != nil {
		return err
	}
	p.Source, err = b.finish(out)
	return err
}

// fromLists plans INSERT ... VALUES: rows of constants are converted here and now.
func (p *InsertPlan) fromLists(b *binder, lists [][]ast.ExprNode) error {
	e := &env{b: b, clause: "field list", noAgg: true, target: p.Table}
	for _, list := range lists {
		if slices.ContainsFunc(list, func(n ast.ExprNode) bool { return hasSubquery(n) }) {
			return p.fromSubqueries(b, e, lists)
		}
	}
	constant := true
	rows := make([][]*expr.Node, 0, len(lists))
	for i, list := range lists {
		row, err := p.bindRow(e, list, i+1)
		if err != nil {
			return err
		}
		for _, x := range row {
			constant = constant && x.Kind == expr.NodeConst
		}
		rows = append(rows, row)
	}
	if constant {
		var err error
		p.Rows, err = p.constants(rows)
		return err
	}
	out, err := b.constRows(rows)
	if err != nil {
		return err
	}
	p.Source, err = b.finish(out)
	return err
}

// fromSubqueries plans INSERT ... VALUES with subqueries among the values: each row becomes a query of its own.
func (p *InsertPlan) fromSubqueries(b *binder, e *env, lists [][]ast.ExprNode) error {
	var all queryOut
	for i, list := range lists {
		e.rel = oneRow()
		row, err := p.bindRow(e, list, i+1)
		if err != nil {
			return err
		}
		var one queryOut
		var items []item
		for _, x := range row {
			it := item{b.newColumn(column{name: "value", typ: x.Type}), x}
			items = append(items, it)
			one.fields = append(one.fields, field{"value", it.id})
		}
		one.rel = project(e.rel, items)
		if i == 0 {
			all = one
		} else if all, err = b.combine(all, one, ast.UnionAll); err != nil {
			return err
		}
	}
	var err error
	p.Source, err = b.finish(all)
	return err
}

// bindRow binds the values of one row; DEFAULT is the column's.
func (p *InsertPlan) bindRow(e *env, list []ast.ExprNode, row int) ([]*expr.Node, error) {
	if len(list) == 0 {
		for range p.columns {
			list = append(list, &ast.DefaultExpr{})
		}
	}
	if len(list) != len(p.columns) {
		return nil, errorf(errno.ColumnCount, "Column count doesn't match value count at row %d", row)
	}
	out := make([]*expr.Node, len(list))
	e.b.once = true
	defer func() { e.b.once, e.earlier = false, nil }()
	for i, n := range list {
		var err error
		e.earlier = func(name *ast.ColumnName) (*expr.Node, error) { return p.soFar(name, out[:i], row) }
		if p.Table.Schema.Columns[p.columns[i]].Generated != nil && !isDefault(n) {
			if err := p.given(p.columns[i], row); err != nil {
				return nil, err
			}
			n = &ast.DefaultExpr{}
		}
		switch x := ast.Unparen(n).(type) {
		case *ast.DefaultExpr:
			switch c := &p.Table.Schema.Columns[p.columns[i]]; {
			case x.Name == nil && c.DefaultExpr != nil:
				p.filler.ask(p.columns[i], row)
				out[i] = constNull(c.Type)
			case x.Name == nil:
				out[i], err = p.filler.defaultOf(p.columns[i])
			default:
				out[i], err = e.bind(x)
			}
		case *ast.Literal:
			if out[i], err = e.bind(x); (x.Kind == ast.LiteralHex || x.Kind == ast.LiteralBit) && x.Type.GetFlag()&ast.UnderScoreCharsetFlag == 0 {
				v, t := bytesCell([]byte(x.Str), p.Table.Schema.Columns[p.columns[i]].Type)
				out[i] = expr.Const(v, t)
			}
		default:
			out[i], err = e.bind(n)
		}
		if err != nil {
			return nil, err
		}
		out[i] = e.b.storedText(out[i], p.Table.Schema.Columns[p.columns[i]].Type)
	}
	return out, nil
}

// constants converts rows of constants.
func (p *InsertPlan) constants(rows [][]*expr.Node) (*vec.Batch, error) {
	p.filler.several(len(rows))
	out := p.filler.builder(len(rows))
	for i, row := range rows {
		for j, x := range row {
			if err := p.filler.put(out[p.columns[j]], p.columns[j], x.Value, x.Type, i+1); err != nil {
				return nil, err
			}
		}
	}
	return p.filled(out, len(rows), 1)
}

// filled ends a batch of rows of the table, without those that are not to be there and are ignored.
func (p *InsertPlan) filled(out []*vec.ColumnBuilder, n, firstRow int) (*vec.Batch, error) {
	rows := p.filler.finish(out, n)
	if err := p.filler.generate(p.generated, rows, firstRow); err != nil {
		return nil, err
	}
	return p.Meeting(rows, p.filler.warnings)
}

// Convert turns a batch of the source into rows of the table: values converted strictly to the columns' types, defaults
// filled in. firstRow is the number of the batch's first row in the statement, counted from 1, for errors.
func (p *InsertPlan) Convert(in *vec.Batch, firstRow int) (*vec.Batch, error) {
	if p.refill != nil {
		return p.refilled(in, firstRow)
	}
	rows := rowsOf(in)
	p.filler.several(2) // of a query it counts for nothing how many come
	out := p.filler.builder(len(rows))
	var failed error
	upTo := rows // the first row that is wrong is named, and columns come one after the other
	for j, pos := range p.columns {
		v := in.Cols[j]
		for i, row := range upTo {
			if err := p.filler.put(out[pos], pos, v.Value(int(row)), v.Type, firstRow+i); err != nil {
				failed, upTo = err, rows[:i]
				break
			}
		}
	}
	if failed != nil {
		return nil, failed
	}
	return p.filled(out, len(rows), firstRow)
}

// onDuplicate binds ON DUPLICATE KEY UPDATE.
func (p *InsertPlan) onDuplicate(b *binder, list []*ast.Assignment) error {
	if len(list) == 0 {
		return nil
	}
	old := b.tableColumns(p.Table)
	fresh := b.tableColumns(p.Table)
	e := &env{b: b, clause: "field list", noAgg: true}
	e.cols = p.scope(old)
	e.oldToNew = func(name string) (*expr.Node, bool) {
		i, err := p.target.named(name)
		if err != nil {
			return nil, false
		}
		return b.col(fresh[i]), true
	}
	layout := append(append([]int(nil), old...), fresh...)
	set := map[int]bool{}
	earlier := map[int]*expr.Node{} // what assignments before have made of the old row's columns: the next ones see it
	for _, a := range list {
		pos, err := p.target.named(a.Column.Name.O)
		if err != nil {
			return err
		}
		if p.Table.Schema.Columns[pos].Generated != nil {
			x, err := b.keptGenerated(p.Table, pos, old[pos], a.Expr)
			if err != nil {
				return err
			}
			p.OnDuplicate = append(p.OnDuplicate, Assign{Column: pos, Auto: true, Expr: at(x, layout)})
			continue
		}
		x, tells, err := assignedID(e, b, &p.Table.Schema.Columns[pos], a.Expr)
		if err != nil {
			return err
		}
		x = substitute(x, func(c *expr.Node) *expr.Node { return earlier[c.Col] })
		keeps := keepsOwn(x, old[pos])
		if earlier[old[pos]], err = b.stored(x, &p.Table.Schema.Columns[pos]); err != nil {
			return err
		}
		if x, err = b.given(x, &p.Table.Schema.Columns[pos]); err != nil {
			return err
		}
		set[pos] = true
		p.OnDuplicate = append(p.OnDuplicate, Assign{Column: pos, Tells: tells, Keeps: keeps, Expr: at(x, layout)})
	}
	for i := range p.Table.Schema.Columns {
		if c := &p.Table.Schema.Columns[i]; c.OnUpdateNow && !set[i] {
			p.OnDuplicate = append(p.OnDuplicate, Assign{Column: i, Auto: true, Expr: b.now()})
		}
	}
	var err error
	p.follows, err = b.generations(p.Table, following(p.Table, p.OnDuplicate))
	return err
}

// scope gives ids of the table's columns the names that the statement may use.
func (p *InsertPlan) scope(ids []int) []scopeColumn {
	db := p.Database
	if len(p.Via) > 0 {
		db = p.Via[0].Database
	}
	var out []scopeColumn
	for _, c := range p.target.columns {
		if c.pos != computed {
			out = append(out, scopeColumn{db: db, table: p.target.name, name: c.name, id: ids[c.pos]})
		}
	}
	return out
}

// assigned binds the value of an assignment; DEFAULT is the column's.
func assigned(e *env, b *binder, c *types.Column, n ast.ExprNode) (*expr.Node, error) {
	if d, ok := ast.Unparen(n).(*ast.DefaultExpr); ok && d.Name == nil {
		if c.DefaultExpr != nil {
			return e.assignedDefault(c)
		}
		return b.defaultValue(c)
	}
	x, err := e.bind(n)
	if err != nil {
		return nil, err
	}
	return b.storedText(x, c.Type), nil
}

// now is the statement's time with all its digits.
func (b *binder) now() *expr.Node {
	t := types.ColumnType{Kind: types.KindTimestamp, Scale: 6, NotNull: true}
	return &expr.Node{Kind: expr.NodeConst, Type: t, Value: expr.Value{I: b.ctx.NowMicros}}
}
