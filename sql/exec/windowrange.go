package exec

import (
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/vec"
)

// between compiles what a RANGE frame with offsets compares; a bound without offset is nil.
type between struct{ key, from, to *sortKeys }

func newBetween(r *physical.RangeFrame, env *Env) (*between, error) {
	if r == nil {
		return nil, nil
	}
	out := &between{}
	for _, x := range []struct {
		to *(*sortKeys)
		of *expr.Node
	}{{&out.key, r.Key}, {&out.from, r.From}, {&out.to, r.To}} {
		if x.of == nil {
			continue
		}
		var err error
		if *x.to, err = compileSortKeys([]expr.SortKey{{Expr: x.of, Desc: r.Desc}}, env.Expr); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// rangeBounds are the keys of the rows of a block and the bounds that each row has, in a form that compares by its bytes.
type rangeBounds struct{ keys, from, to *keyArena }

func (b *between) of(block *vec.Batch) (out rangeBounds, err error) {
	if b == nil {
		return out, nil
	}
	for _, x := range []struct {
		to *(*keyArena)
		by *sortKeys
	}{{&out.keys, b.key}, {&out.from, b.from}, {&out.to, b.to}} {
		if x.by == nil {
			continue
		}
		if *x.to, err = x.by.encode(block); err != nil {
			return out, err
		}
	}
	return out, nil
}
