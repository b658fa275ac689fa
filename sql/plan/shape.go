package plan

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
)

// limitBelow takes the first rows already before a join that keeps each left row at least once: of what an ORDER BY … LIMIT over the left
// side's columns yields, no more left rows are needed than rows are wanted.
func (b *binder) limitBelow(r *rel) *rel {
	if (r.op == opSort || r.op == opLimit) && r.limit > 0 && r.limit < 1<<62-r.offset {
		b.limitJoin(r)
	}
	for i, k := range r.kids {
		r.kids[i] = b.limitBelow(k)
	}
	return r
}

// limitJoin puts a sort with the limit of r below the left join that r takes its rows from, if that is what it does.
func (b *binder) limitJoin(r *rel) {
	keys := slices.Clone(r.keys)
	kid := r.kids[0]
	for kid.op == opProject && !hasVolatile(kid.items) {
		sub := itemsOf(kid)
		for i := range keys {
			keys[i].Expr = substitute(keys[i].Expr, sub)
		}
		kid = kid.kids[0]
	}
	if kid.op != opJoin || kid.kind != physical.JoinLeft && kid.kind != physical.JoinScalar {
		return
	}
	left := kid.kids[0]
	have := newSet(left.out...)
	for _, k := range keys {
		if !have.covers(k.Expr) || expr.IsVolatile(k.Expr) {
			return
		}
	}
	kid.kids[0] = &rel{op: r.op, kids: []*rel{left}, out: left.out, keys: keys, limit: r.limit + r.offset}
}

// splitOr reads a table by several keys at once: rows for which one of some conditions holds, each of which finds its rows by another
// key, are those of the first and those of the second that the first does not have.
func (b *binder) splitOr(r *rel) *rel {
	for i, k := range r.kids {
		r.kids[i] = b.splitOr(k)
	}
	if r.op != opFilter || r.kids[0].op != opScan || r.kids[0].picked {
		return r
	}
	scan := r.kids[0]
	if b.ctx.rows(scan.table.ID) < minSplitRows || slices.ContainsFunc(r.preds, func(p *expr.Node) bool { return b.byKey(p) >= 0 }) {
		return r // what another condition leaves is few already
	}
	for i, p := range r.preds {
		arms := disjuncts(p)
		if len(arms) < 2 || len(arms) > maxSplit || expr.IsVolatile(p) {
			continue
		}
		first, differ := b.byKey(arms[0]), false
		known := true
		for _, a := range arms {
			at := b.byKey(a)
			known, differ = known && at >= 0, differ || at != first
		}
		if known && differ {
			return b.unionOf(scan, slices.Delete(slices.Clone(r.preds), i, i+1), arms)
		}
	}
	return r
}

const (
	// minSplitRows is the size of a table from which on it is worth it to read it several times by keys.
	minSplitRows = 10_000
	// maxSplit bounds how often.
	maxSplit = 4
)

// byKey returns a column with a key of which a condition wants certain values, -1 = there is none.
func (b *binder) byKey(p *expr.Node) int {
	if isCall(p, "and") {
		for _, a := range p.Args {
			if at := b.byKey(a); at >= 0 {
				return at
			}
		}
		return -1
	}
	if !isCall(p, "=") && !isCall(p, "in") {
		return -1
	}
	args := p.Args
	if args[0].Kind == expr.NodeConst {
		args = []*expr.Node{args[1], args[0]}
	}
	if slices.ContainsFunc(args[1:], func(a *expr.Node) bool { return a.Kind != expr.NodeConst }) {
		return -1
	}
	if _, ok := b.keySelectivity(args[0]); !ok || args[0].Kind != expr.NodeColumn {
		return -1
	}
	return args[0].Col
}

// unionOf reads a table once for each arm of an OR, each time without the rows of the arms before.
func (b *binder) unionOf(scan *rel, preds, arms []*expr.Node) *rel {
	out := &rel{op: opUnion, out: scan.out}
	for i := range arms {
		kid := *scan
		kid.out = make([]int, len(scan.out))
		for n, id := range scan.out {
			kid.out[n] = b.newColumn(b.cols[id])
		}
		mine := append(slices.Clone(preds), arms[i])
		for _, before := range arms[:i] {
			mine = append(mine, expr.MustCall("not", expr.MustCall("istrue", before)))
		}
		for n, p := range mine {
			mine[n] = substitute(p, func(c *expr.Node) *expr.Node {
				if at := slices.Index(scan.out, c.Col); at >= 0 {
					return b.col(kid.out[at])
				}
				return nil
			})
		}
		out.kids, out.inputs = append(out.kids, filter(&kid, mine...)), append(out.inputs, kid.out)
	}
	return out
}

// prefixRanges adds to conditions over column ids the range of the texts that a LIKE wants, where its pattern begins with some characters
// and the column has a key, so that rows are found by that.
func (b *binder) prefixRanges(preds []*expr.Node) []*expr.Node {
	out := preds
	for _, p := range preds {
		if !isCall(p, "like") || len(p.Args) != 2 {
			continue
		}
		col, pattern := p.Args[0], p.Args[1]
		if col.Kind != expr.NodeColumn || pattern.Kind != expr.NodeConst || pattern.Value.Null ||
			col.Type.Kind != types.KindVarChar || col.Type.Collation != types.CollationBinary || b.cols[col.Col].table == nil || !b.leads(col.Col) {
			continue
		}
		prefix := pattern.Value.B
		if i := bytes.IndexAny(prefix, `%_\`); i >= 0 {
			prefix = prefix[:i]
		}
		if len(prefix) == 0 || !utf8.Valid(prefix) {
			continue
		}
		out = append(slices.Clone(out), expr.MustCall(">=", col, expr.ConstString(string(prefix))))
		if next := textAfter(prefix); next != nil {
			out = append(out, expr.MustCall("<", col, expr.ConstString(string(next))))
		}
	}
	return out
}

// leads reports whether a column comes first in a key.
func (b *binder) leads(id int) bool {
	c := b.cols[id]
	key := c.table.Schema.KeyIndexes()
	return b.indexed(id) || len(key) > 0 && key[0] == c.pos
}

// textAfter is a text behind all that begin with a prefix, nil = there is none.
func textAfter(prefix []byte) []byte {
	for len(prefix) > 0 {
		last, size := utf8.DecodeLastRune(prefix)
		prefix = prefix[:len(prefix)-size]
		if last++; last == 0xD800 {
			last = 0xE000 // what is between is no character
		}
		if last <= utf8.MaxRune {
			return utf8.AppendRune(slices.Clone(prefix), last)
		}
	}
	return nil
}
