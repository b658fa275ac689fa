// Package fn is the one registry of scalar functions and operators, and of the types of aggregates.
//
// A function is one declaration (Def): its names, its documentation, the rule that types it as MySQL does, and a
// kernel. Resolve applies the rule; sql/expr evaluates. The registry is built at start and never changes.
//
// Names may carry a parameter after a colon where MySQL has a keyword in the place of a value: "date_add:day",
// "extract:year_month", "timestampdiff:hour". Character strings compare by their bytes (as utf8mb4_bin without
// padding). Decimals have at most 38 digits: a result that would need more keeps its scale and fails with error 1690
// when a value does not fit.
package fn

import (
	"bytes"
	"fmt"
	"sort"
	"strings"
	"time"

	"stele/meta/types"
	"stele/sql/errno"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// T abbreviates the column type, which every declaration names.
type T = types.ColumnType

// Rule types a call: it returns the types to which the arguments must be coerced and the type of the result.
type Rule func(param string, args []T) (want []T, result T, err error)

// Lazy says that sql/expr evaluates the function itself, some arguments only for some rows, so that an error in a
// guarded branch does not surface.
type Lazy uint8

// The lazily evaluated functions.
const (
	Eager        Lazy = iota
	LazyAnd           // (a, b)
	LazyOr            // (a, b)
	LazyCase          // (cond, value)... [else]; "if" is case with three arguments
	LazyCoalesce      // the first that is not NULL; "ifnull" is coalesce with two
)

// Def declares one function.
type Def struct {
	Name    string
	Aliases []string
	Group   string
	Syntax  string
	Doc     string
	Min     int // arguments; Max < 0 = any number
	Max     int
	Params  []string // allowed parameters after the colon; nil = none
	Rule    Rule
	// TakesNull: the kernel sees NULL arguments. Otherwise a NULL argument makes the result NULL.
	TakesNull bool
	// Volatile: two calls with equal arguments may differ, so it is never folded.
	Volatile bool
	// Context: the result depends on the statement's time or time zone.
	Context bool
	// CanFail: the kernel may return an error, so guards matter.
	CanFail bool
	Lazy    Lazy
	// Prepare looks once at the constant arguments and may leave something in Call.State (read-only afterwards).
	Prepare func(*Call) error
	Vec     func(c *Call, a []Arg, n int) (*vec.Vector, error)
	Row     func(c *Call, a []vec.Value) (vec.Value, error)
}

// Context is what a statement gives to its functions. It is read-only during evaluation.
type Context struct {
	Loc       *time.Location // session time zone; nil = UTC
	NowMicros int64          // statement time, microseconds since 1970-01-01 UTC
}

// Location returns the session time zone.
func (c *Context) Location() *time.Location {
	if c == nil || c.Loc == nil {
		return time.UTC
	}
	return c.Loc
}

// Call is one function bound to types, constants and a context.
type Call struct {
	Def    *Def
	Param  string
	Args   []T
	Result T
	Const  []*vec.Value // the value where an argument is constant, else nil
	Ctx    *Context
	State  any
}

// Arg is one argument of a vector kernel: a vector of n rows, or of one row that stands for all.
type Arg struct {
	*vec.Vector
	mask int
}

// VectorArg makes an argument with a value for each row.
func VectorArg(v *vec.Vector) Arg { return Arg{Vector: v, mask: -1} }

// ConstArg makes an argument with one value for all rows; v has one row.
func ConstArg(v *vec.Vector) Arg { return Arg{Vector: v} }

// At maps a row to its place in the argument's buffers.
func (a Arg) At(i int) int { return i & a.mask }

// IsConst reports whether the argument has one value for all rows.
func (a Arg) IsConst() bool { return a.mask == 0 }

// Null reports whether the argument is NULL in row i.
func (a Arg) Null(i int) bool { return a.Valid != nil && a.IsNull(i&a.mask) }

// Signature is a resolved call.
type Signature struct {
	Name     string // canonical, with its parameter
	Args     []T    // what the arguments must be coerced to
	Result   T
	Volatile bool
	Context  bool
	Def      *Def
}

var registry = map[string]*Def{}

// register adds declarations; a name given twice is a bug.
func register(ds ...Def) {
	for i := range ds {
		d := &ds[i]
		for _, n := range append([]string{d.Name}, d.Aliases...) {
			if registry[n] != nil {
				panic("BUG: function declared twice: " + n)
			}
			registry[n] = d
		}
	}
}

// Lookup finds a declaration by any of its names (a parameter is ignored).
func Lookup(name string) *Def {
	base, _ := splitName(strings.ToLower(name))
	return registry[base]
}

// splitName cuts "date_add:day" into its function and its parameter.
func splitName(name string) (base, param string) {
	if i := strings.IndexByte(name, ':'); i > 0 {
		return name[:i], name[i+1:]
	}
	return name, ""
}

// All returns every declaration by group and name, for the reference documentation.
func All() []*Def {
	var out []*Def
	for n, d := range registry {
		if n == d.Name {
			out = append(out, d)
		}
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Group != out[j].Group {
			return out[i].Group < out[j].Group
		}
		return out[i].Name < out[j].Name
	})
	return out
}

// Resolve types a call by MySQL's rules. It fails with error 1305 for an unknown function and 1582 for a wrong
// number of arguments. "cast" is resolved by ResolveCast.
func Resolve(name string, args []T) (Signature, error) {
	base, param := splitName(strings.ToLower(name))
	if base == "-" && len(args) == 1 {
		base = "neg"
	}
	if param == "" && (base == "adddate" || base == "subdate") {
		param = "day"
	}
	d := registry[base]
	if d == nil || d.Rule == nil {
		return Signature{}, sqltypes.Errorf(errno.UnknownFunction, "FUNCTION %s does not exist", name)
	}
	if len(args) < d.Min || d.Max >= 0 && len(args) > d.Max {
		return Signature{}, sqltypes.Errorf(errno.WrongParameterCount, "Incorrect parameter count in the call to native function '%s'", name)
	}
	if err := d.checkParam(param); err != nil {
		return Signature{}, err
	}
	want, result, err := d.Rule(param, args)
	if err != nil {
		return Signature{}, err
	}
	want = append([]T(nil), want...) // a rule may have returned args itself
	for i := range want {
		want[i] = clearMarks(want[i])
	}
	result = clearMarks(result)
	canonical := d.Name
	if param != "" {
		canonical += ":" + param
	}
	return Signature{Name: canonical, Args: want, Result: result, Volatile: d.Volatile, Context: d.Context, Def: d}, nil
}

// LiteralText returns the type under which a string literal is resolved: its scale is one more than the digits after
// its only point, so that TIME('10:11:12') has no fraction and TIME('10:11:12.5') has one digit. Resolve takes the
// mark off again.
func LiteralText(t T, s []byte) T {
	t.Scale = 1
	if i := bytes.IndexByte(s, '.'); i >= 0 && bytes.Count(s, []byte(".")) == 1 {
		for _, c := range s[i+1:] {
			if c < '0' || c > '9' || t.Scale == 7 {
				break
			}
			t.Scale++
		}
	}
	return t
}

// clearMarks removes what literals tell the rules: LiteralText's scale and the digits of an integer.
func clearMarks(t T) T {
	switch {
	case t.IsString():
		t.Scale = 0
	case t.IsInteger():
		t.Length = 0
	}
	return t
}

func (d *Def) checkParam(param string) error {
	if d.Params == nil && param == "" {
		return nil
	}
	for _, p := range d.Params {
		if p == param {
			return nil
		}
	}
	return sqltypes.Errorf(errno.Syntax, "unknown unit '%s' of function %s", param, d.Name)
}

// ResolveCast types CAST(from AS to): it fills in what the target leaves open (length of CHAR, DECIMAL's 10,0).
func ResolveCast(from, to T) Signature {
	if to.Kind == types.KindDecimal && to.Length == 0 {
		to.Length = 10
	}
	to.NotNull = false
	return Signature{Name: "cast", Args: []T{from}, Result: to, Context: from.Kind == types.KindTimestamp || to.IsTemporal(), Def: registry["cast"]}
}

// Bind prepares a call for evaluation; the arguments have the given types already.
func Bind(name string, args []T, result T, consts []*vec.Value, ctx *Context) (*Call, error) {
	base, param := splitName(name)
	d := registry[base]
	if d == nil {
		return nil, sqltypes.Errorf(errno.UnknownFunction, "FUNCTION %s does not exist", name)
	}
	if len(args) < d.Min || d.Max >= 0 && len(args) > d.Max || len(consts) != len(args) {
		return nil, fmt.Errorf("bind function %s with %d arguments", name, len(args))
	}
	if err := d.checkParam(param); err != nil {
		return nil, err
	}
	c := &Call{Def: d, Param: param, Args: args, Result: result, Const: consts, Ctx: ctx}
	if d.Prepare != nil {
		if err := d.Prepare(c); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Eval runs the kernel over n rows and returns a vector of n rows.
func (c *Call) Eval(a []Arg, n int) (*vec.Vector, error) {
	if c.Def.Vec != nil {
		v, err := c.Def.Vec(c, a, n)
		if v != nil || err != nil {
			return v, err
		}
	}
	return c.EvalRows(a, n)
}

// EvalRows runs the scalar kernel row by row. It is the fallback for functions without a vector kernel, and the
// dumb evaluator against which vector kernels are tested.
func (c *Call) EvalRows(a []Arg, n int) (*vec.Vector, error) {
	out := vec.NewColumnBuilder(c.Result, n)
	row := make([]vec.Value, len(a))
	for i := range n {
		null := false
		for j := range a {
			row[j] = a[j].Value(a[j].At(i))
			null = null || row[j].Null
		}
		if null && !c.Def.TakesNull {
			out.AppendNull()
			continue
		}
		x, err := c.Def.Row(c, row)
		if err != nil {
			return nil, err
		}
		out.AppendValue(x)
	}
	return out.Finish(), nil
}

// nulls merges the validity of arguments into a result of n rows; nil when no row is NULL.
func nulls(n int, a ...Arg) []uint64 {
	var out []uint64
	for _, x := range a {
		if x.Valid == nil {
			continue
		}
		if x.IsConst() {
			if x.IsNull(0) {
				return make([]uint64, vec.ValidWords(n))
			}
			continue
		}
		if out == nil {
			out = append(make([]uint64, 0, vec.ValidWords(n)), x.Valid[:vec.ValidWords(n)]...)
			continue
		}
		for i := range out {
			out[i] &= x.Valid[i]
		}
	}
	return out
}
