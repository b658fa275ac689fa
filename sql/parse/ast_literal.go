package parse

import "github.com/pingcap/tidb/pkg/parser/ast"

// The names that the grammar gives to the calls it makes of DATE '...', TIME '...' and TIMESTAMP '...'.
const (
	DateLiteral      = ast.DateLiteral
	TimeLiteral      = ast.TimeLiteral
	TimestampLiteral = ast.TimestampLiteral
)

// NewCIStr makes an identifier.
func NewCIStr(s string) CIStr { return ast.NewCIStr(s) }

// NewNumber makes a whole number.
func NewNumber(n int64) ast.ExprNode { return newLiteral(n, "", "") }
