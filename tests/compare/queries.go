package compare

import (
	"fmt"
	"strings"
)

// Query is a SELECT. Its rows are one multiset, whatever way a server takes; ordered says that they have one order.
func (g *Grammar) Query() *part {
	g.scopes, g.depth, g.grouped, g.keys = nil, 0, false, nil
	switch g.IntN(13) {
	case 0:
		return g.union()
	case 1, 2:
		return g.windows()
	case 3:
		return g.derived()
	case 4, 5, 6:
		return g.aggregated()
	case 7:
		return g.recursive()
	case 8:
		return g.natural()
	case 9, 10:
		return g.limited()
	default:
		return g.rows()
	}
}

func (g *Grammar) name() string {
	g.alias++
	return fmt.Sprintf("x%d", g.alias)
}

// from is a FROM clause; its columns are in a new innermost scope afterwards.
func (g *Grammar) from(most int) *part {
	g.scopes = append(g.scopes, nil)
	first, names := g.relation()
	out := first
	g.scopes[len(g.scopes)-1] = names
	for range g.IntN(most) {
		next, more := g.relation()
		left := g.scopes[len(g.scopes)-1]
		g.scopes[len(g.scopes)-1] = append(append([]named(nil), left...), more...)
		join := g.pick("JOIN", "LEFT JOIN", "RIGHT JOIN", "CROSS JOIN", "LEFT JOIN", "STRAIGHT_JOIN")
		if join == "CROSS JOIN" {
			out = tree(relation, "# CROSS JOIN #", out, next)
			continue
		}
		on := tree(truth, "# "+g.pick("=", "=", "=", "<=>", "<")+" #", leaf(value, left[g.IntN(len(left))].name), leaf(value, more[g.IntN(len(more))].name))
		out = tree(relation, "# "+join+" # ON ##", out, next, on, g.optional(" AND #", 25))
	}
	return out
}

func (g *Grammar) optional(text string, percent int) *part {
	if !g.chance(percent) {
		return leaf(fixed, "")
	}
	return maybe(text, g.condition())
}

// relation is a table or a derived one, with its columns.
func (g *Grammar) relation() (*part, []named) {
	alias := g.name()
	if g.chance(10) && g.depth < 2 {
		return g.derivedRelation(alias)
	}
	t := g.tables[g.IntN(len(g.tables))]
	var names []named
	for _, c := range t.columns {
		names = append(names, named{alias + "." + c.name, c.class})
	}
	return leaf(relation, t.name+" "+alias), names
}

func (g *Grammar) derivedRelation(alias string) (*part, []named) {
	outer, grouped, keys := g.scopes, g.grouped, g.keys
	g.scopes, g.grouped, g.keys = nil, false, nil
	g.depth += 2
	defer func() { g.scopes, g.grouped, g.keys = outer, grouped, keys; g.depth -= 2 }()
	from := g.from(2)
	var items []*part
	var names []named
	for i := range 3 {
		c := class(i % int(document))
		items = append(items, tree(fixed, fmt.Sprintf("# AS c%d", i), g.value(c)))
		names = append(names, named{fmt.Sprintf("%s.c%d", alias, i), c})
	}
	return tree(relation, "(SELECT "+g.pick("", "DISTINCT ")+"# FROM ##) "+alias, list(", ", 3, items...), from, g.optional(" WHERE #", 40)), names
}

func (g *Grammar) items(n int) []*part {
	out := make([]*part, n)
	for i := range out {
		if g.chance(15) {
			out[i] = tree(value, "#", g.condition())
			continue
		}
		out[i] = g.value(class(g.IntN(int(classes))))
	}
	return out
}

func (g *Grammar) rows() *part {
	from := g.from(3)
	return tree(statement, "SELECT "+g.pick("", "", "", "DISTINCT ")+"# FROM ##", list(", ", 1, g.items(1+g.IntN(4))...), from, g.optional(" WHERE #", 70))
}

// limited has an order that leaves no choice: the items are all there is to a row.
func (g *Grammar) limited() *part {
	from := g.from(2)
	items := g.items(1 + g.IntN(3))
	order := make([]string, len(items))
	for i := range order {
		order[i] = fmt.Sprint(i+1) + g.pick("", " DESC")
	}
	limit := g.pick("", "", " LIMIT 3", " LIMIT 2, 5", " LIMIT 0", " LIMIT 1")
	return tree(statement, "SELECT # FROM ## ORDER BY "+strings.Join(order, ", ")+"#", list(", ", len(items), items...), from, g.optional(" WHERE #", 50), &part{kind: fixed, text: limit, free: true})
}

func (g *Grammar) aggregated() *part {
	from := g.from(2)
	where := g.optional(" WHERE #", 50)
	by := list(", ", 1)
	for range g.IntN(3) {
		k := g.columnOf(classes)
		if g.chance(25) {
			k = g.value(class(g.IntN(int(document))))
		}
		g.keys = append(g.keys, k)
		by.parts = append(by.parts, k)
	}
	g.grouped = true
	items := append(append([]*part(nil), g.keys...), g.items(1+g.IntN(3))...)
	having := g.optional(" HAVING #", 25)
	group := leaf(fixed, "")
	if len(by.parts) > 0 {
		group = maybe(" GROUP BY #"+g.pick("", "", "", " WITH ROLLUP"), by)
	}
	return tree(statement, "SELECT # FROM ####", list(", ", 1, items...), from, where, group, having)
}

func (g *Grammar) union() *part {
	n := 1 + g.IntN(3)
	cs := make([]class, n)
	for i := range cs {
		cs[i] = class(g.IntN(int(document)))
	}
	side := func() *part {
		g.scopes = nil
		from := g.from(2)
		items := make([]*part, n)
		for i := range items {
			items[i] = g.value(cs[i])
		}
		return tree(query, "SELECT # FROM ##", list(", ", n, items...), from, g.optional(" WHERE #", 60))
	}
	op := func() string { return g.pick(" UNION ", " UNION ALL ", " EXCEPT ", " INTERSECT ") }
	if g.chance(30) {
		return tree(statement, "#"+op()+"#"+op()+"#", side(), side(), side())
	}
	return tree(statement, "#"+op()+"#", side(), side())
}

func (g *Grammar) windows() *part {
	t := &g.tables[g.IntN(len(g.tables))]
	from, id := leaf(relation, t.name+" w"), "w.id"
	g.scopes = [][]named{own(t, "w.")}
	frame := g.pick("", "", " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW", " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING", " ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING", " RANGE UNBOUNDED PRECEDING", " ROWS 1 PRECEDING")
	over := tree(fixed, "OVER (# ORDER BY #, "+id+frame+")", maybe("PARTITION BY #", g.columnOf(classes)), g.columnOf(classes))
	var call *part
	switch g.IntN(7) {
	case 5: // a frame by distance
		bound := func() string {
			return g.pick("1 PRECEDING", "3 PRECEDING", "CURRENT ROW", "2 FOLLOWING", "10 FOLLOWING")
		}
		between := g.pick("RANGE ", "RANGE ", "ROWS ") + "BETWEEN " + g.pick("UNBOUNDED PRECEDING", bound()) + " AND " + g.pick("UNBOUNDED FOLLOWING", bound())
		call = tree(fixed, g.pick("SUM", "COUNT", "MIN", "MAX", "FIRST_VALUE", "LAST_VALUE")+"(#)", g.value(number))
		over = tree(fixed, "OVER (# ORDER BY "+id+g.pick("", " DESC")+" "+between+")", maybe("PARTITION BY #", g.columnOf(classes)))
	case 6: // a window with a name, used twice
		call = tree(fixed, "NTH_VALUE(#, "+g.pick("1", "2", "5")+") OVER w1, "+g.pick("ROW_NUMBER()", "SUM(w.id)", "LAG(w.id)")+"", g.any())
		where := g.optional(" WHERE #", 30)
		return tree(statement, "SELECT "+id+", # OVER w1 AS r FROM ## WINDOW w1 AS (# ORDER BY #, "+id+")", call, from, where, maybe("PARTITION BY #", g.columnOf(classes)), g.columnOf(classes))
	case 0:
		call = leaf(fixed, g.pick("ROW_NUMBER()", "RANK()", "DENSE_RANK()", "COUNT(*)", "NTILE(3)", "PERCENT_RANK()", "CUME_DIST()"))
		if frame != "" {
			call = leaf(fixed, "COUNT(*)")
		}
	case 1:
		call = tree(fixed, g.pick("FIRST_VALUE", "LAST_VALUE")+"(#)", g.any())
	case 2:
		call = tree(fixed, g.pick("LAG", "LEAD")+"(#, "+g.pick("1", "2", "0")+")", g.any())
		over = tree(fixed, "OVER (# ORDER BY #, "+id+")", maybe("PARTITION BY #", g.columnOf(classes)), g.columnOf(classes))
	case 3:
		call = tree(fixed, g.pick("SUM", "AVG", "BIT_OR", "STDDEV")+"(#)", g.value(number))
	default:
		call = tree(fixed, g.pick("MIN", "MAX", "COUNT")+"(#)", g.any())
	}
	return tree(statement, "SELECT "+id+", # # AS r FROM ##", call, over, from, g.optional(" WHERE #", 30))
}

func (g *Grammar) derived() *part {
	r, names := g.derivedRelation("q")
	g.scopes = [][]named{names}
	if g.chance(40) {
		g.scopes = nil
		body, _ := g.derivedRelation("")
		g.scopes = [][]named{{{"q.c0", number}, {"q.c1", text}, {"q.c2", moment}}}
		return tree(statement, "WITH q AS # SELECT # FROM q#", body, list(", ", 1, g.items(2)...), g.optional(" WHERE #", 50))
	}
	return tree(statement, "SELECT # FROM ##", list(", ", 1, g.items(2)...), r, g.optional(" WHERE #", 50))
}

func (g *Grammar) recursive() *part {
	t := g.tables[g.IntN(len(g.tables))].name
	g.scopes = [][]named{{{"r.n", number}}}
	step := g.pick("n + 1", "n * 2 + 1", "n + 3")
	return tree(statement, "WITH RECURSIVE r AS (SELECT 1 AS n UNION "+g.pick("", "ALL ")+"SELECT "+step+" FROM r WHERE n < "+g.pick("5", "20")+") SELECT n, # FROM r LEFT JOIN "+t+" y ON y.id = r.n#", list(", ", 1, g.items(2)...), g.optional(" WHERE #", 40))
}

func (g *Grammar) natural() *part {
	a, b := g.tables[0], g.tables[1+g.IntN(2)]
	g.scopes = [][]named{{{"id", number}}}
	if g.chance(50) {
		return tree(statement, fmt.Sprintf("SELECT id, # FROM %s %sJOIN %s USING (id)#", a.name, g.pick("", "LEFT ", "RIGHT "), b.name), list(", ", 1, g.items(2)...), g.optional(" WHERE #", 50))
	}
	return tree(statement, fmt.Sprintf("SELECT * FROM (SELECT id, %s FROM %s) x NATURAL %sJOIN (SELECT id, %s AS z FROM %s) y#", a.columns[1].name, a.name, g.pick("", "LEFT ", "RIGHT "), b.columns[1].name, b.name), g.optional(" WHERE #", 50))
}

// inner makes a subquery's FROM and WHERE and an item of a class.
func (g *Grammar) inner(c class) (item, from, where *part) {
	level := len(g.scopes)
	defer func() { g.scopes = g.scopes[:level] }()
	from = g.from(1)
	where = g.optional(" WHERE #", 75)
	item = g.columnOf(classes)
	for _, n := range g.scopes[level] {
		if n.class == c && g.chance(60) {
			item = leaf(value, n.name)
		}
	}
	if own := item.text; !strings.HasPrefix(own, strings.SplitN(g.scopes[level][0].name, ".", 2)[0]+".") {
		item = leaf(value, g.scopes[level][0].name)
	}
	return item, from, where
}

// scalar is a subquery of one value.
func (g *Grammar) scalar(c class) *part {
	item, from, where := g.inner(c)
	return tree(value, "(SELECT "+g.pick("MIN", "MAX", "COUNT")+"(#) FROM ##)", item, from, where)
}

func (g *Grammar) subqueryTest(c class) *part {
	left := g.value(c)
	item, from, where := g.inner(c)
	switch g.IntN(4) {
	case 0:
		return tree(truth, "(# "+g.pick("", "NOT ")+"IN (SELECT # FROM ##))", left, item, from, where)
	case 1:
		return tree(truth, "("+g.pick("", "NOT ")+"EXISTS (SELECT 1 FROM ##))", from, where)
	case 2:
		return tree(truth, "(# "+g.pick("=", "<", ">=")+" (SELECT "+g.pick("MIN", "MAX")+"(#) FROM ##))", left, item, from, where)
	default:
		return tree(truth, "(# "+g.pick("<", ">", "=", "<>")+" "+g.pick("ANY", "ALL")+" (SELECT # FROM ##))", left, item, from, where)
	}
}
