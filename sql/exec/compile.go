package exec

import (
	"fmt"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/vec"
)

// compileAll compiles expressions that are evaluated over the same batches.
func compileAll(nodes []*expr.Node, ectx expr.Context) ([]*expr.Program, error) {
	progs := make([]*expr.Program, len(nodes))
	for i, n := range nodes {
		p, err := expr.Compile(n, ectx)
		if err != nil {
			return nil, fmt.Errorf("compile expression %d: %w", i, err)
		}
		progs[i] = p
	}
	return progs, nil
}

// evalAll evaluates over the rows of b that count. The vectors have b.N rows and are right at those positions.
func evalAll(progs []*expr.Program, b *vec.Batch) ([]*vec.Vector, error) {
	out := make([]*vec.Vector, len(progs))
	for i, p := range progs {
		v, err := p.Eval(b)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

func nodeTypes(nodes []*expr.Node) []types.ColumnType {
	ts := make([]types.ColumnType, len(nodes))
	for i, n := range nodes {
		ts[i] = n.Type
	}
	return ts
}

// checkColumns refuses a batch that is not what the plan says; what comes from another process may be from another
// version.
func checkColumns(b *vec.Batch, ts []types.ColumnType) error {
	if len(b.Cols) != len(ts) {
		return fmt.Errorf("a batch of %d columns where the plan has %d", len(b.Cols), len(ts))
	}
	for i, t := range ts {
		if b.Cols[i].Type.Phys() != t.Phys() {
			return fmt.Errorf("column %d is of kind %d where the plan has %d", i, b.Cols[i].Type.Kind, t.Kind)
		}
	}
	return nil
}
