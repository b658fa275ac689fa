package plan

import ast "stele/sql/parse"

// joinOn is the condition of a join while its terms are bound. Those of an outer join may have subqueries.
type joinOn struct {
	at *env // resolves the names of both sides
	r  *rel // the join: its left side stays whole
	// chosen says that the right side was filtered by terms that may use the left side.
	chosen bool
}

// bind adds the terms of a condition to the join.
func (o *joinOn) bind(n ast.ExprNode) error {
	for _, term := range astConjuncts(n) {
		if !hasSubquery(term) {
			p, err := o.at.predicate(term)
			if err != nil {
				return err
			}
			o.r.on = append(o.r.on, conjuncts(p)...)
			continue
		}
		done, err := o.onLeft(term)
		if err == nil && !done {
			err = o.onRight(term)
		}
		if err != nil {
			return err
		}
	}
	if !o.chosen {
		return nil
	}
	e := *o.at
	e.rel = o.r.kids[0]
	right, on, err := e.pull(o.r.kids[1], false)
	if err != nil {
		return err
	}
	o.r.kids[1], o.r.on = right, append(o.r.on, on...)
	return nil
}

// onLeft has the subqueries of a term worked out for the rows of the left side; the term then compares columns. It leaves alone a term
// whose subqueries use the right side.
func (o *joinOn) onLeft(term ast.ExprNode) (bool, error) {
	e := *o.at
	e.rel = o.r.kids[0]
	p, err := e.condition(term)
	if err != nil {
		return false, err
	}
	free := e.rel.freeColumns()
	for _, id := range o.r.kids[1].out {
		if free.has(id) {
			return false, nil
		}
	}
	o.r.kids[0], o.r.on = e.rel, append(o.r.on, conjuncts(p)...)
	return true, nil
}

// onRight has a term choose among the rows of the right side, which depends on the left side then.
func (o *joinOn) onRight(term ast.ExprNode) error {
	e := *o.at
	e.rel = o.r.kids[1]
	err := e.filterBySubquery(term)
	o.r.kids[1], o.chosen = e.rel, true
	return err
}
