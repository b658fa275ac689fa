package plan

import (
	"stele/meta/catalog"
	"stele/sql/errno"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/vec"
)

// rowCheck is what rows that are written have to meet: the CHECK OPTION of a view that they are written through, or a CHECK
// constraint of their table.
type rowCheck struct {
	// conds are over the columns of the table, in schema order.
	conds []*expr.Node
	// failed is the error of a row that does not meet them.
	failed *Error
	// sub names a view one of whose conditions has a subquery, which cannot be asked of a row that is not there yet.
	sub string
}

// constraints binds the CHECK constraints of a table that are enforced.
func (b *binder) constraints(t *catalog.Table) ([]rowCheck, error) {
	if !t.HasChecks() {
		return nil, nil
	}
	var out []rowCheck
	ids := b.tableColumns(t)
	for i := range t.Checks {
		if c := &t.Checks[i]; !c.NotEnforced {
			one, err := b.constraint(t, c, ids)
			if err != nil {
				return nil, err
			}
			out = append(out, one)
		}
	}
	return out, nil
}

// constraint binds one CHECK constraint over ids of the columns of its table. A condition that is unknown is met.
func (b *binder) constraint(t *catalog.Table, c *catalog.Check, ids []int) (rowCheck, error) {
	n, err := ast.ParseExpr(c.Clause)
	if err != nil {
		return rowCheck{}, err
	}
	cond, err := b.tableEnv(t, ids).bind(&ast.IsTruthExpr{Expr: n, Not: true, True: 0})
	if err != nil {
		return rowCheck{}, err
	}
	return rowCheck{conds: []*expr.Node{at(cond, ids)}, failed: errorf(errno.CheckViolated, "Check constraint '%s' is violated.", c.Name)}, nil
}

// tableColumns draws ids for the columns of a table.
func (b *binder) tableColumns(t *catalog.Table) []int {
	var ids []int
	for i := range t.Schema.Columns {
		c := &t.Schema.Columns[i]
		ids = append(ids, b.newColumn(column{name: c.Name, typ: c.Type, table: t, pos: i}))
	}
	return ids
}

// tableEnv is where the condition of a CHECK constraint, or the value of a generated column, is bound.
func (b *binder) tableEnv(t *catalog.Table, ids []int) *env {
	e := &env{b: b, clause: "check constraint expression", noAgg: true}
	for i := range t.Schema.Columns {
		if c := &t.Schema.Columns[i]; !c.Hidden {
			e.cols = append(e.cols, scopeColumn{table: t.Name, name: c.Name, id: ids[i]})
		}
	}
	return e
}

// judge returns which of some rows, given by the columns of the table, meet all checks, nil = all of them. A row that does not is an
// error or, where such rows are ignored, one of failed.
func judge(checks []rowCheck, ectx expr.Context, rows *vec.Batch, ignore bool) (kept []int32, failed []*Error, err error) {
	var verdicts []*Error
	for _, c := range checks {
		for _, p := range c.conds {
			prog, err := expr.Compile(p, ectx)
			if err != nil {
				return nil, nil, err
			}
			good, err := prog.EvalFilter(rows)
			switch {
			case err != nil:
				return nil, nil, err
			case len(good) == rows.Rows():
				continue
			case !ignore:
				return nil, nil, c.failed
			}
			if verdicts == nil {
				verdicts = make([]*Error, rows.N)
			}
			condemn(verdicts, good, c.failed)
		}
	}
	if verdicts == nil {
		return nil, nil, nil
	}
	kept = []int32{}
	for i, v := range verdicts {
		if v == nil {
			kept = append(kept, int32(i))
		} else {
			failed = append(failed, v)
		}
	}
	return kept, failed, nil
}

// condemn gives the rows that are not among the good ones an error, unless they have one.
func condemn(verdicts []*Error, good []int32, why *Error) {
	for i := range verdicts {
		if len(good) > 0 && good[0] == int32(i) {
			good = good[1:]
		} else if verdicts[i] == nil {
			verdicts[i] = why
		}
	}
}

// Checked reports whether CheckRows has something to look at.
func (p *ModifyPlan) Checked() bool { return len(p.checks) > 0 }

// Checked reports whether new rows have to meet conditions.
func (p *InsertPlan) Checked() bool { return len(p.target.checks) > 0 }

// CheckRows returns those of some new rows of the table that meet its constraints, and that the views show through which they are
// written. One that does not is an error or, in an UPDATE IGNORE, one of ctx.Warnings.
func (p *ModifyPlan) CheckRows(ctx *Context, rows *vec.Batch, which []int32) ([]int32, error) {
	picked := (&vec.Batch{Cols: rows.Cols, N: rows.N, Sel: which}).Compact()
	kept, failed, err := judge(p.checks, newBinder(ctx).evalContext(), picked, p.Ignore)
	ctx.Warnings.violations(failed)
	if err != nil || kept == nil {
		return which, err
	}
	out := []int32{}
	for _, i := range kept {
		out = append(out, which[i])
	}
	return out, nil
}

// CheckRow is ModifyPlan's CheckRows, of a row that ON DUPLICATE KEY UPDATE makes.
func (p *InsertPlan) CheckRow(ctx *Context, row *vec.Batch) (ok bool, err error) {
	kept, failed, err := judge(p.target.checks, newBinder(ctx).evalContext(), row, p.Mode == ModeIgnore)
	ctx.Warnings.violations(failed)
	return kept == nil, err
}

// Meeting returns those of some new rows that meet all conditions. One that does not is an error or, where the statement ignores
// such rows, a warning. Several goroutines may call it at once.
func (p *InsertPlan) Meeting(rows *vec.Batch, warnings *Warnings) (*vec.Batch, error) {
	if !p.Checked() {
		return rows, nil
	}
	kept, failed, err := judge(p.target.checks, p.filler.b.evalContext(), rows, p.Mode == ModeIgnore)
	warnings.violations(failed)
	if err == nil && kept != nil {
		rows = (&vec.Batch{Cols: rows.Cols, N: rows.N, Sel: kept}).Compact()
	}
	return rows, err
}
