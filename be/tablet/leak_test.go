package tablet

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"stele/meta/types"
)

// TestDeadBytesSurviveARestart: what was deleted and not reclaimed before a restart is reclaimed after it, also when a power cut took
// Badger's statistics of it.
func TestDeadBytesSurviveARestart(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]bool{"killed": false, "power cut": true} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			opt := testOptions()
			opt.ReclaimBytes = 1 << 20
			s := openStore(t, filepath.Join(root, "disk"), opt)
			for id := types.TabletID(1); id <= 6; id++ {
				tb, err := s.Create(testMeta(id))
				if err != nil {
					t.Fatal(err)
				}
				var rows []row
				seed := uint64(id)
				for i := range 60_000 {
					seed = seed*6364136223846793005 + 1442695040888963407
					rows = append(rows, row{int64(i), "t", int64(seed >> 2)})
				}
				commit(t, tb, puts(t, rows...))
				if err := tb.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			for id := types.TabletID(1); id <= 5; id++ {
				if err := s.Drop(id, testMeta(id).Replica); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.collect(context.Background()); err != nil { // the keys are deleted, their space is not back
				t.Fatal(err)
			}
			dir := filepath.Join(root, "killed")
			if err := copyOpen(filepath.Join(root, "disk"), dir); err != nil {
				t.Fatal(err)
			}
			if lose {
				if err := os.Remove(filepath.Join(dir, "data", "DISCARD")); err != nil {
					t.Fatal(err)
				}
			}
			s = openStore(t, dir, opt)
			before := s.data.Size()
			if !s.reclaimDue() {
				t.Fatalf("%d dead bytes of %d are known", s.deadBytes.Load(), before)
			}
			if err := s.Reclaim(context.Background()); err != nil {
				t.Fatal(err)
			}
			if after := s.data.Size(); after > before/2 {
				t.Errorf("%d bytes became %d after five of six tablets were dropped", before, after)
			}
			tb, _ := s.Tablet(6)
			if err := tb.Scrub(context.Background(), func(context.Context, int64) error { return nil }); err != nil {
				t.Fatal(err)
			}
		})
	}
}
