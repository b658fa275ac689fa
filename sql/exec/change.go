package exec

import (
	"bytes"
	"fmt"
	"slices"

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

// ApplyAll works out what becomes of rows that were found: next are all of them as they will be, and changed are those that differ; of a delete next is nil, and all
// of them go. It does not ask the filter. A value that would have to be bent to fit is an error.
func (c *RowChange) ApplyAll(rows *vec.Batch) (next *vec.Batch, changed []int32, err error) {
	if len(rows.Cols) != len(c.def.Columns) || len(c.def.Values) > 0 {
		return nil, nil, fmt.Errorf("rows of %d columns where the change has %d and %d values", len(rows.Cols), len(c.def.Columns), len(c.def.Values))
	}
	if c.def.Delete {
		return nil, nil, nil
	}
	next = &vec.Batch{Cols: slices.Clone(rows.Cols), N: rows.N}
	for i := range c.def.Assign {
		a := &c.def.Assign[i]
		if keepsColumn(a) {
			next.Cols[a.Column] = rows.Cols[a.Column]
			continue
		}
		v, err := c.values[i].Eval(rows)
		if err != nil {
			return nil, nil, err
		}
		if next.Cols[a.Column], err = c.convertAll(v, &a.To); err != nil {
			return nil, nil, err
		}
	}
	for row := range rows.N {
		if c.differs(rows, next, row) {
			changed = append(changed, int32(row))
		}
	}
	return next, changed, nil
}

// keepsColumn reports whether a column is assigned itself: what it has need not be what sql_mode would take.
func keepsColumn(a *physical.Assignment) bool {
	return a.Value.Kind == expr.NodeColumn && a.Value.Col == a.Column
}

// differs reports whether the assignments have changed a row. A column may be assigned twice.
func (c *RowChange) differs(rows, next *vec.Batch, row int) bool {
	for i := range c.def.Assign {
		if a := &c.def.Assign[i]; !a.Auto && !sameValue(rows.Cols[a.Column], next.Cols[a.Column], row) {
			return true
		}
	}
	return false
}

// convertAll gives computed values the type of their column.
func (c *RowChange) convertAll(v *vec.Vector, to *types.Column) (*vec.Vector, error) {
	out := vec.NewColumnBuilder(to.Type, v.N)
	for i := range v.N {
		x, bent, err := c.converted(v.Value(i), v.Type, to)
		switch {
		case err != nil:
			return nil, err
		case bent != nil:
			return nil, bent
		case x.Null:
			out.AppendNull()
		default:
			out.AppendValue(x)
		}
	}
	return out.Finish(), nil
}

// assign computes the new row, and whether it differs from the old one.
func (c *RowChange) assign(row, in *vec.Batch) (next *vec.Batch, changed bool, err error) {
	next = &vec.Batch{Cols: append([]*vec.Vector(nil), row.Cols...), N: 1}
	for i := range c.def.Assign {
		a := &c.def.Assign[i]
		if keepsColumn(a) {
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
	return next, c.differs(row, next, 0), nil
}

// convert gives a computed value the type of its column.
func (c *RowChange) convert(v *vec.Vector, to *types.Column) (*vec.Vector, error) {
	x, _, err := c.converted(v.Value(0), v.Type, to)
	if err != nil {
		return nil, err
	}
	return vec.NewConst(to.Type, x, 1), nil
}

func (c *RowChange) converted(v vec.Value, from types.ColumnType, to *types.Column) (out vec.Value, bent *sqltypes.Error, err error) {
	return sqltypes.ConvertColumn(v, from, to, c.def.Strict, sqltypes.Env{Loc: c.ectx.Loc, NowMicros: c.ectx.NowMicros, ZeroDates: c.def.ZeroDates})
}

// sameValue reports whether a row of two vectors of one type holds the same value.
func sameValue(a, b *vec.Vector, row int) bool {
	var x, y [64]byte
	return bytes.Equal(vec.AppendKey(x[:0], a, row), vec.AppendKey(y[:0], b, row))
}
