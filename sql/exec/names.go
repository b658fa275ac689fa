package exec

import (
	"strings"

	"stele/sql/physical"
)

// operatorName names an operator in errors.

func operatorName(n *physical.Node) string {
	switch {
	case n.Scan != nil:
		return "Scan"
	case n.System != nil:
		return "SystemTable"
	case n.Values != nil:
		return "Values"
	case n.Filter != nil:
		return "Filter"
	case n.Project != nil:
		return "Project"
	case n.Agg != nil:
		return aggName(n.Agg)
	case n.Join != nil:
		return joinName(n.Join)
	case n.Sort != nil && n.Sort.Limit > 0:
		return "TopN"
	case n.Sort != nil:
		return "Sort"
	case n.Limit != nil:
		return "Limit"
	case n.SetOp != nil:
		name := strings.ToUpper(n.SetOp.Name)
		if n.SetOp.All {
			name += " ALL"
		}
		return name
	case n.Window != nil:
		return "Window"
	case n.Union:
		return "UNION ALL"
	}
	return "Unknown"
}

func aggName(a *physical.Agg) string {
	switch {
	case a.Partial:
		return "PartialAggregate"
	case a.Merge:
		return "MergeAggregate"
	}
	return "Aggregate"
}

func joinName(j *physical.Join) string {
	kind := [...]string{"Inner", "Left", "Semi", "Anti", "NullAwareAnti", "Scalar"}[j.Kind]
	if len(j.Left) == 0 {
		return kind + "NestedLoopJoin"
	}
	return kind + "HashJoin"
}
