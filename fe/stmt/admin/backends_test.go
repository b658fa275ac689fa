package admin_test

import (
	"slices"
	"testing"

	"stele/fe/stmt"
	"stele/fe/stmt/admin"
	"stele/fe/stmt/stmttest"
	"stele/meta/types"
)

// TestSilentPeers: SHOW BACKENDS says whom a BE does not reach; what a dead one said last is no longer so.
func TestSilentPeers(t *testing.T) {
	at := slices.IndexFunc(admin.BackendColumns, func(c stmt.Column) bool { return c.Name == "SilentPeers" })
	for _, c := range []struct {
		alive bool
		says  []types.BEID
		want  string
	}{{true, nil, ""}, {true, []types.BEID{10003}, "10003"}, {true, []types.BEID{10003, 10004}, "10003,10004"}, {false, []types.BEID{10003}, ""}} {
		w := stmttest.NewWorld(t, 3)
		w.BEs[10002].Alive, w.BEs[10002].Unreached = c.alive, c.says
		if got := admin.BackendRows(w.Env())[0][at]; got != c.want {
			t.Errorf("alive %v, does not reach %v: %q, not %q", c.alive, c.says, got, c.want)
		}
	}
}
