//go:build sim

package sim

import (
	"runtime"
	"testing"
	"time"

	"stele/fe/sched"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
)

const (
	largeBEs     = 1000
	largeTables  = 100
	largeTablets = 1_000_000
)

func heapBytes() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestMemory measures what a tablet with three replicas costs the FE: in the catalog, and in the scheduler's View. What
// BEs have reported comes on top: three rows of 80 bytes (fe/cluster), and a pointer from the View to the catalog (fe/tabletctl).
func TestMemory(t *testing.T) {
	const reported = 3*80 + 8
	before := heapBytes()
	cat := largeCatalog(t)
	inCatalog := heapBytes() - before
	before = heapBytes()
	w := largeWorld()
	inView := heapBytes() - before
	perTablet := (inCatalog+inView)/largeTablets + reported
	t.Logf("bytes of FE memory a tablet with 3 replicas: catalog %d, view %d, reports %d: %d in all", inCatalog/largeTablets, inView/largeTablets,
		reported, perTablet)
	if perTablet >= 1024 {
		t.Fatalf("%d bytes a tablet", perTablet)
	}
	runtime.KeepAlive(cat)
	runtime.KeepAlive(w)
}

func largeWorld() *World {
	s, err := parseShape([]string{"bes=1000", "tablets=1000000", "tables=100", "size=64MB..1GB", "capacity=8TB"})
	if err != nil {
		panic(err)
	}
	return New(s)
}

// largeCatalog makes the tables by the commands that make them in the FE.
func largeCatalog(t *testing.T) *catalog.Catalog {
	cat := catalog.New()
	do := func(cmd command.Command) any {
		next, res, err := catalog.Apply(cat, cmd)
		if err != nil {
			t.Fatal(err)
		}
		cat = next
		return res
	}
	do(&command.InitCluster{ClusterID: "sim", FE: catalog.FE{Name: "fe"}})
	var bes []types.BEID
	for i := range largeBEs {
		res := do(&command.AddBE{BE: catalog.BE{Host: "host", Port: 1 + i}})
		bes = append(bes, types.BEID(res.(catalog.IDResult).ID))
	}
	db := types.DatabaseID(do(&command.CreateDatabase{Name: "d"}).(catalog.IDResult).ID)
	for n := range largeTables {
		do(largeTable(do(&command.AllocIDs{Counter: command.CounterIDs, N: 5 * largeTablets / largeTables}).(catalog.AllocResult).First, db, n, bes))
	}
	if cat.TabletCount() != largeTablets {
		t.Fatalf("%d tablets", cat.TabletCount())
	}
	return cat
}

func largeTable(first uint64, db types.DatabaseID, n int, bes []types.BEID) *command.CreateTable {
	next := func() uint64 { first++; return first - 1 }
	id := types.TableID(next())
	cmd := &command.CreateTable{Table: catalog.Table{ID: id, DatabaseID: db, Name: string(rune('a'+n%26)) + string(rune('a'+n/26)), Replicas: 3,
		Schema: types.Schema{TableID: id, Version: 1, Key: []types.ColumnID{1}, Columns: []types.Column{{ID: 1, Name: "k"}}},
		Parts:  []catalog.Partition{{ID: types.PartitionID(next()), Name: "p", Replicas: 3}}}}
	for i := range largeTablets / largeTables {
		tab := catalog.Tablet{ID: types.TabletID(next()), Table: id, Bucket: int32(i), Version: 1, Epoch: 1, Leader: bes[i%len(bes)]}
		for j := range 3 {
			tab.Replicas = append(tab.Replicas, catalog.Replica{ID: types.ReplicaID(next()), BE: bes[(i+j)%len(bes)], Version: 1})
		}
		cmd.Table.Parts[0].Tablets = append(cmd.Table.Parts[0].Tablets, tab.ID)
		cmd.Tablets = append(cmd.Tablets, tab)
	}
	return cmd
}

// TestCheck measures a check of a million tablets with three replicas each, on one core.
func TestCheck(t *testing.T) {
	w := largeWorld()
	v, clock := w.View(), w.Clock()
	best := time.Hour
	for range 3 {
		begun := time.Now()
		for i := range v.Tablets {
			if sched.Health(&v.Tablets[i], v, clock).Status != sched.Healthy {
				t.Fatalf("tablet %d", v.Tablets[i].ID)
			}
		}
		best = min(best, time.Since(begun))
	}
	step := w.step() // a whole scan: leaders, learners, health, load
	t.Logf("check of %d tablets: %s; a step with a scan: %.0f ms (%d actions)", len(v.Tablets), best, float64(w.Stats.StepMaxNs)/1e6, len(step.Actions))
	if best > time.Second {
		t.Fatalf("took %s", best)
	}
}
