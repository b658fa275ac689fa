package fn

import (
	"stele/meta/types"
)

// The types that rules name most.
var (
	tBool     = T{Kind: types.KindBool}
	tInt      = T{Kind: types.KindBigInt}
	tUint     = T{Kind: types.KindBigInt, Unsigned: true}
	tDouble   = T{Kind: types.KindDouble}
	tStr      = T{Kind: types.KindVarChar}
	tBin      = T{Kind: types.KindVarBinary}
	tText     = T{Kind: types.KindText}
	tJSON     = T{Kind: types.KindJSON}
	tDate     = T{Kind: types.KindDate}
	tDateTime = T{Kind: types.KindDateTime, Scale: 6}
	tTime     = T{Kind: types.KindTime, Scale: 6}
)

// maxScale is the largest scale of a computed decimal, as in MySQL.
const maxScale = 30

func varchar(n int32) T    { return T{Kind: types.KindVarChar, Length: n} }
func dateTime(fsp int32) T { return T{Kind: types.KindDateTime, Scale: fsp} }
func timeOf(fsp int32) T   { return T{Kind: types.KindTime, Scale: fsp} }

// decimal makes a decimal type within the limits: at most 38 digits, the scale kept at the cost of the integer part.
func decimal(precision, scale int32) T {
	scale = min(scale, maxScale)
	return T{Kind: types.KindDecimal, Length: max(min(precision, types.MaxDecimalPrecision), scale, 1), Scale: scale}
}

// fixed is the rule of a function whose types do not depend on its arguments; the last wanted type repeats.
func fixed(result T, want ...T) Rule {
	return func(_ string, args []T) ([]T, T, error) {
		return repeat(want, len(args)), result, nil
	}
}

func repeat(want []T, n int) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = want[min(i, len(want)-1)]
	}
	return out
}

// digits returns the decimal digits that hold every value of an integer type.
func digits(t T) int32 {
	switch t.Kind {
	case types.KindTinyInt:
		return 3
	case types.KindSmallInt:
		return 5
	case types.KindMediumInt:
		return 8
	case types.KindInt:
		return 10
	case types.KindYear:
		return 4
	case types.KindBool:
		return 1
	}
	if t.Length > 0 && t.Length < 19 { // an integer literal says how long it is
		return t.Length
	}
	if t.Unsigned {
		return 20
	}
	return 19
}

// asDecimal returns the decimal type that holds an exact numeric type.
func asDecimal(t T) T {
	if t.Kind == types.KindDecimal {
		if t.Length == 0 {
			return decimal(10, t.Scale)
		}
		return T{Kind: types.KindDecimal, Length: t.Length, Scale: t.Scale}
	}
	return decimal(digits(t), 0)
}

// numeric returns the type that t has in arithmetic: BIGINT, DECIMAL or DOUBLE.
func numeric(t T) T {
	switch {
	case t.IsInteger():
		n := T{Kind: types.KindBigInt, Unsigned: t.Unsigned || t.Kind == types.KindYear}
		if d := digits(t); d < 19 {
			n.Length = d
		}
		return n
	case t.Kind == types.KindDecimal:
		return asDecimal(t)
	case t.Kind == types.KindNull, t.Kind == types.KindDate:
		return tInt
	case t.IsTemporal():
		if t.Scale == 0 {
			return tInt
		}
		if t.Kind == types.KindTime {
			return decimal(7+t.Scale, t.Scale)
		}
		return decimal(14+t.Scale, t.Scale)
	}
	return tDouble
}

func isBinary(t T) bool {
	return t.Kind == types.KindBinary || t.Kind == types.KindVarBinary || t.Kind == types.KindBlob
}

func isFloat(t T) bool { return t.Kind == types.KindFloat || t.Kind == types.KindDouble }

// DisplayLength returns how many characters the longest value of a type has as text; 0 = unknown.
func DisplayLength(t T) int32 {
	frac := int32(0)
	if t.Scale > 0 {
		frac = t.Scale + 1
	}
	switch t.Kind {
	case types.KindNull:
		return 0
	case types.KindFloat:
		return 12
	case types.KindDouble:
		return 22
	case types.KindDecimal:
		return asDecimal(t).Length + 2
	case types.KindDate:
		return 10
	case types.KindDateTime, types.KindTimestamp:
		return 19 + frac
	case types.KindTime:
		return 10 + frac
	case types.KindBool:
		return 1
	}
	if t.IsString() {
		return t.Length
	}
	n := digits(t)
	if !t.Unsigned && t.Kind != types.KindYear {
		n++
	}
	return n
}

// text returns the character (or binary) type that t has in a string function.
func text(t T) T {
	switch {
	case t.Kind == types.KindJSON:
		return tText
	case t.IsString():
		t.NotNull = false
		return t
	}
	return varchar(DisplayLength(t))
}

// textResult makes the result type of a string function over args with length n (0 = unknown).
func textResult(n int64, args ...T) T {
	if n < 0 || n > 1<<16-1 {
		n = 0
	}
	for _, t := range args {
		if isBinary(t) {
			return T{Kind: types.KindVarBinary, Length: int32(n)}
		}
	}
	return varchar(int32(n))
}

// Merge returns the type that holds values of all given types: the result of CASE, COALESCE, UNION.
func Merge(ts ...T) T {
	out := T{Kind: types.KindNull}
	notNull := len(ts) > 0
	for _, t := range ts {
		notNull = notNull && t.NotNull
		t.NotNull = false
		out = merge2(out, t)
	}
	out.NotNull = notNull
	return out
}

func merge2(a, b T) T {
	switch {
	case a.Kind == types.KindNull:
		return b
	case b.Kind == types.KindNull, a == b:
		return a
	case a.IsInteger() && b.IsInteger():
		return mergeInts(a, b)
	case a.IsNumeric() && b.IsNumeric():
		if isFloat(a) || isFloat(b) {
			if a.Kind == types.KindFloat && b.Kind == types.KindFloat {
				return a
			}
			return tDouble
		}
		return mergeDecimals(asDecimal(a), asDecimal(b))
	case a.IsTemporal() && b.IsTemporal():
		return mergeTemporals(a, b)
	}
	return mergeStrings(a, b)
}

func mergeInts(a, b T) T {
	if a.Kind == types.KindYear && b.Kind == types.KindYear {
		return a
	}
	w := wider(a.Kind, b.Kind)
	ua, ub := a.Unsigned || a.Kind == types.KindYear, b.Unsigned || b.Kind == types.KindYear
	if ua == ub {
		return T{Kind: w, Unsigned: ua, Length: max(a.Length, b.Length)}
	}
	unsigned, signed := a, b
	if ub {
		unsigned, signed = b, a
	}
	if unsigned.Kind == types.KindBigInt {
		return decimal(20, 0)
	}
	if wider(unsigned.Kind, signed.Kind) == signed.Kind && intWidth(signed.Kind) > intWidth(unsigned.Kind) {
		return T{Kind: signed.Kind}
	}
	return T{Kind: widths[min(intWidth(unsigned.Kind)+1, len(widths)-1)]}
}

var widths = []types.Kind{types.KindTinyInt, types.KindSmallInt, types.KindMediumInt, types.KindInt, types.KindBigInt}

func intWidth(k types.Kind) int {
	switch k {
	case types.KindBool, types.KindTinyInt:
		return 0
	case types.KindYear, types.KindSmallInt:
		return 1
	case types.KindMediumInt:
		return 2
	case types.KindInt:
		return 3
	}
	return 4
}

func wider(a, b types.Kind) types.Kind {
	if a == b {
		return a
	}
	return widths[max(intWidth(a), intWidth(b))]
}

func mergeDecimals(a, b T) T {
	scale := max(a.Scale, b.Scale)
	return decimal(max(a.Length-a.Scale, b.Length-b.Scale)+scale, scale)
}

func mergeTemporals(a, b T) T {
	scale := max(a.Scale, b.Scale)
	if a.Kind == b.Kind {
		return T{Kind: a.Kind, Scale: scale}
	}
	return dateTime(scale)
}

func mergeStrings(a, b T) T {
	ta, tb := text(a), text(b)
	n := int32(0)
	if ta.Length > 0 && tb.Length > 0 {
		n = max(ta.Length, tb.Length)
	}
	big := ta.Kind == types.KindText || tb.Kind == types.KindText || ta.Kind == types.KindBlob || tb.Kind == types.KindBlob
	switch {
	case isBinary(ta) || isBinary(tb):
		if big {
			return T{Kind: types.KindBlob, Length: n}
		}
		return T{Kind: types.KindVarBinary, Length: n}
	case big:
		return T{Kind: types.KindText, Length: n}
	}
	return varchar(n)
}
