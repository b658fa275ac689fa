package tabletctl

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"stele/fe/sched"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
)

// TestLocationsAreKept: replicas that share a location move apart once the BEs are said to stand in some, and back together when
// one is lost, as far as it must be.
func TestLocationsAreKept(t *testing.T) {
	s := newStage(t, 6, 8)
	zone := map[types.BEID]string{}
	n := 0
	for b := range s.cat.BEs() {
		zone[b.ID] = fmt.Sprintf("zone:z%d", n/2) // neighbours, which the tablets lie on, stand together
		s.must(&command.SetBELocation{BE: b.ID, Location: zone[b.ID]})
		n++
	}
	zones := func() (least, most int) {
		least = n
		for tab := range s.Current().Tablets() {
			seen := map[string]bool{}
			for i := range tab.Replicas {
				seen[zone[tab.Replicas[i].BE]] = true
			}
			least, most = min(least, len(seen)), max(most, len(seen))
		}
		return least, most
	}
	if least, _ := zones(); least != 2 {
		t.Fatalf("the test begins with %d locations", least)
	}
	for range 5 {
		s.pass(30 * time.Second)
		s.settle()
	}
	s.checkHealthy()
	if least, _ := zones(); least != 3 {
		t.Fatalf("a tablet is in %d locations", least)
	}
	for id, z := range zone {
		if z == "zone:z0" {
			s.kill(id)
		}
	}
	for range 10 {
		s.pass(5 * time.Minute)
		s.settle()
	}
	s.checkHealthy()
	if least, most := zones(); least != 2 || most != 2 {
		t.Fatalf("after the loss of a location: %d to %d", least, most)
	}
}

// another makes a second table whose buckets lie elsewhere.
func (s *stage) another(id uint64, buckets int) *catalog.Table {
	var bes []types.BEID
	for b := range s.cat.BEs() {
		bes = append(bes, b.ID)
	}
	return s.tableOn(id, fmt.Sprintf("t%d", id), id+2, buckets, func(i, j int) types.BEID { return bes[(len(bes)-1-i+j)%len(bes)] })
}

// TestGroupOfAnAlteredTable: tables that come into a group by ALTER TABLE go to where the group is, in the order in which they
// came, whichever is older; they stay together when a BE is lost, and are on their own again when they leave.
func TestGroupOfAnAlteredTable(t *testing.T) {
	s := newStage(t, 6, 4)
	s.ctl.o.Settings = func() sched.Limits {
		l := sched.DefaultLimits()
		l.DisableBalance = true // it would move the group
		return l
	}
	s.must(&command.AllocIDs{Counter: command.CounterIDs, N: 1000})
	younger := s.another(10_400, 4)
	join := func(id types.TableID, group string, ms int64) {
		s.must(&command.AlterTable{Table: catalog.Table{ID: id}, Set: &command.TableSet{Colocate: &group, ColocatedMs: ms}})
	}
	at := func(id types.TableID) (out [][]types.BEID) {
		table, _ := s.Current().TableByID(id)
		for tab := range s.Current().TabletsOfTable(table) {
			var bes []types.BEID
			for i := range tab.Replicas {
				bes = append(bes, tab.Replicas[i].BE)
			}
			slices.Sort(bes)
			out = append(out, bes)
		}
		return out
	}
	same := func(a, b [][]types.BEID) bool { return slices.EqualFunc(a, b, slices.Equal) }
	home := at(younger.ID)
	join(younger.ID, "g", 1000)
	join(10_100, "g", 2000)
	pass := func() {
		for range 6 {
			s.pass(5 * time.Minute)
			s.settle()
		}
	}
	pass()
	if !same(at(10_100), home) || !same(at(younger.ID), home) {
		t.Fatalf("the older table is on %v, the group on %v, at first on %v", at(10_100), at(younger.ID), home)
	}
	s.kill(home[0][0])
	pass()
	if !same(at(10_100), at(younger.ID)) || slices.Contains(at(10_100)[0], home[0][0]) {
		t.Fatalf("after a death: %v and %v", at(10_100), at(younger.ID))
	}
	s.checkHealthy()
	join(10_100, "", 0)
	pass()
	for i := range s.ctl.View().Tablets {
		if tab := &s.ctl.View().Tablets[i]; tab.Assigned != nil || tab.Trail != 0 {
			t.Fatalf("tablet %d still belongs to a group", tab.ID)
		}
	}
	s.checkHealthy()
}
