package tablet

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"stele/be/tablet/kv"
	"stele/meta/types"
)

// flipper damages values of the data store while it is armed.
type flipper struct {
	armed atomic.Bool
	kind  byte
	at    int // from the end
}

func (f *flipper) read(key, val []byte) []byte {
	if !f.armed.Load() || key[0] != f.kind || len(val) == 0 {
		return val
	}
	bad := slices.Clone(val)
	bad[max(0, len(bad)-1-f.at)] ^= 1
	return bad
}

func TestDamageMakesTheReplicaBad(t *testing.T) {
	ctx := context.Background()
	reads := map[string]func(tb *Tablet, s *Snapshot) error{
		"scan": func(_ *Tablet, s *Snapshot) error {
			it := s.Scan(allColumns, ScanOptions{})
			for {
				if b, err := it.Next(ctx); b == nil || err != nil {
					return err
				}
			}
		},
		"get": func(_ *Tablet, s *Snapshot) error {
			_, _, err := s.Get([][]byte{keyOf(rowKey{1, "a"})}, allColumns)
			return err
		},
		"exists":  func(tb *Tablet, _ *Snapshot) error { _, err := tb.Exists([][]byte{keyOf(rowKey{1, "a"})}); return err },
		"compact": func(tb *Tablet, _ *Snapshot) error { return tb.CompactAll(ctx) },
		"export": func(_ *Tablet, s *Snapshot) error {
			e := s.Export()
			for {
				if _, ok, err := e.Next(ctx); !ok {
					return err
				}
			}
		},
		"publish": func(tb *Tablet, _ *Snapshot) error {
			if err := tb.Prepare(ctx, 99, puts(t, row{1, "a", 5})); err != nil {
				return err
			}
			return tb.Publish(99, tb.Version()+1)
		},
	}
	for name, read := range reads {
		t.Run(name, func(t *testing.T) {
			f := &flipper{kind: kGroup, at: 1 << 20} // the first byte: no reader can miss it
			opt := testOptions()
			opt.Faults.Read = f.read
			dir := t.TempDir()
			s := openStore(t, dir, opt)
			tb, err := s.Create(testMeta(1))
			if err != nil {
				t.Fatal(err)
			}
			commit(t, tb, puts(t, row{1, "a", 1}, row{2, "b", 2}))
			if err := tb.Flush(); err != nil {
				t.Fatal(err)
			}
			commit(t, tb, puts(t, row{3, "c", 3}))
			if err := tb.Flush(); err != nil {
				t.Fatal(err)
			}
			snap, err := tb.Current()
			if err != nil {
				t.Fatal(err)
			}
			defer snap.Release()
			f.armed.Store(true)
			if err := read(tb, snap); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("read of a damaged value: %v", err)
			}
			if st := tb.Stats(); !st.Bad || st.BadReason == "" {
				t.Fatalf("%+v", st)
			}
			if _, err := tb.Current(); !errors.Is(err, ErrBad) {
				t.Fatalf("read of a bad replica: %v", err)
			}
			snap.Release()
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			f.armed.Store(false)
			if tb, _ := openStore(t, dir, opt).Tablet(1); !tb.Stats().Bad {
				t.Fatal("the replica is good again after a restart")
			}
		})
	}
}

// TestFlippedBitsOnDisk flips bits in each file of a store that was closed, and of one that was killed: what is read afterwards is
// right for its version, or refused; and in every kind of file that holds something of a replica a flip is noticed, by an open, a
// read or a scrub.
func TestFlippedBitsOnDisk(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "disk")
	s := openStore(t, dir, testOptions())
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	want := []map[rowKey]int64{nil, {}}
	step := func(payload []byte) {
		v := commit(t, tb, payload)
		want = append(want, contents(t, tb, v))
	}
	var large []row // a row group in a segment
	for i := range 3000 {
		large = append(large, row{int64(i), "large", int64(i * i % 1009)})
	}
	step(puts(t, large...))
	for i := range 3 {
		step(puts(t, row{int64(i), "a", 1}, row{int64(i), "b", 2}))
		if err := tb.Flush(); err != nil {
			t.Fatal(err)
		}
		step(deletesPayload(t, row{int64(i), "b", 0}))
	}
	killed := filepath.Join(root, "killed")
	if err := s.meta.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := copyOpen(dir, killed); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	noticed := make(map[string]int)
	for _, from := range []string{dir, killed} {
		for kind, n := range flipIn(t, from, filepath.Join(root, "copy"), want) {
			noticed[kind] += n
		}
	}
	t.Log(noticed)
	// What the last memtable log of meta holds is in the front as well: there a flip is healed, and never yields other rows.
	for _, kind := range []string{"meta/.sst", "meta/.0", "meta/MANIFEST", "data/.seg", "data/.sst", "data/.mem", "data/MANIFEST"} {
		if noticed[kind] == 0 {
			t.Errorf("no flip in %s was noticed: %v", kind, noticed)
		}
	}
}

// flipIn flips a bit at some places of each file of dir, one at a time, and says how often that was noticed, by kind of file.
func flipIn(t *testing.T, dir, copyDir string, want []map[rowKey]int64) map[string]int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	noticed := make(map[string]int)
	for _, file := range files {
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			t.Fatal(err)
		}
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		used := len(bytes.TrimRight(body, "\x00")) // files are allocated ahead
		if used == 0 || filepath.Base(file) == "LOCK" {
			continue
		}
		kind := filepath.Dir(rel) + "/" + cmp.Or(filepath.Ext(rel), filepath.Base(rel))
		places := upTo(24, 2)
		for i := range places {
			if err := os.RemoveAll(copyDir); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("cp", "-a", "--sparse=always", dir, copyDir).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			at := used * (2*i + 1) / (2 * places)
			f, err := os.OpenFile(filepath.Join(copyDir, rel), os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt([]byte{body[at] ^ 0x20}, int64(at)); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			if !rightOrRefused(t, copyDir, want) {
				noticed[kind]++
			}
		}
	}
	return noticed
}

func rightOrRefused(t *testing.T, dir string, want []map[rowKey]int64) (right bool) {
	t.Helper()
	s, err := Open(dir, testOptions())
	if err != nil {
		return false
	}
	defer s.Close()
	tb, ok := s.Tablet(1)
	if !ok {
		return false
	}
	snap, err := tb.Current()
	if err != nil {
		return false
	}
	defer snap.Release()
	got := make(map[rowKey]int64)
	it := snap.Scan(allColumns, ScanOptions{})
	for {
		b, err := it.Next(context.Background())
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return false
		}
		if b == nil {
			break
		}
		readBatch(t, b, got)
	}
	if int(tb.Version()) >= len(want) || !maps.Equal(got, want[tb.Version()]) {
		t.Fatalf("version %d has %v, want %v", tb.Version(), got, want[tb.Version()])
	}
	if int(tb.Version()) != len(want)-1 {
		return false // the FE knows of later versions, and has it catch up
	}
	_, damage := s.VerifyTablet(context.Background(), tb)
	return damage == nil && len(s.VerifyDisk()) == 0
}

func TestDiskBelowItsReserve(t *testing.T) {
	var available atomic.Int64
	available.Store(1 << 30)
	opt := testOptions()
	opt.FloodBytes, opt.FloodPercent = 100<<20, 10
	opt.Faults.Space = func() (int64, int64, error) { return 1 << 30, available.Load(), nil }
	s := openStore(t, t.TempDir(), opt)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if err := tb.Prepare(ctx, 1, puts(t, row{1, "a", 1})); err != nil {
		t.Fatal(err)
	}
	available.Store(150 << 20)
	if _, err := s.BeginImport(testMeta(2), 1); !errors.Is(err, ErrDiskFull) {
		t.Fatalf("import below twice the reserve: %v", err)
	}
	if err := tb.Prepare(ctx, 2, puts(t, row{2, "a", 1})); err != nil {
		t.Fatal(err)
	}
	available.Store(99 << 20)
	if err := tb.Prepare(ctx, 3, puts(t, row{3, "a", 1})); !errors.Is(err, ErrDiskFull) {
		t.Fatalf("write below the reserve: %v", err)
	}
	if err := tb.Publish(1, 2); err != nil {
		t.Fatalf("what was prepared can be published: %v", err)
	}
	if u := s.Usage(); !u.ReadOnly || u.Err == "" || u.Available != 99<<20 {
		t.Fatalf("usage %+v", u)
	}
	wantContents(t, tb, 2, map[rowKey]int64{{1, "a"}: 1})
}

func TestSchemaChangeKeepsOldRows(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, testOptions())
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	commit(t, tb, puts(t, row{1, "a", 1}))
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	commit(t, tb, puts(t, row{2, "b", 2}))
	next := testSchema()
	next.Version = 2
	next.Columns = append(slices.Delete(next.Columns, 3, 4),
		types.Column{ID: 9, Type: types.ColumnType{Kind: types.KindInt, NotNull: true}, Initial: &types.Initial{I: 42}},
		types.Column{ID: 10, Type: types.ColumnType{Kind: types.KindVarChar}})
	if err := tb.SetSchema(next); err != nil {
		t.Fatal(err)
	}
	commit(t, tb, puts(t, row{3, "c", 3})) // of a writer that knows the old schema only
	wrong := next
	wrong.Version, wrong.Key = 3, []types.ColumnID{1}
	if err := tb.SetSchema(wrong); err == nil {
		t.Fatal("the key changed")
	}
	check := func(step string) {
		t.Helper()
		snap, err := tb.Current()
		if err != nil {
			t.Fatal(err)
		}
		defer snap.Release()
		sum, rows := int64(0), 0
		it := snap.Scan([]types.ColumnID{9, 10, 3}, ScanOptions{})
		for {
			b, err := it.Next(context.Background())
			if err != nil {
				t.Fatalf("%s: %v", step, err)
			}
			if b == nil {
				break
			}
			for i := range b.N {
				sum += b.Cols[2].I64[i]
				if rows++; b.Cols[0].I64[i] != 42 || !b.Cols[1].IsNull(i) {
					t.Fatalf("%s: row has %d", step, b.Cols[0].I64[i])
				}
			}
		}
		if rows != 3 || sum != 6 {
			t.Fatalf("%s: %d rows with sum %d", step, rows, sum)
		}
	}
	check("deltas of both schemas")
	digest, _, err := tb.Digest(tb.Version())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	tb, _ = openStore(t, dir, testOptions()).Tablet(1)
	check("reopened")
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := tb.CompactAll(context.Background()); err != nil {
		t.Fatal(err)
	}
	check("compacted")
	if again, _, err := tb.Digest(tb.Version()); err != nil || again != digest {
		t.Fatalf("digest %x became %x: %v", digest, again, err)
	}
}

// TestReadersAndMaintenanceBesideWriters moves values between rows so that every version has the same sum.
func TestReadersAndMaintenanceBesideWriters(t *testing.T) {
	t.Run("through the memtable", func(t *testing.T) { readersBesideWriters(t, 0) })
	t.Run("as rowsets", func(t *testing.T) { readersBesideWriters(t, 1) })
}

func readersBesideWriters(t *testing.T, bulkBytes int64) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	opt := testOptions()
	opt.NoBackground = false
	opt.Flush = FlushLimits{Rows: 50, Bytes: 1 << 20, Versions: 20}
	opt.ReadAge, opt.bulkBytes = 1, bulkBytes
	s := openStore(t, t.TempDir(), opt)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	const rows, each = 20, 100
	var first []row
	for i := range rows {
		first = append(first, row{int64(i), "a", each})
	}
	commit(t, tb, puts(t, first...))
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				select {
				case <-done:
					return
				default:
				}
				snap, err := tb.Current()
				if err != nil {
					t.Error(err)
					return
				}
				sum := int64(0)
				for _, v := range scanAll(t, snap, ScanOptions{}) {
					sum += v
				}
				snap.Release()
				if sum != rows*each {
					t.Errorf("version %d has sum %d", snap.Version(), sum)
					return
				}
			}
		}()
	}
	state := make([]int64, rows)
	for i := range state {
		state[i] = each
	}
	for i := range upTo(400, 120) {
		a, b := i%rows, (i*7+3)%rows
		if a == b {
			b = (b + 1) % rows
		}
		state[a], state[b] = state[a]-1, state[b]+1
		if state[a] < 0 {
			state[a], state[b] = state[a]+1, state[b]-1
		}
		commit(t, tb, puts(t, row{int64(a), "a", state[a]}, row{int64(b), "a", state[b]}))
	}
	close(done)
	wg.Wait()
	if err := s.Maintain(context.Background()); err != nil {
		t.Fatal(err)
	}
	if st := tb.Stats(); st.Rows != rows || st.Rowsets == 0 || st.Rowsets > defaultCompaction.MaxRowsets {
		t.Fatalf("%+v", st)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestScrubFindsDamageThatNobodyReads(t *testing.T) {
	f := &flipper{kind: kGroup, at: 3} // in the key index: a scan of all rows does not touch it
	opt := testOptions()
	opt.Faults.Read = f.read
	s := openStore(t, t.TempDir(), opt)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	commit(t, tb, puts(t, row{1, "a", 1}))
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	bytes := int64(0)
	pace := func(_ context.Context, n int64) error { bytes += n; return nil }
	if err := tb.Scrub(context.Background(), pace); err != nil || bytes == 0 {
		t.Fatalf("%d bytes, %v", bytes, err)
	}
	f.armed.Store(true)
	wantContents(t, tb, 2, map[rowKey]int64{{1, "a"}: 1})
	if err := tb.Scrub(context.Background(), pace); !errors.Is(err, ErrCorrupt) || !tb.Stats().Bad {
		t.Fatalf("scrub of damage: %v", err)
	}
}

// TestDiskThatCannotBeRead cuts the segments below their mappings: what is read there fails as on a disk with broken sectors, and the
// replica is bad. One that has nothing there is not.
func TestDiskThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, testOptions())
	var tabs []*Tablet
	for id := range types.TabletID(2) {
		tb, err := s.Create(testMeta(id + 1))
		if err != nil {
			t.Fatal(err)
		}
		commit(t, tb, puts(t, row{1, "a", 1}))
		tabs = append(tabs, tb)
	}
	commit(t, tabs[0], puts(t, manyRows(0, 5000)...))
	if err := tabs[0].Flush(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "data", "*.seg"))
	if err != nil || len(files) == 0 {
		t.Fatalf("segments %v, %v", files, err)
	}
	for _, f := range files {
		if err := os.Truncate(f, 0); err != nil {
			t.Fatal(err)
		}
	}
	free := func(context.Context, int64) error { return nil }
	if err := tabs[0].Scrub(context.Background(), free); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("scrub: %v", err)
	}
	if !tabs[0].Stats().Bad || tabs[1].Stats().Bad {
		t.Fatal("bad replicas are not the one that cannot be read")
	}
	wantContents(t, tabs[1], 2, map[rowKey]int64{{1, "a"}: 1})
}

// TestSegmentThatCannotBeOpened puts something in the place of a segment that cannot be mapped: the disk opens, the replica whose rows were in it is
// bad, the other one is not, and when the first is dropped nothing is left in the way.
func TestSegmentThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, testOptions())
	for id := range types.TabletID(2) {
		tb, err := s.Create(testMeta(id + 1))
		if err != nil {
			t.Fatal(err)
		}
		commit(t, tb, puts(t, row{1, "a", 1}))
		if id == 0 {
			commit(t, tb, puts(t, manyRows(0, 5000)...))
			if err := tb.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "data", "*.seg"))
	if err != nil || len(files) == 0 {
		t.Fatalf("segments %v, %v", files, err)
	}
	for _, f := range files {
		if err := errors.Join(os.Remove(f), os.Mkdir(f, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	s = restarted(t, dir)
	damaged, _ := s.Tablet(1)
	free := func(context.Context, int64) error { return nil }
	if err := damaged.Scrub(context.Background(), free); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrBad) {
		t.Fatalf("scrub: %v", err)
	}
	sound, _ := s.Tablet(2)
	if !damaged.Stats().Bad || sound.Stats().Bad {
		t.Fatal("bad replicas are not the one whose segment cannot be opened")
	}
	wantContents(t, sound, 2, map[rowKey]int64{{1, "a"}: 1})
	commit(t, sound, puts(t, row{2, "a", 2}))
	if err := errors.Join(s.Drop(1, 10), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = restarted(t, dir)
	if sound, ok := s.Tablet(2); !ok || s.TabletCount() != 1 || sound.Version() != 3 {
		t.Fatal("what was written beside it is gone")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestBadReplicaKeepsItsSize looks at bad replicas after a restart: what they take of the disk is still known, whether they were bad before it,
// turn out to be by it, or have lost their record.
func TestBadReplicaKeepsItsSize(t *testing.T) {
	for name, harm := range map[string]func(s *Store, tb *Tablet) error{
		"marked": func(_ *Store, tb *Tablet) error { tb.SetBad("as a test says"); return nil },
		"no index": func(s *Store, tb *Tablet) error {
			return s.data.Commit(kv.Entry{Key: key2(kIndex, tb.uid, 2), Delete: true})
		},
		"no record": func(s *Store, tb *Tablet) error {
			return s.meta.Commit(kv.Entry{Key: key1(kTablet, uint64(tb.id)), Delete: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openStore(t, dir, testOptions())
			tb, err := s.Create(testMeta(1))
			if err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				commit(t, tb, puts(t, manyRows(1000*i, 1000*i+1000)...))
				if err := tb.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			want := tb.Stats()
			if err := errors.Join(harm(s, tb), s.Close()); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				s = openStore(t, dir, testOptions())
				tb, _ = s.Tablet(1)
				if st := tb.Stats(); !st.Bad || st.Bytes != want.Bytes || st.Rows != want.Rows {
					t.Fatalf("%+v, not %d bytes of %d rows", st, want.Bytes, want.Rows)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
