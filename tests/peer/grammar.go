// Package peer asks Stele and a MariaDB the same random questions: the answers must be the same rows.
//
// It owns the grammar: a seed gives tables, rows and queries, the same ones every time. Its test (build tag clients) runs
// both servers, compares, and prints each statement that the servers answer differently, with the seed that makes it
// again. The grammar leaves out where MariaDB and MySQL themselves differ.
package peer

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// kind is the class of an expression: what MySQL's typing rules tell apart.
type kind int

const (
	integer kind = iota
	exact
	floating
	text
	date
	moment
	truth
	kinds
)

// column is one column of a table.
type column struct {
	name string
	kind kind
	ddl  string
}

// columns are those of every table; tables differ in their rows.
var columns = []column{
	{"id", integer, "INT NOT NULL PRIMARY KEY"},
	{"i", integer, "INT"},
	{"b", integer, "BIGINT"},
	{"y", integer, "TINYINT NOT NULL"},
	{"u", integer, "INT UNSIGNED"},
	{"n", exact, "DECIMAL(12,3)"},
	{"m", exact, "DECIMAL(6,2) NOT NULL"},
	{"d", floating, "DOUBLE"},
	{"s", text, "VARCHAR(20)"},
	{"t", text, "VARCHAR(40) NOT NULL"},
	{"e", date, "DATE"},
	{"w", moment, "DATETIME"},
}

// Tables are the names of the tables, with the number of rows of each.
var Tables = []struct {
	Name string
	Rows int
}{{"big", 400}, {"mid", 60}, {"few", 7}, {"none", 0}}

// Grammar makes statements.
type Grammar struct {
	// Collation is that of the columns of text, "" = the default.
	Collation string

	rnd     *rand.Rand
	scopes  [][]string // aliases that an expression may name, innermost last
	depth   int
	grouped bool // aggregates are allowed, columns only as group keys
	keys    []expr
}

type expr struct {
	sql  string
	kind kind
}

// NewGrammar makes the statements of a seed.
func NewGrammar(seed uint64) *Grammar {
	return &Grammar{rnd: rand.New(rand.NewPCG(seed, 7))}
}

func (g *Grammar) pick(choices ...string) string { return choices[g.rnd.IntN(len(choices))] }

func (g *Grammar) chance(percent int) bool { return g.rnd.IntN(100) < percent }

// Schema is the statements that make and fill the tables.
func (g *Grammar) Schema() []string {
	var out []string
	for _, t := range Tables {
		defs := make([]string, len(columns))
		for i, c := range columns {
			defs[i] = c.name + " " + c.ddl
			if c.kind == text && g.Collation != "" {
				defs[i] += " COLLATE " + g.Collation
			}
		}
		out = append(out, fmt.Sprintf("CREATE TABLE %s (%s)", t.Name, strings.Join(defs, ", ")))
		for row := 0; row < t.Rows; row += 50 {
			var rows []string
			for id := row; id < min(row+50, t.Rows); id++ {
				rows = append(rows, g.row(id))
			}
			out = append(out, fmt.Sprintf("INSERT INTO %s VALUES %s", t.Name, strings.Join(rows, ", ")))
		}
	}
	return out
}

func (g *Grammar) row(id int) string {
	values := []string{fmt.Sprint(id)}
	for _, c := range columns[1:] {
		if !strings.Contains(c.ddl, "NOT NULL") && g.chance(15) {
			values = append(values, "NULL")
			continue
		}
		switch c.name {
		case "y":
			values = append(values, fmt.Sprint(g.rnd.IntN(11)-5))
		case "u":
			values = append(values, fmt.Sprint(g.rnd.IntN(100)))
		default:
			values = append(values, g.literal(c.kind).sql)
		}
	}
	return "(" + strings.Join(values, ", ") + ")"
}

var words = []string{"", "a", "A", "ab", "abc", "b", "Zeta", "alpha", "beta", "gamma", "10", "-3.5", "7x", " x ", "ß", "日本", "naïve", "%", "a_b", "2024-02-29"}

func (g *Grammar) literal(k kind) expr {
	switch k {
	case integer:
		return expr{g.pick("0", "1", "-1", "2", "3", "7", "10", "-42", "100", "65536", fmt.Sprint(g.rnd.IntN(1000)-500)), k}
	case exact:
		return expr{g.pick("0.0", "1.5", "-2.25", "0.001", "99.99", "-7.125", fmt.Sprintf("%d.%02d", g.rnd.IntN(200)-100, g.rnd.IntN(100))), k}
	case floating:
		return expr{g.pick("0e0", "1.5e0", "-2.25e1", "1e-3", "6.25e2"), k}
	case text:
		return expr{"'" + words[g.rnd.IntN(len(words))] + "'", k}
	case date:
		return expr{fmt.Sprintf("DATE '20%02d-%02d-%02d'", 20+g.rnd.IntN(6), 1+g.rnd.IntN(12), 1+g.rnd.IntN(28)), k}
	case moment:
		return expr{fmt.Sprintf("TIMESTAMP '20%02d-%02d-%02d %02d:%02d:%02d'", 20+g.rnd.IntN(6), 1+g.rnd.IntN(12), 1+g.rnd.IntN(28),
			g.rnd.IntN(24), g.rnd.IntN(60), g.rnd.IntN(60)), k}
	default:
		return expr{g.pick("TRUE", "FALSE", "NULL"), truth}
	}
}
