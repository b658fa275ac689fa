package plan

import (
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/physical"
)

// Select plans a query: a SELECT, a set operation, TABLE t or VALUES ROW(...). The columns of the result are the plan's
// Schema, in order.
func Select(ctx *Context, stmt ast.Node) (*physical.Node, error) {
	return newBinder(ctx).selected(stmt)
}

// selected is Select by a binder.
func (b *binder) selected(stmt ast.Node) (*physical.Node, error) {
	b.locks, _ = stmt.(*ast.SelectStmt)
	out, err := b.query(stmt, nil, nil)
	if err == nil {
		out, err = b.showFields(out)
	}
	if err != nil {
		return nil, err
	}
	return b.finish(out)
}

// Locking tells whether a query asks for row locks: FOR UPDATE, or FOR SHARE (LOCK IN SHARE MODE). The plan does not take
// them; the session that runs it has to, or to refuse.
func Locking(stmt ast.Node) (update, share bool) {
	s, ok := stmt.(*ast.SelectStmt)
	if !ok || s.LockInfo == nil {
		return false, false
	}
	switch s.LockInfo.LockType {
	case ast.SelectLockForUpdate, ast.SelectLockForUpdateNoWait, ast.SelectLockForUpdateWaitN, ast.SelectLockForUpdateSkipLocked:
		return true, false
	case ast.SelectLockForShare, ast.SelectLockForShareNoWait, ast.SelectLockForShareSkipLocked:
		return false, true
	}
	return false, false
}

// SkipLocked tells whether a query leaves out the rows that others have locked.
func SkipLocked(s *ast.SelectStmt) bool {
	return s.LockInfo != nil && (s.LockInfo.LockType == ast.SelectLockForUpdateSkipLocked || s.LockInfo.LockType == ast.SelectLockForShareSkipLocked)
}

// NoWait tells whether a query asks for row locks at once or not at all.
func NoWait(s *ast.SelectStmt) bool {
	return s.LockInfo != nil && (s.LockInfo.LockType == ast.SelectLockForUpdateNoWait || s.LockInfo.LockType == ast.SelectLockForShareNoWait)
}

// lockable refuses locking clauses that promise what is not done: only the rows of a statement's own SELECT are locked.
func (b *binder) lockable(s *ast.SelectStmt) error {
	switch {
	case s.LockInfo == nil || b.locks == s:
	case SkipLocked(s):
		return refuse("SKIP LOCKED of a query within a statement")
	case NoWait(s):
		return refuse("NOWAIT of a query within a statement")
	}
	return nil
}

// finish rewrites and lowers a bound query, with its columns in the order of its fields.
func (b *binder) finish(q queryOut) (*physical.Node, error) {
	ids := make([]int, len(q.fields))
	for i, f := range q.fields {
		ids[i] = f.id
	}
	if free := q.rel.freeColumns(); len(free) > 0 {
		return nil, refuse("a subquery that refers to a query further out than the next")
	}
	byKeys, err := b.byCollation(q.rel)
	if err != nil {
		return nil, err
	}
	r := b.rewrite(byKeys, newSet(ids...))
	l := b.lower(r, newSet(ids...))
	root := b.arrange(l, ids).node
	schema := make([]physical.OutColumn, len(ids))
	for i, f := range q.fields {
		schema[i] = b.outColumn(f.id)
		schema[i].Name = f.name
	}
	root.Schema = schema
	return root, nil
}

// rewrite improves a logical plan.
func (b *binder) rewrite(r *rel, need idSet) *rel {
	if b.ctx.literal {
		return r
	}
	r = b.push(r, nil)
	b.pruneColumns(r, need)
	return b.splitOr(b.limitBelow(b.order(r)))
}

// pruneColumns drops columns that nobody needs, so that estimates and joins see only what is there. Lowering prunes what
// projections and scans yield; this one removes projected items, aggregates and join columns.
func (b *binder) pruneColumns(r *rel, need idSet) {
	switch r.op {
	case opScan, opSystem, opValues, opUnion, opSetOp:
		for i, k := range r.kids {
			b.pruneColumns(k, newSet(r.inputs[i]...))
		}
		return
	case opProject:
		r.items = neededItems(r.items, need)
		r.out = need.within(r.out)
		want := idSet{}
		for _, it := range r.items {
			want.addExpr(it.expr)
		}
		b.pruneColumns(r.kids[0], want)
		return
	case opAgg:
		want := idSet{}
		r.eachExpr(func(e **expr.Node) { want.addExpr(*e) })
		b.pruneColumns(r.kids[0], want)
		return
	}
	want := need.with()
	r.eachExpr(func(e **expr.Node) { want.addExpr(*e) })
	for _, w := range r.windows {
		delete(want, w.id)
	}
	for _, k := range r.kids {
		b.pruneColumns(k, newSet(want.within(k.out)...))
	}
	b.resetOut(r)
}

// resetOut recomputes what a rel yields from its kids.
func (b *binder) resetOut(r *rel) {
	switch r.op {
	case opJoin:
		r.setJoinOut()
	case opWindow:
		r.out = append([]int(nil), r.kids[0].out...)
		for _, w := range r.windows {
			r.out = append(r.out, w.id)
		}
	default:
		r.out = r.kids[0].out
	}
}
