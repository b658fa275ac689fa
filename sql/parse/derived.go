package parse

import (
	"strings"
	"unicode/utf8"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"stele/sql/syntax"
)

// The MySQL parser takes the column list of a derived table, (SELECT ...) AS x (a, b), only behind LATERAL. Where it fails on
// one, the list is blanked, the alias marked with a character that nobody types, and the columns are put into the tree.

// derivedMark is the first of the private-use characters that mark aliases: three bytes in UTF-8, as "(a)" is at least.
const (
	derivedMark = '\ue000'
	derivedMax  = 1000
)

// derivedTable is one lifted column list.
type derivedTable struct {
	alias   string
	columns []CIStr
}

// liftDerived blanks the column lists of derived tables. No list found gives no tables.
func liftDerived(text string, mode syntax.Mode) (string, []derivedTable) {
	toks := syntax.Tokenize(text, mode)
	var out []byte
	var found []derivedTable
	var open []bool // for each open parenthesis: does it hold a query?
	for i := 0; i < len(toks); i++ {
		switch t := toks[i]; {
		case t.Is(text, "("):
			open = append(open, startsQuery(text, toks, i+1))
		case t.Is(text, ")") && len(open) > 0:
			query := open[len(open)-1]
			open = open[:len(open)-1]
			if !query || len(found) == derivedMax {
				continue
			}
			at := i + 1
			if at < len(toks) && toks[at].Is(text, "AS") {
				at++
			}
			d, end, ok := derivedColumns(text, mode, toks, at)
			if !ok {
				continue
			}
			if out == nil {
				out = []byte(text)
			}
			markAlias(out, text, toks[at], toks[end-1].End, derivedMark+rune(len(found)))
			found = append(found, d)
			i = end - 1
		}
	}
	if out == nil {
		return text, nil
	}
	return string(out), found
}

// startsQuery reports whether a query starts at token i, perhaps behind more parentheses.
func startsQuery(text string, toks []syntax.Token, i int) bool {
	for i < len(toks) && toks[i].Is(text, "(") {
		i++
	}
	return i < len(toks) && (toks[i].Is(text, "SELECT") || toks[i].Is(text, "WITH") || toks[i].Is(text, "VALUES") || toks[i].Is(text, "TABLE"))
}

// derivedColumns reads alias (a, b, ...) at token i and returns the token behind it.
func derivedColumns(text string, mode syntax.Mode, toks []syntax.Token, i int) (d derivedTable, end int, ok bool) {
	if i+3 >= len(toks) || !isName(text, toks[i]) || !toks[i+1].Is(text, "(") {
		return d, 0, false
	}
	d.alias = toks[i].Value(text, mode)
	for i += 2; i+1 < len(toks) && isName(text, toks[i]); i += 2 {
		d.columns = append(d.columns, ast.NewCIStr(toks[i].Value(text, mode)))
		if toks[i+1].Is(text, ")") {
			return d, i + 2, true
		}
		if !toks[i+1].Is(text, ",") {
			break
		}
	}
	return d, 0, false
}

// isName reports whether a token can only be an identifier.
func isName(text string, t syntax.Token) bool {
	return t.Kind == syntax.Quoted || t.Kind == syntax.Word && !isReserved(t.Text(text))
}

// markAlias writes the mark behind the alias and blanks up to end.
func markAlias(out []byte, text string, alias syntax.Token, end int, mark rune) {
	at := alias.End
	quote := ""
	if alias.Kind == syntax.Quoted {
		at--
		quote = text[at:alias.End]
	}
	for i := at; i < end; i++ {
		if c := text[i]; c != '\n' && c != '\r' {
			out[i] = ' '
		}
	}
	copy(out[at:], string(utf8.AppendRune(nil, mark))+quote)
}

// derivedAttacher puts the lifted column lists into the tree.
type derivedAttacher struct {
	tables []derivedTable
}

// Enter implements Visitor.
func (a *derivedAttacher) Enter(n Node) (Node, bool) {
	ts, ok := n.(*TableSource)
	if !ok {
		return n, false
	}
	mark, size := utf8.DecodeLastRuneInString(ts.AsName.O)
	i := int(mark - derivedMark)
	if i < 0 || i >= len(a.tables) {
		return n, false
	}
	if alias := strings.TrimSuffix(ts.AsName.O, ts.AsName.O[len(ts.AsName.O)-size:]); alias == a.tables[i].alias {
		ts.AsName, ts.ColumnNames = ast.NewCIStr(alias), a.tables[i].columns
	}
	return n, false
}

// Leave implements Visitor.
func (a *derivedAttacher) Leave(n Node) (Node, bool) { return n, true }
