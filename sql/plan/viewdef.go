package plan

import (
	"fmt"
	"slices"
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	ast "stele/sql/parse"
	"stele/sql/syntax"
)

// maxColumnName is the longest name that a column of a view gets from the text of its expression.
const maxColumnName = 64

// DefineView checks the query of a CREATE VIEW and returns the view with its columns and its query: every name qualified and every
// * written out, so that it means the same in any session and stays what it is when tables get more columns. replaced is the view
// whose place it takes, 0 = none. The statement's tree is changed.
func DefineView(ctx *Context, stmt *ast.CreateViewStmt, replaced types.TableID) (*catalog.View, error) {
	if err := checkViewQuery(stmt.Select); err != nil {
		return nil, err
	}
	b := newBinder(ctx)
	b.meaning = newMeaning()
	b.replaces = replaced
	out, err := b.query(stmt.Select, nil, nil)
	if err != nil {
		return nil, err
	}
	names, err := viewNames(out, stmt.Cols)
	if err != nil {
		return nil, err
	}
	b.meaning.write(stmt.Select)
	named := nameFields(stmt.Select, names)
	v := &catalog.View{Columns: names, Algorithm: catalog.ViewAlgorithm(stmt.Algorithm), Invoker: stmt.Security == ast.SecurityInvoker}
	if v.Query, err = ast.RestoreQuery(stmt.Select); err != nil {
		return nil, err
	}
	if !named {
		v.Query = selectNamed(v.Query, names)
	}
	return v, checkWritten(ctx, v, replaced)
}

// checkViewQuery refuses what the query of a view cannot have.
func checkViewQuery(q ast.Node) error {
	var err error
	ast.Inspect(q, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.VariableExpr, *ast.Param:
			err = errorf(errno.ViewVariable, "View's SELECT contains a variable or parameter")
		case *ast.SelectStmt:
			if n.SelectIntoOpt != nil {
				err = errorf(errno.ViewClause, "View's SELECT contains a 'INTO' clause")
			}
			n.LockInfo = nil // rows are not locked by reading a view
		}
		return err == nil
	})
	return err
}

// viewNames are the names of a view's columns: those that are declared, else those of the query.
func viewNames(out queryOut, declared []ast.CIStr) ([]string, error) {
	if len(declared) > 0 && len(declared) != len(out.fields) {
		return nil, errorf(errno.ViewColumns, "In definition of view, derived table or common table expression, SELECT list and column names list have different column counts")
	}
	seen := map[string]bool{}
	names := make([]string, len(out.fields))
	for i, f := range out.fields {
		switch names[i] = f.name; {
		case len(declared) > 0:
			names[i] = declared[i].O
		case f.name == "" || len([]rune(f.name)) > maxColumnName:
			names[i] = fmt.Sprintf("Name_exp_%d", i+1)
		}
		key := ast.NewCIStr(names[i]).L
		if seen[key] {
			return nil, errorf(errno.DuplicateColumn, "Duplicate column name '%s'", names[i])
		}
		seen[key] = true
	}
	return names, nil
}

// nameFields gives the fields of a query, of its first member if it has several, their names. VALUES have nowhere to put them.
func nameFields(q ast.Node, names []string) bool {
	switch q := q.(type) {
	case *ast.SetOprStmt:
		return nameFields(q.SelectList, names)
	case *ast.SetOprSelectList:
		return nameFields(q.Selects[0], names)
	case *ast.SelectStmt:
		if q.Kind == ast.SelectStmtKindValues {
			return false
		}
		for i, f := range q.Fields.Fields {
			f.AsName = ast.NewCIStr(names[i])
		}
	}
	return true
}

// selectNamed wraps a query that cannot name its columns.
func selectNamed(query string, names []string) string {
	var list, out []string
	for _, n := range names {
		list, out = append(list, syntax.QuoteName(n)), append(out, "`_`."+syntax.QuoteName(n)+" as "+syntax.QuoteName(n))
	}
	return "select " + strings.Join(out, ",") + " from (" + query + ") as `_`(" + strings.Join(list, ", ") + ")"
}

// checkWritten refuses a query that would not be read again as what it was.
func checkWritten(ctx *Context, v *catalog.View, replaced types.TableID) error {
	q, err := ast.ParseQuery(v.Query)
	if err != nil {
		return fmt.Errorf("read the query of the view again: %w", err)
	}
	again, err := ast.RestoreQuery(q)
	if err != nil {
		return err
	}
	b := newBinder(ctx)
	b.fullGroupBy = false
	b.replaces = replaced
	out, err := b.query(q, nil, nil)
	if err != nil {
		return fmt.Errorf("plan the query of the view again: %w", err)
	}
	if again != v.Query || len(out.fields) != len(v.Columns) {
		return refuse("a view of a query that is not written as it is read: " + v.Query)
	}
	return nil
}

// meaning gathers what the names of a query mean while it is bound.
type meaning struct {
	columns  map[*ast.ColumnName]scopeColumn
	tables   map[*ast.TableName]string // their databases
	fields   map[*ast.SelectStmt][]*ast.SelectField
	naturals map[*ast.Join][]string // the columns that a NATURAL JOIN is by
}

func newMeaning() *meaning {
	return &meaning{columns: map[*ast.ColumnName]scopeColumn{}, tables: map[*ast.TableName]string{}, fields: map[*ast.SelectStmt][]*ast.SelectField{},
		naturals: map[*ast.Join][]string{}}
}

// column notes which column a name means; a nil meaning notes nothing.
func (m *meaning) column(name *ast.ColumnName, c scopeColumn) {
	if m != nil && c.table != "" {
		m.columns[name] = c
	}
}

// table notes in which database a table is.
func (m *meaning) table(name *ast.TableName, db string) {
	if m != nil {
		m.tables[name] = db
	}
}

// natural notes by which columns a NATURAL JOIN is.
func (m *meaning) natural(j *ast.Join, names []string) {
	if m != nil && j.NaturalJoin {
		m.naturals[j] = names
	}
}

// selected notes the fields of a SELECT, with those that its wildcards stand for.
func (m *meaning) selected(s *selecter) {
	if m == nil {
		return
	}
	fields := make([]*ast.SelectField, len(s.fields))
	for i, f := range s.fields {
		field := &ast.SelectField{Expr: f.Expr, AsName: ast.NewCIStr(fieldName(f))}
		if id, ok := s.wild[i]; ok {
			c := s.env.cols[slices.IndexFunc(s.env.cols, func(c scopeColumn) bool { return c.id == id })]
			name := &ast.ColumnName{Name: ast.NewCIStr(c.name)}
			m.column(name, c)
			field.Expr = &ast.ColumnNameExpr{Name: name}
		}
		fields[i] = field
	}
	m.fields[s.stmt] = fields
}

// write puts what was noted into the tree.
func (m *meaning) write(q ast.Node) {
	ast.Inspect(q, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectStmt:
			if fields, ok := m.fields[n]; ok {
				n.Fields.Fields = fields
				if n.Kind == ast.SelectStmtKindTable {
					n.Kind, n.SelectStmtOpts = ast.SelectStmtKindSelect, &ast.SelectStmtOpts{SQLCache: true}
				}
			}
		case *ast.TableName:
			if db, ok := m.tables[n]; ok {
				n.Schema = ast.NewCIStr(db)
			}
		case *ast.ColumnName:
			if c, ok := m.columns[n]; ok {
				n.Schema, n.Table, n.Name = ast.NewCIStr(c.db), ast.NewCIStr(c.table), ast.NewCIStr(c.name)
			}
		case *ast.Join:
			if names, ok := m.naturals[n]; ok {
				n.NaturalJoin, n.Using = false, nil
				for _, name := range names {
					n.Using = append(n.Using, &ast.ColumnName{Name: ast.NewCIStr(name)})
				}
			}
		}
		return true
	})
}
