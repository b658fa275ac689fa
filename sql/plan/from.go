package plan

import (
	"cmp"
	"slices"
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/physical"
	sqltypes "stele/sql/types"
)

// source is a bound FROM item: its rel and the names it offers.
type source struct {
	rel  *rel
	cols []scopeColumn
}

// from binds a FROM clause; nil yields one row without columns.
func (b *binder) from(refs *ast.TableRefsClause, outer *env, ctes *cteScope) (source, error) {
	if refs == nil || refs.TableRefs == nil {
		return source{rel: oneRow()}, nil
	}
	s, err := b.tableRef(refs.TableRefs, outer, ctes)
	if err != nil {
		return source{}, err
	}
	return s, checkUniqueTables(s.cols)
}

// checkUniqueTables refuses two FROM items of one name.
func checkUniqueTables(cols []scopeColumn) error {
	type name struct{ db, table string }
	seen := map[name]map[string]int{}
	for _, c := range cols {
		k := name{c.db, c.table}
		if c.table == "" {
			continue
		}
		if seen[k] == nil {
			seen[k] = map[string]int{}
		}
		if id, dup := seen[k][c.name]; dup && id != c.id {
			return errorf(errno.NotUniqueTable, "Not unique table/alias: '%s'", c.table)
		}
		seen[k][c.name] = c.id
	}
	return nil
}

// tableRef binds one FROM item.
func (b *binder) tableRef(n ast.ResultSetNode, outer *env, ctes *cteScope) (source, error) {
	switch n := n.(type) {
	case *ast.Join:
		return b.joinRef(n, outer, ctes)
	case *ast.TableSource:
		return b.tableSource(n, outer, ctes)
	case *ast.TableName:
		return b.namedTable(n, n.Name.O, ctes)
	}
	return source{}, refuse("this table reference")
}

// tableSource binds a named or derived table with its alias.
func (b *binder) tableSource(n *ast.TableSource, outer *env, ctes *cteScope) (source, error) {
	switch src := n.Source.(type) {
	case *ast.TableName:
		name := n.AsName.O
		if name == "" {
			name = src.Name.O
		}
		s, err := b.namedTable(src, name, ctes)
		if err == nil && n.AsName.O != "" {
			for i := range s.cols {
				s.cols[i].db = ""
			}
		}
		return s, err
	case *ast.SelectStmt, *ast.SetOprStmt:
		if n.AsName.O == "" {
			return source{}, errorf(errno.DerivedNeedsAlias, "Every derived table must have its own alias")
		}
		return b.derived(src, n.AsName.O, n.ColumnNames, outer, ctes)
	case *ast.Join:
		return b.joinRef(src, outer, ctes)
	}
	return source{}, refuse("this table reference")
}

// derived binds a subquery in FROM, which may use columns of the queries around the one that it stands in, or the use of a CTE, which may
// use those around the one with its WITH.
func (b *binder) derived(q ast.ResultSetNode, name string, names []ast.CIStr, outer *env, ctes *cteScope) (source, error) {
	out, err := b.query(q, outer, ctes)
	if err != nil {
		return source{}, err
	}
	return derivedOf(out, name, names)
}

// derivedOf gives a query in FROM its name, and its columns theirs.
func derivedOf(out queryOut, name string, names []ast.CIStr) (source, error) {
	if len(names) > 0 && len(names) != len(out.fields) {
		return source{}, errorf(errno.ViewColumns, "In definition of view, derived table or common table expression, SELECT list and column names list have different column counts")
	}
	s := source{rel: out.rel}
	s.rel.derived = true
	seen := map[string]bool{}
	for i, f := range out.fields {
		c := scopeColumn{table: name, name: f.name, id: f.id}
		if len(names) > 0 {
			c.name = names[i].O
		}
		if seen[strings.ToLower(c.name)] {
			return source{}, errorf(errno.DuplicateColumn, "Duplicate column name '%s'", c.name)
		}
		seen[strings.ToLower(c.name)] = true
		s.cols = append(s.cols, c)
	}
	return s, nil
}

// namedTable binds a table of the catalog, a made-up table or a CTE.
func (b *binder) namedTable(n *ast.TableName, name string, ctes *cteScope) (source, error) {
	if n.AsOf != nil || n.TableSample != nil {
		return source{}, refuse("AS OF TIMESTAMP and TABLESAMPLE")
	}
	s, err := b.named(n, name, ctes)
	if err != nil || len(n.PartitionNames) == 0 {
		return s, err
	}
	return s, selectPartitions(s.rel, n.PartitionNames)
}

// selectPartitions has a scan read some partitions alone.
func selectPartitions(scan *rel, names []ast.CIStr) (err error) {
	if scan.op != opScan {
		return errNotPartitioned()
	}
	scan.parts, err = partitionsNamed(scan.table, names)
	return err
}

// named binds what a name stands for.
func (b *binder) named(n *ast.TableName, name string, ctes *cteScope) (source, error) {
	if c := ctes.find(n.Name.O); c != nil && n.Schema.O == "" {
		switch {
		case c.running != nil:
			return b.leaf(&physical.Node{Work: &physical.Work{ID: c.running.work}}, c.running, name), nil
		case c.recursive:
			return b.recursive(c, name)
		}
		return b.derived(c.query, name, c.columns, c.outer, c.scope)
	}
	db := n.Schema.O
	if db == "" {
		db = b.ctx.CurrentDB
	}
	if db == "" {
		return source{}, errorf(errno.NoDatabase, "No database selected")
	}
	b.meaning.table(n, db)
	if b.ctx.shows(db, n.Name.O) {
		cols, _ := b.ctx.System(db, n.Name.O)
		return b.systemTable(db, n.Name.O, name, cols), nil
	}
	if v, ok := b.ctx.Catalog.View(db, n.Name.O); ok {
		return b.view(v, db, name)
	}
	t, err := b.ctx.BaseTable(db, n.Name.O)
	if err != nil {
		return source{}, err
	}
	return b.baseTable(t, db, name), nil
}

// baseTable binds a stored table.
func (b *binder) baseTable(t *catalog.Table, db, name string) source {
	s := source{rel: &rel{op: opScan, table: t, db: db, via: b.opened}}
	for i := range t.Schema.Columns {
		c := &t.Schema.Columns[i]
		id := b.newColumn(column{name: c.Name, typ: c.Type, table: t, pos: i,
			origin: physical.OutColumn{Name: c.Name, Table: name, Database: db, Column: c.Name, Type: c.Type, BaseTable: t.Name,
				Flags: columnFlags(t, c), Bits: max(c.Bits, sqltypes.ZerofillWidth(c))}})
		s.rel.out = append(s.rel.out, id)
		s.rel.columns = append(s.rel.columns, i)
		s.cols = append(s.cols, scopeColumn{db: db, table: name, name: c.Name, id: id, hidden: c.Hidden})
	}
	return s
}

// systemTable binds a table that the FE makes up.
func (b *binder) systemTable(db, table, name string, cols []physical.OutColumn) source {
	s := source{rel: &rel{op: opSystem, sys: &physical.System{Database: db, Table: table}}}
	for i, c := range cols {
		c.Table, c.Database = name, db
		if c.Column == "" {
			c.Column = c.Name
		}
		id := b.newColumn(column{name: c.Name, typ: c.Type, pos: i, origin: c})
		s.rel.out = append(s.rel.out, id)
		s.rel.columns = append(s.rel.columns, i)
		s.cols = append(s.cols, scopeColumn{db: db, table: name, name: c.Name, id: id})
	}
	return s
}

// joinRef binds a join. A RIGHT JOIN is a LEFT JOIN with the sides swapped; the order of names stays as written.
func (b *binder) joinRef(n *ast.Join, outer *env, ctes *cteScope) (source, error) {
	left, err := b.tableRef(n.Left, outer, ctes)
	if err != nil || n.Right == nil {
		return left, err
	}
	if src, ok := n.Right.(*ast.TableSource); ok && src.Lateral {
		return b.lateralJoin(n, src, left, outer, ctes)
	}
	right, err := b.tableRef(n.Right, outer, ctes)
	if err != nil {
		return source{}, err
	}
	s := source{cols: append(append([]scopeColumn(nil), left.cols...), right.cols...)}
	var using []*expr.Node
	if n.NaturalJoin || len(n.Using) > 0 {
		if using, s.cols, err = b.usingColumns(n, left.cols, right.cols); err != nil {
			return source{}, err
		}
	}
	switch n.Tp {
	case ast.LeftJoin:
		b.nullable(right.cols)
		s.rel = join(physical.JoinLeft, left.rel, right.rel)
	case ast.RightJoin:
		b.nullable(left.cols)
		s.rel = join(physical.JoinLeft, right.rel, left.rel)
	default:
		s.rel = join(physical.JoinInner, left.rel, right.rel)
	}
	s.rel.on = using
	if n.On == nil {
		return s, nil
	}
	e := &env{b: b, outer: outer, ctes: ctes, cols: s.cols, clause: "on clause", noAgg: true}
	if s.rel.kind == physical.JoinInner && hasSubquery(n.On.Expr) { // it filters as a WHERE does
		e.rel = s.rel
		err := e.filterBy(n.On.Expr)
		s.rel = e.rel
		return s, err
	}
	err = (&joinOn{at: e, r: s.rel}).bind(n.On.Expr)
	s.rel.setJoinOut()
	return s, err
}

// nullable takes back the promise of NOT NULL from the columns that an outer join may fill with NULL.
func (b *binder) nullable(cols []scopeColumn) {
	for _, c := range cols {
		b.cols[c.id].typ.NotNull = false
		b.cols[c.id].origin.Type.NotNull = false
	}
}

// usingColumns makes the equalities of USING or NATURAL and the names of the join: common columns first, once.
func (b *binder) usingColumns(n *ast.Join, left, right []scopeColumn) ([]*expr.Node, []scopeColumn, error) {
	names, err := commonNames(n, left, right)
	if err != nil {
		return nil, nil, err
	}
	if n.Tp == ast.RightJoin { // its columns come as those of the LEFT JOIN that it is
		inOrder(names, right)
	} else {
		inOrder(names, left)
	}
	b.meaning.natural(n, names)
	var on []*expr.Node
	var common []scopeColumn
	l, r := append([]scopeColumn(nil), left...), append([]scopeColumn(nil), right...)
	for _, name := range names {
		i, err := oneColumn(l, name)
		if err != nil {
			return nil, nil, err
		}
		j, err := oneColumn(r, name)
		if err != nil {
			return nil, nil, err
		}
		eq, err := b.call("=", b.col(l[i].id), b.col(r[j].id))
		if err != nil {
			return nil, nil, err
		}
		on = append(on, eq)
		keep, drop := &l[i], &r[j]
		if n.Tp == ast.RightJoin {
			keep, drop = drop, keep
		}
		c := *keep
		c.common = true
		common = append(common, c)
		keep.hidden, keep.merged = true, true
		drop.hidden, drop.merged = true, true
	}
	if n.Tp == ast.RightJoin {
		return on, append(append(common, r...), l...), nil
	}
	return on, append(append(common, l...), r...), nil
}

// inOrder puts the names of a USING in the order in which a table has them.
func inOrder(names []string, cols []scopeColumn) {
	place := func(name string) int {
		return slices.IndexFunc(cols, func(c scopeColumn) bool { return !c.merged && strings.EqualFold(c.name, name) })
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(place(a), place(b)) })
}

// commonNames lists the columns that a USING names or that both sides of a NATURAL JOIN have.
func commonNames(n *ast.Join, left, right []scopeColumn) ([]string, error) {
	var names []string
	for _, u := range n.Using {
		names = append(names, u.Name.O)
	}
	if !n.NaturalJoin {
		return names, nil
	}
	for _, l := range left {
		if l.hidden || l.merged {
			continue
		}
		for _, r := range right {
			if !r.hidden && !r.merged && strings.EqualFold(l.name, r.name) {
				names = append(names, l.name)
				break
			}
		}
	}
	return names, nil
}

// oneColumn finds the one column of a name on one side of a join.
func oneColumn(cols []scopeColumn, name string) (int, error) {
	found := -1
	for i := range cols {
		if cols[i].merged || !strings.EqualFold(cols[i].name, name) {
			continue
		}
		if found >= 0 {
			return 0, errorf(errno.AmbiguousColumn, "Column '%s' in from clause is ambiguous", name)
		}
		found = i
	}
	if found < 0 {
		return 0, errorf(errno.UnknownColumn, "Unknown column '%s' in 'from clause'", name)
	}
	return found, nil
}

// predicate binds a condition as TRUE, FALSE or NULL.
func (e *env) predicate(n ast.ExprNode) (*expr.Node, error) {
	if m, ok := ast.Unparen(n).(*ast.MatchAgainst); ok {
		return e.matchFound(m)
	}
	c, err := e.bind(n)
	if err != nil {
		return nil, err
	}
	if v := literalNumber(n); v != nil {
		c = v
	}
	return e.b.truthValue(c)
}

// truthValue makes a predicate of any value, as MySQL reads one in a condition.
func (b *binder) truthValue(c *expr.Node) (*expr.Node, error) {
	if c.Type.Kind == types.KindBool {
		return c, nil
	}
	return b.call("!=", c, constInt(0))
}
