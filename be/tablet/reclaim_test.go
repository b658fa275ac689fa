package tablet

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"stele/meta/types"
)

// TestDeadBytesSurviveARestart: what was deleted and not reclaimed before a process was killed is reclaimed after it.
func TestDeadBytesSurviveARestart(t *testing.T) {
	root := t.TempDir()
	opt := testOptions()
	opt.ReclaimBytes = 1 << 20
	s := openStore(t, filepath.Join(root, "disk"), opt)
	fillTablets(t, s, 6)
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
	s = openStore(t, dir, opt)
	before := s.data.Size()
	if !s.reclaimDue() {
		t.Fatalf("%d dead bytes of %d are known", s.data.Dead(), before)
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
}

// TestDiskOfAnOlderRelease: a disk whose large values are in Badger's value logs opens, closed or killed, and has the same rows; new
// values go to segments, and a reclaim brings the old ones there and gives the logs back.
func TestDiskOfAnOlderRelease(t *testing.T) {
	root := t.TempDir()
	old := testOptions()
	old.format = valueLogsFormat
	s := openStore(t, filepath.Join(root, "closed"), old)
	want := make(map[types.TabletID]uint64)
	write := func(s *Store, id types.TabletID, n int64) {
		t.Helper()
		tb, ok := s.Tablet(id)
		if !ok {
			var err error
			if tb, err = s.Create(testMeta(id)); err != nil {
				t.Fatal(err)
			}
		}
		var rows []row
		for i := range int64(40_000) {
			rows = append(rows, row{i, "t", (i + n) * 0x5DEECE66D % 1_000_003})
		}
		commit(t, tb, puts(t, rows...))
		if err := tb.Flush(); err != nil {
			t.Fatal(err)
		}
		digest, _, err := tb.Digest(tb.Version())
		if err != nil {
			t.Fatal(err)
		}
		want[id] = digest
	}
	for id := types.TabletID(1); id <= 3; id++ {
		write(s, id, int64(id))
	}
	if err := copyOpen(filepath.Join(root, "closed"), filepath.Join(root, "killed")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	written := maps.Clone(want)
	for _, name := range []string{"closed", "killed"} {
		want = maps.Clone(written)
		s := openStore(t, filepath.Join(root, name), testOptions())
		same := func(step string) {
			t.Helper()
			for id, digest := range want {
				tb, ok := s.Tablet(id)
				if !ok {
					t.Fatalf("%s, %s: tablet %d is gone", name, step, id)
				}
				if got, rows, err := tb.ScanDigest(t.Context(), tb.Version()); err != nil || got != digest || rows != 40_000 {
					t.Fatalf("%s, %s: tablet %d has %d rows with digest %x, not %x: %v", name, step, id, rows, got, digest, err)
				}
			}
		}
		same("opened")
		if s.Format() != storeFormat {
			t.Errorf("%s: the disk has format %d", name, s.Format())
		}
		write(s, 2, 77)
		write(s, 4, 4)
		same("written")
		if err := s.Reclaim(t.Context()); err != nil {
			t.Fatal(err)
		}
		same("reclaimed")
		for _, pattern := range []string{"*.vlog", "*.seg"} {
			files, err := filepath.Glob(filepath.Join(root, name, "data", pattern))
			if err != nil {
				t.Fatal(err)
			}
			size := int64(0)
			for _, f := range files {
				if info, err := os.Stat(f); err == nil && !(pattern == "*.vlog" && sparse(info)) {
					size += info.Size()
				}
			}
			if holds := size > 64<<10; holds != (pattern == "*.seg") {
				t.Errorf("%s: %d bytes in %s", name, size, pattern)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, filepath.Join(root, name), testOptions())
		same("opened again")
	}
}

// sparse reports whether a file is allocated ahead and holds next to nothing.
func sparse(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Blocks*512 <= 4<<10
}
