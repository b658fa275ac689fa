package mysql

import (
	"stele/fe/account"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/model"
	"stele/sql/errno"
	"stele/sql/parse"
	"stele/sql/syntax"
	sqltypes "stele/sql/types"
)

func showCreateView(e *stmt.Env, n *parse.ShowStmt) (stmt.Result, error) {
	t, err := tableOf(e, n)
	if err != nil {
		return stmt.Result{}, err
	}
	if t.view == nil {
		return stmt.Result{}, sqltypes.Errorf(errno.WrongObject, "'%s.%s' is not VIEW", t.db, t.name)
	}
	return createView(e, t)
}

// createView answers SHOW CREATE VIEW, and SHOW CREATE TABLE of a view.
func createView(e *stmt.Env, t schemaTable) (stmt.Result, error) {
	for _, p := range []model.Privilege{model.PrivSelect, model.PrivShowView} {
		if e.Rights != nil && e.Rights.On(t.db, t.name)&p == 0 {
			return stmt.Result{}, account.Denied(e.User, account.Need{Privileges: p, Database: t.db, Table: t.name})
		}
	}
	columns := stmt.Plain("View Create~View character_set_client collation_connection")
	columns[1].Type = stmt.ColumnKinds["long"]
	return stmt.Result{Columns: columns, Rows: []stmt.Row{{t.name, viewText(t.view, t.db, e.DB), charset, collation}}}, nil
}

// viewText writes the statement that makes a view again. In the view's own database, and if all that it reads is there, no database
// is named: so a dump can be loaded into another one.
func viewText(v *catalog.View, db, current string) string {
	name, query := syntax.QuoteName(db)+"."+syntax.QuoteName(v.Name), v.Query
	if db == current {
		if short, ok := parse.WithoutDatabase(query, db); ok {
			name, query = syntax.QuoteName(v.Name), short
		}
	}
	text := "CREATE ALGORITHM=" + v.Algorithm.String() + " DEFINER=" + account.QuoteAccount(v.Definer) + " SQL SECURITY " + securityType(v) + " VIEW " + name +
		" AS " + query
	if v.Check != model.CheckNone {
		text += " WITH " + v.Check.String() + " CHECK OPTION"
	}
	return text
}

func securityType(v *catalog.View) string {
	if v.Invoker {
		return "INVOKER"
	}
	return "DEFINER"
}

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "VIEWS", Local: true, Doc: "The views. Queries are shown to whoever has SHOW VIEW.",
	Columns: stmt.Cols(`
		TABLE_CATALOG name
		TABLE_SCHEMA name
		TABLE_NAME name
		VIEW_DEFINITION long
		CHECK_OPTION name
		IS_UPDATABLE name
		DEFINER text
		SECURITY_TYPE name
		CHARACTER_SET_CLIENT name
		COLLATION_CONNECTION name
	`),
	Rows: schemaRows(func(e *stmt.Env, t schemaTable) []stmt.Row {
		if t.view == nil {
			return nil
		}
		v, query, updatable := t.view, "", "NO"
		if e.Rights == nil || e.Rights.On(t.db, t.name)&model.PrivShowView != 0 {
			query = v.Query
		}
		if f, err := e.View(t.db, v); err == nil && f.Updatable {
			updatable = "YES"
		}
		return []stmt.Row{{"def", t.db, t.name, query, v.Check.String(), updatable, v.Definer.Name + "@" + v.Definer.Host, securityType(v), charset, collation}}
	})})
