package fn

import (
	"bytes"
	"cmp"
	"maps"
	"math"
	"slices"
	"sync"

	"stele/meta/types"
	"stele/sql/keyset"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// CompareTypes returns the types to which two operands are coerced before they are compared: strings compare as
// bytes, a string with a number as doubles, anything with a temporal value as temporal values, exact numbers exactly.
func CompareTypes(a, b T) (T, T) {
	a.NotNull, b.NotNull = false, false
	switch {
	case a.Kind == types.KindNull:
		return b, b
	case b.Kind == types.KindNull:
		return a, a
	case a.IsTemporal() && b.IsTemporal():
		return compareTemporals(a, b)
	case a.IsTemporal():
		return besideTemporal(a)
	case b.IsTemporal():
		wb, wa := besideTemporal(b)
		return wa, wb
	case a.IsString() && b.IsString():
		return a, b
	}
	a, b = numeric(a), numeric(b)
	switch {
	case a.Kind == types.KindDouble || b.Kind == types.KindDouble:
		return tDouble, tDouble
	case a.Kind == types.KindDecimal || b.Kind == types.KindDecimal:
		return compareDecimals(asDecimal(a), asDecimal(b))
	}
	return a, b
}

func compareTemporals(a, b T) (T, T) {
	if a.Kind == b.Kind {
		return a, b
	}
	side := func(t T) T {
		if t.Kind == types.KindDateTime {
			return t
		}
		return dateTime(t.Scale)
	}
	return side(a), side(b)
}

// besideTemporal types a comparison of temporal t with a string or number.
func besideTemporal(t T) (own, other T) {
	switch t.Kind {
	case types.KindTime:
		return t, tTime
	case types.KindTimestamp:
		return t, T{Kind: types.KindTimestamp, Scale: 6}
	case types.KindDate:
		return dateTime(0), tDateTime
	}
	return t, tDateTime
}

// compareDecimals brings both to one scale where 38 digits allow it; else they compare at their own scales.
func compareDecimals(a, b T) (T, T) {
	c := mergeDecimals(a, b)
	if max(a.Length-a.Scale, b.Length-b.Scale)+c.Scale > types.MaxDecimalPrecision {
		return a, b
	}
	side := func(t T) T {
		if t.Scale == c.Scale && t.Phys() == c.Phys() {
			return t
		}
		return c
	}
	return side(a), side(b)
}

// Op is a comparison operator.
type Op uint8

// Comparison operators.
const (
	OpEQ Op = iota
	OpNE
	OpLT
	OpLE
	OpGT
	OpGE
)

var opNames = map[string]Op{"=": OpEQ, "!=": OpNE, "<": OpLT, "<=": OpLE, ">": OpGT, ">=": OpGE}

// CompareOp returns the operator of a canonical function name.
func CompareOp(name string) (Op, bool) {
	op, ok := opNames[name]
	return op, ok
}

// Holds applies the operator to the outcome of a three-way comparison.
func (o Op) Holds(c int) bool {
	switch o {
	case OpEQ:
		return c == 0
	case OpNE:
		return c != 0
	case OpLT:
		return c < 0
	case OpLE:
		return c <= 0
	case OpGT:
		return c > 0
	}
	return c >= 0
}

// Swap returns the operator with its operands exchanged.
func (o Op) Swap() Op {
	switch o {
	case OpLT:
		return OpGT
	case OpLE:
		return OpGE
	case OpGT:
		return OpLT
	case OpGE:
		return OpLE
	}
	return o
}

// CompareValues compares two values that are not NULL and whose types CompareTypes returned.
func CompareValues(a vec.Value, at T, b vec.Value, bt T) int {
	switch at.Phys() {
	case types.PhysFloat64:
		return cmp.Compare(a.F, b.F)
	case types.PhysBytes:
		return bytes.Compare(a.B, b.B)
	}
	if at.Kind == types.KindDecimal || bt.Kind == types.KindDecimal {
		return sqltypes.CmpDecimal(decimalOf(a, at), at.Scale, decimalOf(b, bt), bt.Scale)
	}
	return compareInts(a.I, at.Unsigned, b.I, bt.Unsigned)
}

// decimalOf returns a decimal of either physical form as 128 bits.
func decimalOf(v vec.Value, t T) vec.Int128 {
	if t.Phys() == types.PhysDec128 {
		return v.Dec128()
	}
	if t.Unsigned {
		return vec.Int128OfUint(uint64(v.I))
	}
	return vec.Int128Of(v.I)
}

func compareInts(a int64, ua bool, b int64, ub bool) int {
	switch {
	case ua == ub && !ua:
		return cmp.Compare(a, b)
	case ua && !ub && b < 0:
		return 1
	case ub && !ua && a < 0:
		return -1
	}
	return cmp.Compare(uint64(a), uint64(b))
}

func init() {
	doc := map[string]string{
		"=": "Equal.", "!=": "Not equal.", "<": "Less than.", "<=": "Less than or equal.", ">": "Greater than.", ">=": "Greater than or equal.",
	}
	for name, op := range opNames {
		d := Def{Name: name, Group: "comparison", Syntax: "a " + name + " b", Doc: doc[name], Min: 2, Max: 2, Rule: compareRule, Row: compareRow(op), Vec: compareVec(op)}
		if name == "!=" {
			d.Aliases = []string{"<>"}
		}
		register(d)
	}
	register(
		Def{Name: "<=>", Group: "comparison", Syntax: "a <=> b", Doc: "Equal, where NULL equals NULL. Never NULL.", Min: 2, Max: 2,
			Rule: notNull(compareRule), TakesNull: true, Row: nullSafeEqual},
		Def{Name: "in", Group: "comparison", Syntax: "x IN (a, b, ...)", Doc: "True when x equals any of the list; NULL when it does not but x or an item is NULL.",
			Min: 2, Max: -1, TakesNull: true, Rule: inRule, Prepare: prepareIn, Row: inRow, Vec: inVec},
		Def{Name: "between", Group: "comparison", Syntax: "x BETWEEN low AND high", Doc: "low <= x AND x <= high.", Min: 3, Max: 3, TakesNull: true,
			Rule: inRule, Row: betweenRow},
		Def{Name: "isnull", Aliases: []string{"is_null"}, Group: "comparison", Syntax: "x IS NULL, ISNULL(x)", Doc: "True when x is NULL.", Min: 1, Max: 1, TakesNull: true,
			Rule: func(_ string, a []T) ([]T, T, error) { return a, notNullBool, nil },
			Row:  func(_ *Call, a []vec.Value) (vec.Value, error) { return vec.Bool(a[0].Null), nil }, Vec: isNullVec},
		Def{Name: "istrue", Aliases: []string{"is_true"}, Group: "comparison", Syntax: "x IS TRUE", Doc: "True when x is neither zero nor NULL.", Min: 1, Max: 1, TakesNull: true,
			Rule: fixed(notNullBool, tBool), Row: func(_ *Call, a []vec.Value) (vec.Value, error) { return vec.Bool(!a[0].Null && a[0].I != 0), nil }},
		Def{Name: "isfalse", Aliases: []string{"is_false"}, Group: "comparison", Syntax: "x IS FALSE", Doc: "True when x is zero.", Min: 1, Max: 1, TakesNull: true,
			Rule: fixed(notNullBool, tBool), Row: func(_ *Call, a []vec.Value) (vec.Value, error) { return vec.Bool(!a[0].Null && a[0].I == 0), nil }},
		Def{Name: "strcmp", Group: "string", Syntax: "STRCMP(a, b)", Doc: "-1, 0 or 1 as a sorts before, with or after b.", Min: 2, Max: 2,
			Rule: onTexts(always(tInt)), Row: func(_ *Call, a []vec.Value) (vec.Value, error) {
				return vec.Int(int64(bytes.Compare(a[0].B, a[1].B))), nil
			}},
		Def{Name: "greatest", Group: "comparison", Syntax: "GREATEST(a, b, ...)", Doc: "The largest argument; NULL when one is NULL.", Min: 2, Max: -1, Rule: extremeRule, Row: extremeRow(1)},
		Def{Name: "least", Group: "comparison", Syntax: "LEAST(a, b, ...)", Doc: "The smallest argument; NULL when one is NULL.", Min: 2, Max: -1, Rule: extremeRule, Row: extremeRow(-1)},
	)
}

var notNullBool = T{Kind: types.KindBool, NotNull: true}

func compareRule(_ string, a []T) ([]T, T, error) {
	x, y := CompareTypes(a[0], a[1])
	return []T{x, y}, tBool, nil
}

func notNull(r Rule) Rule {
	return func(p string, a []T) ([]T, T, error) {
		want, res, err := r(p, a)
		res.NotNull = true
		return want, res, err
	}
}

// inRule gives x and all items one comparison type.
func inRule(_ string, a []T) ([]T, T, error) {
	want := make([]T, len(a))
	x := a[0]
	for _, t := range a[1:] {
		x, _ = CompareTypes(x, t)
	}
	for i := range want {
		want[i] = x
		if i > 0 {
			// Temporal types and integers keep their own precision and sign where no conversion is needed.
			if w, y := CompareTypes(x, a[i]); w == x {
				want[i] = y
			}
		}
	}
	return want, tBool, nil
}

func extremeRule(_ string, a []T) ([]T, T, error) {
	m := Merge(a...)
	m.NotNull = false
	if m.IsNumeric() && !isFloat(m) && m.Kind != types.KindDecimal {
		m = T{Kind: types.KindBigInt, Unsigned: m.Unsigned}
	}
	return repeat([]T{m}, len(a)), m, nil
}

func extremeRow(sign int) func(*Call, []vec.Value) (vec.Value, error) {
	return func(c *Call, a []vec.Value) (vec.Value, error) {
		best := a[0]
		for _, x := range a[1:] {
			if CompareValues(x, c.Result, best, c.Result)*sign > 0 { // arguments may be narrower, and unsigned
				best = x
			}
		}
		return best, nil
	}
}

func compareRow(op Op) func(*Call, []vec.Value) (vec.Value, error) {
	return func(c *Call, a []vec.Value) (vec.Value, error) {
		return vec.Bool(op.Holds(CompareValues(a[0], c.Args[0], a[1], c.Args[1]))), nil
	}
}

func nullSafeEqual(c *Call, a []vec.Value) (vec.Value, error) {
	if a[0].Null || a[1].Null {
		return vec.Bool(a[0].Null && a[1].Null), nil
	}
	return vec.Bool(CompareValues(a[0], c.Args[0], a[1], c.Args[1]) == 0), nil
}

func betweenRow(c *Call, a []vec.Value) (vec.Value, error) {
	known := true
	for i := 1; i <= 2; i++ {
		if a[0].Null || a[i].Null {
			known = false
			continue
		}
		r := CompareValues(a[0], c.Args[0], a[i], c.Args[i])
		if i == 1 && r < 0 || i == 2 && r > 0 {
			return vec.Bool(false), nil
		}
	}
	return vec.Value{I: 1, Null: !known}, nil
}

func isNullVec(c *Call, a []Arg, n int) (*vec.Vector, error) {
	out := vec.New(c.Result, n)
	if a[0].Valid != nil {
		for i := range out.I64 {
			if a[0].Null(i) {
				out.I64[i] = 1
			}
		}
	}
	return out, nil
}

// compareVec compares vectors of one physical form in typed loops.
func compareVec(op Op) func(*Call, []Arg, int) (*vec.Vector, error) {
	return func(c *Call, a []Arg, n int) (*vec.Vector, error) {
		x, y := a[0], a[1]
		px, py := c.Args[0].Phys(), c.Args[1].Phys()
		if px != py || c.Args[0].Scale != c.Args[1].Scale && c.Args[0].Kind == types.KindDecimal {
			return nil, nil
		}
		out := vec.New(c.Result, n)
		switch {
		case px == types.PhysFloat64:
			compareLoop(op, x.F64, y.F64, x.mask, y.mask, out.I64)
		case px == types.PhysBytes:
			for i := range out.I64 {
				if op.Holds(bytes.Compare(x.Bytes(x.At(i)), y.Bytes(y.At(i)))) {
					out.I64[i] = 1
				}
			}
		case px == types.PhysDec128:
			for i := range out.I64 {
				if op.Holds(x.Dec[x.At(i)].Cmp(y.Dec[y.At(i)])) {
					out.I64[i] = 1
				}
			}
		case c.Args[0].Unsigned != c.Args[1].Unsigned:
			for i := range out.I64 {
				if op.Holds(compareInts(x.I64[x.At(i)], c.Args[0].Unsigned, y.I64[y.At(i)], c.Args[1].Unsigned)) {
					out.I64[i] = 1
				}
			}
		case c.Args[0].Unsigned:
			compareUnsigned(op, x.I64, y.I64, x.mask, y.mask, out.I64)
		default:
			compareLoop(op, x.I64, y.I64, x.mask, y.mask, out.I64)
		}
		setNulls(out, nulls(n, x, y))
		return out, nil
	}
}

// setNulls gives a vector of fixed-width values its validity and zeroes the NULL rows.
func setNulls(v *vec.Vector, valid []uint64) {
	v.Valid = valid
	if valid == nil {
		return
	}
	for w, bits := range valid {
		if bits == math.MaxUint64 {
			continue
		}
		for i := w << 6; i < min(w<<6+64, v.N); i++ {
			if bits>>(uint(i)&63)&1 != 0 {
				continue
			}
			switch {
			case v.I64 != nil:
				v.I64[i] = 0
			case v.F64 != nil:
				v.F64[i] = 0
			case v.Dec != nil:
				v.Dec[i] = vec.Int128{}
			}
		}
	}
}

func b2i(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func compareLoop[N int64 | float64](op Op, a, b []N, ma, mb int, out []int64) {
	switch op {
	case OpEQ:
		for i := range out {
			out[i] = b2i(a[i&ma] == b[i&mb])
		}
	case OpNE:
		for i := range out {
			out[i] = b2i(a[i&ma] != b[i&mb])
		}
	case OpLT:
		for i := range out {
			out[i] = b2i(a[i&ma] < b[i&mb])
		}
	case OpLE:
		for i := range out {
			out[i] = b2i(a[i&ma] <= b[i&mb])
		}
	case OpGT:
		for i := range out {
			out[i] = b2i(a[i&ma] > b[i&mb])
		}
	case OpGE:
		for i := range out {
			out[i] = b2i(a[i&ma] >= b[i&mb])
		}
	}
}

func compareUnsigned(op Op, a, b []int64, ma, mb int, out []int64) {
	switch op {
	case OpEQ, OpNE:
		compareLoop(op, a, b, ma, mb, out)
	case OpLT, OpGT:
		if op == OpGT {
			a, b, ma, mb = b, a, mb, ma
		}
		for i := range out {
			out[i] = b2i(uint64(a[i&ma]) < uint64(b[i&mb]))
		}
	default:
		if op == OpGE {
			a, b, ma, mb = b, a, mb, ma
		}
		for i := range out {
			out[i] = b2i(uint64(a[i&ma]) <= uint64(b[i&mb]))
		}
	}
}

// inSet is the prepared list of IN when all items are constants of one form.
type inSet struct {
	ints  map[int64]struct{}
	bytes map[string]struct{}
	null  bool // the list has a NULL

	once sync.Once
	keys *keyset.Set // ints, once many rows have asked for it
}

// keySet returns a set that has all integers of the list.
func (s *inSet) keySet() *keyset.Set {
	s.once.Do(func() {
		if len(s.ints) > 0 {
			s.keys, _ = keyset.Read(keyset.Of(slices.Collect(maps.Keys(s.ints)), keyset.FewBytes))
		}
	})
	return s.keys
}

func prepareIn(c *Call) error {
	phys := c.Args[0].Phys()
	if phys != types.PhysInt64 && phys != types.PhysBytes {
		return nil
	}
	s := &inSet{ints: map[int64]struct{}{}, bytes: map[string]struct{}{}}
	for i, v := range c.Const {
		if i == 0 {
			continue
		}
		t, x := c.Args[i], c.Args[0]
		if v == nil || t.Phys() != phys || t.Unsigned != x.Unsigned || t.Kind == types.KindDecimal && t.Scale != x.Scale {
			return nil
		}
		switch {
		case v.Null:
			s.null = true
		case phys == types.PhysBytes:
			s.bytes[string(v.B)] = struct{}{}
		default:
			s.ints[v.I] = struct{}{}
		}
	}
	c.State = s
	return nil
}

func inVec(c *Call, a []Arg, n int) (*vec.Vector, error) {
	s, ok := c.State.(*inSet)
	if !ok {
		return nil, nil
	}
	x := a[0]
	out := vec.New(c.Result, n)
	isBytes := c.Args[0].Phys() == types.PhysBytes
	for i := range out.I64 {
		if x.Null(i) {
			out.SetNull(i)
			continue
		}
		var hit bool
		if isBytes {
			_, hit = s.bytes[string(x.Bytes(x.At(i)))]
		} else {
			_, hit = s.ints[x.I64[x.At(i)]]
		}
		if hit {
			out.I64[i] = 1
		} else if s.null {
			out.SetNull(i)
		}
	}
	return out, nil
}

func inRow(c *Call, a []vec.Value) (vec.Value, error) {
	if a[0].Null {
		return vec.NullValue(), nil
	}
	null := false
	for i, x := range a[1:] {
		if x.Null {
			null = true
		} else if CompareValues(a[0], c.Args[0], x, c.Args[i+1]) == 0 {
			return vec.Bool(true), nil
		}
	}
	return vec.Value{Null: null}, nil
}
