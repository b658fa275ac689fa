package fn

import (
	"strings"

	"stele/meta/types"
	"stele/sql/errno"
	sqltypes "stele/sql/types"
)

// ResolveAgg types an aggregate: the type to which its argument must be coerced, the type of its result, and the
// state columns that a partial aggregation yields for it. A count without argument is count(*): pass a NULL type.
//
//	count                 state: count BIGINT
//	sum                   state: sum (as the result), NULL when no row counted
//	avg                   state: sum, count
//	min max any_value     state: the value
//	bit_and/or/xor        state: the bits
//	var_*/stddev_*        state: count BIGINT, mean DOUBLE, sum of squared differences DOUBLE
//	group_concat          state: the text so far
//	json_arrayagg         state: the documents so far; json_objectagg the same, each of one pair
//
// With distinct the caller aggregates in one place over the distinct values; the state is then not used.
func ResolveAgg(name string, arg T, distinct bool) (argType, result T, state []T, err error) {
	name = strings.ToLower(name)
	arg.NotNull = false
	count := T{Kind: types.KindBigInt, NotNull: true}
	switch name {
	case "count":
		return arg, count, []T{count}, nil
	case "sum":
		argType, result = sumType(arg)
		return argType, result, []T{result}, nil
	case "avg":
		argType, sum := sumType(arg)
		result = sum
		if sum.Kind == types.KindDecimal {
			result = decimal(argType.Length+4, argType.Scale+4)
			if argType.Kind != types.KindDecimal {
				d := asDecimal(argType)
				result = decimal(d.Length+4, d.Scale+4)
			}
		}
		return argType, result, []T{sum, count}, nil
	case "min", "max", "any_value":
		return arg, arg, []T{arg}, nil
	case "bit_and", "bit_or", "bit_xor":
		bits := T{Kind: types.KindBigInt, Unsigned: true, NotNull: true}
		return tUint, bits, []T{bits}, nil
	case "std", "stddev", "stddev_pop", "stddev_samp", "variance", "var_pop", "var_samp":
		return tDouble, tDouble, []T{count, tDouble, tDouble}, nil
	case "group_concat":
		result = tText
		if isBinary(arg) {
			result = T{Kind: types.KindBlob}
		}
		return text(arg), result, []T{result}, nil
	case "json_arrayagg", "json_objectagg":
		return tJSON, tJSON, []T{tText}, nil
	}
	return T{}, T{}, nil, sqltypes.Errorf(errno.UnknownFunction, "FUNCTION %s does not exist", name)
}

// CanonicalAgg maps the synonyms of aggregates to the names of expr.AggFunc.
func CanonicalAgg(name string) string {
	name = strings.ToLower(name)
	switch name {
	case "std", "stddev":
		return "stddev_pop"
	case "variance":
		return "var_pop"
	}
	return name
}

// sumType types SUM: 22 digits more than the argument, as MySQL, within 38.
func sumType(arg T) (argType, sum T) {
	argType = numeric(arg)
	if argType.Kind == types.KindDouble {
		return argType, tDouble
	}
	d := asDecimal(argType)
	return argType, decimal(d.Length+22, d.Scale)
}
