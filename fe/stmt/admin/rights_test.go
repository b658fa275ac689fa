package admin_test

import (
	"strings"
	"testing"

	"stele/fe/account"
	"stele/fe/stmt"
	"stele/fe/stmt/stmttest"
	"stele/meta/catalog"
	"stele/meta/model"
	"stele/meta/types"
)

// TestWhoSeesTheCluster: an account for monitoring sees where the replicas of all tables are, one that may read a table sees
// those of it without the addresses of nodes, and one without rights nothing.
func TestWhoSeesTheCluster(t *testing.T) {
	w := stmttest.NewWorld(t, 4)
	w.Table(t, "orders", []catalog.Partition{{Name: "orders"}}, 3, [][]types.BEID{{10002, 10003, 10004}})
	p := stmttest.Parser(t)
	monitor := catalog.Grant{Privileges: model.PrivProcess}
	reader := catalog.Grant{Database: "shop", Privileges: model.PrivSelect}
	for _, c := range []struct {
		name   string
		grants []catalog.Grant
		url    string // the beginning of MetaUrl, "" = refused
	}{
		{"monitor", []catalog.Grant{monitor}, "http://10."},
		{"reader", []catalog.Grant{reader}, "http://*:0/api/meta/header/"},
		{"stranger", nil, ""},
	} {
		for _, sql := range []string{"SHOW TABLETS FROM orders", "SHOW PARTITIONS FROM orders", "SHOW DATA FROM orders"} {
			e := w.Env()
			e.Rights = account.RightsOf(&catalog.User{Grants: c.grants})
			r, err := stmttest.Run(e, p, sql)
			if (err == nil) != (c.url != "") {
				t.Errorf("%s, %s: %v", c.name, sql, err)
			}
			for _, row := range r.Rows {
				for i, col := range r.Columns {
					if text, _ := row[i].(string); col.Name == "MetaUrl" && !strings.HasPrefix(text, c.url) {
						t.Errorf("%s, %s: %s", c.name, sql, text)
					}
				}
			}
		}
	}
	if n := stmt.Needs("show_proc"); len(n) != 1 || n[0].Privileges&model.PrivProcess == 0 {
		t.Errorf("SHOW PROC, which only shows, needs %+v", n)
	}
}
