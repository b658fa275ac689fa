package plan

import (
	"errors"
	"fmt"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	ast "stele/sql/parse"
)

// A view is bound where it is used, as the query that it keeps: in its own database, with the rights of its definer, apart from the
// names around it. What is left is a rel like any other, so conditions on a view reach the tables below it.

// ViewUse is a view that a statement uses, by the name that it has there.
type ViewUse struct {
	Database string
	View     *catalog.View
}

// view finds the view that a statement names; a table is none.
func (c *Context) view(name *ast.TableName) (ViewUse, bool) {
	db := name.Schema.O
	if db == "" {
		db = c.CurrentDB
	}
	v, ok := c.Catalog.View(db, name.Name.O)
	return ViewUse{db, v}, ok
}

// view binds the use of a view under a name.
func (b *binder) view(v *catalog.View, db, name string) (source, error) {
	out, err := b.viewQuery(ViewUse{db, v})
	if err != nil {
		if b.replaces == 0 { // who makes a view over others hears what is wrong below
			err = b.viewError(err, db, v.Name)
		}
		return source{}, err
	}
	s := source{rel: withoutRenaming(out.rel)}
	for i, f := range out.fields {
		o := &b.cols[f.id].origin
		o.Name, o.Column, o.Table, o.Database, o.BaseTable = v.Columns[i], v.Columns[i], name, db, v.Name
		s.cols = append(s.cols, scopeColumn{db: db, table: name, name: v.Columns[i], id: f.id})
	}
	b.noteChecks(s.rel, ViewUse{db, v})
	return s, nil
}

// viewQuery binds the query of a view.
func (b *binder) viewQuery(use ViewUse) (queryOut, error) {
	v := use.View
	if v.ID == b.replaces && v.ID != 0 { // the view that is being made is not there yet
		return queryOut{}, errorf(errno.NoSuchTable, "Table '%s.%s' doesn't exist", use.Database, v.Name)
	}
	for _, open := range b.opened {
		if open.View.ID == v.ID {
			return queryOut{}, errorf(errno.ViewRecursive, "`%s`.`%s` contains view recursion", use.Database, v.Name)
		}
	}
	if b.views++; b.views > maxViews {
		return queryOut{}, errorf(errno.TooManyTables, "Too many tables: a statement can use %d views, those within views counted", maxViews)
	}
	q, err := ast.ParseQuery(v.Query)
	if err != nil {
		return queryOut{}, fmt.Errorf("read the query of view %d: %w", v.ID, err)
	}
	inner := *b.ctx
	if inner.Catalog, err = b.ctx.Catalog.ReadBy(v, q); err != nil {
		return queryOut{}, err
	}
	inner.CurrentDB = use.Database
	if !v.Invoker {
		inner.Account = v.Definer.Name + "@" + v.Definer.Host
	}
	ctx, fullGroupBy, opened := b.ctx, b.fullGroupBy, b.opened
	defer func() { b.ctx, b.fullGroupBy, b.opened = ctx, fullGroupBy, opened }()
	// How a query may group was judged when the view was made.
	b.ctx, b.fullGroupBy, b.opened = &inner, false, append(opened[:len(opened):len(opened)], use)
	out, err := b.query(q, nil, nil)
	if err == nil && len(out.fields) != len(v.Columns) {
		err = errorf(errno.ViewInvalid, "its query has %d columns", len(out.fields))
	}
	return out, err
}

// viewError says which view is to be blamed for what its query names in vain. Of views over views it is the outermost.
func (b *binder) viewError(err error, db, name string) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case errno.NoSuchTable, errno.UnknownDatabase, errno.UnknownColumn, errno.UnknownFunction, errno.AmbiguousColumn, errno.ViewInvalid, errno.TableAccessDenied, errno.DatabaseAccessDenied:
		return errorf(errno.ViewInvalid, "View '%s.%s' references invalid table(s) or column(s) or function(s) or definer/invoker of view lack rights to use them",
			db, name)
	}
	return err
}

// maxViews bounds how many views a statement uses: views of views of views, each used twice, double with every level.
const maxViews = 500

// withoutRenaming takes off projections that compute nothing: what they leave out is left out by the names of the source.
func withoutRenaming(r *rel) *rel {
	for r.op == opProject && onlyColumns(r) {
		r = r.kids[0]
	}
	return r
}

// onlyColumns reports whether a projection yields columns of its input under the ids that they have there.
func onlyColumns(r *rel) bool {
	for _, it := range r.items {
		if it.expr.Kind != expr.NodeColumn || it.expr.Col != it.id {
			return false
		}
	}
	return true
}

// ViewColumns returns the columns of a view as SHOW COLUMNS lists them.
func ViewColumns(ctx *Context, use ViewUse) ([]types.Column, error) {
	b := newBinder(ctx)
	s, err := b.view(use.View, use.Database, use.View.Name)
	if err != nil {
		return nil, err
	}
	var out []types.Column
	for _, c := range s.cols {
		known := &b.cols[c.id]
		col := types.Column{Name: c.name, Type: known.typ}
		if known.table != nil && known.pos >= 0 && scanOf(s.rel, c.id) != nil {
			col = known.table.Schema.Columns[known.pos]
			col.Name, col.Type, col.AutoIncrement, col.Comment = c.name, known.typ, false, ""
		}
		out = append(out, col)
	}
	return out, nil
}

// Updatable reports whether rows can be changed through a view.
func Updatable(ctx *Context, use ViewUse) bool {
	s, err := newBinder(ctx).view(use.View, use.Database, use.View.Name)
	return err == nil && onlyScan(s.rel) != nil
}
