package dist

import (
	"context"
	"errors"
	"slices"

	"stele/meta/types"
	"stele/sql/exec"
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/vec"
)

// maxFew is up to how many rows a scan asks for in one call, if it says how many.
const maxFew = 1024

// errMany says that a BE leaves a scan of few rows to the general way: there are many, or it is of a release before.
var errMany = errors.New("not few rows")

// ReadsFew reports whether a fragment looks as if it read few rows: the BE, which knows the keys, and counts in their orders, decides.
func ReadsFew(f *physical.Fragment) bool {
	if f.Keys != nil {
		return len(f.Keys) <= maxFew
	}
	if f.Limit > 0 && f.Limit <= maxFew && f.Filter == nil && f.Agg == nil && f.TopN == nil {
		return true
	}
	if _, ok := f.FirstByKey(); ok && firstFew(f) {
		return true
	}
	if len(f.Bounded()) > 0 {
		return true
	}
	if len(f.Schema.Key) == 0 {
		return false
	}
	lo, hi := keyBounds(f.Filter, f, f.Schema.Key[0])
	return lo && hi
}

// Bounds of first rows that are asked for in one call: the numbers of rows, and about their size, as an answer of more bytes is none
// (be/scan, maxGetBytes).
const (
	maxFirst      = 4096
	maxFirstBytes = 192 << 10
	textBytes     = 40 // that a text may have; what else there is takes a number
	numberBytes   = 8
)

// firstFew reports whether the first rows that a fragment wants are such as to come in one answer.
func firstFew(f *physical.Fragment) bool {
	if f.TopN.Limit > maxFirst || f.TopN.Offset > maxFirst-f.TopN.Limit {
		return false
	}
	rows := f.TopN.Limit + f.TopN.Offset
	return rows <= maxFew || rows*width(f) <= maxFirstBytes
}

// width is about how many bytes a row of a fragment takes.
func width(f *physical.Fragment) (bytes int64) {
	of := func(t types.ColumnType) int64 {
		if t.Phys() == types.PhysBytes {
			return textBytes
		}
		return numberBytes
	}
	if f.Project != nil {
		for _, x := range f.Project {
			bytes += of(x.Type)
		}
		return bytes
	}
	for _, id := range f.Columns {
		bytes += of(f.Schema.Columns[f.Schema.ColumnIndex(id)].Type)
	}
	return bytes
}

// keyBounds reports whether a filter bounds a column from below and from above, or wants some values of it.
func keyBounds(n *expr.Node, f *physical.Fragment, id types.ColumnID) (lo, hi bool) {
	if n == nil || n.Kind != expr.NodeCall || len(n.Args) == 0 {
		return false, false
	}
	if n.Func == "and" {
		for _, a := range n.Args {
			l, h := keyBounds(a, f, id)
			lo, hi = lo || l, hi || h
		}
		return lo, hi
	}
	if n.Func == "in" {
		col := n.Args[0]
		some := col.Kind == expr.NodeColumn && f.Columns[col.Col] == id && !slices.ContainsFunc(n.Args[1:], func(a *expr.Node) bool { return a.Kind != expr.NodeConst })
		return some, some
	}
	if len(n.Args) != 2 {
		return false, false
	}
	col, other := n.Args[0], n.Args[1]
	flipped := col.Kind == expr.NodeConst
	if flipped {
		col, other = other, col
	}
	if col.Kind != expr.NodeColumn || f.Columns[col.Col] != id || other.Kind != expr.NodeConst || col.Type.Phys() != types.PhysInt64 {
		return false, false
	}
	switch n.Func {
	case "=":
		return true, true
	case "<", "<=":
		return flipped, !flipped
	case ">", ">=":
		return !flipped, flipped
	}
	return false, false
}

// callsInTurn is up to how many calls are made one after the other, in the goroutine of who reads: in most clusters one BE has all
// tablets of a small table, and what a transaction has written takes another call.
const callsInTurn = 2

// fewRows is the stream of a scan of few rows. Whatever does not go at once goes the general way.
type fewRows struct {
	r       *run
	tablets []*target
	batches [][]byte
	rest    exec.Stream // the general way
	begun   bool
}

// Next returns the next batch.
func (w *fewRows) Next(ctx context.Context) (*vec.Batch, error) {
	if !w.begun {
		w.begun = true
		if err := w.begin(ctx); err != nil {
			return nil, err
		}
	}
	if w.rest != nil {
		return w.rest.Next(ctx)
	}
	if len(w.batches) == 0 {
		return nil, nil
	}
	b := w.batches[0]
	w.batches = w.batches[1:]
	return vec.DecodeShared(b)
}

// begin gets the rows, or goes the general way.
func (w *fewRows) begin(ctx context.Context) error {
	calls, stuck, err := w.r.assign(w.r.s.current(), w.tablets)
	if err != nil {
		return err
	}
	if len(calls) > callsInTurn || len(stuck) > 0 {
		w.rest = w.r.gather(ctx, w.tablets)
		return nil
	}
	for _, c := range calls {
		err := w.r.call(ctx, w.r.s.live.Address(c.be), w.r.request(c), func(b []byte) error {
			w.batches = append(w.batches, b)
			return nil
		})
		if err == nil {
			continue
		}
		w.batches = nil
		if _, err = w.r.failed(ctx, c, err); err != nil {
			return err
		}
		w.rest = w.r.gather(ctx, w.tablets)
		return nil
	}
	return nil
}

// Close ends the scan.
func (w *fewRows) Close() {
	if w.rest != nil {
		w.rest.Close()
	}
	w.begun, w.batches = true, nil
}
