package server

import (
	"log/slog"
	"sync/atomic"
	"testing"

	"stele/be/clone"
	"stele/be/host"
	"stele/be/tablet"
	"stele/meta/types"
)

// TestDiskTellsThatItRefusesWrites: a heartbeat says so of a disk from the moment at which it is below its reserve, with the reason and
// with no room for FEs that know no more than that; with room again it says neither.
func TestDiskTellsThatItRefusesWrites(t *testing.T) {
	const total, reserve = int64(1000 << 20), int64(50 << 20)
	var available atomic.Int64
	available.Store(total / 2)
	h := host.New([]host.Root{{Path: t.TempDir()}}, slog.New(slog.DiscardHandler), func(_ host.Root, c types.ClusterID) tablet.Options {
		o := tablet.Options{ClusterID: c, Small: true, NoBackground: true, FloodBytes: reserve, FloodPercent: 10}
		o.Faults.Space = func() (int64, int64, error) { return total, available.Load(), nil }
		return o
	})
	if err := h.Join("one", 1); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &Server{Parts: Parts{Host: h, Slots: clone.NewSlots(1, 1)}}
	for _, step := range []struct {
		available int64
		refuses   bool
	}{{total / 2, false}, {reserve, false}, {reserve - 1, true}, {0, true}, {reserve, false}} {
		available.Store(step.available)
		d := s.disk(h.Disks()[0])
		if d.RefusesWrites != step.refuses || (d.Error != "") != step.refuses || d.TotalBytes != total {
			t.Errorf("with %d bytes free, of which %d are reserved: %v", step.available, reserve, d)
		}
		if want := step.available; step.refuses && d.AvailableBytes != 0 || !step.refuses && d.AvailableBytes != want {
			t.Errorf("with %d bytes free it tells of %d", want, d.AvailableBytes)
		}
	}
}
