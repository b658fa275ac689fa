package parse

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/format"
	"github.com/pingcap/tidb/pkg/parser/mysql"

	"stele/sql/errno"
	"stele/sql/syntax"
)

// Statement is one parsed statement. Exactly one of Node, Admin and Alter is set.
type Statement struct {
	// Text is the statement as given.
	Text string
	// Node is the MySQL parser's tree.
	Node StmtNode
	// Admin is set if a registered administrative syntax matched.
	Admin *Admin
	// Alter is set if the statement is an ALTER TABLE form that MySQL does not have.
	Alter *syntax.AlterTable
	// Tail goes with a CREATE TABLE (always) or ALTER TABLE (if it has foreign column types or DEFAULT (expression)).
	Tail *syntax.TableTail
	// Database goes with a CREATE DATABASE that has PROPERTIES.
	Database *syntax.DatabaseTail
	// Force is set for a DROP with FORCE.
	Force bool
	// View goes with a CREATE VIEW; that of an ALTER VIEW is the Node of a CREATE VIEW.
	View *ViewForm
	// Params are the question marks of Node in the order of the text.
	Params []*Param
}

// Admin is an administrative statement: the id it was registered under and its arguments.
type Admin struct {
	ID   string
	Args syntax.Args
}

// Parser parses statements. The zero value knows no administrative statement. It is safe for concurrent use.
type Parser struct {
	router *syntax.Router
}

// New returns a parser that knows the statements of a router, which must not change any more.
func New(router *syntax.Router) *Parser { return &Parser{router: router} }

// Parse parses one statement of MySQL's grammar with StarRocks' clauses, but no administrative ones.
func Parse(sql string, mode syntax.Mode) (Statement, error) {
	return (&Parser{}).Parse(sql, mode)
}

// Parse parses one statement; split a text of several first. A failure is a *syntax.Error.
func (p *Parser) Parse(sql string, mode syntax.Mode) (Statement, error) {
	st := Statement{Text: sql}
	if p.router != nil {
		if id, args, err, ours := p.router.Match(sql, mode); ours {
			if err == nil {
				st.Admin = &Admin{ID: id, Args: args}
			}
			return st, err
		}
	}
	sql, st.View = liftView(sql, mode)
	lifted, err := syntax.Lift(sql, mode)
	if err != nil {
		return st, err
	}
	text := sql
	if lifted != nil {
		st.Tail, st.Database, st.Alter, st.Force = lifted.Tail, lifted.Database, lifted.Alter, lifted.Force
		text = lifted.SQL
	}
	if st.Alter != nil {
		return st, nil
	}
	if st.Node, err = parseMySQL(sql, closeDialect(text, mode), mode); err != nil {
		return st, err
	}
	defaultExprs(st.Node, st.Tail)
	st.Params, err = numberParams(st.Node, sql, mode)
	return st, err
}

// parsers holds idle MySQL parsers: they are not safe for concurrent use and 18 KB each.
var parsers = sync.Pool{New: func() any { return parser.New() }}

// pooledBytesMax is the longest statement whose parser is kept: its stack grows with the statement and never shrinks.
const pooledBytesMax = 1 << 20

// parseMySQL runs the MySQL parser over text, which may be sql with parts blanked; errors are shown in sql.
func parseMySQL(sql, text string, mode syntax.Mode) (StmtNode, error) {
	if err := checkNesting(sql, mode); err != nil {
		return nil, err
	}
	p := parsers.Get().(*parser.Parser)
	if len(text) <= pooledBytesMax {
		defer parsers.Put(p)
	}
	p.SetSQLMode(mysqlMode(mode))
	nodes, err := parseRepaired(p, text, mode)
	if err != nil {
		if name := unknownStatement(sql, mode); name != "" {
			e := syntax.NotSupported(sql, 0, name)
			e.Msg = "This version of Stele doesn't yet support '" + name + "'"
			return nil, e
		}
		return nil, convertError(sql, text, mode, err)
	}
	switch len(nodes) {
	case 0:
		return nil, syntax.EmptyQuery()
	case 1:
		return nodes[0], nil // the slice is the parser's, the node is not
	default:
		at := len(nodes[0].OriginalText())
		lx := syntax.NewLexer(sql[at:], mode)
		return nil, syntax.NewError(sql, at+lx.Next().Start, "end of statement")
	}
}

// mysqlModes maps the switches to the parser's.
var mysqlModes = []struct {
	ours   syntax.Mode
	theirs mysql.SQLMode
}{
	{syntax.AnsiQuotes, mysql.ModeANSIQuotes},
	{syntax.NoBackslashEscapes, mysql.ModeNoBackslashEscapes},
	{syntax.PipesAsConcat, mysql.ModePipesAsConcat},
	{syntax.HighNotPrecedence, mysql.ModeHighNotPrecedence},
	{syntax.IgnoreSpace, mysql.ModeIgnoreSpace},
	{syntax.RealAsFloat, mysql.ModeRealAsFloat},
}

// mysqlMode translates a mode. The parser is strict about texts that are not valid in their charset.
func mysqlMode(mode syntax.Mode) mysql.SQLMode {
	m := mysql.ModeStrictTransTables
	for _, pair := range mysqlModes {
		if mode&pair.ours != 0 {
			m |= pair.theirs
		}
	}
	return m
}

// closeDialect turns the parser's own executable comments (/*T! ... */), which are plain comments to MySQL and to
// sql/syntax, into comments that the parser skips too.
func closeDialect(text string, mode syntax.Mode) string {
	const mark = "/*T!"
	if !strings.Contains(text, mark) {
		return text
	}
	out := []byte(text)
	lx := syntax.NewLexer(text, mode)
	for pos := 0; ; {
		t := lx.Next()
		end := t.Start
		if t.Kind == syntax.Invalid {
			end = t.End // an unclosed comment: unclosed it must stay
		}
		for gap := text[pos:end]; ; {
			i := strings.LastIndex(gap, mark)
			if i < 0 {
				break
			}
			out[pos+i+len(mark)-1] = ' '
			gap = gap[:i]
		}
		if t.Kind == syntax.EOF || t.Kind == syntax.Invalid {
			return string(out)
		}
		pos = t.End
	}
}

// nestingMax bounds how deep a statement may nest, by an upper estimate: tokens since the last comma, over all open
// parentheses. Walks over the tree recurse, at up to about 500 bytes of stack a level, and a Go process dies at 1 GB.
const nestingMax = 400_000

// checkNesting refuses statements that could nest too deep. Short ones cannot.
func checkNesting(sql string, mode syntax.Mode) error {
	if len(sql) <= nestingMax {
		return nil
	}
	lx := syntax.NewLexer(sql, mode)
	depth := 0
	var open []int // depth at each open parenthesis
	base := 0
	for {
		t := lx.Next()
		switch {
		case t.Kind == syntax.EOF || t.Kind == syntax.Invalid:
			return nil
		case t.Is(sql, "("):
			depth++
			open, base = append(open, base), depth
		case t.Is(sql, ")") && len(open) > 0:
			depth = base
			base, open = open[len(open)-1], open[:len(open)-1]
		case t.Is(sql, ","):
			depth = base
		default:
			depth++
		}
		if depth > nestingMax {
			return syntax.At(sql, t.Start, errno.NestedTooDeep, errno.State(errno.NestedTooDeep), fmt.Sprintf("Thread stack overrun: the statement nests deeper than %d levels", nestingMax))
		}
	}
}

// paramCollector finds the question marks of a tree.
type paramCollector struct {
	params []*Param
}

// Enter implements Visitor.
func (c *paramCollector) Enter(n Node) (Node, bool) {
	if p, ok := n.(*Param); ok {
		c.params = append(c.params, p)
	}
	return n, false
}

// Leave implements Visitor.
func (c *paramCollector) Leave(n Node) (Node, bool) { return n, true }

// numberParams numbers the question marks by their place: the tree is walked in another order. One that the walk does not
// reach stands where no value can be bound, and is refused rather than forgotten.
func numberParams(n StmtNode, sql string, mode syntax.Mode) ([]*Param, error) {
	if strings.IndexByte(sql, '?') < 0 {
		return nil, nil
	}
	var c paramCollector
	n.Accept(&c)
	slices.SortFunc(c.params, func(a, b *Param) int { return a.Offset - b.Offset })
	c.params = slices.CompactFunc(c.params, func(a, b *Param) bool { return a == b })
	lx := syntax.NewLexer(sql, mode)
	i := 0
	for t := lx.Next(); t.Kind != syntax.EOF && t.Kind != syntax.Invalid; t = lx.Next() {
		if t.Kind != syntax.Param {
			continue
		}
		if i == len(c.params) || c.params[i].Offset != t.Start {
			return nil, syntax.NewError(sql, t.Start, "a value: no parameter can stand here")
		}
		c.params[i].Order = i
		i++
	}
	return c.params, nil
}

// Restore writes a node as SQL, names in backquotes.
func Restore(n Node) (string, error) {
	var b strings.Builder
	if err := n.Restore(format.NewRestoreCtx(format.DefaultRestoreFlags|format.RestoreStringWithoutDefaultCharset, &b)); err != nil {
		return "", fmt.Errorf("write %T as sql: %w", n, err)
	}
	return b.String(), nil
}

var _ ast.Visitor = (*paramCollector)(nil)
