package plan

import (
	"cmp"
	"strings"

	"stele/sql/errno"
	ast "stele/sql/parse"
	sqltypes "stele/sql/types"
)

// Locked plans which rows of which tables a SELECT ... FOR UPDATE locks, as a DELETE would find them; nothing when it reads no stored table.
// The rows that a grouped query reads are locked before they are grouped, and of a join those of all tables, or of those that OF names,
// whatever LIMIT says.
func Locked(ctx *Context, stmt *ast.SelectStmt) ([]*ModifyPlan, error) {
	if stmt.From == nil {
		return nil, unresolved(stmt.LockInfo.Tables)
	}
	ctx = changesNothing(ctx)
	if name, err := onlyTable(stmt.From); err == nil {
		p, err := lockedOfOne(ctx, stmt, name)
		if p == nil {
			return nil, err
		}
		return []*ModifyPlan{p}, err
	}
	names, err := lockedNames(ctx, stmt)
	if err != nil {
		return nil, err
	}
	var out []*ModifyPlan
	for _, name := range names {
		m, err := deleteOfJoin(ctx, &ast.DeleteStmt{TableRefs: stmt.From, Where: stmt.Where, With: stmt.With}, name)
		if err != nil {
			return nil, err
		}
		out = append(out, m.plan)
	}
	return out, nil
}

// LocksWithin lists the queries within a statement that ask for row locks and can wait for them: those in FROM, in conditions and in WITH,
// members of a UNION, and what an INSERT reads. Those among the VALUES of an INSERT are not looked for, as there may be many rows of them.
func LocksWithin(n ast.Node) (within []*ast.SelectStmt) {
	look := n
	if insert, ok := n.(*ast.InsertStmt); ok {
		look = insert.Select
	}
	if look == nil {
		return nil
	}
	ast.Inspect(look, func(x ast.Node) bool {
		if s, ok := x.(*ast.SelectStmt); ok && x != n && !NoWait(s) && !SkipLocked(s) {
			if update, share := Locking(s); update || share {
				within = append(within, s)
			}
		}
		return true
	})
	return within
}

// LockedWithin is Locked of a query within a statement, which must stand for itself.
func LockedWithin(ctx *Context, stmt *ast.SelectStmt) ([]*ModifyPlan, error) {
	plans, err := Locked(ctx, stmt)
	what, known := sqltypes.AsError(err)
	if known && (what.Code == errno.UnknownColumn || what.Code == errno.NoSuchTable) {
		return nil, refuse("FOR UPDATE or FOR SHARE of a query that does not stand for itself (" + what.Error() + ")")
	}
	return plans, err
}

// LockedFree plans which rows SKIP LOCKED may lock: the first n of them, a negative n is all. want is how many it is to lock of them, negative
// again is all. There is no plan when no stored table is read.
func LockedFree(ctx *Context, stmt *ast.SelectStmt, n int64) (p *ModifyPlan, want int64, err error) {
	if stmt.From == nil {
		return nil, 0, unresolved(stmt.LockInfo.Tables)
	}
	name, err := onlyTable(stmt.From)
	if err != nil {
		return nil, 0, refuse("SKIP LOCKED of anything but one table")
	}
	del, err := lockedDelete(ctx, stmt, name)
	if err != nil || del == nil {
		return nil, 0, err
	}
	want = -1
	if del.Limit != nil {
		if want, err = newBinder(ctx).limitEnd(del.Limit); err != nil {
			return nil, 0, err
		}
		del.Limit = nil
	}
	if n >= 0 {
		del.Limit = &ast.Limit{Count: ast.NewNumber(n)}
	}
	p, err = Delete(changesNothing(ctx), del)
	return p, want, err
}

// limitEnd is how many rows come up to the end of a LIMIT.
func (b *binder) limitEnd(l *ast.Limit) (int64, error) {
	end, err := b.limitValue(l.Count)
	if err != nil || l.Offset == nil {
		return end, err
	}
	offset, err := b.limitValue(l.Offset)
	if end > 1<<63-1-offset {
		return -1, err
	}
	return end + offset, err
}

// changesNothing is a context without what guards statements that write.
func changesNothing(ctx *Context) *Context {
	reading := *ctx
	reading.SafeUpdates = false
	return &reading
}

func lockedOfOne(ctx *Context, stmt *ast.SelectStmt, name *ast.TableName) (*ModifyPlan, error) {
	del, err := lockedDelete(ctx, stmt, name)
	if err != nil || del == nil {
		return nil, err
	}
	p, err := Delete(ctx, del)
	if err != nil && del.Order != nil { // the order may use what the select list computes
		del.Order, del.Limit = nil, nil
		p, err = Delete(ctx, del)
	}
	return p, err
}

// lockedDelete is the DELETE that finds the rows which a SELECT of one table locks; nil when it is a table that the system makes up.
func lockedDelete(ctx *Context, stmt *ast.SelectStmt, name *ast.TableName) (*ast.DeleteStmt, error) {
	src := stmt.From.TableRefs.Left.(*ast.TableSource)
	for _, of := range stmt.LockInfo.Tables {
		if !means(of, src) {
			return nil, unresolved([]*ast.TableName{of})
		}
	}
	if isMadeUp(ctx, name) {
		return nil, nil
	}
	if v, ok := ctx.view(name); ok && !Updatable(ctx, v) {
		return nil, refuse("FOR UPDATE of a view of anything but rows of one table")
	}
	del := &ast.DeleteStmt{TableRefs: stmt.From, Where: stmt.Where, With: stmt.With}
	if !groups(stmt) {
		del.Order, del.Limit = orderOfRows(ctx, stmt, name), stmt.Limit
	}
	return del, nil
}

func isMadeUp(ctx *Context, name *ast.TableName) bool {
	return ctx.madeUp(cmp.Or(name.Schema.O, ctx.CurrentDB))
}

// groups reports whether a row of the answer is not made of one row of the table. What queries within the select list group is theirs.
func groups(stmt *ast.SelectStmt) bool {
	grouped := stmt.GroupBy != nil || stmt.Having != nil || stmt.Distinct
	ast.Inspect(stmt.Fields, func(n ast.Node) bool {
		switch n.(type) {
		case *ast.SubqueryExpr:
			return false
		case *ast.AggregateFuncExpr, *ast.WindowFuncExpr:
			grouped = true
		}
		return !grouped
	})
	return grouped
}

// orderOfRows is the ORDER BY of a query with what the select list calls by other names.
func orderOfRows(ctx *Context, stmt *ast.SelectStmt, name *ast.TableName) *ast.OrderByClause {
	if stmt.OrderBy == nil {
		return nil
	}
	fields := selectList(ctx, stmt, name)
	out := *stmt.OrderBy
	out.Items = nil
	for _, it := range stmt.OrderBy.Items {
		item := *it
		if x := selected(fields, it.Expr); x != nil {
			item.Expr = x
		}
		out.Items = append(out.Items, &item)
	}
	return &out
}

// selectList is the select list of a query of one table, its * written out.
func selectList(ctx *Context, stmt *ast.SelectStmt, name *ast.TableName) []*ast.SelectField {
	t, err := ctx.BaseTable(name.Schema.O, name.Name.O)
	if err != nil { // a view, whose columns are counted where it is read
		return stmt.Fields.Fields
	}
	var out []*ast.SelectField
	for _, f := range stmt.Fields.Fields {
		if f.WildCard == nil {
			out = append(out, f)
			continue
		}
		for i := range t.Schema.Columns {
			if c := &t.Schema.Columns[i]; !c.Hidden {
				out = append(out, &ast.SelectField{Expr: &ast.ColumnNameExpr{Name: &ast.ColumnName{Name: ast.NewCIStr(c.Name)}}})
			}
		}
	}
	return out
}

// selected returns the expression of the select list that an item of ORDER BY names or counts, nil = it does neither.
func selected(fields []*ast.SelectField, item ast.ExprNode) ast.ExprNode {
	switch x := item.(type) {
	case *ast.PositionExpr:
		if x.N >= 1 && x.N <= len(fields) && fields[x.N-1].WildCard == nil {
			return fields[x.N-1].Expr
		}
	case *ast.ColumnNameExpr:
		for _, f := range fields {
			if f.Expr != nil && x.Name.Table.O == "" && strings.EqualFold(f.AsName.O, x.Name.Name.O) {
				return f.Expr
			}
		}
	}
	return nil
}

// lockedNames are the tables of a join whose rows are locked, by the names that they have in it.
func lockedNames(ctx *Context, stmt *ast.SelectStmt) ([]*ast.TableName, error) {
	var sources []*ast.TableSource
	inJoin(stmt.From.TableRefs, func(src *ast.TableSource) { sources = append(sources, src) })
	var out []*ast.TableName
	if len(stmt.LockInfo.Tables) == 0 {
		for _, src := range sources {
			name, ok := src.Source.(*ast.TableName)
			switch {
			case !ok || isMadeUp(ctx, name): // what is made up has no rows to lock, and a derived table locks by a clause of its own
			case src.AsName.O != "":
				out = append(out, &ast.TableName{Name: src.AsName})
			default:
				out = append(out, name)
			}
		}
		return out, nil
	}
	for _, of := range stmt.LockInfo.Tables {
		found := false
		for _, src := range sources {
			found = found || means(of, src)
		}
		if !found {
			return nil, unresolved([]*ast.TableName{of})
		}
		out = append(out, of)
	}
	return out, nil
}

// inJoin calls each with the tables of a FROM clause.
func inJoin(n ast.ResultSetNode, each func(*ast.TableSource)) {
	switch n := n.(type) {
	case *ast.Join:
		inJoin(n.Left, each)
		if n.Right != nil {
			inJoin(n.Right, each)
		}
	case *ast.TableSource:
		if j, ok := n.Source.(*ast.Join); ok {
			inJoin(j, each)
			return
		}
		each(n)
	}
}

// means reports whether OF names a table of the FROM clause.
func means(of *ast.TableName, src *ast.TableSource) bool {
	if src.AsName.O != "" {
		return of.Schema.O == "" && strings.EqualFold(of.Name.O, src.AsName.O)
	}
	name, ok := src.Source.(*ast.TableName)
	return ok && strings.EqualFold(of.Name.O, name.Name.O) && (of.Schema.O == "" || name.Schema.O == "" || strings.EqualFold(of.Schema.O, name.Schema.O))
}

func unresolved(of []*ast.TableName) error {
	if len(of) == 0 {
		return nil
	}
	return errorf(errno.UnresolvedTableLock, "Unresolved table name `%s` in locking clause.", of[0].Name.O)
}
