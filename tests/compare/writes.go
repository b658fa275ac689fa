package compare

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// NewGrammar makes the tables of a seed.
func NewGrammar(seed uint64) *Grammar {
	g := &Grammar{Mix: 10, dice: dice{rand.New(rand.NewPCG(seed, 11))}}
	g.schema()
	return g
}

// Setup is the statements that make and fill the tables.
func (g *Grammar) Setup() []*part {
	var out []*part
	for i := range g.tables {
		out = append(out, g.tables[i].create(), g.fill(&g.tables[i]))
	}
	return out
}

// Write is a statement that changes rows.
func (g *Grammar) Write() *part {
	g.scopes, g.depth, g.grouped, g.keys = nil, 0, false, nil
	t := &g.tables[g.IntN(len(g.tables))]
	switch g.IntN(15) {
	case 0, 1, 2:
		return g.insert(t)
	case 3:
		return g.insertSelect(t)
	case 12:
		return g.upsertSelect(t)
	case 13:
		return g.updateFrom()
	case 14:
		return g.updateBySubquery(t)
	case 4, 5, 6:
		return g.update(t)
	case 7:
		return g.delete(t)
	case 8:
		return g.updateMany()
	case 9:
		return g.deleteMany()
	case 10:
		return g.upsert(t)
	default:
		return g.replace(t)
	}
}

// target draws some columns of a table that may be written to.
func (g *Grammar) target(t *table, all bool) []column {
	var out []column
	for _, c := range t.columns {
		if c.filled == "" && (all || g.chance(70)) {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		out = t.columns[:1]
	}
	return out
}

func names(cs []column) string {
	out := make([]string, len(cs))
	for i, c := range cs {
		out[i] = c.name
	}
	return strings.Join(out, ", ")
}

// assigned is what is written to a column: mostly what is at home there.
func (g *Grammar) assigned(c column) *part {
	switch {
	case c.name == "id" && len(g.scopes) == 0:
		return leaf(value, g.pick("NULL", "DEFAULT", "0", fmt.Sprint(g.IntN(45)), fmt.Sprint(g.IntN(45)), fmt.Sprint(g.IntN(45)), "-3"))
	case g.chance(70):
		return leaf(value, g.literalOf(c))
	case g.chance(15):
		return leaf(value, "DEFAULT")
	case g.chance(30):
		return leaf(value, g.pick("NULL", "''", "'abc'", "300", "-1", "1e30", "'12345678901234567890123'", "'2024-02-30'", "'0000-00-00'", "' 5 '", "'5x'", "0.5", "1.5", "2.5e0", "TRUE", "x'ff'", "'-0'", "99999999999"))
	}
	return g.value(c.class)
}

func (g *Grammar) values(cs []column) *part {
	rows := list(", ", 1)
	for range 1 + g.IntN(3) {
		row := make([]*part, len(cs))
		for i, c := range cs {
			row[i] = g.assigned(c)
		}
		rows.parts = append(rows.parts, tree(fixed, "(#)", list(", ", len(row), row...)))
	}
	return rows
}

func (g *Grammar) insert(t *table) *part {
	cs := g.target(t, g.chance(50))
	return tree(statement, "INSERT "+g.pick("", "", "IGNORE ")+"INTO "+t.name+" ("+names(cs)+") VALUES #", g.values(cs))
}

func (g *Grammar) replace(t *table) *part {
	cs := g.target(t, true)
	return tree(statement, "REPLACE INTO "+t.name+" ("+names(cs)+") VALUES #", g.values(cs))
}

func (g *Grammar) upsert(t *table) *part {
	cs := g.target(t, true)
	rows := g.values(cs)
	g.scopes = [][]named{own(t, "")}
	sets := list(", ", 1)
	for range 1 + g.IntN(2) {
		c := cs[g.IntN(len(cs))]
		v := g.assigned(c)
		if g.chance(50) {
			v = leaf(value, "VALUES("+cs[g.IntN(len(cs))].name+")")
		}
		sets.parts = append(sets.parts, tree(fixed, c.name+" = #", v))
	}
	return tree(statement, "INSERT "+g.pick("", "", "IGNORE ")+"INTO "+t.name+" ("+names(cs)+") VALUES # ON DUPLICATE KEY UPDATE #", rows, sets)
}

func own(t *table, prefix string) []named {
	var out []named
	for _, c := range t.columns {
		out = append(out, named{prefix + c.name, c.class})
	}
	return out
}

func (g *Grammar) insertSelect(t *table) *part {
	verb := g.pick("INSERT INTO", "INSERT IGNORE INTO", "REPLACE INTO")
	return g.rowsInto(verb, t, g.target(t, true))
}

// upsertSelect has rows of a query meet those of a table, and updates these by the new ones.
func (g *Grammar) upsertSelect(t *table) *part {
	cs := g.target(t, true)
	rows := g.rowsInto("INSERT INTO", t, cs)
	sets := list(", ", 1)
	for range 1 + g.IntN(2) {
		c := cs[g.IntN(len(cs))]
		v := leaf(value, "VALUES("+cs[g.IntN(len(cs))].name+")")
		if g.chance(30) {
			v = leaf(value, g.literalOf(c))
		}
		sets.parts = append(sets.parts, tree(fixed, t.name+"."+c.name+" = #", v))
	}
	return tree(statement, "# ON DUPLICATE KEY UPDATE #", rows, sets)
}

// rowsInto inserts rows of a query in the order of their numbers.
func (g *Grammar) rowsInto(verb string, t *table, cs []column) *part {
	from := g.from(1)
	items := make([]*part, len(cs))
	for i, c := range cs {
		if items[i] = g.columnOf(c.class); items[i] == nil || g.chance(15) {
			items[i] = g.value(c.class)
		}
	}
	items[0] = tree(value, "# + "+g.pick("0", "20", "100"), leaf(value, g.scopes[0][0].name))
	return tree(statement, verb+" "+t.name+" ("+names(cs)+") SELECT # FROM ## ORDER BY "+g.scopes[0][0].name, list(", ", len(items), items...), from, g.optional(" WHERE #", 60))
}

func (g *Grammar) sets(t *table, prefix string) *part {
	sets := list(", ", 1)
	for _, c := range g.target(t, false)[:1] {
		sets.parts = append(sets.parts, tree(fixed, prefix+c.name+" = #", g.assigned(c)))
	}
	for range g.IntN(3) {
		cs := g.target(t, true)
		c := cs[g.IntN(len(cs))]
		sets.parts = append(sets.parts, tree(fixed, prefix+c.name+" = #", g.assigned(c)))
	}
	return sets
}

func (g *Grammar) update(t *table) *part {
	g.scopes = [][]named{own(t, "")}
	order := g.pick("", "", " ORDER BY id", " ORDER BY id DESC LIMIT 3", " ORDER BY id LIMIT 1")
	return tree(statement, "UPDATE "+g.pick("", "", "IGNORE ")+t.name+" SET ##"+order, g.sets(t, ""), g.optional(" WHERE #", 85))
}

func (g *Grammar) delete(t *table) *part {
	g.scopes = [][]named{own(t, "")}
	return tree(statement, "DELETE FROM "+t.name+"#"+g.pick("", " ORDER BY id LIMIT 2", " ORDER BY id DESC LIMIT 1"), tree(fixed, " WHERE #", g.condition()))
}

// many is a join of two tables for statements that write to both.
func (g *Grammar) many() (a, b *table, on string) {
	p := g.Perm(len(g.tables))
	a, b = &g.tables[p[0]], &g.tables[p[1]]
	g.scopes = [][]named{append(own(a, "a."), own(b, "b.")...)}
	return a, b, fmt.Sprintf("%s a %sJOIN %s b ON a.id = b.id", a.name, g.pick("", "", "LEFT "), b.name)
}

func (g *Grammar) updateMany() *part {
	a, b, from := g.many()
	sets := g.sets(a, "a.")
	if g.chance(50) {
		sets = list(", ", 1, append(sets.parts, g.sets(b, "b.").parts...)...)
	}
	return tree(statement, "UPDATE "+g.pick("", "", "IGNORE ")+from+" SET ##", sets, g.optional(" WHERE #", 70))
}

// updateFrom updates the rows of a table by what a query makes of another one.
func (g *Grammar) updateFrom() *part {
	p := g.Perm(len(g.tables))
	a, b := &g.tables[p[0]], &g.tables[p[1]]
	g.scopes = [][]named{own(b, "y.")}
	g.grouped = true
	of := g.aggregate(number)
	g.grouped = false
	from := tree(fixed, "(SELECT y.id DIV "+g.pick("1", "2", "3")+" AS k, # AS m FROM "+b.name+" y GROUP BY k)", of)
	g.scopes = [][]named{own(a, "a.")}
	c := g.target(a, false)[0]
	return tree(statement, "UPDATE "+g.pick("", "IGNORE ")+a.name+" a "+g.pick("", "LEFT ")+"JOIN # b ON a.id = b.k SET a."+c.name+" = "+g.pick("b.m", "b.m", "COALESCE(b.m, a."+c.name+")")+"#",
		from, g.optional(" WHERE #", 40))
}

// updateBySubquery sets a column to what a query of another table finds for each row.
func (g *Grammar) updateBySubquery(t *table) *part {
	other := &g.tables[g.IntN(len(g.tables))]
	for other == t {
		other = &g.tables[g.IntN(len(g.tables))]
	}
	c := g.target(t, false)[0]
	g.scopes = [][]named{own(t, t.name+"."), own(other, "y.")}
	item := g.columnOf(c.class)
	if item == nil {
		item = leaf(value, "y.id")
	}
	of := tree(value, "(SELECT "+g.pick("MAX", "MIN", "COUNT")+"(#) FROM "+other.name+" y WHERE y.id "+g.pick("=", "<", ">=")+" "+t.name+".id#)", item, g.optional(" AND #", 40))
	g.scopes = [][]named{own(t, t.name+".")}
	return tree(statement, "UPDATE "+t.name+" SET "+c.name+" = ##"+g.pick("", " ORDER BY id LIMIT 4"), of, g.optional(" WHERE #", 60))
}

func (g *Grammar) deleteMany() *part {
	_, _, from := g.many()
	return tree(statement, "DELETE "+g.pick("a", "b", "a, b")+" FROM "+from+" WHERE #", g.condition())
}

// Step is a statement of a session that writes: a write, seldom one that begins, ends or marks a transaction.
func (g *Grammar) Step() *part {
	if g.chance(75) {
		return g.Write()
	}
	return leaf(statement, g.pick("START TRANSACTION", "COMMIT", "ROLLBACK", "SAVEPOINT a", "SAVEPOINT b", "ROLLBACK TO a", "ROLLBACK TO b", "RELEASE SAVEPOINT a", "SET autocommit = 0", "SET autocommit = 1"))
}
