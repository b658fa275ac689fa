package compare

import (
	"fmt"
	"strings"
)

// Grammar makes statements over its tables.
type Grammar struct {
	// Mix is how many expressions in a hundred are of another class than their place asks for.
	Mix int

	dice
	tables []table
	scopes [][]named // what an expression may name, innermost last
	depth  int
	alias  int
	// aggregates are allowed; columns then come only as these keys.
	grouped bool
	keys    []*part
}

// named is a column that a statement may name.
type named struct {
	name  string
	class class
}

const maxDepth = 3

// value is an expression that is at home with a class, or, seldom, one of any.
func (g *Grammar) value(c class) *part {
	if g.chance(g.Mix) {
		c = class(g.IntN(int(document)))
	}
	g.depth++
	defer func() { g.depth-- }()
	switch {
	case g.depth > maxDepth || g.chance(25):
		return g.simple(c)
	case g.chance(20):
		return g.choice(c)
	case g.chance(5) && !g.grouped:
		return tree(value, "(#)", g.condition())
	case g.chance(3) && !g.grouped && g.depth < maxDepth:
		return g.scalar(c)
	}
	switch c {
	case number:
		return g.numberCall()
	case text:
		return g.textCall()
	case moment:
		return g.momentCall()
	}
	return g.documentCall()
}

func (g *Grammar) any() *part { return g.value(class(g.IntN(int(document)))) }

// simple is a column or a literal.
func (g *Grammar) simple(c class) *part {
	if g.grouped {
		if len(g.keys) > 0 && g.chance(40) {
			return g.keys[g.IntN(len(g.keys))]
		}
		return g.aggregate(c)
	}
	if len(g.scopes) > 0 && g.chance(75) {
		if p := g.columnOf(c); p != nil {
			return p
		}
	}
	return leaf(value, g.literal(c))
}

func (g *Grammar) columnOf(c class) *part {
	scope := g.scopes[len(g.scopes)-1]
	if len(g.scopes) > 1 && g.chance(30) {
		scope = g.scopes[g.IntN(len(g.scopes))]
	}
	for _, i := range g.Perm(len(scope)) {
		if scope[i].class == c || c == classes {
			return leaf(value, scope[i].name)
		}
	}
	return nil
}

// literal is a constant of a class.
func (g *Grammar) literal(c class) string {
	switch c {
	case number:
		return g.pick("0", "1", "-1", "2", "3", "10", "100", "-42", "0.5", "-2.5", "1.005", "2.50", "1e0", "-1.5e1", "2147483648", "9223372036854775807", "18446744073709551615", "TRUE", "x'41'", "NULL", fmt.Sprint(g.IntN(40)))
	case text:
		return words[g.IntN(len(words))]
	case moment:
		return g.pick("DATE "+dates[g.IntN(len(dates))], "TIMESTAMP "+moments[g.IntN(4)], "TIME '12:34:56'", "TIME '-01:00:00.5'", dates[g.IntN(len(dates))], moments[g.IntN(len(moments))], "'0000-00-00'", "20240131", "NULL")
	default:
		return g.pick("'[1, 2, {\"a\": null}]'", "'{\"a\": 1, \"b\": [true, \"x\"]}'", "'[]'", "'{}'", "'1'", "'\"a\"'", "NULL")
	}
}

// choice is an operator that takes the class of its arguments.
func (g *Grammar) choice(c class) *part {
	v := func() *part { return g.value(c) }
	switch g.IntN(6) {
	case 0:
		return tree(value, "COALESCE(#, #)", v(), v())
	case 1:
		return tree(value, "IF(#, #, #)", g.condition(), v(), v())
	case 2:
		return tree(value, "CASE WHEN # THEN # ELSE # END", g.condition(), v(), v())
	case 3:
		return tree(value, "CASE # WHEN # THEN # END", v(), v(), v())
	case 4:
		return tree(value, "NULLIF(#, #)", v(), v())
	default:
		return tree(value, g.pick("GREATEST", "LEAST", "IFNULL")+"(#, #)", v(), v())
	}
}

// draw makes a call: a letter of a form stands for an argument, N a number, S a text, T a moment, J a document, A any, C a condition.
func (g *Grammar) draw(forms ...string) *part {
	form := forms[g.IntN(len(forms))]
	var parts []*part
	var out strings.Builder
	for i := 0; i < len(form); i++ {
		if form[i] != '$' || i+1 == len(form) || form[i+1] < 'A' || form[i+1] > 'Z' {
			out.WriteByte(form[i])
			continue
		}
		i++
		out.WriteByte('#')
		switch form[i] {
		case 'N':
			parts = append(parts, g.value(number))
		case 'I':
			parts = append(parts, leaf(value, g.pick("0", "1", "2", "3", "-1", "5", "NULL", "1.5", "'2'")))
		case 'S':
			parts = append(parts, g.value(text))
		case 'T':
			parts = append(parts, g.value(moment))
		case 'J':
			parts = append(parts, g.value(document))
		case 'P':
			parts = append(parts, leaf(fixed, g.pick("'$'", "'$.a'", "'$[0]'", "'$[2].a'", "'$.b[1]'", "'$.*'")))
		case 'C':
			parts = append(parts, g.condition())
		default:
			parts = append(parts, g.any())
		}
	}
	return tree(value, out.String(), parts...)
}

func (g *Grammar) numberCall() *part {
	return g.draw("($N + $N)", "($N - $N)", "($N * $N)", "($N / $N)", "($N DIV $N)", "($N % $N)", "(-$N)", "ABS($N)", "SIGN($N)", "FLOOR($N)", "CEIL($N)", "ROUND($N)", "ROUND($N, $I)",
		"TRUNCATE($N, $I)", "($N & $N)", "($N | $N)", "($N ^ $N)", "($N << $I)", "($N >> $I)", "(~$N)", "MOD($N, $N)", "POW($N, 2)", "SQRT(ABS($N))", "CRC32($A)", "LENGTH($A)", "CHAR_LENGTH($S)", "BIT_LENGTH($S)",
		"ASCII($S)", "ORD($S)", "LOCATE($S, $S)", "LOCATE($S, $S, $I)", "INSTR($S, $S)", "STRCMP($S, $S)", "FIELD($S, $S, $S)", "FIND_IN_SET($S, 'a,b,abc')", "INTERVAL($N, 0, 10, 100)", "BIT_COUNT($N)",
		"CAST($A AS SIGNED)", "CAST($A AS UNSIGNED)", "CAST($A AS DECIMAL(10,2))", "CAST($A AS DECIMAL(20,6))", "CAST($A AS DOUBLE)", "YEAR($T)", "MONTH($T)", "DAY($T)", "HOUR($T)", "MINUTE($T)", "SECOND($T)", "MICROSECOND($T)",
		"DAYOFWEEK($T)", "DAYOFYEAR($T)", "WEEKDAY($T)", "QUARTER($T)", "WEEK($T, $I)", "YEARWEEK($T)", "WEEKOFYEAR($T)", "TO_DAYS($T)", "TO_SECONDS($T)", "TIME_TO_SEC($T)", "UNIX_TIMESTAMP($T)", "DATEDIFF($T, $T)",
		"TIMESTAMPDIFF(DAY, $T, $T)", "TIMESTAMPDIFF(MONTH, $T, $T)", "TIMESTAMPDIFF(SECOND, $T, $T)", "EXTRACT(YEAR_MONTH FROM $T)", "EXTRACT(DAY_SECOND FROM $T)", "PERIOD_DIFF(202401, 202312)", "PERIOD_ADD(202401, $I)",
		"CONV($N, 10, 16) + 0", "($S + $N)", "($T + 0)", "($T - $T)", "JSON_LENGTH($J)", "JSON_VALID($A)", "JSON_DEPTH($J)", "JSON_CONTAINS($J, '1')", "JSON_EXTRACT($J, $P) + 1", "EXP($I)", "LN($N)", "LOG10($N)", "LOG2($N)",
		"SIN($I)", "ATAN2($I, $I)", "DEGREES($I)", "ISNULL($A)", "($N XOR $N)", "(NOT $N)", "(!$N)", "INET_ATON($S)", "REGEXP_INSTR($S, '[a-c]')", "OCTET_LENGTH($T)", "POSITION($S IN $S)", "ROUND($N, -2)", "ROUND($N, $N)", "TRUNCATE($N, -1)", "CAST(CAST($A AS CHAR) AS SIGNED)", "CAST(CAST($A AS DECIMAL(12,4)) AS UNSIGNED)", "CAST($T AS DECIMAL(20,3))",
		"(CAST($N AS UNSIGNED) - $N)", "MOD($N, 0.3)", "($S = $S)", "JSON_EXTRACT($J, '$[last]')", "CAST($S AS FLOAT)")
}

func (g *Grammar) textCall() *part {
	return g.draw("CONCAT($S, $A)", "CONCAT($A, $A)", "CONCAT_WS(',', $A, $S, $N)", "UPPER($S)", "LOWER($S)", "TRIM($S)", "LTRIM($S)", "RTRIM($S)", "TRIM(LEADING 'a' FROM $S)", "TRIM(BOTH $S FROM $S)", "REVERSE($S)", "HEX($A)",
		"UNHEX($S)", "MD5($A)", "QUOTE($A)", "SUBSTRING($S, $I)", "SUBSTRING($S, $I, $I)", "LEFT($S, $I)", "RIGHT($S, $I)", "LPAD($S, $I, 'xy')", "RPAD($S, 8, $S)", "REPLACE($S, 'a', $S)", "REPEAT($S, $I)", "SPACE($I)",
		"SUBSTRING_INDEX($S, 'a', $I)", "INSERT($S, $I, $I, 'Q')", "ELT($I, $S, $A)", "MAKE_SET($N, 'a', $S, 'c')", "EXPORT_SET($I, 'Y', 'N', ',', 4)", "FORMAT($N, $I)", "CAST($A AS CHAR)", "CAST($A AS CHAR(3))", "CAST($A AS BINARY)",
		"CONVERT($A USING utf8mb4)", "BIN($N)", "OCT($N)", "CONV($N, 10, 36)", "CHAR($N, 65 USING utf8mb4)", "TO_BASE64($S)", "FROM_BASE64(TO_BASE64($S))", "SHA1($A)", "SHA2($A, 256)", "SOUNDEX($S)", "DATE_FORMAT($T, '%Y-%m-%d %H:%i:%s.%f')",
		"DATE_FORMAT($T, '%a %b %c %e %j %k %l %p %r %T %U %u %V %v %W %w %X %x %y %%')", "TIME_FORMAT($T, '%H:%i:%s.%f %k %l %p')", "DAYNAME($T)", "MONTHNAME($T)", "JSON_UNQUOTE($J)", "JSON_TYPE($J)", "JSON_QUOTE($S)",
		"REGEXP_REPLACE($S, '[ab]', 'z')", "REGEXP_SUBSTR($S, '[a-z]+')", "INET_NTOA($N)", "JSON_VALUE($J, $P)", "BINARY $S", "CONCAT($N, '')", "CONCAT($T, '')", "SUBSTRING($S FROM $I FOR $I)", "MID($S, $I)", "CAST(CAST($S AS BINARY) AS CHAR)", "CAST(CAST($A AS DATE) AS CHAR)", "RTRIM(CONCAT($S, '  '))", "LPAD($A, 4, $S)", "FORMAT($N, 2)",
		"REGEXP_REPLACE($S, '^(.)(.*)$', 'x')", "REGEXP_SUBSTR($S, '[0-9]+')", "DATE_FORMAT($T, '%D %M %Y')", "CAST($S AS CHAR(2))", "JSON_UNQUOTE(JSON_EXTRACT($J, $P))")
}

func (g *Grammar) momentCall() *part {
	units := []string{"SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR", "MICROSECOND"}
	unit := units[g.IntN(len(units))]
	return g.draw("DATE($T)", "TIME($T)", "TIMESTAMP($T)", "TIMESTAMP($T, $T)", "LAST_DAY($T)", "($T + INTERVAL $I "+unit+")", "($T - INTERVAL $N "+unit+")", "DATE_ADD($T, INTERVAL $S HOUR_MINUTE)", "DATE_ADD($T, INTERVAL '1-1' YEAR_MONTH)",
		"DATE_SUB($T, INTERVAL '1 1:1:1.5' DAY_MICROSECOND)", "ADDDATE($T, $I)", "ADDTIME($T, $T)", "SUBTIME($T, $T)", "TIMEDIFF($T, $T)", "MAKEDATE($N, $N)", "MAKETIME($N, $I, $I)", "SEC_TO_TIME($N)", "FROM_DAYS($N)", "FROM_UNIXTIME($N)",
		"STR_TO_DATE($S, '%Y-%m-%d')", "STR_TO_DATE($S, '%H:%i:%s')", "CAST($A AS DATE)", "CAST($A AS DATETIME)", "CAST($A AS DATETIME(3))", "CAST($A AS TIME)", "CAST($A AS TIME(2))", "TIMESTAMPADD("+unit+", $I, $T)",
		"CONVERT_TZ($T, '+00:00', '+05:30')", "SUBDATE($T, INTERVAL $I DAY)", "DATE_ADD(LAST_DAY($T), INTERVAL $I MONTH)", "DATE_SUB($T, INTERVAL $N MONTH)", "DATE_ADD($T, INTERVAL '1 2' DAY_HOUR)", "DATE_ADD($T, INTERVAL $N YEAR_MONTH)",
		"DATE_ADD($T, INTERVAL '-1:30' MINUTE_SECOND)", "STR_TO_DATE($S, '%d.%m.%Y')", "CAST(CAST($T AS TIME) AS DATETIME)")
}

func (g *Grammar) documentCall() *part {
	return g.draw("JSON_EXTRACT($J, $P)", "JSON_ARRAY($N, $S)", "JSON_OBJECT('k', $A)", "JSON_KEYS($J)", "JSON_MERGE_PATCH($J, $J)", "JSON_SET($J, $P, $N)", "JSON_INSERT($J, $P, $S)", "JSON_REPLACE($J, $P, 1)", "JSON_REMOVE($J, '$.a')",
		"JSON_ARRAY_APPEND($J, '$', $N)", "JSON_MERGE_PRESERVE($J, $J)", "JSON_SEARCH($J, 'one', $S)", "JSON_CONTAINS_PATH($J, 'one', $P)", "JSON_ARRAY_INSERT($J, '$[0]', $N)", "JSON_SET($J, '$.c', $S)", "JSON_REMOVE($J, '$[0]')", "JSON_SEARCH($J, 'all', $S)")
}

// aggregate is an aggregate over the rows of a group.
func (g *Grammar) aggregate(c class) *part {
	g.grouped = false
	defer func() { g.grouped = true }()
	distinct := g.pick("", "", "DISTINCT ")
	switch g.IntN(10) {
	case 0:
		return leaf(value, "COUNT(*)")
	case 1:
		return tree(value, "COUNT("+distinct+"#)", g.any())
	case 2, 3:
		return tree(value, g.pick("SUM", "AVG")+"("+distinct+"#)", g.value(number))
	case 4:
		v := g.value(c)
		return tree(value, "GROUP_CONCAT("+distinct+"# ORDER BY #"+g.pick("", " DESC")+g.pick("", " SEPARATOR '|'")+")", v, v)
	case 5:
		return tree(value, g.pick("BIT_AND", "BIT_OR", "BIT_XOR")+"(#)", g.value(number))
	case 6:
		return tree(value, g.pick("STDDEV", "VARIANCE", "VAR_SAMP", "STDDEV_SAMP")+"(#)", g.value(number))
	default:
		return tree(value, g.pick("MIN", "MAX")+"("+distinct+"#)", g.value(c))
	}
}

// condition is a predicate.
func (g *Grammar) condition() *part {
	g.depth++
	defer func() { g.depth-- }()
	c := class(g.IntN(int(document)))
	v := func() *part { return g.value(c) }
	if g.depth <= maxDepth && g.chance(30) {
		switch g.IntN(4) {
		case 0:
			return tree(truth, "(# OR #)", g.condition(), g.condition())
		case 1:
			return tree(truth, "(NOT #)", g.condition())
		case 2:
			return tree(truth, "(# IS "+g.pick("", "NOT ")+g.pick("TRUE", "FALSE", "UNKNOWN")+")", g.condition())
		}
		return tree(truth, "(# AND #)", g.condition(), g.condition())
	}
	not := g.pick("", "NOT ")
	switch g.IntN(12) {
	case 0:
		return tree(truth, "(# IS "+not+"NULL)", v())
	case 1:
		return tree(truth, "(# "+not+"BETWEEN # AND #)", v(), v(), v())
	case 2:
		return tree(truth, "(# "+not+"IN (#))", v(), list(", ", 1, v(), v(), leaf(value, g.literal(c))))
	case 3:
		escape := g.pick("", "", "", " ESCAPE '|'", " ESCAPE ''")
		return tree(truth, "(# "+not+"LIKE #"+escape+")", g.value(text), leaf(value, g.pick("'a%'", "'%a%'", "'_'", "'%\\\\_%'", "''", "'A_'", "'%b'", "'1%'", "'%|_%'", "'|%'", "'a_ '", "'%||%'")))
	case 4:
		return tree(truth, "(# "+not+"REGEXP #)", g.value(text), leaf(value, g.pick("'^a'", "'[0-9]+'", "'b$'", "'a|x'", "'^.{2}$'")))
	case 5:
		return tree(truth, "(# <=> #)", v(), v())
	case 6:
		if !g.grouped && g.depth < maxDepth {
			return g.subqueryTest(c)
		}
		return tree(truth, "(#)", v())
	case 7:
		return tree(truth, "((#, #) "+g.pick("=", "<>", "<", ">=")+" (#, #))", v(), g.value(number), v(), g.value(number))
	default:
		return tree(truth, "(# "+g.pick("=", "<>", "<", "<=", ">", ">=")+" #)", v(), v())
	}
}
