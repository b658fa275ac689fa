package exec

import (
	"context"
	"maps"

	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/fn"
	"stele/sql/physical"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// defaultRecursion is MySQL's cte_max_recursion_depth.
const defaultRecursion = 1000

// recursiveOp runs a recursive CTE: its seed, then its step over the rows that came last, until none come. It holds those
// rows, and without UNION ALL the keys of all rows that came.
type recursiveOp struct {
	plan  *physical.Recursive
	env   Env
	names []string
	types []types.ColumnType
	mem   account

	in     Stream
	fresh  []*vec.Batch // the rows of this round so far
	bytes  int64        // of those and of the rows of the round before
	seen   map[string]struct{}
	known  int64 // bytes of seen
	rounds int64
	done   bool
}

func newRecursive(n *physical.Node, env *Env) Stream {
	r := &recursiveOp{plan: n.Recursive, env: *env, types: schemaTypes(n.Schema), mem: account{mem: env.Mem}}
	for _, c := range n.Schema {
		r.names = append(r.names, c.Name)
	}
	r.env.work = maps.Clone(env.work)
	if r.env.work == nil {
		r.env.work = map[int][]*vec.Batch{}
	}
	if !n.Recursive.All {
		r.seen = map[string]struct{}{}
	}
	return r
}

// Next returns the next rows, of whichever round.
func (r *recursiveOp) Next(ctx context.Context) (*vec.Batch, error) {
	for !r.done {
		if r.in == nil {
			if err := r.round(); err != nil {
				return nil, err
			}
		}
		b, err := nextBatch(ctx, r.in)
		if err != nil {
			return nil, err
		}
		if b == nil {
			r.in.Close()
			r.in = nil
			if r.done = len(r.fresh) == 0; r.done {
				break
			}
			continue
		}
		if b, err = r.take(b); err != nil {
			return nil, err
		}
		if b.N > 0 {
			return b, nil
		}
	}
	return nil, nil
}

// round starts the seed or a step over the rows of the round before.
func (r *recursiveOp) round() error {
	limit := r.env.MaxRecursion
	if limit == 0 {
		limit = defaultRecursion
	}
	next := r.plan.Step
	if r.rounds == 0 {
		next = r.plan.Seed
	} else if r.rounds > limit {
		return sqltypes.Errorf(errno.RecursionAborted, "Recursive query aborted after %d iterations. Try increasing @@cte_max_recursion_depth to a larger value.", r.rounds)
	}
	r.rounds++
	r.env.work[r.plan.Work], r.fresh = r.fresh, nil
	r.bytes = 0
	for _, b := range r.env.work[r.plan.Work] {
		r.bytes += int64(b.Size())
	}
	var err error
	r.in, err = Build(next, &r.env)
	return err
}

// take keeps the rows of a batch that are new.
func (r *recursiveOp) take(b *vec.Batch) (*vec.Batch, error) {
	b, err := r.stored(b.Compact())
	if err != nil {
		return nil, err
	}
	if r.seen != nil {
		cols := make([]int, len(b.Cols))
		for i := range cols {
			cols[i] = i
		}
		sel := []int32{}
		for i, key := range vec.EncodeKeys(b, cols) {
			if _, again := r.seen[string(key)]; again {
				continue
			}
			r.seen[string(key)] = struct{}{}
			r.known += int64(len(key)) + 64
			sel = append(sel, int32(i))
		}
		b = (&vec.Batch{Cols: b.Cols, N: b.N, Sel: sel}).Compact()
	}
	if b.N == 0 {
		return b, nil
	}
	r.bytes += int64(b.Size())
	if !r.mem.resize(r.bytes + r.known) {
		return nil, errOutOfMemory(r.env.Mem.Limit())
	}
	r.fresh = append(r.fresh, b)
	return b, nil
}

// stored gives rows the types of the seed.
func (r *recursiveOp) stored(b *vec.Batch) (*vec.Batch, error) {
	out := &vec.Batch{N: b.N}
	for i, v := range b.Cols {
		if fn.SameForm(v.Type, r.types[i]) {
			out.Cols = append(out.Cols, v.WithType(r.types[i]))
			continue
		}
		cb := vec.NewColumnBuilder(r.types[i], b.N)
		for row := range b.N {
			x, err := sqltypes.Convert(v.Value(row), v.Type, r.types[i], r.plan.Strict, r.env.Expr.Location())
			if err != nil {
				return nil, sqltypes.WithColumn(err, r.names[i], 1)
			}
			cb.AppendValue(x)
		}
		out.Cols = append(out.Cols, cb.Finish())
	}
	return out, nil
}

// Close ends the round that runs.
func (r *recursiveOp) Close() {
	r.done = true
	if r.in != nil {
		r.in.Close()
		r.in = nil
	}
	r.fresh, r.seen, r.env.work = nil, nil, nil
	r.mem.resize(0)
}
