package exec

import (
	"bytes"
	"context"
	"fmt"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/vec"
)

// windowOp appends window functions to its input, which it sorts by partition and order. It works on blocks of whole
// partitions: the one that is being read must fit into the memory limit.
type windowOp struct {
	env   *Env
	in    Stream // sorted
	part  *sortKeys
	order *sortKeys
	funcs []windowFunc

	pending []*vec.Batch // pieces of the partition that has not ended
	lastKey []byte
	size    int64
	acct    account
	out     cutter
	done    bool
}

type windowFunc struct {
	physical.WindowFunc
	args *exprSet
	// The default frame is the whole partition when there is no order.
	ordered bool
	between *between // of a RANGE frame with offsets
}

func newWindow(n *physical.Node, in Stream, env *Env) (Stream, error) {
	spec := n.Window
	w := &windowOp{env: env, acct: account{mem: env.Mem}}
	by := physical.Sort{}
	for _, p := range spec.Partition {
		by.Keys = append(by.Keys, expr.SortKey{Expr: p})
	}
	var err error
	if w.part, err = compileSortKeys(by.Keys, env.Expr); err != nil {
		return nil, err
	}
	if w.order, err = compileSortKeys(spec.Order, env.Expr); err != nil {
		return nil, err
	}
	for _, f := range spec.Funcs {
		wf, err := newWindowFunc(f, len(spec.Order) > 0, env)
		if err != nil {
			return nil, err
		}
		w.funcs = append(w.funcs, wf)
	}
	by.Keys = append(by.Keys, spec.Order...)
	w.in = in
	if len(by.Keys) > 0 {
		if w.in, err = newSort(&by, in, env); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// windowArgs is how many arguments each function takes, at least and at most.
var windowArgs = map[string][2]int{
	"row_number": {0, 0}, "rank": {0, 0}, "dense_rank": {0, 0}, "ntile": {1, 1}, "lag": {1, 3}, "lead": {1, 3},
	"percent_rank": {0, 0}, "cume_dist": {0, 0}, "nth_value": {2, 2},
	"first_value": {1, 1}, "last_value": {1, 1}, "sum": {1, 1}, "avg": {1, 1}, "stddev_pop": {1, 1}, "stddev_samp": {1, 1}, "var_pop": {1, 1}, "var_samp": {1, 1},
	"bit_and": {1, 1}, "bit_or": {1, 1}, "bit_xor": {1, 1}, "count": {0, 1}, "min": {1, 1}, "max": {1, 1},
}

func newWindowFunc(f physical.WindowFunc, ordered bool, env *Env) (windowFunc, error) {
	n, ok := windowArgs[f.Name]
	if !ok || len(f.Args) < n[0] || len(f.Args) > n[1] {
		return windowFunc{}, fmt.Errorf("build window function %s of %d arguments: unknown", f.Name, len(f.Args))
	}
	for i, a := range f.Args {
		want := f.Type.Phys()
		switch {
		case (f.Name == "lag" || f.Name == "lead" || f.Name == "nth_value") && i == 1, f.Name == "ntile":
			want = types.PhysInt64
		case f.Name == "count", f.Name == "sum" || f.Name == "avg":
			continue
		}
		if a.Type.Phys() != want && !isNullConst(a) {
			return windowFunc{}, fmt.Errorf("build window function %s: argument %d lacks a cast", f.Name, i)
		}
	}
	if (f.Name == "sum" || f.Name == "avg") && f.Args[0].Type.Phys() == types.PhysBytes {
		return windowFunc{}, fmt.Errorf("build window function %s: the argument lacks a cast", f.Name)
	}
	args, err := compileAll(f.Args, env.Expr)
	if err != nil {
		return windowFunc{}, err
	}
	between, err := newBetween(f.Range, env)
	return windowFunc{WindowFunc: f, args: args, ordered: ordered, between: between}, err
}

func (w *windowOp) Next(ctx context.Context) (*vec.Batch, error) {
	for {
		if b := w.out.next(); b != nil {
			return b, nil
		}
		if w.done {
			return nil, nil
		}
		b, err := nextBatch(ctx, w.in)
		if err != nil {
			return nil, err
		}
		if b == nil {
			w.done = true
			if err := w.emit(); err != nil {
				return nil, err
			}
			continue
		}
		if err := w.add(b.Compact()); err != nil {
			return nil, err
		}
	}
}

// add takes a sorted batch; if a partition ends in it, everything up to the last such place goes out.
func (w *windowOp) add(b *vec.Batch) error {
	keys, err := w.part.encode(b)
	if err != nil {
		return err
	}
	last, cut := keys.at(b.N-1), 0
	for i := b.N - 1; i > 0; i-- {
		if !bytes.Equal(keys.at(i-1), last) {
			cut = i
			break
		}
	}
	ended := cut > 0 || len(w.pending) > 0 && !bytes.Equal(w.lastKey, last)
	w.lastKey = bytes.Clone(last)
	if !ended {
		return w.hold(b)
	}
	if cut > 0 {
		if err := w.hold(b.Slice(0, cut)); err != nil {
			return err
		}
	}
	if err := w.emit(); err != nil {
		return err
	}
	return w.hold(b.Slice(cut, b.N))
}

// hold keeps a piece of the partition in hand, accounted three times: for itself, for the block that is made of all
// the pieces, and for the results.
func (w *windowOp) hold(b *vec.Batch) error {
	size := batchBytes(b) + int64(b.N)*int64(len(w.funcs))*frameBytes
	w.pending = append(w.pending, b)
	w.size += size
	if w.size > maxKeyBytes || !w.acct.resize(3*w.size) {
		return errOutOfMemory(w.env.Mem.limit)
	}
	return nil
}

// emit computes the functions over the block of all pieces in hand.
func (w *windowOp) emit() error {
	if len(w.pending) == 0 {
		return nil
	}
	block := vec.ConcatBatches(w.pending...)
	w.pending, w.size = nil, 0
	parts, peers, err := w.boundaries(block)
	if err != nil {
		return err
	}
	out := &vec.Batch{N: block.N, Cols: append([]*vec.Vector(nil), block.Cols...)}
	for i := range w.funcs {
		f := &w.funcs[i]
		args, err := f.args.eval(block)
		if err != nil {
			return err
		}
		r := &windowRun{f: f, args: args, peers: peers, out: vec.NewColumnBuilder(f.Type, block.N)}
		if r.bounds, err = f.between.of(block); err != nil {
			return err
		}
		for p := 0; p+1 < len(parts); p++ {
			r.lo, r.hi = parts[p], parts[p+1]
			if err := r.run(); err != nil {
				return err
			}
		}
		out.Cols = append(out.Cols, r.out.Finish())
	}
	w.out = cutter{batch: out}
	return nil
}

// boundaries returns where partitions begin, with the end of the last, and for each row the rows [first, end) that are
// its peers in the order.
func (w *windowOp) boundaries(b *vec.Batch) (parts []int, peers [][2]int, err error) {
	pkeys, err := w.part.encode(b)
	if err != nil {
		return nil, nil, err
	}
	okeys, err := w.order.encode(b)
	if err != nil {
		return nil, nil, err
	}
	peers = make([][2]int, b.N)
	start := 0
	for i := range b.N {
		newPart := i == 0 || !bytes.Equal(pkeys.at(i-1), pkeys.at(i))
		if newPart {
			parts = append(parts, i)
		}
		if newPart || !bytes.Equal(okeys.at(i-1), okeys.at(i)) {
			start = i
		}
		peers[i][0] = start
	}
	end := b.N
	for i := b.N - 1; i >= 0; i-- {
		peers[i][1] = end
		if peers[i][0] == i {
			end = i
		}
	}
	return append(parts, b.N), peers, nil
}

func (w *windowOp) Close() {
	w.in.Close()
	w.done, w.pending, w.out = true, nil, cutter{}
	w.acct.free()
}
