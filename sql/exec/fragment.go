package exec

import (
	"context"
	"fmt"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/vec"
)

// TabletSource is a stream over several tablets that tells which one the batch of its last Next came from.
type TabletSource interface {
	Stream
	Tablet() types.TabletID
}

// RunFragment does what f says with the rows of tablet, or of all tablets of in when that is a TabletSource (one
// partial aggregation, TopN or Limit over all of them). The batches of in hold f.Columns in that order; rows are
// selected by f.Keys already.
//
// A partial aggregation may yield a group more than once, one that makes whole groups may not; without GROUP BY it yields a row also for no input: the
// receiver merges. TopN yields the first Offset+Limit rows in order: only the receiver, which sees all tablets, can
// skip Offset. The stream takes in over, also when RunFragment fails.
func RunFragment(f *physical.Fragment, in Stream, tablet types.TabletID, ectx expr.Context, mem *Memory) (Stream, error) {
	if mem == nil {
		mem = NewMemory(0)
	}
	s, err := fragmentStream(f, in, tablet, &Env{Expr: ectx, Mem: mem})
	if err != nil {
		in.Close()
		return nil, fmt.Errorf("run fragment on table %d: %w", f.Schema.TableID, err)
	}
	return s, nil
}

func fragmentStream(f *physical.Fragment, in Stream, tablet types.TabletID, env *Env) (Stream, error) {
	if f.Agg != nil && f.TabletColumn {
		return nil, fmt.Errorf("a partial aggregation has no tablet column")
	}
	tabletOf := func() types.TabletID { return tablet }
	if src, ok := in.(TabletSource); ok {
		tabletOf = src.Tablet
	}
	s, err := in, error(nil)
	if f.Filter != nil {
		filter, err := newFilter(f.Filter, s, env.Expr)
		if err != nil {
			return nil, err
		}
		filter.reuse = f.Agg != nil // it has taken what it needs when it asks for the next batch
		s = filter
	}
	if f.Agg != nil {
		s, err = fragmentGroups(f, s, env)
	} else if f.Project != nil {
		s, err = newProject(f.Project, s, env.Expr)
	}
	if err != nil {
		return nil, err
	}
	if f.TabletColumn {
		s = &tabletOp{in: s, tablet: tabletOf}
	}
	if f.TopN != nil {
		first := *f.TopN
		if first.Limit > 0 {
			first.Limit += first.Offset
		}
		first.Offset = 0
		if s, err = newSort(&first, s, env); err != nil {
			return nil, err
		}
	}
	if f.Limit > 0 {
		s = &limitOp{in: s, left: f.Limit}
	}
	return s, nil
}

// fragmentGroups yields the groups that pass.
func fragmentGroups(f *physical.Fragment, in Stream, env *Env) (Stream, error) {
	s, err := fragmentAgg(f, in, env)
	if err != nil || f.Having == nil {
		return s, err
	}
	return newFilter(f.Having, s, env.Expr)
}

// fragmentAgg aggregates, and leaves adding up to the rows' source where nothing is between.
func fragmentAgg(f *physical.Fragment, in Stream, env *Env) (Stream, error) {
	a, err := newAggAt(f.Agg, f.Agg.Merge, in, env, 0)
	if err != nil {
		return nil, err
	}
	if f.Filter == nil && a.input != nil {
		a.totals = newTotals(f.Agg, len(f.Columns), in, a.input)
	}
	return a, nil
}

// TabletType is the type of the column that Fragment.TabletColumn appends.
var TabletType = types.ColumnType{Kind: types.KindBigInt, Unsigned: true, NotNull: true}

// tabletOp appends the tablet's id. What is below it passes batches on one by one, so the source still stands at the
// batch in hand.
type tabletOp struct {
	in     Stream
	tablet func() types.TabletID
}

func (t *tabletOp) Next(ctx context.Context) (*vec.Batch, error) {
	b, err := nextBatch(ctx, t.in)
	if err != nil || b == nil {
		return nil, err
	}
	id := vec.NewConst(TabletType, vec.Int(int64(t.tablet())), b.N)
	cols := append(b.Cols[:len(b.Cols):len(b.Cols)], id)
	return &vec.Batch{Cols: cols, N: b.N, Sel: b.Sel}, nil
}

func (t *tabletOp) Close() { t.in.Close() }
