package plan

import (
	"stele/sql/expr"
	"stele/sql/fn"
	ast "stele/sql/parse"
)

// A division by zero is NULL and a warning, or an error in a statement that writes in strict mode. The warning comes of constants
// only, where the statement works them out exactly once: in a SELECT without FROM, and in the rows of an INSERT.

// writes says that the statement writes; ignore is its IGNORE.
func (b *binder) writes(ignore bool) {
	b.strictWrite = b.ctx.Strict() && !ignore
	b.byZeroFails = b.strictWrite && b.ctx.minds()
}

// minds reports whether the session wants to hear of divisions by zero.
func (c *Context) minds() bool {
	return hasMode(c.SQLMode, "ERROR_FOR_DIVISION_BY_ZERO") || hasMode(c.SQLMode, "TRADITIONAL")
}

// onlyOnce reports whether the fields of a query are worked out once.
func onlyOnce(s *ast.SelectStmt) bool {
	return s.From == nil && s.Where == nil && s.GroupBy == nil && s.Having == nil && s.OrderBy == nil && s.Limit == nil
}

// perhaps says that what is bound until the returned function is called may never be worked out, or many times.
func (b *binder) perhaps() func() {
	before := b.once
	b.once = false
	return func() { b.once = before }
}

// noteDivision counts a division of constants whose result is out.
func (b *binder) noteDivision(name string, args []*expr.Node, out *expr.Node) {
	if !b.once || len(args) != 2 || fn.StrictDivision(name) == name || out.Kind != expr.NodeConst || !out.Value.Null || !b.ctx.minds() {
		return
	}
	for _, a := range args {
		if a.Kind != expr.NodeConst || a.Value.Null {
			return
		}
	}
	b.ctx.ZeroDivisions++
}
