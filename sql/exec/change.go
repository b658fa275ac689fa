package exec

import (
	"bytes"
	"fmt"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// RowChange is a compiled physical.Change. It is safe for concurrent use.
type RowChange struct {
	def    *physical.Change
	ectx   expr.Context
	filter *expr.Program
	values []*expr.Program
}

// CompileChange prepares a change.
func CompileChange(def *physical.Change, ectx expr.Context) (*RowChange, error) {
	c := &RowChange{def: def, ectx: ectx}
	var err error
	if def.Filter != nil {
		if c.filter, err = expr.Compile(def.Filter, ectx); err != nil {
			return nil, fmt.Errorf("compile filter: %w", err)
		}
	}
	for i := range def.Assign {
		p, err := expr.Compile(def.Assign[i].Value, ectx)
		if err != nil {
			return nil, fmt.Errorf("compile assignment %d: %w", i, err)
		}
		c.values = append(c.values, p)
	}
	return c, nil
}

// Outcome is what becomes of a row.
type Outcome struct {
	Matched bool       // there is such a row
	Row     *vec.Batch // that is to be put, or of a delete the one to be removed; nil = nothing is to be done
}

// Apply works out what becomes of the row with the key, nil where there is none, and of the values that come with the call.
func (c *RowChange) Apply(row, values *vec.Batch) (Outcome, error) {
	var own []*vec.Vector
	if values != nil {
		own = values.Cols
	}
	if err := checkColumns(&vec.Batch{Cols: own}, c.def.Values); err != nil {
		return Outcome{}, err
	}
	if row == nil {
		if c.def.Insert {
			return Outcome{Row: values}, nil
		}
		return Outcome{}, nil
	}
	if len(row.Cols) != len(c.def.Columns) {
		return Outcome{}, fmt.Errorf("a row of %d columns where the change has %d", len(row.Cols), len(c.def.Columns))
	}
	in := &vec.Batch{Cols: append(append(make([]*vec.Vector, 0, len(row.Cols)+len(own)), row.Cols...), own...), N: 1}
	if c.filter != nil {
		sel, err := c.filter.EvalFilter(in)
		if err != nil || sel != nil && len(sel) == 0 {
			return Outcome{}, err
		}
	}
	if c.def.Delete {
		return Outcome{Matched: true, Row: row}, nil
	}
	next, changed, err := c.assign(row, in)
	if err != nil || !changed {
		return Outcome{Matched: true}, err
	}
	return Outcome{Matched: true, Row: next}, nil
}

// assign computes the new row, and whether it differs from the old one.
func (c *RowChange) assign(row, in *vec.Batch) (next *vec.Batch, changed bool, err error) {
	next = &vec.Batch{Cols: append([]*vec.Vector(nil), row.Cols...), N: 1}
	for i := range c.def.Assign {
		a := &c.def.Assign[i]
		if a.Value.Kind == expr.NodeColumn && a.Value.Col == a.Column { // what it has need not be what sql_mode would take
			next.Cols[a.Column] = row.Cols[a.Column]
			continue
		}
		v, err := c.values[i].Eval(in)
		if err != nil {
			return nil, false, err
		}
		if next.Cols[a.Column], err = c.convert(v, &a.To); err != nil {
			return nil, false, err
		}
	}
	for i := range c.def.Assign { // a column may be assigned twice
		a := &c.def.Assign[i]
		changed = changed || !a.Auto && !sameRow(row.Cols[a.Column], next.Cols[a.Column])
	}
	return next, changed, nil
}

// convert gives a computed value the type of its column.
func (c *RowChange) convert(v *vec.Vector, to *types.Column) (*vec.Vector, error) {
	x, _, err := sqltypes.ConvertColumn(v.Value(0), v.Type, to, c.def.Strict, sqltypes.Env{Loc: c.ectx.Loc, NowMicros: c.ectx.NowMicros, ZeroDates: c.def.ZeroDates})
	if err != nil {
		return nil, err
	}
	return vec.NewConst(to.Type, x, 1), nil
}

// sameRow reports whether two vectors of one row and one type hold the same value.
func sameRow(a, b *vec.Vector) bool {
	var x, y [64]byte
	return bytes.Equal(vec.AppendKey(x[:0], a, 0), vec.AppendKey(y[:0], b, 0))
}
