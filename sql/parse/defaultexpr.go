package parse

import "stele/sql/syntax"

// defaultExprs makes DEFAULT (expression) again of what was read as a generated column in its place.
func defaultExprs(n StmtNode, tail *syntax.TableTail) {
	if tail == nil || len(tail.Defaults) == 0 {
		return
	}
	switch n := n.(type) {
	case *CreateTableStmt:
		columnDefaults(n.Cols, tail)
	case *AlterTableStmt:
		for _, spec := range n.Specs {
			columnDefaults(spec.NewColumns, tail)
		}
	}
}

func columnDefaults(cols []*ColumnDef, tail *syntax.TableTail) {
	for _, c := range cols {
		if !tail.HasDefault(c.Name.Name.O) {
			continue
		}
		for _, o := range c.Options {
			if o.Tp == ColumnOptionGenerated {
				o.Tp, o.Expr = ColumnOptionDefaultValue, &ParenthesesExpr{Expr: o.Expr}
				break // a column that is generated, too, is refused for having both
			}
		}
	}
}
