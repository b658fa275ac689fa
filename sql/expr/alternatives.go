package expr

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"stele/sql/fn"
)

// limit is a range of integers, with the bias of their column.
type limit struct{ lo, hi int64 }

// newAlternatives turns `c BETWEEN 1 AND 5 OR c = 9 OR …` into a search among the ranges that pass, in place of a vector for each
// comparison. Alternatives of any other kind stay code.
func newAlternatives(c *code) predicate {
	whole := predicate{code: c}
	p := whole
	for _, arg := range alternatives(c, nil) {
		ps := predicates(arg)
		if len(ps) != 1 || !ps[0].fast {
			return whole
		}
		q := &ps[0]
		if p.fast && (q.col != p.col || q.bias != p.bias || q.phys != p.phys) {
			return whole
		}
		p.fast, p.col, p.bias, p.phys = true, q.col, q.bias, q.phys
		if q.null {
			continue // no row passes here
		}
		lo, hi, ok := q.limits()
		if !ok {
			return whole
		}
		p.ranges = append(p.ranges, limit{lo, hi})
	}
	p.ranges = union(p.ranges)
	p.null = len(p.ranges) == 0
	return p
}

// alternatives appends what an OR of ORs chooses from.
func alternatives(c *code, to []*code) []*code {
	if c.kind != NodeCall || c.call.Def.Lazy != fn.LazyOr {
		return append(to, c)
	}
	for _, arg := range c.args {
		to = alternatives(arg, to)
	}
	return to
}

// union sorts ranges and joins those that overlap or touch.
func union(rs []limit) []limit {
	slices.SortFunc(rs, func(a, b limit) int { return cmp.Compare(a.lo, b.lo) })
	out := rs[:0]
	for _, r := range rs {
		if n := len(out); n > 0 && (out[n-1].hi == math.MaxInt64 || r.lo <= out[n-1].hi+1) {
			out[n-1].hi = max(out[n-1].hi, r.hi)
			continue
		}
		out = append(out, r)
	}
	return out
}

// narrowRanges keeps the values in one of the ranges as narrowLoop does.
func narrowRanges(vals []int64, bias int64, rs []limit, sel, out []int32) int {
	k := 0
	keep := func(i int32) {
		x := vals[i] ^ bias
		at := sort.Search(len(rs), func(j int) bool { return x <= rs[j].hi })
		out[k] = i
		k += b2i(at < len(rs) && rs[at].lo <= x)
	}
	if sel == nil {
		for i := range vals {
			keep(int32(i))
		}
		return k
	}
	for _, i := range sel {
		keep(i)
	}
	return k
}
