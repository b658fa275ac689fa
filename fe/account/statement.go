package account

import (
	"cmp"
	"strings"

	"stele/meta/model"
	"stele/sql/parse"
	"stele/sql/syntax"
)

// The databases that the FE makes up.
const (
	// InformationSchema is what everybody may read: its tables leave out what a reader may not see.
	InformationSchema = "information_schema"
	// PerformanceSchema has what SHOW VARIABLES and SHOW STATUS show everybody.
	PerformanceSchema = "performance_schema"
	// SteleSchema shows the state of the cluster, to whoever may see the sessions of others.
	SteleSchema = "stele"
)

// Needs returns what a statement of MySQL's grammar asks for. What an INSERT, UPDATE, DELETE or LOAD DATA writes is not among
// it: that follows from its plan, as its tables may be named by aliases. Statements about accounts are judged where they run.
func Needs(st *parse.Statement, db string) []Need {
	if st.Alter != nil {
		return alterNeeds(st.Alter, db)
	}
	var out []Need
	switch n := st.Node.(type) {
	case *parse.InsertStmt:
		out = reads(n, db, onlyTable(n.Table))
	case *parse.LoadDataStmt:
		out = reads(n, db, n.Table)
	case *parse.UpdateStmt:
		out = updateNeeds(n, db)
	case *parse.DeleteStmt:
		out = deleteNeeds(n, db)
	case *parse.SelectStmt, *parse.SetOprStmt:
		out = reads(n, db)
	case *parse.IntoStmt:
		out = reads(n.StmtNode, db)
	case *parse.CreateViewStmt:
		return createViewNeeds(n, st.View, db)
	case *parse.ExplainStmt:
		if _, show := n.Stmt.(*parse.ShowStmt); !show {
			out = reads(n.Stmt, db)
		}
	default:
		return defineNeeds(st.Node, db)
	}
	return Readable(out)
}

// ReadNeeds returns what an expression or query asks for that is not a statement of its own.
func ReadNeeds(n parse.Node, db string) []Need { return Readable(reads(n, db)) }

// Readable gives the needs of reading the form that the tables have which the FE makes up, and drops those without a database,
// which cannot be met by any table.
func Readable(needs []Need) []Need {
	out := needs[:0]
	for _, n := range needs {
		switch {
		case n.Database == "":
			continue
		case strings.EqualFold(n.Database, InformationSchema):
			if t := strings.ToLower(n.Table); !strings.HasPrefix(t, "be_") && !strings.HasPrefix(t, "fe_") {
				continue
			}
			n.Privileges = model.PrivProcess // they show the cluster
		case strings.EqualFold(n.Database, PerformanceSchema):
			continue
		case strings.EqualFold(n.Database, SteleSchema):
			n.Privileges |= model.PrivProcess
		}
		out = append(out, n)
	}
	return out
}

// onlyTable returns the table of a clause that names one, else nil.
func onlyTable(refs *parse.TableRefsClause) *parse.TableName {
	if refs == nil || refs.TableRefs == nil || refs.TableRefs.Right != nil {
		return nil
	}
	source, ok := refs.TableRefs.Left.(*parse.TableSource)
	if !ok {
		return nil
	}
	t, _ := source.Source.(*parse.TableName)
	return t
}

// updateNeeds: an UPDATE of one table that looks at none of its values does not read it.
func updateNeeds(n *parse.UpdateStmt, db string) []Need {
	looks := n.Where != nil || n.Order != nil
	for _, a := range n.List {
		looks = looks || readsColumns(a.Expr)
	}
	if target := onlyTable(n.TableRefs); target != nil && !looks {
		return reads(n, db, target)
	}
	return reads(n, db)
}

func deleteNeeds(n *parse.DeleteStmt, db string) []Need {
	if target := onlyTable(n.TableRefs); target != nil && n.Where == nil && n.Order == nil {
		return reads(n, db, target)
	}
	return reads(n, db)
}

// columnFinder looks for the name of a column.
type columnFinder struct{ found bool }

func readsColumns(n parse.Node) bool {
	f := columnFinder{}
	n.Accept(&f)
	return f.found
}

// Enter stops at the name of a column.
func (f *columnFinder) Enter(n parse.Node) (parse.Node, bool) {
	if _, ok := n.(*parse.ColumnNameExpr); ok {
		f.found = true
	}
	return n, f.found
}

// Leave goes on unless one was found.
func (f *columnFinder) Leave(n parse.Node) (parse.Node, bool) { return n, !f.found }

// defineNeeds is for statements that define or maintain.
func defineNeeds(n parse.StmtNode, db string) []Need {
	on := func(t *parse.TableName, p ...model.Privilege) []Need { return onTable(t, db, p...) }
	switch n := n.(type) {
	case *parse.CreateDatabaseStmt:
		return []Need{{model.PrivCreate, n.Name.O, ""}}
	case *parse.AlterDatabaseStmt:
		return []Need{{model.PrivAlter, cmp.Or(n.Name.O, db), ""}}
	case *parse.DropDatabaseStmt:
		return []Need{{model.PrivDrop, n.Name.O, ""}}
	case *parse.CreateTableStmt:
		out := on(n.Table, model.PrivCreate)
		if n.TemporaryKeyword != parse.TemporaryNone {
			out = onDatabaseOf(n.Table, db, model.PrivCreateTemporary)
		}
		if n.ReferTable != nil {
			out = append(out, on(n.ReferTable, model.PrivSelect)...)
		}
		if n.Select != nil && n.TemporaryKeyword == parse.TemporaryNone {
			out = append(out, on(n.Table, model.PrivInsert)...)
		}
		if n.Select != nil {
			out = append(out, ReadNeeds(n.Select, db)...)
		}
		return append(out, referenceNeeds(n.Table, n.Cols, n.Constraints, db)...)
	case *parse.DropTableStmt:
		if n.TemporaryKeyword != parse.TemporaryNone {
			return nil // it drops only tables of the session
		}
		return onTables(n.Tables, db, model.PrivDrop)
	case *parse.TruncateTableStmt:
		return on(n.Table, model.PrivDrop)
	case *parse.AlterTableStmt:
		return alterTableNeeds(n, db)
	case *parse.RenameTableStmt:
		var out []Need
		for _, r := range n.TableToTables {
			out = append(append(out, on(r.OldTable, model.PrivAlter, model.PrivDrop)...), on(r.NewTable, model.PrivCreate, model.PrivInsert)...)
		}
		return out
	case *parse.CreateIndexStmt:
		return on(n.Table, model.PrivIndex)
	case *parse.DropIndexStmt:
		return on(n.Table, model.PrivIndex)
	case *parse.LockTablesStmt:
		var out []Need
		for i := range n.Tables {
			out = append(out, on(n.Tables[i].Table, model.PrivSelect, model.PrivLockTables)...)
		}
		return out
	case *parse.AnalyzeTableStmt:
		return onTables(n.TableNames, db, model.PrivSelect, model.PrivInsert)
	case *parse.FlushStmt:
		return []Need{{Privileges: model.PrivReload}}
	}
	return nil
}

// createViewNeeds: who makes a view must be able to read what it reads, and to drop the view whose place it takes.
func createViewNeeds(n *parse.CreateViewStmt, form *parse.ViewForm, db string) []Need {
	out := onTable(n.ViewName, db, model.PrivCreateView)
	if n.OrReplace || form.Alter {
		out = append(out, onTable(n.ViewName, db, model.PrivDrop)...)
	}
	return append(out, ReadNeeds(n.Select, db)...)
}

// referenceNeeds: a foreign key keeps others from changing the rows that it refers to, unless it refers to its own table.
func referenceNeeds(t *parse.TableName, columns []*parse.ColumnDef, constraints []*parse.Constraint, db string) []Need {
	if t.Schema.O != "" {
		db = t.Schema.O
	}
	var out []Need
	add := func(r *parse.ReferenceDef) {
		for _, parent := range onTable(r.Table, db, model.PrivReferences) {
			if parent.Database != db || parent.Table != t.Name.O {
				out = append(out, parent)
			}
		}
	}
	for _, def := range columns {
		for _, o := range def.Options {
			if o.Tp == parse.ColumnOptionReference {
				add(o.Refer)
			}
		}
	}
	for _, k := range constraints {
		if k.Tp == parse.ConstraintForeignKey {
			add(k.Refer)
		}
	}
	return out
}

// alterTableNeeds: a table that gets another name is taken away under the old one and made under the new one.
func alterTableNeeds(n *parse.AlterTableStmt, db string) []Need {
	out := onTable(n.Table, db, model.PrivAlter)
	for _, spec := range n.Specs {
		constraints := spec.NewConstraints
		if spec.Constraint != nil {
			constraints = append(constraints[:len(constraints):len(constraints)], spec.Constraint)
		}
		out = append(out, referenceNeeds(n.Table, spec.NewColumns, constraints, db)...)
		if spec.Tp == parse.AlterTableRenameTable {
			out = append(append(out, onTable(n.Table, db, model.PrivDrop)...), onTable(spec.NewTable, db, model.PrivCreate, model.PrivInsert)...)
		}
	}
	return out
}

func alterNeeds(a *syntax.AlterTable, db string) []Need {
	if a.Table.DB != "" {
		db = a.Table.DB
	}
	out := []Need{{model.PrivAlter, db, a.Table.Table}}
	if a.Op == syntax.AlterDropPartition || a.Op == syntax.AlterTruncatePartition {
		out = append(out, Need{model.PrivDrop, db, a.Table.Table})
	}
	return named(out)
}

// onTable returns a need for each privilege on a table.
func onTable(t *parse.TableName, db string, privileges ...model.Privilege) []Need {
	if t.Schema.O != "" {
		db = t.Schema.O
	}
	out := make([]Need, len(privileges))
	for i, p := range privileges {
		out[i] = Need{p, db, t.Name.O}
	}
	return named(out)
}

// onDatabaseOf returns the need for a privilege on the database of a table.
func onDatabaseOf(t *parse.TableName, db string, p model.Privilege) []Need {
	if t.Schema.O != "" {
		db = t.Schema.O
	}
	return named([]Need{{Privileges: p, Database: db}})
}

func onTables(tables []*parse.TableName, db string, privileges ...model.Privilege) []Need {
	var out []Need
	for _, t := range tables {
		out = append(out, onTable(t, db, privileges...)...)
	}
	return out
}

// named leaves out what names no database: the statement fails for that before it does anything.
func named(needs []Need) []Need {
	out := needs[:0]
	for _, n := range needs {
		if n.Database != "" {
			out = append(out, n)
		}
	}
	return out
}
