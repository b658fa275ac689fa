package expr

import (
	"stele/meta/types"
	"stele/sql/fn"
	"stele/sql/vec"
)

// unknown marks a row of a junction under construction whose value is NULL so far.
const unknown = 2

// sparse: an argument is evaluated only for the rows that still matter when these are fewer than 1/sparse of all.
const sparse = 4

// junction evaluates AND (stop 0) and OR (stop 1): an argument that may fail sees only rows that the arguments before
// it left open.
func (f *frame) junction(c *code, stop int64) (fn.Arg, error) {
	out := vec.New(c.typ, f.n)
	for i := range out.I64 {
		out.I64[i] = 1 - stop
	}
	open := make([]int32, 0, f.n)
	for k, arg := range c.args {
		sub := f
		if k > 0 {
			open = open[:0]
			for i, v := range out.I64 {
				if v != stop {
					open = append(open, int32(i))
				}
			}
			if len(open) == 0 {
				break
			}
			if len(open) < f.n && (arg.canFail || len(open) < f.n/sparse) {
				sub = f.subset(append([]int32(nil), open...))
			}
		}
		a, err := sub.eval(arg)
		if err != nil {
			return fn.Arg{}, err
		}
		combine(out.I64, a, sub.sel, sub == f, stop)
	}
	for i, v := range out.I64 {
		if v == unknown {
			out.SetNull(i)
		}
	}
	return fn.VectorArg(out), nil
}

// combine folds one argument of a junction into the rows it was evaluated for.
func combine(out []int64, a fn.Arg, sel []int32, all bool, stop int64) {
	n := len(sel)
	if all {
		n = len(out)
	}
	for k := range n {
		i := k
		if !all {
			i = int(sel[k])
		}
		switch {
		case out[i] == stop:
		case a.Null(k):
			out[i] = unknown
		case (a.I64[a.At(k)] != 0) == (stop == 1):
			out[i] = stop
		}
	}
}

// part is a result for some rows: row rows[k] of the whole is row k of arg; all rows when rows is nil.
type part struct {
	rows []int32
	arg  fn.Arg
}

// caseWhen evaluates each value only for the rows whose condition chose it.
func (f *frame) caseWhen(c *code) (fn.Arg, error) {
	var parts []part
	rest := []int32(nil) // nil = every row is still open
	sub := f
	pairs := len(c.args) / 2
	for k := range pairs {
		if sub.n == 0 {
			break
		}
		cond, err := sub.eval(c.args[2*k])
		if err != nil {
			return fn.Arg{}, err
		}
		hit, miss := split(cond, sub.n)
		if err := f.take(&parts, sub, hit, rest, c.args[2*k+1]); err != nil {
			return fn.Arg{}, err
		}
		if len(miss) < sub.n {
			sub, rest = sub.subset(miss), through(rest, miss)
		}
	}
	if len(c.args)%2 == 1 && sub.n > 0 {
		a, err := sub.eval(c.args[len(c.args)-1])
		if err != nil {
			return fn.Arg{}, err
		}
		parts = append(parts, part{rest, a})
	}
	return assemble(c.typ, f.n, parts), nil
}

// take evaluates value for the rows hit of sub and adds it to the parts.
func (f *frame) take(parts *[]part, sub *frame, hit, rest []int32, value *code) error {
	if len(hit) == 0 {
		return nil
	}
	target, rows := sub, rest
	if len(hit) < sub.n {
		target, rows = sub.subset(hit), through(rest, hit)
	}
	a, err := target.eval(value)
	if err != nil {
		return err
	}
	*parts = append(*parts, part{rows, a})
	return nil
}

// through maps positions within rest (nil = all rows) to positions in the whole.
func through(rest, sel []int32) []int32 {
	if rest == nil {
		return sel
	}
	out := make([]int32, len(sel))
	for k, i := range sel {
		out[k] = rest[i]
	}
	return out
}

// split divides rows into those where a predicate is true and the others.
func split(a fn.Arg, n int) (hit, miss []int32) {
	hit, miss = make([]int32, 0, n), make([]int32, 0, n)
	for i := range n {
		if !a.Null(i) && a.I64[a.At(i)] != 0 {
			hit = append(hit, int32(i))
		} else {
			miss = append(miss, int32(i))
		}
	}
	return hit, miss
}

// coalesce evaluates each argument only for the rows where the ones before are NULL.
func (f *frame) coalesce(c *code) (fn.Arg, error) {
	var parts []part
	rest := []int32(nil)
	sub := f
	for _, arg := range c.args {
		if sub.n == 0 {
			break
		}
		a, err := sub.eval(arg)
		if err != nil {
			return fn.Arg{}, err
		}
		// Later parts overwrite the NULLs of earlier ones.
		parts = append(parts, part{rest, a})
		missing := make([]int32, 0)
		for i := range sub.n {
			if a.Null(i) {
				missing = append(missing, int32(i))
			}
		}
		if len(missing) < sub.n {
			sub, rest = sub.subset(missing), through(rest, missing)
		}
	}
	return assemble(c.typ, f.n, parts), nil
}

// assemble puts parts together; rows of no part are NULL, later parts win.
func assemble(t types.ColumnType, n int, parts []part) fn.Arg {
	if len(parts) == 1 && parts[0].rows == nil && !parts[0].arg.IsConst() {
		return fn.VectorArg(parts[0].arg.WithType(t))
	}
	which := make([]int16, n)
	pos := make([]int32, n)
	for p, part := range parts {
		if part.rows == nil {
			for i := range n {
				which[i], pos[i] = int16(p+1), int32(part.arg.At(i))
			}
			continue
		}
		for k, i := range part.rows {
			which[i], pos[i] = int16(p+1), int32(part.arg.At(k))
		}
	}
	if t.Phys() == types.PhysInt64 {
		return fn.VectorArg(assembleInts(t, n, parts, which, pos))
	}
	out := vec.NewColumnBuilder(t, n)
	for i, w := range which {
		if w == 0 {
			out.AppendNull()
		} else {
			out.AppendFrom(parts[w-1].arg.Vector, int(pos[i]))
		}
	}
	return fn.VectorArg(out.Finish())
}

func assembleInts(t types.ColumnType, n int, parts []part, which []int16, pos []int32) *vec.Vector {
	out := vec.New(t, n)
	for i, w := range which {
		if w == 0 {
			out.SetNull(i)
			continue
		}
		src := parts[w-1].arg.Vector
		out.I64[i] = src.I64[pos[i]]
		if src.Valid != nil && src.IsNull(int(pos[i])) {
			out.SetNull(i)
		}
	}
	return out
}
