package plan

import (
	"slices"
	"strings"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/fn"
	"stele/sql/physical"
)

// byCollation has the operators of a query group, sort, partition and aggregate text by the keys of its collation, and takes COLLATE out
// of all expressions. What is shown of a group is a text of it.
func (b *binder) byCollation(r *rel) (*rel, error) {
	if !b.collates {
		return r, nil
	}
	for i, k := range r.kids {
		kid, err := b.byCollation(k)
		if err != nil {
			return nil, err
		}
		r.kids[i] = kid
	}
	out := r
	var err error
	switch r.op {
	case opSort:
		err = b.sortByKeys(r.keys)
	case opAgg:
		out, err = b.aggregateByKeys(r)
	case opWindow:
		out, err = b.windowByKeys(r)
	case opSetOp:
		err = b.comparesBytes(r)
	}
	if err != nil {
		return nil, err
	}
	strip(out)
	if out != r {
		strip(r)
	}
	return out, nil
}

// strip takes COLLATE out of the expressions of a rel.
func strip(r *rel) {
	r.eachExpr(func(e **expr.Node) { *e = withoutCollate(*e) })
}

func withoutCollate(n *expr.Node) *expr.Node {
	if n == nil || n.Kind != expr.NodeCall {
		return n
	}
	if strings.HasPrefix(n.Func, fn.Collate+":") {
		return withoutCollate(n.Args[0])
	}
	var args []*expr.Node
	for i, a := range n.Args {
		x := withoutCollate(a)
		if x != a && args == nil {
			args = slices.Clone(n.Args)
		}
		if args != nil {
			args[i] = x
		}
	}
	if args == nil {
		return n
	}
	out := *n
	out.Args = args
	return &out
}

// comparesBytes refuses EXCEPT and INTERSECT over text that compares otherwise.
func (b *binder) comparesBytes(r *rel) error {
	for _, id := range r.out {
		if c := b.cols[id].typ.Collation; c != types.CollationBinary {
			return refuse(strings.ToUpper(r.setop.Name) + " over text of collation " + c.String() + " (COLLATE utf8mb4_bin)")
		}
	}
	return nil
}

func (b *binder) sortByKeys(keys []expr.SortKey) error {
	for i := range keys {
		var err error
		if keys[i].Expr, err = b.keyed(keys[i].Expr); err != nil {
			return err
		}
	}
	return nil
}

// shownAgain collects the projection over an operator whose columns are not all what its users know.
type shownAgain struct {
	b     *binder
	items []item
	some  bool
}

// over puts the projection on a rel, if there is need for one.
func (s *shownAgain) over(r *rel, out []int) *rel {
	if !s.some {
		return r
	}
	have := map[int]bool{}
	for _, it := range s.items {
		have[it.id] = true
	}
	var items []item
	for _, id := range out {
		if !have[id] {
			items = append(items, item{id, s.b.col(id)})
		}
	}
	return project(r, append(items, s.items...))
}

// text has column id be the text of a pair, and returns the column of the pair.
func (s *shownAgain) text(id int, t types.ColumnType) (int, error) {
	pair := s.b.newColumn(column{name: s.b.cols[id].name, typ: types.ColumnType{Kind: types.KindVarBinary}})
	x, err := s.b.textOf(s.b.col(pair), t)
	if err != nil {
		return 0, err
	}
	s.items, s.some = append(s.items, item{id, x}), true
	return pair, nil
}

// aggregateByKeys groups by keys.
func (b *binder) aggregateByKeys(r *rel) (*rel, error) {
	show := &shownAgain{b: b}
	known := slices.Clone(r.out)
	if err := b.distinctByKeys(r); err != nil {
		return nil, err
	}
	for i, g := range r.items {
		key, err := b.keyed(g.expr)
		if err != nil {
			return nil, err
		}
		if key == g.expr {
			continue
		}
		r.items[i] = item{b.newColumn(column{typ: key.Type}), key}
		r.aggs = append(r.aggs, aggItem{g.id, expr.AggFunc{Name: "any_value", Arg: g.expr, Type: nullable(g.expr.Type)}})
		show.some = true
	}
	for i := range r.aggs {
		a := &r.aggs[i]
		if err := b.sortByKeys(a.fn.Order); err != nil {
			return nil, err
		}
		if !extreme(a.fn.Name, a.fn.Arg) {
			continue
		}
		pair, err := b.pairOf(a.fn.Arg)
		if err != nil {
			return nil, err
		}
		id, err := show.text(a.id, a.fn.Type)
		if err != nil {
			return nil, err
		}
		a.id, a.fn.Arg, a.fn.Type = id, pair, b.cols[id].typ
	}
	out := aggregate(r.kids[0], r.items, r.aggs)
	out.scalar = r.scalar
	strip(out)
	return show.over(out, known), nil
}

func nullable(t types.ColumnType) types.ColumnType {
	t.NotNull = false
	return t
}

// extreme reports whether an aggregate compares text that does not compare by its bytes.
func extreme(name string, arg *expr.Node) bool {
	return (name == "min" || name == "max") && arg != nil && arg.Type.IsText() && arg.Type.Collation != types.CollationBinary && arg.Type.Collation != mixedCollation
}

// pairOf is the key of a text with the text.
func (b *binder) pairOf(n *expr.Node) (*expr.Node, error) {
	return b.by(fn.CollationPair, n.Type.Collation, bare([]*expr.Node{n})[0])
}

// distinctByKeys has DISTINCT aggregates take one of the texts that are equal: COUNT counts keys, GROUP_CONCAT gets the first row of each
// key in its group, which a window numbers.
func (b *binder) distinctByKeys(r *rel) error {
	for i := range r.aggs {
		f := &r.aggs[i].fn
		if !f.Distinct || f.Arg == nil {
			continue
		}
		key, err := b.keyed(f.Arg)
		if err != nil {
			return err
		}
		if key == f.Arg {
			continue
		}
		if f.Name != "group_concat" {
			f.Arg = key
			continue
		}
		if err := b.firstOfKeys(r, f, key); err != nil {
			return err
		}
	}
	return nil
}

func (b *binder) firstOfKeys(r *rel, f *expr.AggFunc, key *expr.Node) error {
	var by []*expr.Node
	for _, g := range r.items {
		k, err := b.keyed(g.expr)
		if err != nil {
			return err
		}
		by = append(by, withoutCollate(k))
	}
	t := types.ColumnType{Kind: types.KindBigInt, Unsigned: true, NotNull: true}
	number := winItem{b.newColumn(column{name: "row_number", typ: t}), physical.WindowFunc{Name: "row_number", Type: t}}
	in := r.kids[0]
	r.kids[0] = &rel{op: opWindow, kids: []*rel{in}, out: append(slices.Clone(in.out), number.id), partition: append(by, withoutCollate(key)),
		windows: []winItem{number}}
	first, err := b.call("=", b.col(number.id), constInt(1))
	if err != nil {
		return err
	}
	text := f.Arg
	arg, err := b.call("case", first, text, constNull(text.Type))
	if err != nil {
		return err
	}
	f.Arg, f.Distinct = arg, false
	return nil
}

// windowByKeys partitions and sorts by keys.
func (b *binder) windowByKeys(r *rel) (*rel, error) {
	for i := range r.partition {
		var err error
		if r.partition[i], err = b.keyed(r.partition[i]); err != nil {
			return nil, err
		}
	}
	if err := b.sortByKeys(r.keys); err != nil {
		return nil, err
	}
	show := &shownAgain{b: b}
	known := slices.Clone(r.out)
	for i := range r.windows {
		w := &r.windows[i]
		if len(w.fn.Args) == 0 || !extreme(w.fn.Name, w.fn.Args[0]) {
			continue
		}
		pair, err := b.pairOf(w.fn.Args[0])
		if err != nil {
			return nil, err
		}
		id, err := show.text(w.id, w.fn.Type)
		if err != nil {
			return nil, err
		}
		r.out = slices.Clone(r.out)
		r.out[slices.Index(r.out, w.id)] = id
		w.id, w.fn.Args, w.fn.Type = id, []*expr.Node{pair}, b.cols[id].typ
	}
	strip(r)
	return show.over(r, known), nil
}
