// Package exec runs physical plans: a tree of operators that pull batches from one another. It runs in the FE, which
// executes plan trees (Build), and in the BE, which executes scan fragments next to the rows (RunFragment).
//
// It owns the operators, the aggregates, the memory accounting of a query and its temporary files. It never plans,
// never resolves names, never talks to the network or to a store: rows come in through Env.Scan and Env.System, or as
// the input stream of a fragment.
//
// Invariants:
//
//  1. A Stream belongs to one goroutine. No operator starts goroutines, so nothing outlives Close.
//  2. Every operator looks at ctx at least once a batch, also while it only consumes.
//  3. Close is idempotent, closes the children, gives back the memory and removes the temporary files. It may come at
//     any time between two calls of Next, and must come also after an error.
//  4. What an operator holds is accounted in Memory before the next batch is taken. Beyond the limit sorts, grouped
//     aggregations, joins and set operations go to temporary files. What cannot fails with 1041 (a single group or
//     window partition beyond the limit), or, like all of them when files are forbidden (NoSpill), with 1041 or 1038.
//  5. Batches hold at most vec.MaxRows rows; what passes rows on (filter, projection, limit, the left rows of a join)
//     keeps the size of larger input batches.
//  6. A scan may leave out rows that no join above can use (given.go): keys, or a set that has them and may say yes to some others, are given before the scan is opened, and the join still checks
//     each row, so an answer does not depend on whether they are.
//  7. What a source yields is checked against the plan's schema before any operator relies on it.
//
// Temporary files are unlinked as soon as they are open: a crash leaves none behind.
package exec

import (
	"context"
	"fmt"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/vec"
)

// Stream yields batches until it returns a nil one. After an error or the end it may only be closed; Close may come
// more than once.
type Stream interface {
	Next(ctx context.Context) (*vec.Batch, error)
	Close()
}

// Env is what a plan needs from the process that runs it.
type Env struct {
	// Scan starts the fragments of a scan on the BEs and yields what they send.
	Scan func(ctx context.Context, scan *physical.Scan) (Stream, error)
	// System yields the rows of a table that the FE makes up.
	System func(ctx context.Context, system *physical.System) (Stream, error)
	// Expr is the session's context of expressions.
	Expr expr.Context
	// Mem is the query's budget; nil means a fresh one of DefaultMemoryLimit.
	Mem *Memory
	// SpillDir is where temporary files go; "" is the folder of Mem.
	SpillDir string
	// GroupConcatMaxLen is the session's group_concat_max_len in bytes; 0 means 1024, as in MySQL.
	GroupConcatMaxLen int64
	// MaxRecursion is the session's cte_max_recursion_depth; 0 means 1000, as in MySQL.
	MaxRecursion int64

	// Observe, when set, may wrap the rows of every operator, for EXPLAIN ANALYZE.
	Observe func(*physical.Node, Stream) Stream

	work  map[int][]*vec.Batch // the rows of the recursive CTEs around, by their ids
	given map[int]given        // what joins have given, by their ids
}

// Build makes the operators of a plan. Scans are started by the first Next that needs them, with its ctx.
func Build(node *physical.Node, env *Env) (Stream, error) {
	b := &builder{env: *env}
	b.env.given = map[int]given{}
	if b.env.Mem == nil {
		b.env.Mem = NewMemory(0)
	}
	return b.build(node)
}

type builder struct{ env Env }

func (b *builder) build(n *physical.Node) (Stream, error) {
	children := make([]Stream, 0, len(n.Children))
	for _, c := range n.Children {
		s, err := b.build(c)
		if err != nil {
			closeAll(children)
			return nil, err
		}
		children = append(children, s)
	}
	s, err := b.operator(n, children)
	if err != nil {
		closeAll(children)
		return nil, err
	}
	if b.env.Observe != nil {
		s = b.env.Observe(n, s)
	}
	return s, nil
}

// operator makes one operator; it takes the children over only when it succeeds.
func (b *builder) operator(n *physical.Node, children []Stream) (Stream, error) {
	if want, ok := arity(n); ok && len(children) != want {
		return nil, fmt.Errorf("build %s: %d children instead of %d", operatorName(n), len(children), want)
	}
	switch {
	case n.Scan != nil:
		return b.scan(n)
	case n.System != nil:
		return b.system(n)
	case n.Recursive != nil:
		return newRecursive(n, &b.env), nil
	case n.Work != nil:
		return FromBatches(b.env.work[n.Work.ID]...), nil
	case n.Values != nil:
		return newValues(n, &b.env)
	case n.Filter != nil:
		return newFilter(n.Filter, children[0], b.env.Expr)
	case n.Project != nil:
		return newProject(n.Project, children[0], b.env.Expr)
	case n.Agg != nil:
		return newAgg(n.Agg, children[0], &b.env)
	case n.Join != nil:
		return newJoin(n, children[0], children[1], &b.env)
	case n.Sort != nil:
		return newSort(n.Sort, children[0], &b.env)
	case n.Limit != nil:
		return &limitOp{in: children[0], skip: n.Limit.Offset, left: n.Limit.Count}, nil
	case n.SetOp != nil:
		return newSetOp(n, children, &b.env)
	case n.Window != nil:
		return newWindow(n, children[0], &b.env)
	case n.Union:
		return &unionOp{ins: children, types: schemaTypes(n.Schema)}, nil
	}
	return nil, fmt.Errorf("build plan: a node without an operator")
}

// arity returns how many children an operator takes, if that is fixed.
func arity(n *physical.Node) (int, bool) {
	switch {
	case n.Scan != nil, n.System != nil, n.Values != nil, n.Recursive != nil, n.Work != nil:
		return 0, true
	case n.Join != nil:
		return 2, true
	case n.Union, n.SetOp != nil:
		return 0, false
	}
	return 1, true
}

func (b *builder) scan(n *physical.Node) (Stream, error) {
	open, s := b.env.Scan, n.Scan
	if open == nil {
		return nil, fmt.Errorf("build scan of table %d: this process has no scans", s.TableID)
	}
	all := b.env.given
	return &lazyStream{types: schemaTypes(n.Schema), open: func(ctx context.Context) (Stream, error) {
		if len(s.Takes) == 0 {
			return open(ctx, s)
		}
		few, some := taken(s, all)
		if !some {
			return FromBatches(), nil
		}
		return open(ctx, few)
	}}, nil
}

func (b *builder) system(n *physical.Node) (Stream, error) {
	open, s := b.env.System, n.System
	if open == nil {
		return nil, fmt.Errorf("build scan of %s.%s: this process has no system tables", s.Database, s.Table)
	}
	return &lazyStream{types: schemaTypes(n.Schema), open: func(ctx context.Context) (Stream, error) { return open(ctx, s) }}, nil
}

// lazyStream opens its source at the first Next, so that a branch which is never pulled costs nothing on the BEs.
type lazyStream struct {
	open   func(context.Context) (Stream, error)
	types  []types.ColumnType
	in     Stream
	closed bool
}

func (s *lazyStream) Next(ctx context.Context) (*vec.Batch, error) {
	if s.closed {
		return nil, nil
	}
	if s.in == nil {
		in, err := s.open(ctx)
		if err != nil {
			return nil, err
		}
		s.in = in
	}
	b, err := nextBatch(ctx, s.in)
	if err != nil || b == nil {
		return nil, err
	}
	if err := checkColumns(b, s.types); err != nil {
		return nil, fmt.Errorf("scan: %w", err)
	}
	return b, nil
}

func (s *lazyStream) Close() {
	s.closed = true
	if s.in != nil {
		s.in.Close()
		s.in = nil
	}
}

// nextBatch is how operators pull: it looks at ctx first and skips empty batches.
func nextBatch(ctx context.Context, in Stream) (*vec.Batch, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		b, err := in.Next(ctx)
		if err != nil || b == nil {
			return nil, err
		}
		if b.Rows() > 0 {
			return b, nil
		}
	}
}

func closeAll(streams []Stream) {
	for _, s := range streams {
		s.Close()
	}
}
