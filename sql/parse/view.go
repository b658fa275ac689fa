package parse

import (
	"fmt"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/format"

	"stele/sql/syntax"
)

// ViewForm is what the MySQL parser does not tell of a statement that defines a view: it has no ALTER VIEW and takes no plain
// WITH CHECK OPTION for one.
type ViewForm struct {
	Alter bool
	// Check is CASCADED or LOCAL, "" without a CHECK OPTION.
	Check string
}

// viewWords is behind how many tokens VIEW stands at the latest: CREATE OR REPLACE ALGORITHM = x DEFINER = 'a'@'b' SQL SECURITY x VIEW.
const viewWords = 20

// liftView makes a CREATE VIEW that the MySQL parser takes of a CREATE or ALTER VIEW; nil is any other statement.
func liftView(sql string, mode syntax.Mode) (string, *ViewForm) {
	lx := syntax.NewLexer(sql, mode)
	first := lx.Next()
	if !first.Is(sql, "CREATE") && !first.Is(sql, "ALTER") {
		return sql, nil
	}
	for n := 0; n < viewWords; n++ {
		t := lx.Next()
		if t.Is(sql, "VIEW") {
			return rewriteView(sql, mode, first)
		}
		if n == 0 && !t.Is(sql, "OR") && !t.Is(sql, "ALGORITHM") && !t.Is(sql, "DEFINER") && !t.Is(sql, "SQL") {
			break
		}
	}
	return sql, nil
}

// rewriteView blanks the CHECK OPTION, and makes CREATE of ALTER.
func rewriteView(sql string, mode syntax.Mode, first syntax.Token) (string, *ViewForm) {
	form := &ViewForm{Alter: first.Is(sql, "ALTER")}
	toks := syntax.Tokenize(sql, mode)
	r := &repair{text: sql, mode: mode, toks: toks}
	if n := len(toks); r.is(n-2, "CHECK") && r.is(n-1, "OPTION") {
		form.Check = "CASCADED"
		from := n - 3
		if r.is(from, "LOCAL") || r.is(from, "CASCADED") {
			form.Check = strings.ToUpper(toks[from].Text(sql))
			from--
		}
		if !r.is(from, "WITH") {
			return sql, form // the parser says what is wrong
		}
		r.overwrite(toks[from].Start, toks[n-1].End, "")
		sql = string(r.out)
	}
	if form.Alter {
		sql = sql[:first.Start] + "CREATE" + sql[first.End:]
	}
	return sql, form
}

// viewFlags are how the query of a view is written: as MySQL does it, readable in any sql_mode that was the default when it is read.
const viewFlags = format.RestoreStringSingleQuotes | format.RestoreStringEscapeBackslash | format.RestoreKeyWordLowercase |
	format.RestoreNameBackQuotes | format.RestoreSpacesAroundBinaryOperation | format.RestoreStringWithoutDefaultCharset

// RestoreQuery writes a query as views keep it. It is to be read by ParseQuery.
func RestoreQuery(n Node) (string, error) {
	var b strings.Builder
	if err := n.Restore(format.NewRestoreCtx(viewFlags, &b)); err != nil {
		return "", fmt.Errorf("write %T as the query of a view: %w", n, err)
	}
	return b.String(), nil
}

// ParseQuery reads what RestoreQuery has written.
func ParseQuery(text string) (StmtNode, error) { return parseMySQL(text, text, 0) }

// ParseExpr reads an expression that RestoreQuery has written.
func ParseExpr(text string) (ExprNode, error) {
	n, err := ParseQuery("select " + text)
	if err != nil {
		return nil, err
	}
	if q, ok := n.(*SelectStmt); ok && q.From == nil && q.Fields != nil && len(q.Fields.Fields) == 1 && q.Fields.Fields[0].Expr != nil {
		return q.Fields.Fields[0].Expr, nil
	}
	return nil, fmt.Errorf("no expression: %s", text)
}

// WithoutDatabase writes a query without the name of a database; false when it has tables of others.
func WithoutDatabase(text, db string) (string, bool) {
	n, err := ParseQuery(text)
	if err != nil {
		return "", false
	}
	u := unqualifier{db: db, alone: true}
	n.Accept(&u)
	if !u.alone {
		return "", false
	}
	short, err := RestoreQuery(n)
	return short, err == nil
}

// unqualifier takes a database out of the names of a query.
type unqualifier struct {
	db    string
	alone bool // no other database was met
}

// Enter implements Visitor.
func (u *unqualifier) Enter(n Node) (Node, bool) {
	switch n := n.(type) {
	case *TableName:
		u.drop(&n.Schema)
	case *ColumnName:
		u.drop(&n.Schema)
	}
	return n, false
}

func (u *unqualifier) drop(schema *CIStr) {
	switch schema.O {
	case "":
	case u.db:
		*schema = ast.CIStr{}
	default:
		u.alone = false
	}
}

// Leave implements Visitor.
func (u *unqualifier) Leave(n Node) (Node, bool) { return n, true }
