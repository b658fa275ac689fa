package ddl_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"stele/fe/ddl"
	"stele/fe/fakecluster"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
)

// TestPlacedByLocation: every replica of a tablet gets a location of its own while there are enough, and all BEs are used.
func TestPlacedByLocation(t *testing.T) {
	for _, zones := range []int{2, 3, 4} {
		w := fakecluster.New(t, 6, 1, types.QuorumMajority)
		zone := map[types.BEID]int{}
		for i, be := range w.BEs {
			zone[be.ID] = i * zones / 6
			if _, err := w.Log.Propose(context.Background(), &command.SetBELocation{BE: be.ID, Location: fmt.Sprintf("zone:z%d", zone[be.ID])}); err != nil {
				t.Fatal(err)
			}
		}
		d := ddl.New(w.Log, w.Clients, w)
		if _, _, err := d.Create(context.Background(), table(w, "p", 4, 6, 3)); err != nil {
			t.Fatal(err)
		}
		for tab := range tablets(t, w, "p") {
			seen := map[int]bool{}
			for _, r := range tab.Replicas {
				seen[zone[r.BE]] = true
			}
			if len(seen) != min(zones, 3) {
				t.Errorf("%d zones: tablet %d is in %d of them", zones, tab.ID, len(seen))
			}
		}
		if replicas, _ := spread(t, w, "p"); len(replicas) != 6 {
			t.Errorf("%d zones: replicas %v", zones, replicas)
		}
	}
}

func tablets(t *testing.T, w *fakecluster.Cluster, name string) func(func(*catalog.Tablet) bool) {
	db, _ := w.Log.Current().Database("d")
	tab, ok := w.Log.Current().Table(db.ID, name)
	if !ok {
		t.Fatalf("no table %s", name)
	}
	return w.Log.Current().TabletsOfTable(tab)
}

// TestColocatedArePlacedTogether: tables of a group, all their partitions, later ones and truncated ones included, lie where the
// group does.
func TestColocatedArePlacedTogether(t *testing.T) {
	ctx := context.Background()
	w := fakecluster.New(t, 5, 1, types.QuorumMajority)
	d := ddl.New(w.Log, w.Clients, w)
	make := func(name string, parts int) *catalog.Table {
		tab := table(w, name, parts, 4, 2)
		tab.Colocate = "g"
		if _, _, err := d.Create(ctx, tab); err != nil {
			t.Fatal(err)
		}
		db, _ := w.Log.Current().Database("d")
		made, _ := w.Log.Current().Table(db.ID, name)
		return made
	}
	first := make("a", 3)
	if _, _, err := d.Create(ctx, table(w, "noise", 1, 3, 2)); err != nil {
		t.Fatal(err)
	}
	make("b", 2)
	if _, err := d.AddPartition(ctx, first, catalog.Partition{Name: "later", Replicas: 2, Lower: []byte{9}, Upper: []byte{10}}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Truncate(ctx, first, []types.PartitionID{first.Parts[1].ID}, true); err != nil {
		t.Fatal(err)
	}
	homes := map[int32][]types.BEID{}
	for _, name := range []string{"a", "b"} {
		for tab := range tablets(t, w, name) {
			var bes []types.BEID
			for _, r := range tab.Replicas {
				bes = append(bes, r.BE)
			}
			slices.Sort(bes)
			if home, ok := homes[tab.Bucket]; ok && !slices.Equal(home, bes) {
				t.Errorf("bucket %d of %s is on %v, its group on %v", tab.Bucket, name, bes, home)
			}
			homes[tab.Bucket] = bes
		}
	}
}

// TestPlacedWithinReach: the replicas of a tablet reach one another while there are enough BEs that do; where there are not, its leader
// reaches all that it can.
func TestPlacedWithinReach(t *testing.T) {
	for bes, most := range map[int]int{4: 0, 3: 1} {
		w := fakecluster.New(t, bes, 1, types.QuorumMajority)
		one, two := w.BEs[0].ID, w.BEs[1].ID
		w.CutLink(two, one)
		if _, _, err := ddl.New(w.Log, w.Clients, w).Create(context.Background(), table(w, "p", 4, 6, 3)); err != nil {
			t.Fatal(err)
		}
		for tab := range tablets(t, w, "p") {
			cut := 0
			for _, r := range tab.Replicas {
				if r.BE == one || r.BE == two {
					cut++
				}
			}
			if cut > 1+most || cut == 2 && (tab.Leader == one || tab.Leader == two) {
				t.Errorf("%d BEs: tablet %d is led by be %d and on %v", bes, tab.ID, tab.Leader, tab.Replicas)
			}
		}
	}
}
