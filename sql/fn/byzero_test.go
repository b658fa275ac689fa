package fn

import (
	"testing"

	"stele/meta/types"
	"stele/sql/errno"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// TestStrictDivision: by zero it fails, but not for NULL, and otherwise it is the plain division; cut off or not.
func TestStrictDivision(t *testing.T) {
	integer, decimal, double := T{Kind: types.KindInt}, T{Kind: types.KindDecimal, Length: 10, Scale: 2}, tDouble
	value := func(typ T, n int64) vec.Value {
		if typ.Kind == types.KindDouble {
			return vec.Float(float64(n))
		}
		return vec.Int(n)
	}
	for _, name := range []string{"/", "div", "%", CutQuotient("/", 9)} {
		strict := name + ":strict"
		if base, param := splitName(name); param != "" {
			strict = CutQuotient(StrictDivision(base), 9)
		}
		for _, typ := range []T{integer, decimal, double} {
			for _, c := range []struct {
				x, y vec.Value
				code uint16
			}{
				{value(typ, 7), value(typ, 0), errno.DivisionByZero},
				{value(typ, 0), value(typ, 0), errno.DivisionByZero},
				{vec.NullValue(), value(typ, 0), 0},
				{value(typ, 7), vec.NullValue(), 0},
				{value(typ, 7), value(typ, 2), 0},
			} {
				plain, err := divide(t, name, typ, c.x, c.y)
				if err != nil {
					t.Fatalf("%s of %v: %v", name, typ, err)
				}
				got, err := divide(t, strict, typ, c.x, c.y)
				if e, ok := sqltypes.AsError(err); c.code != 0 && (!ok || e.Code != c.code) || c.code == 0 && err != nil {
					t.Errorf("%s of %v: (%v, %v): %v", strict, typ, c.x, c.y, err)
				}
				if c.code != 0 && !plain.Null || c.code == 0 && (got.Null != plain.Null || got.I != plain.I || got.F != plain.F || got.Hi != plain.Hi) {
					t.Errorf("%s of %v: (%v, %v) is %v, plainly %v", strict, typ, c.x, c.y, got, plain)
				}
			}
		}
	}
}

func divide(t *testing.T, name string, typ T, x, y vec.Value) (vec.Value, error) {
	sig, err := Resolve(name, []T{typ, typ})
	if err != nil {
		t.Fatalf("resolve %s: %v", name, err)
	}
	for i, want := range sig.Args {
		if want.Phys() != typ.Phys() {
			t.Fatalf("%s of %v: argument %d is to be %v", name, typ, i, want)
		}
	}
	call, err := Bind(sig.Name, sig.Args, sig.Result, []*vec.Value{nil, nil}, &Context{})
	if err != nil {
		t.Fatalf("bind %s: %v", sig.Name, err)
	}
	out, err := call.Eval([]Arg{VectorArg(vec.NewConst(sig.Args[0], x, 1)), VectorArg(vec.NewConst(sig.Args[1], y, 1))}, 1)
	if err != nil {
		return vec.Value{}, err
	}
	return out.Value(0), nil
}
