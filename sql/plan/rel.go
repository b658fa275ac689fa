package plan

import (
	"slices"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
)

// op is the kind of a rel.
type op uint8

const (
	opScan op = iota
	opSystem
	opValues
	opFilter
	opProject
	opAgg
	opJoin
	opSort
	opLimit
	opUnion // UNION ALL
	opSetOp
	opWindow
)

// item is a computed column: the expression, over column ids, and the id that it gets.
type item struct {
	id   int
	expr *expr.Node
}

// aggItem is one aggregate with the column id of its result.
type aggItem struct {
	id int
	fn expr.AggFunc
}

// winItem is one window function with the column id of its result.
type winItem struct {
	id int
	fn physical.WindowFunc
}

// rel is one operator of the logical plan. In its expressions Node.Col is a column id, unique in the statement; a
// column that no child yields comes from an enclosing query (it is correlated) until unnesting has removed it.
type rel struct {
	op   op
	kids []*rel
	out  []int // ids it yields

	table   *catalog.Table      // opScan
	columns []int               // opScan: positions in the table's schema, parallel to out
	db      string              // opScan: the database of the table
	via     []ViewUse           // opScan: the views by which the statement names the table, the outermost first
	checks  []rowCheck          // opScan: what rows that are written through the views must meet
	bound   int                 // opScan: how many conditions of views were met on the way to it
	parts   []types.PartitionID // opScan: the partitions that the statement names, nil = all
	picked  bool                // opScan: only rows that the session has locked are read
	derived bool                // a derived table or the use of a CTE: nothing is written through it
	sys     *physical.System

	preds []*expr.Node // opFilter: all must hold
	items []item       // opProject; the groups of opAgg
	aggs  []aggItem    // opAgg
	// scalar marks an opAgg without groups: exactly one row, whatever comes in.
	scalar bool

	kind   physical.JoinKind // opJoin
	on     []*expr.Node
	single bool // opJoin: the right side is known to match a left row at most once

	keys          []expr.SortKey // opSort
	limit, offset int64          // opLimit, and opSort when limit >= 0 (-1 = all)

	rows  [][]*expr.Node // opValues
	leaf  *physical.Node // opSystem, instead of sys: a recursive CTE, or its rows within itself
	setop physical.SetOp
	// inputs are the columns of each kid of opUnion and opSetOp that make the columns of out; what a kid yields, and in
	// which order, changes as it is rewritten.
	inputs [][]int

	partition []*expr.Node // opWindow, with keys
	windows   []winItem
}

// column is what is known of a column id.
type column struct {
	name    string // for display
	typ     types.ColumnType
	visible types.ColumnType // of an aggregate whose result is kept with more digits than are shown
	table   *catalog.Table   // the base table, when it is a stored column
	pos     int              // its position in that table's schema
	origin  physical.OutColumn
	weak    bool // text that says nothing of how it compares, as literals do
}

// newColumn draws a column id.
func (b *binder) newColumn(c column) int {
	b.collates = b.collates || c.typ.Collation != types.CollationBinary
	b.cols = append(b.cols, c)
	return len(b.cols) - 1
}

// col makes a reference to a column id.
func (b *binder) col(id int) *expr.Node {
	return &expr.Node{Kind: expr.NodeColumn, Col: id, Type: b.cols[id].typ}
}

// filter puts predicates on top of a rel; none means the rel itself.
func filter(in *rel, preds ...*expr.Node) *rel {
	preds = slices.DeleteFunc(slices.Clone(preds), isTrue)
	if len(preds) == 0 {
		return in
	}
	if in.op == opFilter {
		return &rel{op: opFilter, kids: in.kids, out: in.out, preds: append(slices.Clone(in.preds), preds...)}
	}
	return &rel{op: opFilter, kids: []*rel{in}, out: in.out, preds: preds}
}

// project computes items over a rel.
func project(in *rel, items []item) *rel {
	r := &rel{op: opProject, kids: []*rel{in}, items: items}
	for _, it := range items {
		r.out = append(r.out, it.id)
	}
	return r
}

// join joins two rels.
func join(kind physical.JoinKind, left, right *rel, on ...*expr.Node) *rel {
	r := &rel{op: opJoin, kind: kind, kids: []*rel{left, right}, on: on}
	r.setJoinOut()
	return r
}

// setJoinOut recomputes what a join yields.
func (r *rel) setJoinOut() {
	r.out = slices.Clone(r.kids[0].out)
	if r.kind == physical.JoinInner || r.kind == physical.JoinLeft || r.kind == physical.JoinScalar {
		r.out = append(r.out, r.kids[1].out...)
	}
}

// aggregate groups a rel.
func aggregate(in *rel, groups []item, aggs []aggItem) *rel {
	r := &rel{op: opAgg, kids: []*rel{in}, items: groups, aggs: aggs, scalar: len(groups) == 0}
	for _, g := range groups {
		r.out = append(r.out, g.id)
	}
	for _, a := range aggs {
		r.out = append(r.out, a.id)
	}
	return r
}

// oneRow is the input of a SELECT without FROM.
func oneRow() *rel { return &rel{op: opValues, rows: [][]*expr.Node{{}}} }

// eachExpr calls f with the address of every expression that the rel itself (not its kids) holds.
func (r *rel) eachExpr(f func(**expr.Node)) {
	for i := range r.preds {
		f(&r.preds[i])
	}
	for i := range r.items {
		f(&r.items[i].expr)
	}
	for i := range r.on {
		f(&r.on[i])
	}
	for i := range r.keys {
		f(&r.keys[i].Expr)
	}
	for i := range r.partition {
		f(&r.partition[i])
	}
	for i := range r.aggs {
		if r.aggs[i].fn.Arg != nil {
			f(&r.aggs[i].fn.Arg)
		}
		for j := range r.aggs[i].fn.Order {
			f(&r.aggs[i].fn.Order[j].Expr)
		}
	}
	for i := range r.windows {
		for j := range r.windows[i].fn.Args {
			f(&r.windows[i].fn.Args[j])
		}
		r.windows[i].fn.Range.Each(f)
	}
	for i := range r.rows {
		for j := range r.rows[i] {
			f(&r.rows[i][j])
		}
	}
}

// freeColumns collects the ids that the tree uses and does not yield itself: its correlations.
func (r *rel) freeColumns() idSet {
	used, made := idSet{}, idSet{}
	r.walk(func(n *rel) {
		n.eachExpr(func(e **expr.Node) { used.addExpr(*e) })
		made.add(n.out...)
	})
	for id := range made { // unordered: a set is taken from a set
		delete(used, id)
	}
	return used
}

// walk visits the tree, parents first.
func (r *rel) walk(f func(*rel)) {
	f(r)
	for _, k := range r.kids {
		k.walk(f)
	}
}

// idSet is a set of column ids.
type idSet map[int]struct{}

func newSet(ids ...int) idSet {
	s := make(idSet, len(ids))
	s.add(ids...)
	return s
}

func (s idSet) add(ids ...int) {
	for _, id := range ids {
		s[id] = struct{}{}
	}
}

func (s idSet) has(id int) bool { _, ok := s[id]; return ok }

// addExpr adds the columns of an expression.
func (s idSet) addExpr(e *expr.Node) {
	eachColumn(e, func(id int) { s[id] = struct{}{} })
}

// covers reports whether the expression uses no column outside the set.
func (s idSet) covers(e *expr.Node) bool {
	ok := true
	eachColumn(e, func(id int) { ok = ok && s.has(id) })
	return ok
}

// touches reports whether the expression uses a column of the set.
func (s idSet) touches(e *expr.Node) bool {
	hit := false
	eachColumn(e, func(id int) { hit = hit || s.has(id) })
	return hit
}

// sorted returns the ids in order.
func (s idSet) sorted() []int {
	ids := make([]int, 0, len(s))
	for id := range s { // unordered: sorted below
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
