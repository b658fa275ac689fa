package proc_test

import (
	"fmt"
	"slices"
	"testing"

	"stele/fe/cluster"
	"stele/fe/stmt/stmttest"
)

func TestProcMemory(t *testing.T) {
	w := stmttest.NewWorld(t, 2)
	w.BEs[10003].Memory = []cluster.MemoryPart{{Name: "process", Used: 3 << 20, Limit: 1 << 30, Info: "all"}, {Name: "memtables", Limit: 5 << 20}, {Name: "heap", Used: 7}}
	res := stmttest.MustRun(t, w, "SHOW PROC '/memory'")
	var got []string
	fe := false
	for _, r := range res.Rows {
		fe = fe || r[1] == "FE" && r[2] == "process" && r[5].(int64) > 0
		if r[1] == "BE" {
			got = append(got, fmt.Sprintf("%v", r))
		}
	}
	want := []string{
		"[10.0.1.2:9050 BE process 3.000 MB 1.000 GB 3145728 1073741824 all]",
		"[10.0.1.2:9050 BE memtables <nil> 5.000 MB <nil> 5242880 ]",
		"[10.0.1.2:9050 BE heap 7.000 B <nil> 7 <nil> ]",
	}
	if !fe || !slices.Equal(got, want) {
		t.Fatalf("fe %v, %q, not %q", fe, got, want)
	}
}
