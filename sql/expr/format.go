package expr

import (
	"fmt"
	"strings"
	"time"

	"stele/meta/types"
	sqltypes "stele/sql/types"
)

// String shows the expression with columns as $0, $1, …
func (n *Node) String() string {
	return Format(n, func(col int) string { return fmt.Sprintf("$%d", col) })
}

// Format shows the expression as SQL, for EXPLAIN; column names a column of the input. Timestamps are shown in UTC.
func Format(n *Node, column func(col int) string) string {
	var b strings.Builder
	format(&b, n, column)
	return b.String()
}

// infix holds the operators that stand between their arguments.
var infix = map[string]bool{
	"+": true, "-": true, "*": true, "/": true, "%": true, "div": true, "&": true, "|": true, "^": true, "<<": true, ">>": true,
	"=": true, "<=>": true, "!=": true, "<": true, "<=": true, ">": true, ">=": true, "and": true, "or": true, "xor": true,
	"like": true, "regexp": true,
}

func format(b *strings.Builder, n *Node, column func(int) string) {
	switch n.Kind {
	case NodeColumn:
		b.WriteString(column(n.Col))
		return
	case NodeConst:
		formatConst(b, n)
		return
	}
	list := func(args []*Node, sep string) {
		for i, a := range args {
			if i > 0 {
				b.WriteString(sep)
			}
			format(b, a, column)
		}
	}
	switch {
	case infix[n.Func] && len(n.Args) >= 2:
		b.WriteByte('(')
		list(n.Args, " "+strings.ToUpper(n.Func)+" ")
		b.WriteByte(')')
	case n.Func == "in" && len(n.Args) > 1:
		b.WriteByte('(')
		format(b, n.Args[0], column)
		b.WriteString(" IN (")
		list(n.Args[1:], ", ")
		b.WriteString("))")
	case n.Func == "cast" && len(n.Args) == 1:
		b.WriteString("CAST(")
		format(b, n.Args[0], column)
		b.WriteString(" AS " + sqltypes.TypeName(n.Type) + ")")
	case n.Func == "isnull" && len(n.Args) == 1:
		b.WriteByte('(')
		format(b, n.Args[0], column)
		b.WriteString(" IS NULL)")
	default:
		name := n.Func
		if n.Func == "neg" {
			name = "-"
		}
		b.WriteString(strings.ToUpper(name) + "(")
		list(n.Args, ", ")
		b.WriteByte(')')
	}
}

func formatConst(b *strings.Builder, n *Node) {
	switch {
	case n.Value.Null:
		b.WriteString("NULL")
	case n.Type.Kind == types.KindBool:
		b.WriteString(map[bool]string{true: "TRUE", false: "FALSE"}[n.Value.I != 0])
	case n.Type.IsNumeric():
		b.Write(sqltypes.AppendText(nil, n.Type, n.Value, time.UTC))
	case n.Type.Kind == types.KindVarBinary && !printable(n.Value.B):
		fmt.Fprintf(b, "x'%X'", n.Value.B)
	default:
		text := string(sqltypes.AppendText(nil, n.Type, n.Value, time.UTC))
		b.WriteString("'" + strings.ReplaceAll(text, "'", "''") + "'")
	}
}

// printable reports whether bytes are ASCII without control characters.
func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// NestedLevels is the CBOR nesting that an expression may need: two levels a node (its map and the array of its
// arguments). Whoever decodes a plan that holds expressions sets cbor.DecOptions.MaxNestedLevels to at least this, as
// the library's default of 32 refuses modest ones.
const NestedLevels = 2*MaxDepth + 64
