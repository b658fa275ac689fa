package proc_test

import (
	"testing"
	"time"

	"stele/fe/stmt/stmttest"
	"stele/meta/catalog"
	"stele/meta/types"
)

// TestLastConsistencyCheckTime: a table has its own newest comparison, and its database that of all tables.
func TestLastConsistencyCheckTime(t *testing.T) {
	w := stmttest.NewWorld(t, 3)
	var tablets []types.TabletID
	for _, name := range []string{"t", "u"} {
		tablets = append(tablets, w.Table(t, name, []catalog.Partition{{Name: name}}, 1, [][]types.BEID{{10002}, {10003}}).Parts[0].Tablets...)
	}
	early := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	e := w.Env()
	e.Checker = stmttest.Checked{At: map[types.TabletID]time.Time{}}
	asked := func(path, want string) {
		t.Helper()
		r, err := stmttest.Run(e, stmttest.Parser(t), "SHOW PROC '"+path+"'")
		if err != nil || len(r.Rows) == 0 {
			t.Fatalf("%s: %d rows, %v", path, len(r.Rows), err)
		}
		for i, c := range r.Columns {
			if c.Name == "LastConsistencyCheckTime" && r.Rows[0][i] != want {
				t.Errorf("%s: %v, want %s", path, r.Rows[0][i], want)
			}
		}
	}
	asked("/dbs", "N/A")
	e.Checker = stmttest.Checked{At: map[types.TabletID]time.Time{tablets[0]: early, tablets[1]: early.Add(-time.Hour), tablets[2]: early.Add(time.Hour)}}
	asked("/dbs", "2026-05-01 11:00:00")
	asked("/dbs/shop", "2026-05-01 10:00:00") // of t, the first
	asked("/dbs/shop/t/partitions", "2026-05-01 10:00:00")
	asked("/dbs/shop/t/partitions/t", "2026-05-01 10:00:00")
	asked("/dbs/shop/u/partitions/u", "2026-05-01 11:00:00")
}
