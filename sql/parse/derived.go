package parse

import (
	"strings"
	"unicode/utf8"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"stele/sql/syntax"
)

// derivedMark is the first of the private-use characters that mark the alias of a derived table whose column list was lifted:
// three bytes in UTF-8, as "(a)" is at least. Nobody types them, and the tree shows no other way which table is which.
const (
	derivedMark = '\ue000'
	derivedMax  = 1000
)

// derivedTables are the lifted column lists of derived tables; as a Visitor it puts them into the tree.
type derivedTables struct {
	tables []derivedTable
}

// derivedTable is one of them.
type derivedTable struct {
	alias   string
	columns []CIStr
}

// lift takes [AS] alias (a, b, ...) at token i, behind the parenthesis of a query.
func (d *derivedTables) lift(r *repair, i int) {
	if r.is(i, "AS") {
		i++
	}
	if !r.isName(i) || len(d.tables) == derivedMax {
		return
	}
	names, end := r.nameList(i + 1)
	if end == 0 {
		return
	}
	t := derivedTable{alias: r.value(i)}
	for _, n := range names {
		t.columns = append(t.columns, ast.NewCIStr(n))
	}
	mark := string(utf8.AppendRune(nil, derivedMark+rune(len(d.tables))))
	alias := r.toks[i]
	at := alias.End
	if alias.Kind == syntax.Quoted {
		at--
		mark += r.text[at:alias.End]
	}
	r.overwrite(at, r.toks[end-1].End, mark)
	d.tables = append(d.tables, t)
}

// Enter implements Visitor.
func (d *derivedTables) Enter(n Node) (Node, bool) {
	ts, ok := n.(*TableSource)
	if !ok {
		return n, false
	}
	mark, size := utf8.DecodeLastRuneInString(ts.AsName.O)
	i := int(mark - derivedMark)
	if i < 0 || i >= len(d.tables) {
		return n, false
	}
	if alias := ts.AsName.O[:len(ts.AsName.O)-size]; alias == d.tables[i].alias {
		ts.AsName, ts.ColumnNames = ast.NewCIStr(alias), d.tables[i].columns
	}
	return n, false
}

// Leave implements Visitor.
func (d *derivedTables) Leave(n Node) (Node, bool) { return n, true }

// rowAlias takes AS new [(a, b)] out of INSERT ... VALUES (...) AS new ON DUPLICATE KEY UPDATE.
func (r *repair) rowAlias() {
	if !r.is(0, "INSERT") {
		return
	}
	depth, values := 0, false
	for i := range r.toks {
		switch {
		case r.is(i, "("):
			depth++
		case r.is(i, ")"):
			depth--
		case depth > 0:
		case r.is(i, "SELECT"), r.is(i, "WITH"), r.is(i, "TABLE"):
			return
		case r.is(i, "VALUES"), r.is(i, "VALUE"), r.is(i, "SET"):
			values = true
		case values && r.is(i, "AS") && r.isName(i+1):
			r.liftRowAlias(i)
			return
		}
	}
}

// liftRowAlias lifts at AS.
func (r *repair) liftRowAlias(as int) {
	alias := rowAlias{name: strings.ToLower(r.value(as + 1)), text: r.text, offset: r.toks[as].Start}
	names, end := r.nameList(as + 2)
	if end == 0 {
		end = as + 2
	}
	if !r.is(end, "ON") || !r.is(end+1, "DUPLICATE") {
		return
	}
	for _, n := range names {
		alias.columns = append(alias.columns, strings.ToLower(n))
	}
	r.overwrite(alias.offset, r.toks[end-1].End, "")
	r.fix = append(r.fix, alias.attach)
}

// rowAlias rewrites the columns of the new row, new.a, to MySQL's older form VALUES(a).
type rowAlias struct {
	name    string
	columns []string // the alias's own names of the columns, in lower case
	insert  []CIStr  // the names of the table that they stand for
	text    string
	offset  int
}

// attach rewrites the assignments of an INSERT.
func (a rowAlias) attach(n StmtNode) error {
	ins, ok := n.(*InsertStmt)
	if !ok {
		return nil
	}
	for _, c := range ins.Columns {
		a.insert = append(a.insert, c.Name)
	}
	if len(a.columns) > 0 && len(a.columns) != len(a.insert) {
		return syntax.NotSupported(a.text, a.offset, "column aliases of a row without as many columns in INSERT INTO")
	}
	for _, set := range ins.OnDuplicate {
		expr, _ := set.Expr.Accept(&a)
		set.Expr = expr.(ExprNode)
	}
	return nil
}

// Enter implements Visitor.
func (a *rowAlias) Enter(n Node) (Node, bool) { return n, false }

// Leave implements Visitor.
func (a *rowAlias) Leave(n Node) (Node, bool) {
	c, ok := n.(*ColumnNameExpr)
	if !ok || c.Name.Schema.L != "" || c.Name.Table.L != "" && c.Name.Table.L != a.name {
		return n, true
	}
	name := c.Name.Name
	if len(a.columns) > 0 {
		found := false
		for i, own := range a.columns {
			if own == name.L {
				name, found = a.insert[i], true
			}
		}
		if !found {
			return n, true
		}
	} else if c.Name.Table.L == "" {
		return n, true
	}
	return &ValuesExpr{Column: &ColumnNameExpr{Name: &ColumnName{Name: name}}}, true
}
