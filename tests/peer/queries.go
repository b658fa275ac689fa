package peer

import (
	"fmt"
	"strings"
)

// Query is a random SELECT whose answer is one multiset of rows.
func (g *Grammar) Query() string {
	g.scopes, g.depth, g.grouped, g.keys = nil, 0, false, nil
	switch g.rnd.IntN(10) {
	case 0:
		return g.union()
	case 1:
		return g.windows()
	case 2:
		return g.derived()
	case 3, 4, 5:
		return g.aggregated()
	default:
		return g.plain()
	}
}

// from is a FROM clause with one to three tables; their aliases are in the innermost scope afterwards.
func (g *Grammar) from() string {
	level := len(g.scopes)
	g.scopes = append(g.scopes, nil)
	var b strings.Builder
	for n := range 1 + g.rnd.IntN(3) {
		alias := fmt.Sprintf("x%d%c", level, 'a'+n)
		table := Tables[g.rnd.IntN(3)].Name
		if g.chance(5) {
			table = "none"
		}
		if n == 0 {
			fmt.Fprintf(&b, "%s %s", table, alias)
			g.scopes[level] = []string{alias}
			continue
		}
		table = Tables[1+g.rnd.IntN(2)].Name // products stay small
		last := g.scopes[level][n-1]
		g.scopes[level] = append(g.scopes[level], alias)
		join := g.pick("JOIN", "LEFT JOIN", "RIGHT JOIN", "CROSS JOIN")
		fmt.Fprintf(&b, " %s %s %s", join, table, alias)
		if join != "CROSS JOIN" {
			fmt.Fprintf(&b, " ON %s.%s = %s.%s", last, g.pick("id", "i", "y", "u"), alias, g.pick("id", "i", "y", "u"))
			if g.chance(20) {
				fmt.Fprintf(&b, " AND %s", g.value(truth).sql)
			}
		}
	}
	return b.String()
}

func (g *Grammar) where() string {
	if g.chance(25) {
		return ""
	}
	return " WHERE " + g.value(truth).sql
}

func (g *Grammar) items() []expr {
	out := make([]expr, 1+g.rnd.IntN(4))
	for i := range out {
		out[i] = g.value(kind(g.rnd.IntN(int(kinds))))
	}
	return out
}

func (g *Grammar) plain() string {
	from := g.from()
	return fmt.Sprintf("SELECT %s%s FROM %s%s", g.pick("", "", "", "DISTINCT "), list(g.items()), from, g.where())
}

func (g *Grammar) aggregated() string {
	from := g.from()
	where := g.where()
	if !g.chance(25) {
		for range 1 + g.rnd.IntN(2) {
			g.keys = append(g.keys, g.columnOf(g.anyKind()))
		}
	}
	g.grouped = true
	items := append(append([]expr(nil), g.keys...), g.items()...)
	q := fmt.Sprintf("SELECT %s FROM %s%s", list(items), from, where)
	if len(g.keys) > 0 {
		q += " GROUP BY " + list(g.keys)
	}
	if g.chance(30) {
		q += " HAVING " + g.value(truth).sql
	}
	return q
}

func (g *Grammar) union() string {
	ks := make([]kind, 1+g.rnd.IntN(3))
	for i := range ks {
		ks[i] = g.anyKindBut(floating)
	}
	part := func() string {
		g.scopes = nil
		from := g.from()
		items := make([]expr, len(ks))
		for i, k := range ks {
			items[i] = g.settled(k)
		}
		return fmt.Sprintf("SELECT %s FROM %s%s", list(items), from, g.where())
	}
	return part() + g.pick(" UNION ", " UNION ALL ", " UNION ") + part()
}

// windows has frames whose answer does not depend on the order of equal rows: they are ordered by the key.
func (g *Grammar) windows() string {
	g.scopes = [][]string{{"w"}}
	over := fmt.Sprintf("OVER (PARTITION BY %s ORDER BY %s %s, w.id)", g.columnOf(g.anyKind()).sql, g.columnOf(g.anyKind()).sql, g.pick("", "DESC"))
	k := g.anyKind()
	call := g.pick("ROW_NUMBER()", "RANK()", "DENSE_RANK()", "COUNT(*)", "NTILE(3)", "PERCENT_RANK()", "CUME_DIST()",
		"SUM("+g.value(integer).sql+")", "AVG("+g.columnOf(exact).sql+")", "MIN("+g.value(k).sql+")",
		"LAG("+g.columnOf(k).sql+")", "LEAD("+g.columnOf(k).sql+", 2)", "FIRST_VALUE("+g.columnOf(k).sql+")", "LAST_VALUE("+g.columnOf(k).sql+")")
	return fmt.Sprintf("SELECT w.id, %s %s AS r, %s FROM %s w", call, over, list(g.items()), Tables[g.rnd.IntN(3)].Name)
}

func (g *Grammar) derived() string {
	inner := g.from()
	items := g.items()
	for i := range items {
		items[i].sql += fmt.Sprintf(" AS c%d", i)
	}
	sub := fmt.Sprintf("SELECT %s FROM %s%s", list(items), inner, g.where())
	cols := make([]string, len(items))
	for i := range cols {
		cols[i] = fmt.Sprintf("c%d", i)
	}
	if g.chance(50) {
		return fmt.Sprintf("WITH q AS (%s) SELECT c0, COUNT(*), MIN(c%d) FROM q GROUP BY c0", sub, len(cols)-1)
	}
	return fmt.Sprintf("SELECT %s, COUNT(*) OVER () FROM (%s) q WHERE c0 IS NOT NULL", strings.Join(cols, ", "), sub)
}
