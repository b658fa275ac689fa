package plan

import (
	"slices"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/fn"
	"stele/sql/physical"
)

// countsDistinct returns the argument of COUNT(DISTINCT …) among other aggregates that can be put together from parts: there is one such argument.
func countsDistinct(aggs []aggItem) (arg *expr.Node, ok bool) {
	for _, a := range aggs {
		switch {
		case !a.fn.Distinct:
		case a.fn.Name != "count" || arg != nil && !sameExpr(arg, a.fn.Arg):
			return nil, false
		default:
			arg = a.fn.Arg
		}
	}
	return arg, arg != nil
}

// countDistinct aggregates in three phases, so that no group has to remember its values: the groups and the value make finer groups next to the
// data, whose parts are put together as states, and then the states of all finer groups of a group; each of them with a value counts as one.
func (b *binder) countDistinct(c chain, r *rel, aggs []aggItem, arg *expr.Node, layout []int) lowered {
	var plain []aggItem
	for _, a := range aggs {
		if !a.fn.Distinct {
			plain = append(plain, a)
		}
	}
	partial := c.aggregation(r, plain)
	partial.Partial = true
	partial.Group = append(partial.Group, c.overScan(arg))
	scan := b.aggregatingScan(c, partial)
	scan.Schema = partialSchema(partial)

	finer := &physical.Agg{Merge: true, States: true, Aggs: partial.Aggs}
	for i, g := range partial.Group {
		finer.Group = append(finer.Group, expr.Col(i, g.Type))
	}
	states := &physical.Node{Agg: finer, Schema: scan.Schema, Children: []*physical.Node{scan}}

	value := finer.Group[len(r.items)]
	counted := &physical.Node{Project: slices.Clone(finer.Group[:len(r.items)]), Children: []*physical.Node{states}}
	final := &physical.Agg{Merge: true, Group: slices.Clone(finer.Group[:len(r.items)])}
	next := len(finer.Group)
	for _, a := range aggs {
		f := a.fn
		if f.Distinct {
			f.Distinct, f.Arg = false, value
			counted.Project = append(counted.Project, oneOf(value))
			final.Aggs = append(final.Aggs, f)
			continue
		}
		f.Arg = nil
		if a.fn.Arg != nil {
			f.Arg = c.overScan(a.fn.Arg) // its type is all that counts
		}
		for _, t := range stateTypes(f) {
			counted.Project = append(counted.Project, expr.Col(next, t))
			next++
		}
		final.Aggs = append(final.Aggs, f)
	}
	for _, e := range counted.Project {
		counted.Schema = append(counted.Schema, physical.OutColumn{Name: "state", Type: e.Type})
	}
	return b.node(&physical.Node{Agg: final}, layout, counted)
}

// oneOf is the count of a value: NULL is none.
func oneOf(value *expr.Node) *expr.Node {
	return expr.MustCall("if", expr.MustCall("isnull", value), expr.ConstInt(0), expr.ConstInt(1))
}

// stateTypes are the columns of the state of an aggregate.
func stateTypes(f expr.AggFunc) []types.ColumnType {
	var arg types.ColumnType
	if f.Arg != nil {
		arg = f.Arg.Type
	}
	_, _, state, err := fn.ResolveAgg(f.Name, arg, false)
	if err != nil {
		panic("BUG: an aggregate that was resolved before: " + err.Error())
	}
	return state
}
