package proc_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"stele/fe/stmt"
	"stele/fe/stmt/stmttest"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
)

// TestColocation: a group is shown with its tables and buckets, is stable when its tables lie together, and its path is
// found by id and by name.
func TestColocation(t *testing.T) {
	w := stmttest.NewWorld(t, 3)
	var ids []types.TableID
	for i, placement := range [][][]types.BEID{{{10002, 10003}, {10003, 10004}}, {{10002, 10003}, {10003, 10004}}} {
		tab := w.Table(t, fmt.Sprintf("t%d", i), []catalog.Partition{{Name: "p"}}, 2, placement)
		group := "g"
		w.Must(t, &command.AlterTable{Table: catalog.Table{ID: tab.ID}, Set: &command.TableSet{Colocate: &group}})
		ids = append(ids, tab.ID)
	}
	w.Report()
	p := stmttest.Parser(t)
	res, err := stmttest.Run(w.Env(), p, "SHOW PROC '/colocation_group'")
	if err != nil || len(res.Rows) != 1 {
		t.Fatalf("%v, %v", res.Rows, err)
	}
	row := res.Rows[0]
	if row[2] != fmt.Sprintf("%d, %d", ids[0], ids[1]) || row[6] != true {
		t.Errorf("group %v", row)
	}
	for _, name := range []string{row[0].(string), row[1].(string)} {
		if !strings.HasSuffix(row[1].(string), "_g") {
			t.Errorf("name %v", row[1])
		}
		buckets, err := stmttest.Run(w.Env(), p, "SHOW PROC '/colocation_group/"+name+"'")
		if err != nil || len(buckets.Rows) != 2 || buckets.Rows[1][1] != "10003, 10004" {
			t.Errorf("%s: %v, %v", name, buckets.Rows, err)
		}
	}
	if _, err := stmttest.Run(w.Env(), p, "SHOW PROC '/colocation_group/1.2'"); err == nil || !strings.Contains(err.Error(), "Unknown colocate group") {
		t.Errorf("an unknown group: %v", err)
	}
	table, _ := stmt.SystemTable(stmt.SteleDB, "colocation_groups")
	rows, err := table.Rows(context.Background(), w.Env())
	if err != nil || len(rows) != 1 || rows[0][1] != "t0, t1" {
		t.Errorf("%v, %v", rows, err)
	}
	w.BEs[10003].Alive = false
	w.Must(t, &command.SetReplicaBad{Tablet: firstTablet(w, ids[1]), BE: 10002, Bad: true})
	if res, _ = stmttest.Run(w.Env(), p, "SHOW PROC '/colocation_group'"); res.Rows[0][6] != false {
		t.Errorf("a group with a damaged replica: %v", res.Rows)
	}
}

// firstTablet is the first tablet of a table.
func firstTablet(w *stmttest.World, id types.TableID) types.TabletID {
	tab, _ := w.Cat.TableByID(id)
	return tab.Parts[0].Tablets[0]
}
