package exec

import (
	"fmt"
	"math"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/vec"
)

// accumulator keeps the state of one aggregate for every group. Its methods work on a batch at a time, so the
// interface costs one call a batch; ids[i] is the group of row rows[i].
type accumulator interface {
	// grow makes room for the groups below n, in their initial state.
	grow(n int)
	// update adds rows; args[0] is the argument (absent for count(*)), what follows are the sort keys of group_concat.
	update(ids, rows []int32, args []*vec.Vector) error
	// merge adds states that emitState gave.
	merge(ids, rows []int32, state []*vec.Vector) error
	// emitState appends the states of groups [lo, hi), one builder a state column.
	emitState(dst []*vec.ColumnBuilder, lo, hi int)
	// emit appends the results of groups [lo, hi).
	emit(dst *vec.ColumnBuilder, lo, hi int) error
	// size is what the states hold of memory.
	size() int64
}

// aggSpec is one aggregate with everything that its accumulator must know.
type aggSpec struct {
	f      expr.AggFunc
	arg    types.ColumnType // of the argument; unset for count(*)
	maxLen int64            // group_concat
}

func newAccumulator(s aggSpec) (accumulator, error) {
	inner, err := newPlainAccumulator(s)
	if err != nil {
		return nil, err
	}
	// Extremes and the like do not care for repetitions; group_concat keeps its own set, as its states hold more
	// than the value.
	switch s.f.Name {
	case "count", "sum", "avg", "stddev_pop", "stddev_samp", "var_pop", "var_samp", "bit_xor":
		if s.f.Distinct {
			return newDistinct(inner, s.arg), nil
		}
	}
	return inner, nil
}

func newPlainAccumulator(s aggSpec) (accumulator, error) {
	switch s.f.Name {
	case "count":
		return &countAcc{star: s.f.Arg == nil}, nil
	case "sum", "avg":
		avg := s.f.Name == "avg"
		switch s.arg.Phys() {
		case types.PhysFloat64:
			return &floatSum{avg: avg, out: s.f.Type}, nil
		case types.PhysInt64, types.PhysDec128:
			return newExactSum(s, avg), nil
		}
	case "min", "max":
		return newExtreme(s.f.Name == "max", s.arg), nil
	case "any_value":
		return &anyAcc{}, nil
	case "stddev_pop", "stddev_samp", "var_pop", "var_samp":
		if s.arg.Phys() != types.PhysBytes {
			return &varianceAcc{name: s.f.Name, scale: decimalScale(s.arg), unsigned: s.arg.Unsigned}, nil
		}
	case "bit_and", "bit_or", "bit_xor":
		if s.arg.Phys() == types.PhysInt64 {
			return &bitAcc{name: s.f.Name}, nil
		}
	case "group_concat":
		if s.arg.Phys() == types.PhysBytes {
			return newConcat(s), nil
		}
	case "json_arrayagg", "json_objectagg":
		a := newConcat(s)
		a.maxLen, a.json = math.MaxInt, s.f.Name
		return a, nil
	default:
		return nil, fmt.Errorf("aggregate %q is unknown", s.f.Name)
	}
	return nil, fmt.Errorf("aggregate %s of an argument of kind %d: the plan lacks a cast", s.f.Name, s.arg.Kind)
}

// countAcc counts rows, or the values that are not NULL.
type countAcc struct {
	star bool
	n    []int64
}

func (a *countAcc) grow(n int) { a.n = growTo(a.n, n) }

func (a *countAcc) update(ids, rows []int32, args []*vec.Vector) error {
	if a.star || args[0].Valid == nil {
		for _, g := range ids {
			a.n[g]++
		}
		return nil
	}
	for i, g := range ids {
		if !args[0].IsNull(int(rows[i])) {
			a.n[g]++
		}
	}
	return nil
}

func (a *countAcc) merge(ids, rows []int32, state []*vec.Vector) error {
	for i, g := range ids {
		a.n[g] += state[0].I64[rows[i]]
	}
	return nil
}

func (a *countAcc) emitState(dst []*vec.ColumnBuilder, lo, hi int) {
	for _, n := range a.n[lo:hi] {
		dst[0].AppendInt(n)
	}
}

func (a *countAcc) emit(dst *vec.ColumnBuilder, lo, hi int) error {
	a.emitState([]*vec.ColumnBuilder{dst}, lo, hi)
	return nil
}

func (a *countAcc) size() int64 { return int64(cap(a.n)) * 8 }

// anyAcc keeps the first value that is not NULL. (The first row's would do, but a partial state cannot tell a NULL
// from no row at all.)
type anyAcc struct {
	vals []vec.Value
	seen []bool
	held int64
}

func (a *anyAcc) grow(n int) { a.vals, a.seen = growTo(a.vals, n), growTo(a.seen, n) }

func (a *anyAcc) update(ids, rows []int32, args []*vec.Vector) error {
	for i, g := range ids {
		if a.seen[g] || args[0].IsNull(int(rows[i])) {
			continue
		}
		x := args[0].Value(int(rows[i]))
		x.B = append([]byte(nil), x.B...)
		a.vals[g], a.seen[g] = x, true
		a.held += int64(len(x.B))
	}
	return nil
}

func (a *anyAcc) merge(ids, rows []int32, state []*vec.Vector) error {
	return a.update(ids, rows, state)
}

func (a *anyAcc) emitState(dst []*vec.ColumnBuilder, lo, hi int) {
	for g := lo; g < hi; g++ {
		if a.seen[g] {
			dst[0].AppendValue(a.vals[g])
		} else {
			dst[0].AppendNull()
		}
	}
}

func (a *anyAcc) emit(dst *vec.ColumnBuilder, lo, hi int) error {
	a.emitState([]*vec.ColumnBuilder{dst}, lo, hi)
	return nil
}

func (a *anyAcc) size() int64 { return int64(cap(a.vals))*64 + a.held }

// bitAcc is BIT_AND, BIT_OR and BIT_XOR: never NULL, all ones for a BIT_AND of nothing.
type bitAcc struct {
	name string
	x    []uint64
}

func (a *bitAcc) grow(n int) {
	old := len(a.x)
	a.x = growTo(a.x, n)
	if a.name == "bit_and" {
		for i := old; i < n; i++ {
			a.x[i] = ^uint64(0)
		}
	}
}

func (a *bitAcc) update(ids, rows []int32, args []*vec.Vector) error {
	v := args[0]
	for i, g := range ids {
		r := int(rows[i])
		if v.IsNull(r) {
			continue
		}
		switch x := uint64(v.I64[r]); a.name {
		case "bit_and":
			a.x[g] &= x
		case "bit_or":
			a.x[g] |= x
		default:
			a.x[g] ^= x
		}
	}
	return nil
}

func (a *bitAcc) merge(ids, rows []int32, state []*vec.Vector) error {
	return a.update(ids, rows, state)
}

func (a *bitAcc) emitState(dst []*vec.ColumnBuilder, lo, hi int) {
	for _, x := range a.x[lo:hi] {
		dst[0].AppendInt(int64(x))
	}
}

func (a *bitAcc) emit(dst *vec.ColumnBuilder, lo, hi int) error {
	a.emitState([]*vec.ColumnBuilder{dst}, lo, hi)
	return nil
}

func (a *bitAcc) size() int64 { return int64(cap(a.x)) * 8 }

// growTo lengthens s to n zero elements at amortised cost.
func growTo[T any](s []T, n int) []T {
	if n <= cap(s) {
		return s[:n]
	}
	out := make([]T, n, max(n, 2*cap(s)))
	copy(out, s)
	return out
}

func decimalScale(t types.ColumnType) int32 {
	if t.Kind == types.KindDecimal {
		return t.Scale
	}
	return 0
}
