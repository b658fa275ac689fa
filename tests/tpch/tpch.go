// Package tpch makes the eight tables of the TPC-H benchmark and holds its 22 queries.
//
// Data is in the spirit of the specification, not equal to that of its generator bit by bit: keys, sparse order numbers,
// dates, prices and the phrases that queries look for are distributed as the specification says, texts come from word
// lists of our own. The same scale gives the same rows on every machine and every run.
//
// Money is counted in cents, so that sums over the generated rows are exact and may be compared with what SQL says.
// The package keeps nothing: every call generates anew.
package tpch

import (
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Tables lists the tables in an order in which no row comes before one that it refers to.
var Tables = []string{"region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"}

// Data is a generated set of tables.
type Data struct{ Scale float64 }

func (d Data) count(atScaleOne int) int {
	return max(1, int(math.Round(float64(atScaleOne)*d.Scale)))
}

func (d Data) suppliers() int { return d.count(10_000) }
func (d Data) customers() int { return d.count(150_000) }
func (d Data) parts() int     { return d.count(200_000) }
func (d Data) orders() int    { return d.count(1_500_000) }
func (d Data) clerks() int    { return d.count(1_000) }

// Rows generates the rows of a table as SQL tuples "(1,'text',…)". A tuple is valid until the next one.
func (d Data) Rows(table string) iter.Seq[[]byte] {
	switch table {
	case "region":
		return d.regionRows
	case "nation":
		return d.nationRows
	case "supplier":
		return d.supplierRows
	case "customer":
		return d.customerRows
	case "part":
		return d.partRows
	case "partsupp":
		return d.partsuppRows
	case "orders":
		return func(yield func([]byte) bool) {
			var t tuple
			for o := range d.Orders() {
				if !yield(o.tuple(&t)) {
					return
				}
			}
		}
	case "lineitem":
		return func(yield func([]byte) bool) {
			var t tuple
			for o := range d.Orders() {
				for i := range o.Lines {
					if !yield(o.Lines[i].tuple(&t)) {
						return
					}
				}
			}
		}
	}
	panic("BUG: TPC-H has no table " + table)
}

// sources is where the planner's tests keep the queries and the schema, which both need.
func sources() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "sql", "plan", "testdata", "tpch")
}

// Queries is how many queries there are, numbered from 1.
const Queries = 22

// Query returns the text of query n.
func Query(n int) (string, error) {
	text, err := os.ReadFile(filepath.Join(sources(), "q"+strconv.Itoa(n)+".sql"))
	if err != nil {
		return "", fmt.Errorf("query %d: %w", n, err)
	}
	return strings.TrimSpace(string(text)), nil
}

// Schema returns the CREATE TABLE statements. With mysql, clauses that only Stele knows are left out.
func Schema(mysql bool) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(sources(), "schema.sql"))
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	var statements []string
	for statement := range strings.SplitSeq(string(text), ";\n") {
		if mysql {
			statement, _, _ = strings.Cut(statement, " DISTRIBUTED BY")
		}
		if statement = strings.TrimSpace(statement); statement != "" {
			statements = append(statements, strings.TrimSuffix(statement, ";"))
		}
	}
	return statements, nil
}
