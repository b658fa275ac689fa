package plan

import (
	"slices"
	"strings"

	"stele/meta/catalog"
	"stele/sql/errno"
	"stele/sql/expr"
)

// A view that shows rows of one table, one for one, is written through: the scan that its query begins with is the target, and all
// that stands above it is made to yield what the scan yields. A view of anything else is refused.

// onlyScan finds the scan whose rows a rel yields one for one, nil if there is none.
func onlyScan(r *rel) *rel {
	switch {
	case r.derived:
		return nil
	case r.op == opScan:
		return r
	case r.op == opFilter, r.op == opProject, r.op == opSort && r.limit < 0, r.op == opJoin && isSemi(r.kind):
		return onlyScan(r.kids[0])
	}
	return nil
}

// scanOf finds the scan below the joins and views of a FROM clause that yields a column; nil when the column is computed.
func scanOf(r *rel, id int) *rel {
	switch {
	case r.op == opJoin && !isSemi(r.kind):
		for _, k := range r.kids {
			if s := scanOf(k, id); s != nil {
				return s
			}
		}
	default:
		if s := onlyScan(r); s != nil && slices.Contains(s.out, id) {
			return s
		}
	}
	return nil
}

// refreshOut has everything above a scan yield what the scan yields; projections of views let its columns pass.
func (b *binder) refreshOut(r, scan *rel) (above bool) {
	if r == scan {
		return true
	}
	for _, k := range r.kids {
		above = b.refreshOut(k, scan) || above
	}
	switch {
	case !above:
	case r.op == opJoin:
		r.setJoinOut()
	case r.op == opProject:
		for _, id := range scan.out {
			if !slices.Contains(r.out, id) {
				r.items, r.out = append(r.items, item{id, b.col(id)}), append(r.out, id)
			}
		}
	default:
		r.out = slices.Clone(r.kids[0].out)
	}
	return above
}

// conditions lists what holds for every row that a rel shows of its scan, over the scan's columns, those of inner views first. sub
// says that there are conditions with subqueries beside them.
func conditions(r *rel) (conds []*expr.Node, sub bool) {
	if r.op == opScan {
		return nil, false
	}
	conds, sub = conditions(r.kids[0])
	for _, p := range r.preds {
		for k := r.kids[0]; k.op != opScan; k = k.kids[0] {
			if k.op == opProject {
				p = substitute(p, itemsOf(k))
			}
		}
		conds = append(conds, p)
	}
	return conds, sub || r.op == opJoin
}

// noteChecks writes down at the scan of a view what its CHECK OPTION asks.
func (b *binder) noteChecks(r *rel, use ViewUse) {
	scan := onlyScan(r)
	if scan == nil {
		return
	}
	conds, sub := conditions(r)
	own := conds[scan.bound:]
	scan.bound = len(conds)
	switch use.View.Check {
	case catalog.CheckNone:
		return
	case catalog.CheckLocal:
		conds = own
	}
	layout := make([]int, len(scan.table.Schema.Columns))
	for i, pos := range scan.columns {
		layout[pos] = scan.out[i]
	}
	check := rowCheck{conds: atAll(conds, layout), failed: errorf(errno.ViewCheckFailed, "CHECK OPTION failed '%s.%s'", use.Database, use.View.Name)}
	if sub {
		check.sub = use.View.Name
	}
	scan.checks = append(scan.checks, check)
}

// checkable refuses to write through views whose CHECK OPTION cannot be judged row by row.
func checkable(checks []rowCheck) error {
	for _, c := range checks {
		if c.sub != "" {
			return refuse("a write through view '" + c.sub + "', whose CHECK OPTION holds a subquery: write to its table")
		}
	}
	return nil
}

// target is what an INSERT or LOAD DATA writes: a table, by its own name or by a view of it.
type target struct {
	name    string
	columns []targetColumn
	checks  []rowCheck
}

// computed is in the place of the position of a view's column that is no column of the table.
const computed = -2

// targetColumn is a column of a target and its position in the table's schema.
type targetColumn struct {
	name string
	pos  int
}

// named finds the schema position of a column that a statement writes.
func (t *target) named(name string) (int, error) {
	for _, c := range t.columns {
		if strings.EqualFold(c.name, name) {
			return c.pos, c.writable()
		}
	}
	return -1, errorf(errno.UnknownColumn, "Unknown column '%s' in 'field list'", name)
}

func (c targetColumn) writable() error {
	if c.pos == computed {
		return errorf(errno.ColumnNotUpdatable, "Column '%s' is not updatable", c.name)
	}
	return nil
}

// tableTarget is a table by its own name.
func tableTarget(t *catalog.Table) target {
	out := target{name: t.Name, columns: make([]targetColumn, 0, len(t.Schema.Columns))}
	for i := range t.Schema.Columns {
		if c := &t.Schema.Columns[i]; !c.Hidden {
			out.columns = append(out.columns, targetColumn{c.Name, i})
		}
	}
	return out
}

// viewTarget makes a view the target of an INSERT.
func (b *binder) viewTarget(p *InsertPlan, v *catalog.View) error {
	s, err := b.view(v, p.Database, v.Name)
	if err != nil {
		return err
	}
	scan := onlyScan(s.rel)
	if scan == nil {
		return errorf(errno.NotInsertable, "The target table %s of the INSERT is not insertable-into: it does not show the rows of one table, write to those that it reads", v.Name)
	}
	p.Table, p.Database, p.Via = scan.table, scan.db, scan.via
	p.target = target{name: v.Name, checks: scan.checks}
	for _, c := range s.cols {
		pos := computed
		if at := slices.Index(scan.out, c.id); at >= 0 {
			pos = scan.columns[at]
		}
		p.target.columns = append(p.target.columns, targetColumn{c.name, pos})
	}
	return checkable(scan.checks)
}
