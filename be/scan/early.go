package scan

import (
	"fmt"
	"math"
	"slices"

	"stele/be/tablet"
	"stele/be/tablet/sought"
	"stele/sql/expr"
	"stele/sql/fn"
	"stele/sql/physical"
	"stele/sql/vec"
)

// early is what a fragment tells its scans, so that they read less; the operators do their work on what they return all the same.
type early struct {
	prune  []sought.Predicate
	filter *tablet.Filter
	first  *tablet.First
}

// tellEarly tells the sources of a fragment. Those of an aggregation, which may have several lanes, are told one by one.
func tellEarly(f *physical.Fragment, ectx expr.Context, sources []*source) {
	if f.Keys != nil {
		return
	}
	var e *early
	for _, src := range sources {
		if e == nil || f.Agg != nil {
			e = newEarly(f, ectx, len(sources))
		}
		src.early = e
	}
}

// newEarly prepares it for the scans of so many tablets in one goroutine.
func newEarly(f *physical.Fragment, ectx expr.Context, scans int) *early {
	e := &early{prune: prune(f), first: first(f)}
	if e.first != nil && scans > 1 {
		e.first.Best = tablet.NewBest(scans)
	}
	if f.Filter == nil {
		return e
	}
	if volatile(f.Filter) { // the rows that pass it now are not those that pass it when the operators ask
		e.first = nil
		return e
	}
	a := &asker{filter: f.Filter, ectx: ectx}
	e.filter = &tablet.Filter{Columns: columnsOf(f.Filter, nil), Keep: a.keep, Steps: a.steps}
	return e
}

// asker asks a filter. It is compiled for the first question: most scans of few rows ask none.
type asker struct {
	filter *expr.Node
	ectx   expr.Context
	prog   *expr.Program
	buf    []int32
}

func (a *asker) compile() (err error) {
	if a.prog == nil {
		if a.prog, err = expr.Compile(a.filter, a.ectx); err != nil {
			return fmt.Errorf("compile filter: %w", err)
		}
	}
	return nil
}

// room returns where the rows of a batch that pass can be put.
func (a *asker) room(b *vec.Batch) []int32 {
	if len(a.buf) < b.N {
		a.buf = make([]int32, b.N)
	}
	return a.buf
}

func (a *asker) keep(b *vec.Batch) ([]int32, error) {
	if err := a.compile(); err != nil {
		return nil, err
	}
	return a.prog.EvalFilterInto(b, a.room(b))
}

// steps takes the filter apart.
func (a *asker) steps() ([]tablet.Step, error) {
	if err := a.compile(); err != nil {
		return nil, err
	}
	conjuncts := a.prog.Conjuncts()
	out := make([]tablet.Step, len(conjuncts))
	for i := range conjuncts {
		c := &conjuncts[i]
		out[i] = tablet.Step{Columns: c.Columns, Keep: func(b *vec.Batch) ([]int32, error) { return c.EvalFilterInto(b, a.room(b)) }}
	}
	return out, nil
}

// volatile reports whether an expression may have another value each time.
func volatile(n *expr.Node) bool {
	if n.Kind == expr.NodeCall {
		if d := fn.Lookup(n.Func); d == nil || d.Volatile {
			return true
		}
	}
	return slices.ContainsFunc(n.Args, volatile)
}

// columnsOf appends the columns that an expression looks at, each of them once.
func columnsOf(n *expr.Node, out []int) []int {
	if n.Kind == expr.NodeColumn && !slices.Contains(out, n.Col) {
		out = append(out, n.Col)
	}
	for _, a := range n.Args {
		out = columnsOf(a, out)
	}
	return out
}

// first returns which rows a fragment wants by the order of a column; nil when it wants others.
func first(f *physical.Fragment) *tablet.First {
	id, by, ok := f.FirstBy()
	if !ok || f.TopN.Offset > math.MaxInt32 || f.TopN.Limit > math.MaxInt32 {
		return nil
	}
	return &tablet.First{Column: id, By: by, Desc: f.TopN.Keys[0].Desc, N: int(f.TopN.Limit + f.TopN.Offset), Ties: len(f.TopN.Keys) > 1}
}
