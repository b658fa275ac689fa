package tablet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"stele/be/tablet/kv/segment"
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

// TestSpaceOfMiddlingTransactions: what is too small for data and large for a record of meta comes back, too, although meta, whose
// records are small, never has enough of them for Badger to learn what is dead.
func TestSpaceOfMiddlingTransactions(t *testing.T) {
	opt := testOptions()
	opt.ReclaimBytes, opt.ReadAge = 1<<20, 1
	opt.Retention = Retention{Versions: 5, Age: 1, Bytes: 1 << 20}
	s := openStore(t, t.TempDir(), opt)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	seed, bytes := uint64(1), 0
	for round := range 80 {
		rows := make([]row, 4000)
		for i := range rows {
			seed = seed*6364136223846793005 + 1442695040888963407
			rows[i] = row{int64(i), "t", int64(seed >> 2)}
		}
		payload := puts(t, rows...)
		if bytes += len(payload); len(payload) < 32<<10 || len(payload) >= largePart {
			t.Fatalf("a part of %d bytes is not middling", len(payload))
		}
		commit(t, tb, payload)
		if round%20 == 19 {
			if err := errors.Join(tb.Flush(), s.Maintain(t.Context())); err != nil {
				t.Fatal(err)
			}
		}
	}
	if before := s.meta.Size(); int64(bytes) > before || !s.reclaimDue() {
		t.Fatalf("%d bytes were written, meta has %d, %d are known to be dead", bytes, before, s.meta.Dead())
	}
	if err := s.Reclaim(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := s.meta.Size(); after > 12<<20 { // its front and its memtable log
		t.Errorf("meta takes %d bytes", after)
	}
	if n := len(contents(t, tb, tb.Version())); n != 4000 {
		t.Errorf("there are %d rows", n)
	}
}

// TestSpaceOfManyModestTransactions: change sets that are a few times as large as a run come back with their tablet, too, although nothing is
// written any more and there are too few of them for Badger to compact.
func TestSpaceOfManyModestTransactions(t *testing.T) {
	opt := testOptions()
	opt.Small, opt.MemtableBytes = false, 16<<20
	s := openStore(t, t.TempDir(), opt)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	random, bytes := rand.New(rand.NewPCG(16, 1)), 0
	for bytes < 24<<20 {
		rows := make([]row, 800)
		for i := range rows {
			rows[i] = row{int64(i), "t", random.Int64()}
		}
		payload := puts(t, rows...)
		if bytes += len(payload); len(payload) < largeOfMeta || len(payload) > 60<<10 {
			t.Fatalf("a part of %d bytes is not modest", len(payload))
		}
		commit(t, tb, payload)
	}
	if before := s.meta.Size(); before < int64(bytes) {
		t.Fatalf("%d bytes were written, meta has %d", bytes, before)
	}
	if err := errors.Join(s.Drop(tb.ID(), tb.Meta().Replica), s.Reclaim(t.Context())); err != nil {
		t.Fatal(err)
	}
	if after := s.meta.Size(); after > 10<<20 { // its front and its memtable log
		t.Errorf("meta takes %d bytes", after)
	}
}

// TestSpaceOfAnImportThatWasKilled: what a clone has brought before the process was killed waits for its continuation, and then its space is back,
// whether the half of it came or all of it, and whether or not a part was under way.
func TestSpaceOfAnImportThatWasKilled(t *testing.T) {
	root := t.TempDir()
	source := openStore(t, filepath.Join(root, "source"), testOptions())
	fillTablets(t, source, 1)
	from, _ := source.Tablet(1)
	chunks, digest := export(t, from, from.Version())
	for name, steps := range map[string]func(*Import) error{
		"begun":  func(*Import) error { return nil },
		"header": func(im *Import) error { return im.Write(chunks[0]) },
		"half": func(im *Import) error {
			return errors.Join(writeChunks(im, chunks[:len(chunks)/2]), im.push())
		},
		"half, and it is durable": func(im *Import) error { return errors.Join(writeChunks(im, chunks[:len(chunks)/2]), im.flush()) },
		"all":                     func(im *Import) error { return writeChunks(im, chunks) },
		"verified":                func(im *Import) error { return errors.Join(writeChunks(im, chunks), im.Verify(from.Version(), digest)) },
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			opt := testOptions()
			opt.Now = func() time.Time { return now }
			root := t.TempDir()
			s := openStore(t, filepath.Join(root, "disk"), opt)
			im, err := s.BeginImport(testMeta(1), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if err := steps(im); err != nil {
				t.Fatal(err)
			}
			if err := copyOpen(filepath.Join(root, "disk"), filepath.Join(root, "killed")); err != nil {
				t.Fatal(err)
			}
			s = openStore(t, filepath.Join(root, "killed"), opt)
			now = now.Add(s.opt.ResumeAge + time.Minute)
			if err := errors.Join(s.Maintain(t.Context()), s.Reclaim(t.Context())); err != nil {
				t.Fatal(err)
			}
			if err := s.data.ScanKeys(nil, func(key []byte) error { return fmt.Errorf("key %x is left", key) }); err != nil {
				t.Error(err)
			}
			if segments, err := segment.Files(filepath.Join(root, "killed", "data")); err != nil || len(segments) > 0 {
				t.Errorf("segments are left: %v, %v", segments, err)
			}
		})
	}
}

func writeChunks(im *Import, chunks []Chunk) error {
	for _, c := range chunks {
		c.Bytes, c.Free = slices.Clone(c.Bytes), nil
		if err := im.Write(c); err != nil {
			return err
		}
	}
	return nil
}

// TestReclaimWithoutRoom: a disk that is about to refuse writes gives back what it can, however little is dead, and one that has room waits
// until it is worth it.
func TestReclaimWithoutRoom(t *testing.T) {
	const reserve = int64(1 << 20)
	available := int64(1 << 40)
	opt := testOptions()
	opt.FloodBytes, opt.FloodPercent = reserve, 50
	opt.Faults.Space = func() (int64, int64, error) { return 1 << 40, available, nil }
	s := openStore(t, t.TempDir(), opt)
	if available = reserve; s.reclaimDue() {
		t.Error("nothing is dead")
	}
	available = 1 << 40
	fillTablets(t, s, 2)
	if err := s.Drop(1, testMeta(1).Replica); err != nil {
		t.Fatal(err)
	}
	if err := s.collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.reclaimDue() {
		t.Errorf("%d dead bytes are reclaimed at once", s.data.Dead())
	}
	if available = reserve; !s.reclaimDue() {
		t.Errorf("%d dead bytes of %d stay although there is no room", s.data.Dead(), s.data.Size())
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
