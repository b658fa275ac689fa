package admin_test

import (
	"strings"
	"testing"

	"stele/fe/cluster"
	"stele/fe/stmt/stmttest"
	"stele/meta/catalog"
	"stele/meta/types"
)

// twoDisks is a BE with two disks, and one tablet with one copy on the first.
func twoDisks(t *testing.T, copies int) *stmttest.World {
	w := stmttest.NewWorld(t, 3)
	bes := []types.BEID{10002, 10003, 10004}[:copies]
	w.Table(t, "t", []catalog.Partition{{Name: "t"}}, copies, [][]types.BEID{bes})
	w.BEs[10002].Disks = append(w.BEs[10002].Disks, cluster.Disk{ID: 22, Path: "/disk2", Total: 1000 << 30, Available: 900 << 30})
	return w
}

func TestDiskStates(t *testing.T) {
	w := twoDisks(t, 3)
	steps := []struct{ sql, want string }{ // want: the state of /disk1, or the error
		{`ALTER SYSTEM DECOMMISSION DISK "/disk1/" ON BACKEND "10.0.1.1:9050"`, "DECOMMISSIONED"},
		{`ALTER SYSTEM DECOMMISSION DISK "/disk1" ON BACKEND "10.0.1.1:9050"`, "DECOMMISSIONED"},
		{`ALTER SYSTEM DISABLE DISK "/disk1" ON BACKEND "10.0.1.1:9050"`, "Disk: /disk1 is DECOMMISSIONED already"},
		{`ALTER SYSTEM CANCEL DISABLE DISK "/disk1" ON BACKEND "10.0.1.1:9050"`, "DECOMMISSIONED"},
		{`ALTER SYSTEM DECOMMISSION DISK "/disk2" ON BACKEND "10.0.1.1:9050"`, "no other ONLINE disk"},
		{`ALTER SYSTEM CANCEL DECOMMISSION DISK "/disk1" ON BACKEND 10.0.1.1:9050`, "ONLINE"},
		{`ALTER SYSTEM DISABLE DISK "/disk1", "/disk2" ON BACKEND "10.0.1.1:9050"`, "DISABLED"},
		{`ALTER SYSTEM DISABLE DISK "/disk9" ON BACKEND "10.0.1.1:9050"`, "Disk: /disk9 does not exist"},
		{`ALTER SYSTEM DISABLE DISK "/disk1" ON BACKEND "10.0.1.9:9050"`, "Backend does not exist[10.0.1.9:9050]"},
		{`ALTER SYSTEM DISABLE DISK "/disk1" ON BACKEND "10.0.1.9"`, "Invalid host port: 10.0.1.9"},
		{`ALTER SYSTEM DISABLE DISK "/disk1" ON BACKEND "10.0.1.9:99999"`, "Port is out of range: 99999"},
	}
	for _, s := range steps {
		_, err := stmttest.Run(w.Env(), stmttest.Parser(t), s.sql)
		got := stmttest.MustRun(t, w, "SHOW PROC '/backends/10002'").Rows[0][6]
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got.(string), s.want) && !(err != nil && strings.Contains(got.(string), s.want)) {
			t.Errorf("%s: %v, want %s", s.sql, got, s.want)
		}
	}
}

func TestDisableOfTheLastCopyIsRefused(t *testing.T) {
	w := twoDisks(t, 1)
	_, err := stmttest.Run(w.Env(), stmttest.Parser(t), `ALTER SYSTEM DISABLE DISK "/disk1" ON BACKEND "10.0.1.1:9050"`)
	if err == nil || !strings.Contains(err.Error(), "tablet 10008 of shop.t") {
		t.Fatalf("the only copy may go: %v", err)
	}
	stmttest.MustRun(t, w, `ALTER SYSTEM DISABLE DISK "/disk2" ON BACKEND "10.0.1.1:9050"`)
}

// TestDiskTroublesAreTold: SHOW BACKENDS says why a disk is OFFLINE or READ_ONLY; nobody has to look into the log of a BE.
func TestDiskTroublesAreTold(t *testing.T) {
	w := twoDisks(t, 3)
	w.BEs[10002].Disks[1].Refuses, w.BEs[10002].Disks[1].Error = true, "disk is below its reserve"
	w.BEs[10002].Disks = append(w.BEs[10002].Disks, cluster.Disk{Path: "/disk3", State: types.DiskOffline, Error: "store is in use"})
	const want = "disk /disk2 refuses writes: disk is below its reserve; disk /disk3 is OFFLINE: store is in use"
	if got := stmttest.MustRun(t, w, "SHOW BACKENDS WHERE BackendId = 10002").Rows[0][17]; got != want {
		t.Errorf("ErrMsg of the BE: %q, want %q", got, want)
	}
}

// TestOpenDiskIsRefused: where no BE can be asked. What a BE answers is in tests/e2e (TestDiskComesBack).
func TestOpenDiskIsRefused(t *testing.T) {
	w := twoDisks(t, 3)
	w.BEs[10002].Alive = false
	for sql, want := range map[string]string{
		`ALTER SYSTEM OPEN DISK "/disk3" ON BACKEND "10.0.1.9:9050"`: "Backend does not exist[10.0.1.9:9050]",
		`ALTER SYSTEM OPEN DISK "/disk3" ON BACKEND 10.0.1.1:9050`:   "does not answer",
	} {
		if _, err := stmttest.Run(w.Env(), stmttest.Parser(t), sql); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", sql, err)
		}
	}
}
