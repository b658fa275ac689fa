package sched

import (
	"testing"

	"stele/meta/types"
)

// TestStrictMedium: with enable_strict_storage_medium_check a replica that only moves waits for a disk of its medium. One
// that is missing is made on whatever disk there is.
func TestStrictMedium(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*BE)
		strict bool
		want   bool // a replica is made on the BE without the medium
	}{
		{"relocating", func(be *BE) { be.Decommissioned = true }, false, true},
		{"relocating, strict", func(be *BE) { be.Decommissioned = true }, true, false},
		{"missing", func(be *BE) { be.Alive = false }, false, true},
		{"missing, strict", func(be *BE) { be.Alive = false }, true, true},
	} {
		v := ledByFirst([]BE{{ID: 1, Alive: true}, {ID: 2, Alive: true}, {ID: 3, Alive: true}}, 1)
		v.Tablets[0].Medium = types.MediumSSD
		v.BEs = append(v.BEs, BE{ID: 4, Alive: true})
		for i := range v.BEs {
			m := types.MediumSSD
			if v.BEs[i].ID == 4 {
				m = types.MediumHDD
			}
			v.BEs[i].Disks = []Disk{{ID: types.DiskID(v.BEs[i].ID), Medium: m, Total: 1 << 40, Available: 1 << 39}}
		}
		for i := range v.Tablets[0].Replicas {
			v.Tablets[0].Replicas[i].Disk = types.DiskID(v.Tablets[0].Replicas[i].BE)
		}
		tc.change(&v.BEs[2])
		s := New()
		s.GrantTasks(1, 1000)
		l := DefaultLimits()
		l.ToleranceMs, l.DelayFactorMs, l.StrictMedium = 0, 0, tc.strict
		made := false
		for _, a := range s.Step(Input{NowMs: 1_000_000, View: NewView(v.BEs, v.Tablets), Scan: true, Limits: l}).Actions {
			made = made || a.Kind == ActAdd && a.BE == 4
		}
		if made != tc.want {
			t.Errorf("%s: a replica on the other medium is made: %v, want %v", tc.name, made, tc.want)
		}
	}
}
