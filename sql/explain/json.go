package explain

import (
	"bytes"
	"encoding/json"
	"strings"

	"stele/meta/types"
	"stele/sql/physical"
)

// Statement is what there is to be shown of a statement: its lines, and the operators in which tables are read.
type Statement struct {
	Lines []string
	Roots []*physical.Node
}

// shownTable is a table that is read, in the words of MySQL's EXPLAIN FORMAT=JSON.
type shownTable struct {
	Name      string   `json:"table_name"`
	Access    string   `json:"access_type"`
	Key       string   `json:"key,omitempty"`
	Columns   []string `json:"used_columns,omitempty"`
	Condition string   `json:"attached_condition,omitempty"`
}

type shownTables struct {
	Table *shownTable `json:"table"`
}

// shownBlock is the statement. Tools draw its tables; the operators are the lines of EXPLAIN.
type shownBlock struct {
	Select    int           `json:"select_id"`
	Message   string        `json:"message,omitempty"`
	Table     *shownTable   `json:"table,omitempty"`
	Joined    []shownTables `json:"nested_loop,omitempty"`
	Operators []string      `json:"operators"`
}

// JSON is the plan as EXPLAIN FORMAT=JSON answers it: what MySQL says of tables, where it has a word for it, and the operators as they are.
func (s *Statement) JSON(table func(types.TableID) string) (string, error) {
	block := shownBlock{Select: 1, Operators: s.Lines}
	for _, root := range s.Roots {
		for _, t := range readTables(root, table) {
			block.Joined = append(block.Joined, shownTables{t})
		}
	}
	switch len(block.Joined) {
	case 0:
		block.Message = "No tables used"
	case 1:
		block.Table, block.Joined = block.Joined[0].Table, nil
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(struct {
		Block shownBlock `json:"query_block"`
	}{block})
	return strings.TrimSuffix(out.String(), "\n"), err
}

// readTables are the tables that an operator and its inputs read, in the order of EXPLAIN.
func readTables(n *physical.Node, table func(types.TableID) string) (out []*shownTable) {
	if n == nil {
		return nil
	}
	switch {
	case n.Scan != nil:
		out = append(out, readTable(n.Scan, table))
	case n.System != nil:
		out = append(out, &shownTable{Name: n.System.Database + "." + n.System.Table, Access: "ALL"})
	case n.Recursive != nil:
		out = append(readTables(n.Recursive.Seed, table), readTables(n.Recursive.Step, table)...)
	}
	for _, k := range n.Children {
		out = append(out, readTables(k, table)...)
	}
	return out
}

func readTable(s *physical.Scan, table func(types.TableID) string) *shownTable {
	f := &s.Fragment
	out := &shownTable{Name: table(s.TableID), Access: "ALL"}
	for _, id := range f.Columns {
		out.Columns = append(out.Columns, f.Schema.Columns[f.Schema.ColumnIndex(id)].Name)
	}
	if f.Filter != nil {
		out.Condition = Expr(f.Filter, out.Columns)
	}
	switch {
	case s.Via != nil:
		out.Access, out.Key = "const", s.Via.Key
	case len(f.Keys) == 1:
		out.Access, out.Key = "const", "PRIMARY"
	case f.Keys != nil:
		out.Access, out.Key = "range", "PRIMARY"
	}
	return out
}
