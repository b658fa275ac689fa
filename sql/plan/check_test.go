package plan

import (
	"fmt"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
)

// checkPlan verifies what the executor relies on: every column reference is within its input and of the input's physical
// type, keys of joins pair up, and every expression compiles.
func checkPlan(n *physical.Node) error {
	for _, k := range n.Children {
		if err := checkPlan(k); err != nil {
			return err
		}
	}
	if n.Recursive != nil {
		if err := checkPlan(n.Recursive.Seed); err != nil {
			return err
		}
		return checkPlan(n.Recursive.Step)
	}
	in := func(i int) []types.ColumnType {
		var out []types.ColumnType
		for _, c := range n.Children[i].Schema {
			out = append(out, c.Type)
		}
		return out
	}
	switch {
	case n.Scan != nil:
		return checkFragment(n)
	case n.Filter != nil:
		return checkExprs(in(0), n.Filter)
	case n.Project != nil:
		if len(n.Project) != len(n.Schema) {
			return fmt.Errorf("project of %d columns for a schema of %d", len(n.Project), len(n.Schema))
		}
		return checkExprs(in(0), n.Project...)
	case n.Agg != nil && !n.Agg.Merge:
		return checkAgg(n.Agg, in(0))
	case n.Join != nil:
		return checkJoin(n.Join, in(0), in(1))
	case n.Sort != nil:
		return checkKeys(in(0), n.Sort.Keys)
	}
	return nil
}

func checkJoin(j *physical.Join, left, right []types.ColumnType) error {
	if len(j.Left) != len(j.Right) {
		return fmt.Errorf("join with %d left and %d right keys", len(j.Left), len(j.Right))
	}
	for i := range j.Left {
		if j.Left[i].Type.Phys() != j.Right[i].Type.Phys() {
			return fmt.Errorf("join keys of different types: %v, %v", j.Left[i], j.Right[i])
		}
	}
	if err := checkExprs(left, j.Left...); err != nil {
		return err
	}
	if err := checkExprs(right, j.Right...); err != nil {
		return err
	}
	if j.On == nil {
		return nil
	}
	return checkExprs(append(append([]types.ColumnType{}, left...), right...), j.On)
}

func checkAgg(a *physical.Agg, in []types.ColumnType) error {
	if err := checkExprs(in, a.Group...); err != nil {
		return err
	}
	for _, f := range a.Aggs {
		if err := checkExprs(in, aggExprs(f)...); err != nil {
			return err
		}
	}
	return nil
}

func checkKeys(in []types.ColumnType, keys []expr.SortKey) error {
	for _, k := range keys {
		if err := checkExprs(in, k.Expr); err != nil {
			return err
		}
	}
	return nil
}

func checkFragment(n *physical.Node) error {
	f := &n.Scan.Fragment
	var in []types.ColumnType
	for _, id := range f.Columns {
		in = append(in, f.Schema.Columns[f.Schema.ColumnIndex(id)].Type)
	}
	if f.Filter != nil {
		if err := checkExprs(in, f.Filter); err != nil {
			return err
		}
	}
	if err := checkExprs(in, f.Project...); err != nil {
		return err
	}
	if f.Agg != nil {
		return checkAgg(f.Agg, in)
	}
	out := in
	if f.Project != nil {
		out = nil
		for _, e := range f.Project {
			out = append(out, e.Type)
		}
	}
	want := len(out)
	if f.TabletColumn {
		want++
	}
	if want != len(n.Schema) {
		return fmt.Errorf("a fragment of %d columns for a schema of %d", want, len(n.Schema))
	}
	if f.TopN != nil {
		return checkKeys(out, f.TopN.Keys)
	}
	return nil
}

func checkExprs(in []types.ColumnType, list ...*expr.Node) error {
	for _, e := range list {
		var bad error
		expr.Walk(e, func(n *expr.Node) {
			if n.Kind != expr.NodeColumn {
				return
			}
			if n.Col < 0 || n.Col >= len(in) {
				bad = fmt.Errorf("column %d of %d in %v", n.Col, len(in), e)
			} else if in[n.Col].Phys() != n.Type.Phys() {
				bad = fmt.Errorf("column %d has another type in %v", n.Col, e)
			}
		})
		if bad != nil {
			return bad
		}
		if _, err := expr.Compile(e, expr.Context{}); err != nil {
			return fmt.Errorf("compile %v: %w", e, err)
		}
	}
	return nil
}
