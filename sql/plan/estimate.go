package plan

import (
	"math"
	"slices"
	"strings"

	"stele/meta/catalog"
	"stele/sql/expr"
	"stele/sql/fn"
	"stele/sql/physical"
)

// estimate guesses how many rows a rel yields.
func (b *binder) estimate(r *rel) float64 {
	switch r.op {
	case opScan:
		return b.ctx.rows(r.table.ID)
	case opValues:
		return float64(len(r.rows))
	case opSystem:
		return 100
	case opFilter:
		n := b.estimate(r.kids[0])
		for _, p := range r.preds {
			n *= b.selectivity(p)
		}
		return math.Max(1, n)
	case opAgg:
		if r.scalar {
			return 1
		}
		return math.Max(1, b.estimate(r.kids[0])/4)
	case opJoin:
		return b.estimateJoin(r)
	case opUnion:
		n := 0.0
		for _, k := range r.kids {
			n += b.estimate(k)
		}
		return n
	case opSort, opLimit:
		if r.limit >= 0 {
			return math.Max(1, math.Min(float64(r.limit), b.estimate(r.kids[0])))
		}
	}
	return b.estimate(r.kids[0])
}

func (b *binder) estimateJoin(r *rel) float64 {
	l := b.estimate(r.kids[0])
	switch {
	case isSemi(r.kind):
		return b.semiRows(r.kind, r.kids[0], r.kids[1], l, r.on, b.domainsOf(r.on))
	case r.kind == physical.JoinScalar || r.single:
		return l
	}
	n := b.joinRows(r.kids[0], r.kids[1], l, b.estimate(r.kids[1]), r.on, b.domainsOf(r.on))
	if r.kind == physical.JoinLeft {
		n = math.Max(n, l)
	}
	return n
}

// The usual guesses where nothing is measured.
const (
	selEqual = 0.05
	selRange = 0.3
	selLike  = 0.1
	selOther = 0.5
)

// selectivity guesses which part of the rows passes.
func (b *binder) selectivity(p *expr.Node) float64 {
	if p.Kind != expr.NodeCall {
		if isFalse(p) {
			return 0
		}
		return selOther
	}
	if strings.HasPrefix(p.Func, fn.CollationLike+":") {
		return selLike
	}
	switch p.Func {
	case "=":
		for _, a := range p.Args {
			if s, ok := b.keySelectivity(a); ok {
				return s
			}
		}
		return selEqual
	case "<", "<=", ">", ">=":
		return selRange
	case "!=":
		return 1 - selEqual
	case "like":
		return selLike
	case "in":
		if s, ok := b.keySelectivity(p.Args[0]); ok {
			return math.Min(selOther, s*float64(len(p.Args)-1))
		}
		return math.Min(selOther, selEqual*float64(len(p.Args)-1))
	case "and":
		s := 1.0
		for _, a := range p.Args {
			s *= b.selectivity(a)
		}
		return s
	case "or":
		s := 0.0
		for _, a := range p.Args {
			s += b.selectivity(a)
		}
		return math.Min(1, s)
	case "isnull":
		return selEqual
	}
	return selOther
}

// keySelectivity guesses which part of the rows has one value of a column, or of its key, that a key begins with.
func (b *binder) keySelectivity(e *expr.Node) (float64, bool) {
	if _, ok := keyOf(e); ok {
		e = e.Args[0]
	}
	if e.Kind != expr.NodeColumn || b.cols[e.Col].table == nil || !b.leadsPrimary(e.Col) && !b.indexed(e.Col) {
		return 0, false
	}
	return 1 / math.Max(1, b.distinctValues(e.Col)), true
}

// indexed reports whether a column has a secondary key of its own, or comes first in one.
func (b *binder) indexed(id int) bool {
	c := b.cols[id]
	at := c.table.Schema.Columns[c.pos].ID
	return slices.ContainsFunc(c.table.VisibleKeys(), func(k catalog.UniqueKey) bool { return k.Columns[0] == at })
}

// leadsPrimary reports whether a column comes first in the primary key of its table.
func (b *binder) leadsPrimary(id int) bool {
	c := b.cols[id]
	keys := c.table.Schema.KeyIndexes()
	return len(keys) > 0 && keys[0] == c.pos
}

// wholeKey reports whether a column alone is the primary key of its table.
func (b *binder) wholeKey(id int) bool {
	c := b.cols[id]
	if c.table == nil {
		return false
	}
	keys := c.table.Schema.KeyIndexes()
	return len(keys) == 1 && keys[0] == c.pos
}

// distinctValues guesses how many values a column has: a key column as many as rows, another a fraction of them.
func (b *binder) distinctValues(id int) float64 {
	c := b.cols[id]
	if c.table == nil {
		return 20
	}
	rows := b.ctx.rows(c.table.ID)
	if b.wholeKey(id) {
		return rows
	}
	for _, k := range c.table.Schema.KeyIndexes() {
		if k == c.pos {
			return math.Max(1, rows/4)
		}
	}
	return math.Max(1, math.Min(rows, math.Max(20, rows/50)))
}
