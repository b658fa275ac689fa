package admin

import (
	"fmt"
	"testing"

	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/types"
)

func TestExplainRedo(t *testing.T) {
	e := &stmt.Env{}
	tab := &catalog.Tablet{Version: 9, Replicas: []catalog.Replica{{ID: 1, BE: 99, Role: types.RoleFollower}}}
	if rows := explainRedo(e, tab); rows != nil {
		t.Errorf("without rows in the log: %v", rows)
	}
	tab.Redo = &catalog.Redo{Version: 9, Prev: &catalog.Redo{Version: 7}}
	want := "[[Redo the log has the rows of 2 versions, from 7 on, until the replicas have them on disk " +
		"backends that do not answer: 99; started again, they get what they lack from the log]]"
	if got := fmt.Sprint(explainRedo(e, tab)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	tab.Replicas = nil
	if got := explainRedo(e, tab); len(got) != 1 || got[0][2] != "" {
		t.Errorf("nobody lets it wait: %v", got)
	}
}
