package exec

import (
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/vec"
)

// aggInput evaluates the groups and the arguments of an aggregation over one batch after another. Arguments of exact sums are
// evaluated in 64 bits where their values allow it. When most rows count, it evaluates over all of them, which spares copying those
// that do.
type aggInput struct {
	exprs  *exprSet
	exact  *expr.Exact
	groups int
	args   [][2]int // of each aggregate: its expressions, from and to
	sums   []bool   // of each aggregate: whether it sums exact numbers
	pure   bool     // what is evaluated may see rows that do not count

	// The batch at hand: rows that do not count are among n only when sel is there.
	n    int
	sel  []int32
	keys []*vec.Vector
	vals [][]*vec.Vector // of each aggregate that has no ints
	ints []*expr.Ints    // of each aggregate, or nil
}

func newAggInput(spec *physical.Agg, ectx expr.Context) (*aggInput, error) {
	in := &aggInput{groups: len(spec.Group), pure: true}
	nodes := append([]*expr.Node(nil), spec.Group...)
	for _, f := range spec.Aggs {
		from := len(nodes)
		if f.Arg != nil {
			nodes = append(nodes, f.Arg)
		}
		for _, o := range f.Order {
			nodes = append(nodes, o.Expr)
		}
		in.args = append(in.args, [2]int{from, len(nodes)})
	}
	var err error
	if in.exprs, err = compileAll(nodes, ectx); err != nil {
		return nil, err
	}
	in.exact = expr.NewExact(in.exprs.progs)
	in.keys = make([]*vec.Vector, in.groups)
	in.vals = make([][]*vec.Vector, len(spec.Aggs))
	in.ints = make([]*expr.Ints, len(spec.Aggs))
	for _, p := range in.exprs.progs[:in.groups] {
		in.pure = in.pure && p.Pure()
	}
	for i, f := range spec.Aggs {
		from, to := in.args[i][0], in.args[i][1]
		exact := (f.Name == "sum" || f.Name == "avg") && !f.Distinct && f.Arg != nil && in.exact.Takes(from)
		in.sums = append(in.sums, exact)
		for _, p := range in.exprs.progs[from:to] {
			in.pure = in.pure && (exact || p.Pure())
		}
	}
	return in, nil
}

// load evaluates over b.
func (in *aggInput) load(b *vec.Batch) error {
	if b.Sel != nil && !(in.pure && len(b.Sel) >= b.N-b.N/4) {
		b = in.exprs.gather(b)
	}
	if !in.evalSums(b) && b.Sel != nil { // the values of other rows may be at fault; if not, programs see only rows that count
		b = in.exprs.gather(b)
		in.evalSums(b)
	}
	in.n, in.sel = b.N, b.Sel
	all := &vec.Batch{Cols: b.Cols, N: b.N}
	for i := range in.keys {
		v, err := in.exprs.progs[i].Eval(all)
		if err != nil {
			return err
		}
		in.keys[i] = v
	}
	for i, at := range in.args {
		in.vals[i] = in.vals[i][:0]
		if in.ints[i] != nil {
			continue
		}
		for _, p := range in.exprs.progs[at[0]:at[1]] {
			v, err := p.Eval(all)
			if err != nil {
				return err
			}
			in.vals[i] = append(in.vals[i], v)
		}
	}
	return nil
}

// evalSums evaluates the arguments of exact sums and reports whether all of them fit.
func (in *aggInput) evalSums(b *vec.Batch) bool {
	all := true
	in.exact.Begin(b.Cols, b.N)
	for i, sum := range in.sums {
		in.ints[i] = nil
		if sum {
			in.ints[i], _ = in.exact.Ints(in.args[i][0])
			all = all && in.ints[i] != nil
		}
	}
	return all
}

// rows returns the positions of the rows that count; they must not be written to.
func (in *aggInput) rows() []int32 {
	if in.sel != nil {
		return in.sel
	}
	return denseRows(in.n)
}

// count returns how many rows count.
func (in *aggInput) count() int {
	if in.sel != nil {
		return len(in.sel)
	}
	return in.n
}
