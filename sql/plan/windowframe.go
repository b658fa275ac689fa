package plan

import (
	"strings"

	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/physical"
)

// frame sets the rows that a function sees in its window, which is ordered by keys.
func (s *selecter) frame(e *env, f *physical.WindowFunc, spec *ast.WindowSpec, keys []expr.SortKey) error {
	f.FromUnbounded, f.ToUnbounded = true, len(keys) == 0
	if spec.Frame == nil {
		return nil
	}
	from, to := &spec.Frame.Extent.Start, &spec.Frame.Extent.End
	switch {
	case from.UnBounded && from.Type == ast.Following:
		return errorf(errno.FrameStart, "Window '%s': frame start cannot be UNBOUNDED FOLLOWING.", spec.Name.O)
	case to.UnBounded && to.Type == ast.Preceding:
		return errorf(errno.FrameEnd, "Window '%s': frame end cannot be UNBOUNDED PRECEDING.", spec.Name.O)
	case boundPlace(from) > boundPlace(to): // two of one kind may leave no rows between them
		return wrongBound(spec.Name.O)
	}
	switch spec.Frame.Type {
	case ast.Rows:
		f.Rows = true
		var err error
		if f.From, f.FromUnbounded, err = s.bound(from); err != nil {
			return err
		}
		f.To, f.ToUnbounded, err = s.bound(to)
		return err
	case ast.Ranges:
		f.FromUnbounded, f.ToUnbounded = from.UnBounded || len(keys) == 0, to.UnBounded || len(keys) == 0
		if from.Expr == nil && to.Expr == nil {
			return nil
		}
		r := &rangeBinder{e: e, window: spec.Name.O}
		var err error
		f.Range, err = r.bind(keys, from, to)
		return err
	}
	return refuse("GROUPS frames")
}

// boundPlace says where an end of a frame is as against the current row.
func boundPlace(n *ast.FrameBound) int {
	switch n.Type {
	case ast.Preceding:
		return -1
	case ast.Following:
		return 1
	}
	return 0
}

func wrongBound(window string) error {
	return errorf(errno.FrameBound, "Window '%s': frame start or end is negative, NULL or of non-integral type", window)
}

// bound reads one end of a ROWS frame.
func (s *selecter) bound(n *ast.FrameBound) (int64, bool, error) {
	switch {
	case n.UnBounded:
		return 0, true, nil
	case n.Type == ast.CurrentRow:
		return 0, false, nil
	}
	v, err := s.b.limitValue(n.Expr)
	if err != nil {
		return 0, false, err
	}
	if n.Type == ast.Preceding {
		v = -v
	}
	return v, false, nil
}

// rangeBinder binds the bounds of a RANGE frame: the key of a row, less or more an offset.
type rangeBinder struct {
	e      *env
	window string // its name
	key    *expr.Node
	desc   bool
}

func (r *rangeBinder) bind(keys []expr.SortKey, from, to *ast.FrameBound) (*physical.RangeFrame, error) {
	if len(keys) != 1 || !keys[0].Expr.Type.IsNumeric() && !keys[0].Expr.Type.IsTemporal() {
		return nil, errorf(errno.RangeNeedsOrder, "Window '%s' with RANGE N PRECEDING/FOLLOWING frame requires exactly one ORDER BY expression, of numeric or temporal type",
			r.window)
	}
	r.key, r.desc = keys[0].Expr, keys[0].Desc
	if r.key.Type.IsInteger() { // a bound may be beyond what integers hold
		var err error
		if r.key, err = r.e.b.coerce(r.key, types.ColumnType{Kind: types.KindDecimal, Length: 20}); err != nil {
			return nil, err
		}
	}
	out := &physical.RangeFrame{Key: r.key, Desc: r.desc}
	var err error
	if out.From, err = r.bound(from); err != nil {
		return nil, err
	}
	if out.To, err = r.bound(to); err != nil {
		return nil, err
	}
	return out, r.alike(out)
}

// alike converts the key and the bounds to one type.
func (r *rangeBinder) alike(f *physical.RangeFrame) error {
	t := f.Key.Type
	var err error
	f.Each(func(x **expr.Node) {
		if err == nil {
			t, err = r.e.b.commonType(t, (*x).Type)
		}
	})
	t.NotNull = false
	f.Each(func(x **expr.Node) {
		if err == nil {
			*x, err = r.e.b.coerce(*x, t)
		}
	})
	return err
}

// bound is the value up to which rows are seen; nil = there is no offset.
func (r *rangeBinder) bound(n *ast.FrameBound) (*expr.Node, error) {
	if n.Expr == nil {
		return nil, nil
	}
	interval := n.Unit != ast.TimeUnitInvalid
	switch {
	case interval && !r.key.Type.IsTemporal():
		return nil, errorf(errno.RangeOfNumbers, "Window '%s' with RANGE frame has ORDER BY expression of numeric type, INTERVAL bound value not allowed.",
			r.window)
	case !interval && r.key.Type.IsTemporal():
		return nil, errorf(errno.RangeOfMoments, "Window '%s' with RANGE frame has ORDER BY expression of datetime type. Only INTERVAL bound value allowed.",
			r.window)
	}
	by, err := r.offset(n.Expr)
	if err != nil {
		return nil, err
	}
	name := "+"
	if (n.Type == ast.Preceding) != r.desc {
		name = "-"
	}
	if interval {
		name = map[string]string{"+": "date_add:", "-": "date_sub:"}[name] + strings.ToLower(n.Unit.String())
	}
	return r.e.b.call(name, r.key, by)
}

// offset is a constant that is not negative.
func (r *rangeBinder) offset(n ast.ExprNode) (*expr.Node, error) {
	wrong := wrongBound(r.window)
	by, err := r.e.value(n)
	if err != nil {
		return nil, err
	}
	if by.Kind != expr.NodeConst || by.Value.Null {
		return nil, wrong
	}
	if !by.Type.IsNumeric() {
		return by, nil // a text of several units: the interval says what is wrong with it
	}
	negative, err := r.e.b.call("<", by, constInt(0))
	if err != nil || negative.Kind == expr.NodeConst && negative.Value.I == 0 {
		return by, err
	}
	return nil, wrong
}
