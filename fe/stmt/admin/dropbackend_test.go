package admin_test

import (
	"strings"
	"testing"

	"stele/fe/stmt/stmttest"
	"stele/meta/catalog"
	"stele/meta/types"
)

// TestDropBackendThatWritesNeed: a BE whose replicas a write quorum needs now is dropped only by force; one that does not answer counts for nothing.
func TestDropBackendThatWritesNeed(t *testing.T) {
	w := stmttest.NewWorld(t, 4)
	w.Table(t, "t", []catalog.Partition{{Name: "t"}}, 3, [][]types.BEID{{10002, 10003, 10004}})
	w.BEs[10004].Alive = false
	_, err := stmttest.Run(w.Env(), stmttest.Parser(t), `ALTER SYSTEM DROP BACKEND "10.0.1.1:9050"`)
	if err == nil || !strings.Contains(err.Error(), "of shop.t would have 1 complete replicas that answer, and a write needs 2") {
		t.Fatalf("a BE that writes need: %v", err)
	}
	if r := stmttest.MustRun(t, w, `ALTER SYSTEM DROP BACKEND "10.0.1.3:9050"`); len(r.Notes) != 0 {
		t.Errorf("three backends are enough, and yet: %q", r.Notes)
	}
	r := stmttest.MustRun(t, w, `ALTER SYSTEM DROP BACKEND "10.0.1.4:9050"`)
	if len(r.Notes) != 1 || !strings.HasPrefix(r.Notes[0], "2 backends are left: the table shop.t requires 3 replicas.") {
		t.Errorf("two backends are too few: %q", r.Notes)
	}
	stmttest.MustRun(t, w, `ALTER SYSTEM DROP BACKEND "10.0.1.1:9050" FORCE`)
}
