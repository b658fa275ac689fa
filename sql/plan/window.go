package plan

import (
	"slices"
	"strings"

	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	"stele/sql/fn"
	ast "stele/sql/parse"
	"stele/sql/physical"
)

// window adds the window functions of the select list and ORDER BY, one operator for each distinct window.
func (s *selecter) window() error {
	calls := s.windowCalls()
	if len(calls) == 0 {
		return nil
	}
	e := s.env.in("window function")
	s.env.wins = map[*ast.WindowFuncExpr]int{}
	var ops []*rel
	for _, call := range calls {
		w, it, err := s.windowCall(e, call)
		if err != nil {
			return err
		}
		s.env.wins[call] = it.id
		i := slices.IndexFunc(ops, func(o *rel) bool { return sameWindow(o, w) })
		if i < 0 {
			ops, i = append(ops, w), len(ops)
		}
		ops[i].windows = append(ops[i].windows, it)
	}
	in := e.rel
	for _, w := range ops {
		w.kids, w.out = []*rel{in}, slices.Clone(in.out)
		for _, it := range w.windows {
			w.out = append(w.out, it.id)
		}
		in = w
	}
	s.env.rel = in
	return nil
}

// windowCalls collects the window function calls of this level.
func (s *selecter) windowCalls() []*ast.WindowFuncExpr {
	var out []*ast.WindowFuncExpr
	visit := callsOf(&out)
	for _, f := range s.fields {
		if f.Expr != nil {
			ast.Inspect(f.Expr, visit)
		}
	}
	if s.stmt.OrderBy != nil {
		for _, it := range s.stmt.OrderBy.Items {
			ast.Inspect(it.Expr, visit)
		}
	}
	return out
}

// sameWindow reports whether two operators have one partitioning and order.
func sameWindow(a, b *rel) bool {
	return slices.EqualFunc(a.partition, b.partition, sameExpr) && slices.EqualFunc(a.keys, b.keys, func(x, y expr.SortKey) bool {
		return x.Desc == y.Desc && sameExpr(x.Expr, y.Expr)
	})
}

// windowCall binds one call: its window and the function.
func (s *selecter) windowCall(e *env, n *ast.WindowFuncExpr) (*rel, winItem, error) {
	spec, err := s.windowSpec(&n.Spec, 0)
	if err != nil {
		return nil, winItem{}, err
	}
	w := &rel{op: opWindow}
	if spec.PartitionBy != nil {
		for _, it := range spec.PartitionBy.Items {
			x, err := e.value(it.Expr)
			if err != nil {
				return nil, winItem{}, err
			}
			w.partition = append(w.partition, x)
		}
	}
	if spec.OrderBy != nil {
		for _, it := range spec.OrderBy.Items {
			x, err := e.value(it.Expr)
			if err != nil {
				return nil, winItem{}, err
			}
			w.keys = append(w.keys, expr.SortKey{Expr: x, Desc: it.Desc})
		}
	}
	f, err := s.windowFunc(e, n)
	if err != nil {
		return nil, winItem{}, err
	}
	spec.Name = nameOfWindow(&n.Spec)
	if err := s.frame(e, &f, &spec, w.keys); err != nil {
		return nil, winItem{}, err
	}
	return w, winItem{s.b.newColumn(column{name: f.Name, typ: f.Type}), f}, nil
}

// windowSpec resolves a named window and what is added to it.
func (s *selecter) windowSpec(spec *ast.WindowSpec, depth int) (ast.WindowSpec, error) {
	name := spec.Ref
	if spec.OnlyAlias {
		name = spec.Name
	}
	if name.O == "" {
		return *spec, nil
	}
	for i := range s.stmt.WindowSpecs {
		def := &s.stmt.WindowSpecs[i]
		if !strings.EqualFold(def.Name.O, name.O) || depth > len(s.stmt.WindowSpecs) {
			continue
		}
		base := *def
		base.Name = ast.CIStr{}
		base.OnlyAlias = false
		base, err := s.windowSpec(&base, depth+1)
		if err != nil || spec.OnlyAlias {
			return base, err
		}
		if spec.OrderBy != nil {
			base.OrderBy = spec.OrderBy
		}
		if spec.Frame != nil {
			base.Frame = spec.Frame
		}
		return base, nil
	}
	return *spec, errorf(errno.UnknownWindow, "Window name '%s' is not defined.", name.O)
}

// nameOfWindow is how messages call a window.
func nameOfWindow(spec *ast.WindowSpec) ast.CIStr {
	if spec.Name.O == "" {
		return ast.NewCIStr("<unnamed window>")
	}
	return spec.Name
}

// windowFunc binds the function of a call and types it.
func (s *selecter) windowFunc(e *env, n *ast.WindowFuncExpr) (physical.WindowFunc, error) {
	f := physical.WindowFunc{Name: strings.ToLower(n.Name)}
	if n.Distinct || n.FromLast || n.IgnoreNull {
		return f, refuse("DISTINCT, FROM LAST and IGNORE NULLS in window functions")
	}
	args, err := e.values(n.Args)
	if err != nil {
		return f, err
	}
	form := func(n *expr.Node) (*expr.Node, error) { return n, nil } // aggregates take the numbers of members
	switch f.Name {
	case "min", "max":
		form = s.b.counted
	case "lag", "lead", "first_value", "last_value", "nth_value": // they are what the column is
		form = s.b.shown
	}
	for i := range args {
		if args[i], err = form(args[i]); err != nil {
			return f, err
		}
	}
	f.Args = args
	unsigned := types.ColumnType{Kind: types.KindBigInt, Unsigned: true, NotNull: true}
	switch f.Name {
	case "row_number", "rank", "dense_rank", "ntile":
		f.Type = unsigned
	case "percent_rank", "cume_dist":
		f.Type = types.ColumnType{Kind: types.KindDouble, NotNull: true}
	case "lag", "lead", "first_value", "last_value", "nth_value":
		f.Type = args[0].Type
		f.Type.NotNull = false
		return f, s.lagDefault(&f)
	default:
		return f, s.windowAgg(&f)
	}
	return f, nil
}

// lagDefault converts the default of LAG and LEAD to the type of the value.
func (s *selecter) lagDefault(f *physical.WindowFunc) error {
	if len(f.Args) < 3 {
		return nil
	}
	t, err := s.b.commonType(f.Args[0].Type, f.Args[2].Type)
	if err != nil {
		return err
	}
	t.NotNull = false
	f.Type = t
	for _, i := range []int{0, 2} {
		if f.Args[i], err = s.b.coerce(f.Args[i], t); err != nil {
			return err
		}
	}
	return nil
}

// aggregated is what an aggregate takes of its argument. Of a decimal those of bits take what the operators of bits do: a negative one is
// a signed integer, not the least of the unsigned ones. What DATE_ADD makes of a text is a date or time where numbers are asked for.
func (b *binder) aggregated(name string, arg *expr.Node, want types.ColumnType) (*expr.Node, error) {
	if strings.HasPrefix(name, "bit_") && arg.Type.Kind == types.KindDecimal {
		return b.call("|", arg, expr.Const(expr.Value{}, want))
	}
	if want.IsNumeric() && b.isMoment(arg) {
		n, err := b.plainCall("moment_number", []*expr.Node{arg})
		if err != nil {
			return nil, err
		}
		arg = n
	}
	return b.coerce(arg, want)
}

// windowAgg types an aggregate used as a window function.
func (s *selecter) windowAgg(f *physical.WindowFunc) error {
	f.Name = fn.CanonicalAgg(f.Name)
	switch f.Name {
	case "group_concat", "json_arrayagg", "json_objectagg", "any_value":
		return refuse(strings.ToUpper(f.Name) + " as a window function")
	}
	in := types.ColumnType{}
	if f.Name == "count" && len(f.Args) == 1 && f.Args[0].Kind == expr.NodeConst && !f.Args[0].Value.Null {
		f.Args = nil
	}
	if len(f.Args) > 0 {
		in = f.Args[0].Type
	}
	want, result, _, err := fn.ResolveAgg(f.Name, in, false)
	if err != nil {
		return err
	}
	if result.Collation = types.CollationBinary; len(f.Args) > 0 && result.IsText() {
		result.Collation, _ = s.b.coercion(f.Args[0])
	}
	f.Type = result
	if len(f.Args) > 0 {
		f.Args[0], err = s.b.aggregated(f.Name, f.Args[0], want)
	}
	return err
}
