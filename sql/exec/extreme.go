package exec

import (
	"bytes"
	"math"

	"stele/meta/types"
	"stele/sql/vec"
)

// newExtreme returns MIN or MAX over the representation of the argument. State: the extreme so far, or NULL.
func newExtreme(maximum bool, arg types.ColumnType) accumulator {
	switch arg.Phys() {
	case types.PhysFloat64:
		return &orderedExtreme[float64]{extremes: extremes[float64]{maximum: maximum, put: (*vec.ColumnBuilder).AppendFloat},
			values: func(v *vec.Vector) []float64 { return v.F64 }}
	case types.PhysDec128:
		return &compareExtreme[vec.Int128]{extremes: extremes[vec.Int128]{maximum: maximum, put: (*vec.ColumnBuilder).AppendDec},
			cmp: vec.Int128.Cmp,
			get: func(v *vec.Vector, r int) vec.Int128 { return v.Dec[r] }}
	case types.PhysBytes:
		return &compareExtreme[[]byte]{extremes: extremes[[]byte]{maximum: maximum, put: (*vec.ColumnBuilder).AppendBytes}, copies: true,
			cmp: bytes.Compare,
			get: (*vec.Vector).Bytes}
	}
	a := &orderedExtreme[int64]{extremes: extremes[int64]{maximum: maximum, put: (*vec.ColumnBuilder).AppendInt},
		values: func(v *vec.Vector) []int64 { return v.I64 }}
	if arg.Unsigned {
		a.flip = math.MinInt64
		a.values = func(v *vec.Vector) []int64 { return a.flipped(v.I64) }
		a.put = func(c *vec.ColumnBuilder, x int64) { c.AppendInt(x ^ math.MinInt64) }
	}
	return a
}

// extremes are the least or greatest values of groups so far.
type extremes[T any] struct {
	maximum bool
	put     func(*vec.ColumnBuilder, T)
	vals    []T
	seen    []bool
}

func (a *extremes[T]) grow(n int) { a.vals, a.seen = growTo(a.vals, n), growTo(a.seen, n) }

func (a *extremes[T]) emitState(dst []*vec.ColumnBuilder, lo, hi int) {
	_ = a.emit(dst[0], lo, hi) // emit never fails
}

func (a *extremes[T]) emit(dst *vec.ColumnBuilder, lo, hi int) error {
	for g := lo; g < hi; g++ {
		if a.seen[g] {
			a.put(dst, a.vals[g])
		} else {
			dst.AppendNull()
		}
	}
	return nil
}

// orderedExtreme compares with the machine's operators. Unsigned integers are kept with their sign bit flipped.
type orderedExtreme[T int64 | float64] struct {
	extremes[T]
	values  func(*vec.Vector) []T
	flip    int64
	scratch []T
}

func (a *orderedExtreme[T]) flipped(xs []int64) []T {
	a.scratch = growTo(a.scratch[:0], len(xs))
	for i, x := range xs {
		a.scratch[i] = T(x ^ a.flip)
	}
	return a.scratch
}

func (a *orderedExtreme[T]) update(ids, rows []int32, args []*vec.Vector) error {
	v := args[0]
	xs := a.values(v)
	for i, g := range ids {
		r := int(rows[i])
		if v.IsNull(r) {
			continue
		}
		if x := xs[r]; !a.seen[g] || a.maximum && x > a.vals[g] || !a.maximum && x < a.vals[g] {
			a.vals[g], a.seen[g] = x, true
		}
	}
	return nil
}

func (a *orderedExtreme[T]) merge(ids, rows []int32, state []*vec.Vector) error {
	return a.update(ids, rows, state)
}

func (a *orderedExtreme[T]) size() int64 { return int64(cap(a.vals))*8 + int64(cap(a.seen)) }

// compareExtreme compares wide decimals and strings with a function.
type compareExtreme[T vec.Int128 | []byte] struct {
	extremes[T]
	copies bool // the value aliases the batch
	cmp    func(a, b T) int
	get    func(*vec.Vector, int) T
	held   int64
}

func (a *compareExtreme[T]) update(ids, rows []int32, args []*vec.Vector) error {
	v := args[0]
	for i, g := range ids {
		r := int(rows[i])
		if v.IsNull(r) {
			continue
		}
		x := a.get(v, r)
		if a.seen[g] {
			if c := a.cmp(x, a.vals[g]); a.maximum && c <= 0 || !a.maximum && c >= 0 {
				continue
			}
		}
		a.set(g, x)
	}
	return nil
}

func (a *compareExtreme[T]) set(g int32, x T) {
	a.seen[g] = true
	if !a.copies {
		a.vals[g] = x
		return
	}
	old := any(a.vals[g]).([]byte)
	kept := append(old[:0], any(x).([]byte)...)
	a.held += int64(cap(kept) - cap(old))
	a.vals[g] = any(kept).(T)
}

func (a *compareExtreme[T]) merge(ids, rows []int32, state []*vec.Vector) error {
	return a.update(ids, rows, state)
}

func (a *compareExtreme[T]) size() int64 { return int64(cap(a.vals))*24 + int64(cap(a.seen)) + a.held }
