package exec

import (
	"context"
	"fmt"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/vec"
)

// FromBatches yields batches that are there already, such as the rows of a system table.
func FromBatches(batches ...*vec.Batch) Stream { return &batchStream{rest: batches} }

type batchStream struct{ rest []*vec.Batch }

func (s *batchStream) Next(ctx context.Context) (*vec.Batch, error) {
	if len(s.rest) == 0 {
		return nil, nil
	}
	b := s.rest[0]
	s.rest = s.rest[1:]
	return b, nil
}

func (s *batchStream) Close() { s.rest = nil }

// filterOp passes the rows for which the predicate is true.
type filterOp struct {
	in    Stream
	prog  *expr.Program
	reuse bool    // a batch is used no longer when the next one is asked for
	buf   []int32 // with reuse
}

func newFilter(cond *expr.Node, in Stream, ectx expr.Context) (*filterOp, error) {
	prog, err := expr.Compile(cond, ectx)
	if err != nil {
		return nil, fmt.Errorf("compile filter: %w", err)
	}
	return &filterOp{in: in, prog: prog}, nil
}

func (f *filterOp) Next(ctx context.Context) (*vec.Batch, error) {
	for {
		b, err := nextBatch(ctx, f.in)
		if err != nil || b == nil {
			return nil, err
		}
		if f.reuse && len(f.buf) < b.N {
			f.buf = make([]int32, b.N)
		}
		sel, err := f.prog.EvalFilterInto(b, f.buf)
		if err != nil {
			return nil, err
		}
		if b = selectRows(b, sel); b.Rows() > 0 {
			return b, nil
		}
	}
}

// selectRows narrows b to sel, which names rows of b that count.
func selectRows(b *vec.Batch, sel []int32) *vec.Batch {
	if len(sel) == b.Rows() {
		return b
	}
	if sel == nil { // nil would mean all of them
		sel = []int32{}
	}
	return &vec.Batch{Cols: b.Cols, N: b.N, Sel: sel}
}

func (f *filterOp) Close() { f.in.Close() }

// projectOp computes expressions.
type projectOp struct {
	in    Stream
	exprs *exprSet
}

func newProject(nodes []*expr.Node, in Stream, ectx expr.Context) (Stream, error) {
	exprs, err := compileAll(nodes, ectx)
	if err != nil {
		return nil, err
	}
	return &projectOp{in: in, exprs: exprs}, nil
}

func (p *projectOp) Next(ctx context.Context) (*vec.Batch, error) {
	b, err := nextBatch(ctx, p.in)
	if err != nil || b == nil {
		return nil, err
	}
	cols, err := p.exprs.eval(b)
	if err != nil {
		return nil, err
	}
	return &vec.Batch{Cols: cols, N: b.Rows()}, nil
}

func (p *projectOp) Close() { p.in.Close() }

// limitOp skips rows and then passes some; it stops pulling as soon as it has them.
type limitOp struct {
	in         Stream
	skip, left int64
}

func (l *limitOp) Next(ctx context.Context) (*vec.Batch, error) {
	for l.left > 0 {
		b, err := nextBatch(ctx, l.in)
		if err != nil || b == nil {
			return nil, err
		}
		n := int64(b.Rows())
		if l.skip >= n {
			l.skip -= n
			continue
		}
		from := l.skip
		to := n
		if l.left < n-from {
			to = from + l.left
		}
		l.skip = 0
		l.left -= to - from
		if l.left == 0 {
			l.in.Close() // the scans below can stop
		}
		if from == 0 && to == n {
			return b, nil
		}
		return b.Slice(int(from), int(to)), nil
	}
	return nil, nil
}

func (l *limitOp) Close() { l.in.Close() }

// unionOp concatenates.
type unionOp struct {
	ins   []Stream
	types []types.ColumnType
	at    int
}

func (u *unionOp) Next(ctx context.Context) (*vec.Batch, error) {
	for u.at < len(u.ins) {
		b, err := nextBatch(ctx, u.ins[u.at])
		if err != nil {
			return nil, err
		}
		if b != nil {
			if err := checkColumns(b, u.types); err != nil {
				return nil, fmt.Errorf("union, branch %d: %w", u.at, err)
			}
			return b, nil
		}
		u.ins[u.at].Close()
		u.at++
	}
	return nil, nil
}

func (u *unionOp) Close() { closeAll(u.ins) }

// valuesOp yields constant rows. They are evaluated a batch at a time, so a long INSERT … VALUES is never held twice.
type valuesOp struct {
	rows  [][]*expr.Node
	types []types.ColumnType
	ectx  expr.Context
}

func newValues(n *physical.Node, env *Env) (Stream, error) {
	v := &valuesOp{rows: n.Values.Rows, ectx: env.Expr}
	for _, c := range n.Schema {
		v.types = append(v.types, c.Type)
	}
	if len(v.types) == 0 && len(v.rows) > 0 {
		v.types = nodeTypes(v.rows[0])
	}
	for i, row := range v.rows {
		if len(row) != len(v.types) {
			return nil, fmt.Errorf("build values: row %d has %d columns instead of %d", i, len(row), len(v.types))
		}
		for j, x := range row {
			if x.Type.Phys() != v.types[j].Phys() && !isNullConst(x) {
				return nil, fmt.Errorf("build values: column %d of row %d lacks a cast", j, i)
			}
		}
	}
	return v, nil
}

func isNullConst(n *expr.Node) bool { return n.Kind == expr.NodeConst && n.Value.Null }

func (v *valuesOp) Next(ctx context.Context) (*vec.Batch, error) {
	if len(v.rows) == 0 {
		return nil, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	rows := v.rows[:min(len(v.rows), vec.MaxRows)]
	v.rows = v.rows[len(rows):]
	out := vec.NewBuilder(v.types, len(rows))
	for _, row := range rows {
		for j, x := range row {
			if err := appendScalar(out.Cols[j], x, v.ectx); err != nil {
				return nil, err
			}
		}
	}
	b := out.Finish()
	b.N = len(rows) // SELECT without FROM has rows without columns
	return b, nil
}

// appendScalar evaluates an expression that names no column.
func appendScalar(c *vec.ColumnBuilder, x *expr.Node, ectx expr.Context) error {
	if x.Kind == expr.NodeConst {
		c.AppendValue(x.Value)
		return nil
	}
	prog, err := expr.Compile(x, ectx)
	if err != nil {
		return fmt.Errorf("compile value: %w", err)
	}
	v, err := prog.Eval(&vec.Batch{N: 1})
	if err != nil {
		return err
	}
	c.AppendFrom(v, 0)
	return nil
}

func (v *valuesOp) Close() { v.rows = nil }
