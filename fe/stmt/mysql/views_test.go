package mysql_test

import (
	"context"
	"strings"
	"testing"

	"stele/fe/account"
	"stele/fe/stmt"
	"stele/fe/stmt/stmttest"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/model"
	"stele/meta/types"
	"stele/sql/parse"
)

// viewWorld is the shop with a view; its query is shown to whoever has SHOW VIEW.
func viewWorld(t *testing.T) *stmt.Env {
	w := stmttest.ShopWorld(t)
	db, _ := w.Cat.Database("shop")
	w.Must(t, &command.ChangeViews{TimeMs: stmttest.Noon.UnixMilli(), Put: &catalog.View{DatabaseID: db.ID, Name: "names", Columns: []string{"label"},
		Query: "select `shop`.`orders`.`name` as `label` from `shop`.`orders`", Definer: model.RootName, Check: model.CheckLocal}})
	e := w.Env()
	e.View = func(string, *catalog.View) (stmt.ViewFacts, error) {
		return stmt.ViewFacts{Updatable: true, Columns: []types.Column{{Name: "label", Type: types.ColumnType{Kind: types.KindVarChar, Length: 20}}}}, nil
	}
	return e
}

// TestShowViews: a view is shown where tables are, with what it is.
func TestShowViews(t *testing.T) {
	e := viewWorld(t)
	const text = "CREATE ALGORITHM=UNDEFINED DEFINER=`root`@`%` SQL SECURITY DEFINER VIEW `names` AS select `orders`.`name` as `label` from `orders` WITH LOCAL CHECK OPTION"
	for _, c := range []struct{ db, sql, want string }{
		{"shop", "SHOW FULL TABLES", "names|VIEW\nnotes|BASE TABLE\norders|BASE TABLE\n"},
		{"shop", "SHOW CREATE VIEW names", "names|" + text + "|utf8mb4|utf8mb4_bin\n"},
		{"shop", "SHOW CREATE TABLE names", "names|" + text + "|utf8mb4|utf8mb4_bin\n"},
		{"", "SHOW CREATE VIEW shop.names", "VIEW `shop`.`names` AS select `shop`.`orders`.`name` as `label` from `shop`.`orders` WITH LOCAL"},
		{"shop", "SHOW CREATE VIEW orders", "ERROR 1347 (HY000): 'shop.orders' is not VIEW\n"},
		{"shop", "DESCRIBE names", "label|varchar(20)|YES||NULL|\n"},
		{"shop", "SHOW INDEX FROM names", "Expression\n"},
		{"shop", "SHOW TABLE STATUS", "names|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|2026-03-01 12:00:00|NULL|NULL|NULL|NULL|NULL|VIEW\n"},
	} {
		if e.DB = c.db; !strings.Contains(stmttest.Print(stmttest.Run(e, new(parse.Parser), c.sql)), c.want) {
			t.Errorf("%s: %s, want %s", c.sql, stmttest.Print(stmttest.Run(e, new(parse.Parser), c.sql)), c.want)
		}
	}
}

// TestViewSecrecy: without SHOW VIEW the query of a view is not told.
func TestViewSecrecy(t *testing.T) {
	for _, c := range []struct {
		has   model.Privilege
		query string // in information_schema
		err   string // of SHOW CREATE VIEW
	}{
		{model.PrivSelect, "", "SHOW VIEW command denied to user 'root'@'10.9.9.9' for table 'names'"},
		{model.PrivShowView, "select `shop`.`orders`.`name` as `label` from `shop`.`orders`", "SELECT command denied to user 'root'@'10.9.9.9' for table 'names'"},
		{model.PrivSelect | model.PrivShowView, "select `shop`.`orders`.`name` as `label` from `shop`.`orders`", ""},
	} {
		e := viewWorld(t)
		e.Rights = account.RightsOf(&catalog.User{Grants: []catalog.Grant{{Database: "shop", Table: "names", Privileges: c.has}}})
		if _, err := stmttest.Run(e, new(parse.Parser), "SHOW CREATE VIEW names"); (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("rights %d: %v, want %q", c.has, err, c.err)
		}
		views, _ := stmt.SystemTable(stmt.SchemaDB, "VIEWS")
		rows, err := views.Rows(context.Background(), e)
		if err != nil || len(rows) != 1 || rows[0][3] != c.query || rows[0][5] != "YES" {
			t.Errorf("rights %d: %v, %v, want the query %q", c.has, rows, err, c.query)
		}
	}
}
