package peer

import (
	"fmt"
	"strings"
)

const maxDepth = 4

// value is an expression of a kind.
func (g *Grammar) value(k kind) expr {
	g.depth++
	defer func() { g.depth-- }()
	if g.depth >= maxDepth || g.chance(30) {
		return g.leaf(k)
	}
	return g.call(k)
}

func (g *Grammar) leaf(k kind) expr {
	if g.grouped {
		return g.groupedLeaf(k)
	}
	if k == truth || len(g.scopes) == 0 || g.chance(25) {
		if k == truth {
			return g.comparison()
		}
		return g.literal(k)
	}
	return g.columnOf(k)
}

// columnOf is a column of a kind, in seldom cases of an outer query.
func (g *Grammar) columnOf(k kind) expr {
	scope := g.scopes[len(g.scopes)-1]
	if len(g.scopes) > 1 && g.chance(20) {
		scope = g.scopes[g.rnd.IntN(len(g.scopes))]
	}
	var fit []column
	for _, c := range columns {
		if c.kind == k {
			fit = append(fit, c)
		}
	}
	c := fit[g.rnd.IntN(len(fit))]
	return expr{scope[g.rnd.IntN(len(scope))] + "." + c.name, k}
}

func (g *Grammar) groupedLeaf(k kind) expr {
	for _, i := range g.rnd.Perm(len(g.keys)) {
		if g.keys[i].kind == k && g.chance(60) {
			return g.keys[i]
		}
	}
	return g.aggregate(k)
}

// aggregate is an aggregate whose result is of a kind.
func (g *Grammar) aggregate(k kind) expr {
	g.grouped = false
	defer func() { g.grouped = true }()
	arg := func(k kind) string { return g.settled(k).sql }
	switch k {
	case integer:
		return expr{g.pick("COUNT(*)", "COUNT("+arg(g.anyKind())+")", "COUNT(DISTINCT "+arg(g.anyKind())+")", "MAX("+arg(integer)+")", "MIN("+arg(integer)+")"), k}
	case exact:
		return expr{g.pick("SUM("+arg(integer)+")", "SUM("+arg(exact)+")", "AVG("+g.columnOf(integer).sql+")", "AVG("+g.columnOf(exact).sql+")", "MAX("+arg(exact)+")", "SUM(DISTINCT "+arg(integer)+")"), k}
	case floating:
		return expr{g.pick("SUM("+arg(floating)+")", "AVG("+g.columnOf(floating).sql+")", "MIN("+arg(floating)+")"), k}
	case truth:
		return expr{"(COUNT(*) > " + g.literal(integer).sql + ")", k}
	default:
		return expr{g.pick("MIN", "MAX") + "(" + arg(k) + ")", k}
	}
}

// settled is a value whose digits do not depend on where a server keeps it meanwhile: quotients are rounded.
func (g *Grammar) settled(k kind) expr {
	e := g.value(k)
	if k == exact {
		e.sql = "ROUND(" + e.sql + ", 3)"
	}
	return e
}

func (g *Grammar) anyKind() kind { return kind(g.rnd.IntN(int(truth))) }

func (g *Grammar) number() string {
	return g.value(kind(g.rnd.IntN(int(floating)))).sql
}

func (g *Grammar) comparison() expr {
	k := g.anyKind()
	a := g.value(k).sql
	switch g.rnd.IntN(9) {
	case 0:
		return expr{fmt.Sprintf("(%s IS %sNULL)", a, g.pick("", "NOT ")), truth}
	case 1:
		return expr{fmt.Sprintf("(%s %sBETWEEN %s AND %s)", a, g.pick("", "NOT "), g.value(k).sql, g.value(k).sql), truth}
	case 2:
		return expr{fmt.Sprintf("(%s %sIN (%s, %s, %s))", g.settled(k).sql, g.pick("", "NOT "), g.literal(k).sql, g.literal(k).sql, g.value(k).sql), truth}
	case 3:
		return expr{fmt.Sprintf("(%s %sLIKE %s)", g.value(text).sql, g.pick("", "NOT "), g.pick("'a%'", "'%a%'", "'_'", "'%\\\\_%'", "''")), truth}
	case 4:
		return expr{fmt.Sprintf("(%s <=> %s)", a, g.value(k).sql), truth}
	default:
		return expr{fmt.Sprintf("(%s %s %s)", a, g.pick("=", "<>", "<", "<=", ">", ">="), g.value(k).sql), truth}
	}
}

// call is an operator or a function of a kind.
func (g *Grammar) call(k kind) expr {
	v := func(k kind) string { return g.value(k).sql }
	if g.chance(15) { // of every kind
		return expr{g.pick(
			fmt.Sprintf("COALESCE(%s, %s)", v(k), v(k)),
			fmt.Sprintf("IF(%s, %s, %s)", v(truth), v(k), v(k)),
			fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END", v(truth), v(k), v(k)),
			fmt.Sprintf("NULLIF(%s, %s)", g.settled(k).sql, g.settled(k).sql),
			fmt.Sprintf("%s(%s, %s)", g.pick("GREATEST", "LEAST"), v(k), v(k)),
		), k}
	}
	switch k {
	case integer:
		return expr{g.integerCall(v), k}
	case exact:
		return expr{g.pick(
			fmt.Sprintf("(%s %s %s)", v(exact), g.pick("+", "-", "*"), v(integer)),
			fmt.Sprintf("(%s %s %s)", v(exact), g.pick("+", "-"), v(exact)),
			fmt.Sprintf("(%s / %s)", v(integer), v(integer)),
			fmt.Sprintf("(%s / %s)", v(exact), v(exact)),
			fmt.Sprintf("ROUND(%s, %s)", v(exact), g.pick("0", "1", "2", "-1")),
			fmt.Sprintf("ABS(%s)", v(exact)),
			fmt.Sprintf("TRUNCATE(%s, %s)", v(exact), g.pick("0", "1", "-1")),
			fmt.Sprintf("CAST(%s AS DECIMAL(10,2))", v(integer)),
			fmt.Sprintf("(- %s)", v(exact)),
		), k}
	case floating:
		return expr{g.pick(
			fmt.Sprintf("(%s %s %s)", v(floating), g.pick("+", "-", "*", "/"), g.number()),
			fmt.Sprintf("SQRT(ABS(%s))", g.number()),
			fmt.Sprintf("EXP(%s / 100)", g.columnOrLiteral(integer)),
			fmt.Sprintf("ABS(%s)", v(floating)),
			fmt.Sprintf("POW(%s, 2)", v(floating)),
		), k}
	case text:
		return expr{g.textCall(v), k}
	case date:
		return expr{g.pick(
			fmt.Sprintf("DATE(%s)", v(moment)),
			fmt.Sprintf("LAST_DAY(%s)", v(date)),
			fmt.Sprintf("(%s %s INTERVAL %s %s)", v(date), g.pick("+", "-"), g.columnOrLiteral(integer), g.pick("DAY", "MONTH", "YEAR", "WEEK", "QUARTER")),
		), k}
	case moment:
		return expr{g.pick(
			fmt.Sprintf("(%s %s INTERVAL %s %s)", v(moment), g.pick("+", "-"), g.columnOrLiteral(integer), g.pick("SECOND", "MINUTE", "HOUR", "DAY", "MONTH")),
			fmt.Sprintf("TIMESTAMP(%s)", v(date)),
		), k}
	default:
		return g.logic()
	}
}

func (g *Grammar) columnOrLiteral(k kind) string {
	if g.grouped || len(g.scopes) == 0 || g.chance(40) {
		return g.literal(k).sql
	}
	return g.columnOf(k).sql
}

func (g *Grammar) integerCall(v func(kind) string) string {
	return g.pick(
		fmt.Sprintf("(%s %s %s)", v(integer), g.pick("+", "-", "*", "DIV", "%", "&", "|"), g.columnOrLiteral(integer)),
		fmt.Sprintf("(- %s)", v(integer)),
		fmt.Sprintf("%s(%s)", g.pick("LENGTH", "CHAR_LENGTH", "ASCII", "CRC32", "BIT_LENGTH"), v(text)),
		fmt.Sprintf("%s(%s)", g.pick("FLOOR", "CEIL", "ROUND", "SIGN"), v(exact)),
		fmt.Sprintf("%s(%s)", g.pick("YEAR", "MONTH", "DAYOFMONTH", "DAYOFWEEK", "DAYOFYEAR", "QUARTER", "WEEKDAY", "TO_DAYS", "WEEK"), v(date)),
		fmt.Sprintf("%s(%s)", g.pick("HOUR", "MINUTE", "SECOND", "YEAR"), v(moment)),
		fmt.Sprintf("DATEDIFF(%s, %s)", v(date), v(date)),
		fmt.Sprintf("TIMESTAMPDIFF(%s, %s, %s)", g.pick("DAY", "HOUR", "MONTH", "YEAR", "SECOND"), v(moment), v(moment)),
		fmt.Sprintf("LOCATE(%s, %s)", v(text), v(text)),
		fmt.Sprintf("INSTR(%s, %s)", v(text), v(text)),
		fmt.Sprintf("CAST(%s AS SIGNED)", v(exact)),
		fmt.Sprintf("FIELD(COALESCE(%s, 'n'), %s, %s)", v(text), v(text), v(text)), // MariaDB takes FIELD for NULL in outer joins
		fmt.Sprintf("FIND_IN_SET(%s, 'a,b,abc')", v(text)),
		fmt.Sprintf("INTERVAL(COALESCE(%s, 5), 0, 10, 100)", v(integer)),
		fmt.Sprintf("STRCMP(%s, %s)", v(text), v(text)),
		v(truth),
	)
}

func (g *Grammar) textCall(v func(kind) string) string {
	return g.pick(
		fmt.Sprintf("CONCAT(%s, %s)", v(text), v(g.anyKindBut(floating))),
		fmt.Sprintf("CONCAT_WS('-', %s, %s, %s)", v(text), v(integer), v(date)),
		fmt.Sprintf("%s(%s)", g.pick("UPPER", "LOWER", "TRIM", "LTRIM", "RTRIM", "REVERSE", "HEX", "MD5", "QUOTE"), v(text)),
		fmt.Sprintf("SUBSTRING(%s, %s, %s)", v(text), g.columnOrLiteral(integer), g.pick("1", "2", "5", "-1", "0")),
		fmt.Sprintf("SUBSTRING(%s FROM %s)", v(text), g.pick("1", "2", "-2", "0", "50")),
		fmt.Sprintf("%s(%s, %s)", g.pick("LEFT", "RIGHT"), v(text), g.pick("0", "1", "3", "-1", "99")),
		fmt.Sprintf("%s(%s, %s, 'xy')", g.pick("LPAD", "RPAD"), v(text), g.pick("0", "3", "8", "-1")),
		fmt.Sprintf("REPLACE(%s, %s, %s)", v(text), v(text), g.literal(text).sql), // with NULL they differ
		fmt.Sprintf("REPEAT(%s, %s)", v(text), g.pick("0", "2", "-1")),
		fmt.Sprintf("SUBSTRING_INDEX(%s, %s, %s)", v(text), g.pick("'a'", "'.'", "''", "'b'"), g.pick("1", "-1", "2", "0")),
		fmt.Sprintf("INSERT(%s, %s, 2, 'Q')", v(text), g.pick("0", "1", "2", "9")),
		fmt.Sprintf("DATE_FORMAT(%s, '%%Y/%%m/%%d %%H:%%i:%%s %%W %%j %%a %%b %%y %%e %%p')", v(moment)),
		fmt.Sprintf("CAST(%s AS CHAR)", v(g.anyKindBut(floating))),
		fmt.Sprintf("MONTHNAME(%s)", v(date)),
		fmt.Sprintf("HEX(%s)", v(integer)),
		fmt.Sprintf("CONV(%s, 10, 16)", g.columnOrLiteral(integer)),
		fmt.Sprintf("FORMAT(%s, 2)", v(exact)),
		fmt.Sprintf("ELT(%s, %s, %s)", g.columnOrLiteral(integer), v(text), v(text)),
		fmt.Sprintf("SPACE(%s)", g.pick("0", "2", "-1")),
		fmt.Sprintf("TRIM(%s 'a' FROM %s)", g.pick("LEADING", "TRAILING", "BOTH"), v(text)),
	)
}

func (g *Grammar) anyKindBut(not kind) kind {
	for {
		if k := g.anyKind(); k != not {
			return k
		}
	}
}

func (g *Grammar) logic() expr {
	v := func() string { return g.value(truth).sql }
	switch g.rnd.IntN(8) {
	case 0, 1:
		return expr{fmt.Sprintf("(%s AND %s)", v(), v()), truth}
	case 2, 3:
		return expr{fmt.Sprintf("(%s OR %s)", v(), v()), truth}
	case 4:
		return expr{fmt.Sprintf("(NOT %s)", v()), truth}
	case 5:
		return expr{fmt.Sprintf("(%s IS %s%s)", v(), g.pick("", "NOT "), g.pick("TRUE", "FALSE", "UNKNOWN")), truth}
	case 6:
		if !g.grouped && len(g.scopes) > 0 && g.depth < maxDepth {
			return g.subqueryTest()
		}
		return expr{fmt.Sprintf("(%s XOR %s)", v(), v()), truth}
	default:
		return g.comparison()
	}
}

// subqueryTest is a predicate with a subquery.
func (g *Grammar) subqueryTest() expr {
	k := g.anyKindBut(floating)
	left := g.value(k).sql
	alias := fmt.Sprintf("q%d", len(g.scopes))
	table := Tables[1+g.rnd.IntN(len(Tables)-1)].Name
	g.scopes = append(g.scopes, []string{alias})
	where := g.value(truth).sql
	_, name, _ := strings.Cut(g.columnOf(k).sql, ".")
	item := alias + "." + name // an aggregate of outer columns alone belongs to the outer query
	g.scopes = g.scopes[:len(g.scopes)-1]
	return expr{g.pick(
		fmt.Sprintf("(%s %sIN (SELECT %s FROM %s %s WHERE %s))", left, g.pick("", "NOT "), item, table, alias, where),
		fmt.Sprintf("(%sEXISTS (SELECT 1 FROM %s %s WHERE %s))", g.pick("", "NOT "), table, alias, where),
		fmt.Sprintf("(%s %s (SELECT %s(%s) FROM %s %s WHERE %s))", left, g.pick("=", "<", ">="), g.pick("MIN", "MAX"), item, table, alias, where),
		fmt.Sprintf("(%s %s %s (SELECT %s FROM %s %s WHERE %s))", left, g.pick("<", ">", "="), g.pick("ANY", "ALL"), item, table, alias, where),
	), truth}
}

func list(es []expr) string {
	out := make([]string, len(es))
	for i, e := range es {
		out[i] = e.sql
	}
	return strings.Join(out, ", ")
}
