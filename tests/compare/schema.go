package compare

import (
	"fmt"
	"strings"
)

// class is what a column holds, roughly: which functions are at home with it.
type class uint8

const (
	number class = iota
	text
	moment
	document
	classes
)

type column struct {
	name      string
	class     class
	ddl       string
	values    []string // literals that are nasty for it
	filled    string   // what a generated column or one of AUTO_INCREMENT says: it is not written to
	nullable  bool
	collation string
}

type table struct {
	name    string
	columns []column
	keys    []string // definitions of keys
	suffix  string   // partitions
	rows    int
}

// columnType is a type of columns with the values that try it.
type columnType struct {
	ddl    string
	class  class
	values []string
}

var (
	words       = []string{"''", "'a'", "'A'", "'ab'", "'AB '", "'b'", "' x'", "'x '", "'10'", "'1e1'", "'-3.5abc'", "'0x1F'", "'ß'", "'ss'", "'é'", "'E'", "'日本'", "'😀'", "'%'", "'a_b'", "'\\\\'", "'it''s'", "'2024-02-29'", "'12:34:56'", "'NULL'"}
	integers    = []string{"0", "1", "-1", "2", "7", "10", "99", "100", "127", "-128"}
	dates       = []string{"'2024-02-29'", "'1000-01-01'", "'9999-12-31'", "'2023-12-31'", "'1970-01-01'", "'2000-01-01'", "'2024-03-31'", "'2023-02-28'"}
	moments     = []string{"'2024-02-29 23:59:59'", "'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'", "'2001-09-09 01:46:40.5'", "'2024-01-31 12:00:00.499999'", "'2024-01-31'", "'1999-12-31 23:59:59.999999'"}
	columnTypes = []columnType{
		{"TINYINT", number, integers},
		{"SMALLINT UNSIGNED", number, []string{"0", "1", "65535", "7", "10", "300"}},
		{"MEDIUMINT", number, append([]string{"8388607", "-8388608"}, integers...)},
		{"INT", number, append([]string{"2147483647", "-2147483648"}, integers...)},
		{"INT", number, integers},
		{"INT UNSIGNED", number, []string{"0", "1", "4294967295", "2147483648", "7", "10"}},
		{"BIGINT", number, append([]string{"9223372036854775807", "-9223372036854775808"}, integers...)},
		{"BIGINT UNSIGNED", number, []string{"0", "1", "18446744073709551615", "9223372036854775808", "7", "2"}},
		{"BOOL", number, []string{"TRUE", "FALSE", "2"}},
		{"DECIMAL(10,2)", number, []string{"0.00", "-0.00", "1.50", "-2.25", "99999999.99", "-99999999.99", "0.01", "2.5", "3.5", "10"}},
		{"DECIMAL(30,10)", number, []string{"12345678901234567890.0123456789", "-0.0000000001", "1", "0.5", "-1.5", "99999999999999999999.9999999999"}},
		{"DECIMAL(5,0)", number, []string{"99999", "-99999", "0", "1", "2", "10"}},
		{"DOUBLE", number, []string{"0e0", "-0e0", "1.5e0", "2.5e0", "-3.5e0", "1e15", "1.7976931348623157e308", "1e-10", "0.1e0", "123456.789e0"}},
		{"FLOAT", number, []string{"0e0", "1.5e0", "-2.5e0", "0.25e0", "16777216e0"}},
		{"YEAR", number, []string{"1901", "2155", "2024", "0", "1970"}},
		{"BIT(5)", number, []string{"0", "1", "31", "b'10101'"}},
		{"VARCHAR(20)", text, words},
		{"VARCHAR(10)", text, words[:14]},
		{"CHAR(10)", text, words[:22]},
		{"TEXT", text, words},
		{"VARBINARY(20)", text, append([]string{"x'00ff'", "x'6100'"}, words...)},
		{"BINARY(4)", text, []string{"'a'", "'ab'", "x'00'", "'abcd'", "''"}},
		{"BLOB", text, words},
		{"ENUM('a','B','10','x y')", text, []string{"'a'", "'B'", "'10'", "'x y'"}},
		{"SET('a','b','c')", text, []string{"''", "'a'", "'a,c'", "'b,a'", "'a,b,c'"}},
		{"DATE", moment, dates},
		{"DATETIME", moment, moments},
		{"DATETIME(3)", moment, moments},
		{"DATETIME(6)", moment, moments},
		{"TIMESTAMP NULL", moment, []string{"'2024-02-29 23:59:59'", "'1970-01-02 00:00:01'", "'2037-12-31 23:59:59'", "'2001-09-09 01:46:40'"}},
		{"TIME", moment, []string{"'00:00:00'", "'-00:00:01'", "'838:59:59'", "'-838:59:59'", "'12:34:56'", "'23:59:59.5'"}},
		{"TIME(3)", moment, []string{"'00:00:00.001'", "'-12:00:00.5'", "'12:34:56.789'"}},
		{"JSON", document, []string{"'null'", "'[]'", "'{}'", "'1'", "'\"a\"'", "'[1, 2, {\"a\": null}]'", "'{\"a\": 1, \"b\": [true, \"x\"]}'", "'true'", "'1.5'"}},
	}
	collations = []string{"utf8mb4_general_ci", "utf8mb4_unicode_ci"}
)

// schema is random tables; the first column of each is a number by which rows differ.
func (g *Grammar) schema() {
	g.tables = nil
	for n := range 3 {
		t := table{name: fmt.Sprintf("t%d", n+1), rows: []int{30, 12, 5}[n]}
		t.columns = append(t.columns, column{name: "id", class: number, ddl: "INT NOT NULL", values: integers})
		for i := range 5 + g.IntN(5) {
			t.columns = append(t.columns, g.column(string(rune('a'+i))))
		}
		g.keysOf(&t)
		g.tables = append(g.tables, t)
	}
}

func (g *Grammar) column(name string) column {
	kind := columnTypes[g.IntN(len(columnTypes))]
	c := column{name: name, class: kind.class, ddl: kind.ddl, values: kind.values, nullable: true}
	if (strings.Contains(c.ddl, "CHAR") || c.ddl == "TEXT") && g.chance(40) {
		c.collation = collations[g.IntN(len(collations))]
		c.ddl += " COLLATE " + c.collation
	}
	if g.chance(30) && !strings.HasPrefix(c.ddl, "TIMESTAMP") {
		c.ddl, c.nullable = c.ddl+" NOT NULL", false
		if plainDefault(c) && g.chance(50) {
			c.ddl += " DEFAULT " + c.values[g.IntN(len(c.values))]
		}
	} else if plainDefault(c) && g.chance(20) {
		c.ddl += " DEFAULT " + c.values[g.IntN(len(c.values))]
	}
	return c
}

// plainDefault reports whether the type takes a literal as its default on both servers.
func plainDefault(c column) bool {
	for _, no := range []string{"TEXT", "BLOB", "JSON", "BINARY", "BIT", "FLOAT"} {
		if strings.Contains(c.ddl, no) {
			return false
		}
	}
	return true
}

// keysOf gives a table its keys, in some cases a generated column, AUTO_INCREMENT and partitions.
func (g *Grammar) keysOf(t *table) {
	switch {
	case g.chance(40):
		t.columns[0].ddl += " AUTO_INCREMENT"
		t.keys = append(t.keys, "PRIMARY KEY (id)")
	case g.chance(80):
		t.keys = append(t.keys, "PRIMARY KEY (id)")
		if g.chance(30) {
			t.suffix = " PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (5), PARTITION p1 VALUES LESS THAN (15), PARTITION p2 VALUES LESS THAN MAXVALUE)"
		}
	default:
		t.keys = append(t.keys, "UNIQUE KEY uid (id)")
	}
	for i := range t.columns[1:] {
		c := &t.columns[i+1]
		long := strings.Contains(c.ddl, "TEXT") || strings.Contains(c.ddl, "BLOB") || c.class == document
		if g.chance(20) && !long {
			t.keys = append(t.keys, fmt.Sprintf("KEY k%s (%s)", c.name, c.name))
		}
	}
	if g.chance(40) && t.suffix == "" {
		a := t.columns[1+g.IntN(len(t.columns)-1)]
		if a.class == number && a.ddl[0] != 'F' && a.ddl[0] != 'D' {
			t.columns = append(t.columns, column{name: "u", class: number, ddl: "INT", values: integers, nullable: true})
			t.keys = append(t.keys, "UNIQUE KEY uu (u)")
		}
	}
	if g.chance(30) {
		how := g.pick("VIRTUAL", "STORED")
		of := "IFNULL(LENGTH(w), -1) * 2"
		t.columns = append(t.columns, column{name: "w", class: text, ddl: "VARCHAR(20)", values: words, nullable: true},
			column{name: "v", class: number, ddl: "BIGINT AS (" + of + ") " + how, filled: "DEFAULT", nullable: true})
	}
}

// create is the statement that makes a table.
func (t *table) create() *part {
	var defs []string
	for _, c := range t.columns {
		defs = append(defs, c.name+" "+c.ddl)
	}
	defs = append(defs, t.keys...)
	return leaf(statement, fmt.Sprintf("CREATE TABLE %s (%s)%s", t.name, strings.Join(defs, ", "), t.suffix))
}

// fill is the statement that gives a table its first rows.
func (g *Grammar) fill(t *table) *part {
	var names []string
	for _, c := range t.columns {
		if c.filled == "" {
			names = append(names, c.name)
		}
	}
	rows := make([]*part, t.rows)
	for id := range rows {
		values := []*part{leaf(fixed, fmt.Sprint(id+1))}
		for _, c := range t.columns[1:] {
			switch {
			case c.filled != "":
			case c.name == "u":
				values = append(values, leaf(fixed, []string{fmt.Sprint(id * 3), "NULL"}[g.IntN(2)]))
			default:
				values = append(values, leaf(fixed, g.literalOf(c)))
			}
		}
		rows[id] = tree(fixed, "(#)", list(", ", len(values), values...))
	}
	return tree(statement, "INSERT INTO "+t.name+" ("+strings.Join(names, ", ")+") VALUES #", list(", ", 1, rows...))
}

func (g *Grammar) literalOf(c column) string {
	if c.nullable && g.chance(20) {
		return "NULL"
	}
	return c.values[g.IntN(len(c.values))]
}
