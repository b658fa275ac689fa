package define

import (
	"slices"

	"stele/sql/errno"
	ast "stele/sql/parse"
	sqltypes "stele/sql/types"
)

// WithoutForeignKeys returns a CREATE or ALTER TABLE without the foreign keys that it adds, and a name for each that is left out: for a
// session that says that it can do without. The statement that is given stays as it is: others may be about to run it.
func WithoutForeignKeys(n ast.Node) (ast.Node, []string) {
	var left []string
	switch stmt := n.(type) {
	case *ast.CreateTableStmt:
		out := *stmt
		out.Constraints = slices.DeleteFunc(slices.Clone(stmt.Constraints), func(c *ast.Constraint) bool {
			return c.Tp == ast.ConstraintForeignKey && noteLeft(&left, keyName(c))
		})
		out.Cols = slices.Clone(stmt.Cols)
		for i, def := range out.Cols {
			out.Cols[i] = withoutReference(def, &left)
		}
		return &out, left
	case *ast.AlterTableStmt:
		out := *stmt
		out.Specs = nil
		for _, spec := range stmt.Specs {
			if !foreignKeySpec(spec, &left) {
				out.Specs = append(out.Specs, withoutReferences(spec, &left))
			}
		}
		return &out, left
	}
	return n, nil
}

// foreignKeySpec tells whether a clause of ALTER TABLE adds a foreign key.
func foreignKeySpec(spec *ast.AlterTableSpec, left *[]string) bool {
	return spec.Tp == ast.AlterTableAddConstraint && spec.Constraint.Tp == ast.ConstraintForeignKey && noteLeft(left, keyName(spec.Constraint))
}

// withoutReferences takes the REFERENCES from the columns of a clause.
func withoutReferences(spec *ast.AlterTableSpec, left *[]string) *ast.AlterTableSpec {
	out := *spec
	out.NewConstraints = slices.DeleteFunc(slices.Clone(spec.NewConstraints), func(c *ast.Constraint) bool {
		return c.Tp == ast.ConstraintForeignKey && noteLeft(left, keyName(c))
	})
	out.NewColumns = slices.Clone(spec.NewColumns)
	for i, def := range out.NewColumns {
		out.NewColumns[i] = withoutReference(def, left)
	}
	return &out
}

// withoutReference takes the REFERENCES from a column.
func withoutReference(def *ast.ColumnDef, left *[]string) *ast.ColumnDef {
	out := *def
	out.Options = slices.DeleteFunc(slices.Clone(def.Options), func(o *ast.ColumnOption) bool {
		return o.Tp == ast.ColumnOptionReference && noteLeft(left, def.Name.Name.O)
	})
	return &out
}

// keyName names a foreign key, by its first column when it was given no name.
func keyName(c *ast.Constraint) string {
	if c.Name == "" && len(c.Keys) > 0 && c.Keys[0].Column != nil {
		return c.Keys[0].Column.Name.O
	}
	return c.Name
}

// noteLeft adds a name to what is left out.
func noteLeft(left *[]string, name string) bool {
	*left = append(*left, name)
	return true
}

// refuseForeignKey names the way out.
func refuseForeignKey() *sqltypes.Error {
	return errorf(errno.NotSupported, "'FOREIGN KEY' is refused because foreign_key_definitions is REFUSE; ENFORCE has foreign keys kept and checked, and LEAVE_OUT has definitions accepted without them")
}
