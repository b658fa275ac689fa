package exec

import (
	"fmt"
	"slices"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/vec"
)

// exprSet is compiled expressions that are evaluated over the same batches.
type exprSet struct {
	progs []*expr.Program
	cols  []int // the columns that they read
}

func compileAll(nodes []*expr.Node, ectx expr.Context) (*exprSet, error) {
	s := &exprSet{progs: make([]*expr.Program, 0, len(nodes)), cols: make([]int, 0, len(nodes))}
	for i, n := range nodes {
		p, err := expr.Compile(n, ectx)
		if err != nil {
			return nil, fmt.Errorf("compile expression %d: %w", i, err)
		}
		s.progs = append(s.progs, p)
		expr.Walk(n, func(x *expr.Node) {
			if x.Kind == expr.NodeColumn && !slices.Contains(s.cols, x.Col) {
				s.cols = append(s.cols, x.Col)
			}
		})
	}
	return s, nil
}

// eval evaluates over the rows of b that count. The vectors are dense: row k belongs to the k-th such row.
func (s *exprSet) eval(b *vec.Batch) ([]*vec.Vector, error) {
	b = s.dense(b)
	out := make([]*vec.Vector, len(s.progs))
	for i, p := range s.progs {
		v, err := p.Eval(b)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

// dense gathers the columns in use once for all expressions; each program would do so for itself.
func (s *exprSet) dense(b *vec.Batch) *vec.Batch {
	if b.Sel == nil || len(s.progs) < 2 {
		return b
	}
	return s.gather(b)
}

// gather copies the rows of b that count, of the columns in use.
func (s *exprSet) gather(b *vec.Batch) *vec.Batch {
	out := &vec.Batch{Cols: make([]*vec.Vector, len(b.Cols)), N: len(b.Sel)}
	for _, c := range s.cols {
		if c < len(b.Cols) { // otherwise the evaluation says so
			out.Cols[c] = b.Cols[c].Gather(b.Sel)
		}
	}
	return out
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
