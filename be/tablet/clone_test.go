package tablet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"stele/be/tablet/wire"
	"stele/meta/types"
)

// sourceTablet makes a replica with rowsets, delete vectors, deltas and a version that is not the newest.
func sourceTablet(t *testing.T) (*Tablet, types.Version, map[rowKey]int64) {
	t.Helper()
	_, tb := newTestTablet(t)
	var rows []row
	for i := range 300 {
		rows = append(rows, row{int64(i), "x", int64(i)})
	}
	commit(t, tb, puts(t, rows...))
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	commit(t, tb, deletesPayload(t, rows[:10]...))
	commit(t, tb, puts(t, row{10, "x", 1000}, row{999, "y", -1}))
	v := tb.Version()
	want := contents(t, tb, v)
	commit(t, tb, puts(t, row{11, "x", 2000}, row{1000, "z", 7}))
	if err := tb.Flush(); err != nil { // rowsets now hold rows that v must not see
		t.Fatal(err)
	}
	commit(t, tb, deletesPayload(t, rows[20:30]...))
	return tb, v, want
}

func export(t *testing.T, tb *Tablet, v types.Version) ([]Chunk, uint64) {
	t.Helper()
	s, err := tb.Snapshot(v)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	e := s.Export()
	var out []Chunk
	for {
		c, ok, err := e.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		out = append(out, c)
	}
	if len(out) != e.Chunks() || e.TotalBytes() <= 0 {
		t.Fatalf("%d chunks of %d, %d bytes", len(out), e.Chunks(), e.TotalBytes())
	}
	digest, err := e.Digest(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return out, digest
}

// TestCloneInBuffersThatAreUsedAgain: what a chunk lies in may be written over as soon as the import gives it back, once.
func TestCloneInBuffersThatAreUsedAgain(t *testing.T) {
	src, v, want := sourceTablet(t)
	snap, err := src.Snapshot(v)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	e := snap.Export()
	taken, freed := 0, make(chan []byte, 100)
	e.Buffer = func(size int) []byte {
		taken++
		return make([]byte, size)
	}
	dst := openStore(t, t.TempDir(), testOptions())
	im, err := dst.BeginImport(testMeta(1), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for {
		c, ok, err := e.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		c.Free = func() {
			for i := range c.Bytes {
				c.Bytes[i] = 0xA5
			}
			freed <- c.Bytes
		}
		if err := im.Write(c); err != nil {
			t.Fatal(err)
		}
	}
	digest, err := e.Digest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tb, err := im.Commit(v, digest)
	if err != nil {
		t.Fatal(err)
	}
	wantContents(t, tb, v, want)
	if groups := e.Chunks() - 2; taken != groups || len(freed) != groups {
		t.Fatalf("%d buffers were taken and %d given back for %d row groups", taken, len(freed), groups)
	}
}

// TestDamageOfWhatIsStored: a row group that was right when it came, and is another one, or none, where it is stored, is looked at again by
// Verify, and refused if it is still bad; so is one that was here before the import and is damaged anywhere.
func TestDamageOfWhatIsStored(t *testing.T) {
	for name, carried := range map[string]bool{"received": false, "carried over": true} {
		for _, lasting := range []bool{false, true} {
			src, v, want := sourceTablet(t)
			chunks, digest := export(t, src, v)
			var bad atomic.Bool
			opt := testOptions()
			opt.Faults.Read = func(_, val []byte) []byte {
				if !bad.Load() {
					return val
				}
				val = slices.Clone(val)
				if carried {
					val[len(val)/2] ^= 4
				} else {
					val[100] ^= 4 // of the directory
				}
				return val
			}
			dst := openStore(t, t.TempDir(), opt)
			bad.Store(!carried)
			im := receive(t, dst, chunks)
			if carried {
				im.Suspend()
				chunks, digest, v = exportFor(t, src, dst.ResumeToken(1, 10))
				want = contents(t, src, v)
				im = receive(t, dst, chunks)
			}
			bad.Store(lasting)
			tb, err := im.Commit(v, digest)
			if lasting {
				if !errors.Is(err, ErrCorrupt) {
					t.Fatalf("%s: a damaged clone: %v", name, err)
				}
				im.Abort()
				continue
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			wantContents(t, tb, v, want)
		}
	}
}

func TestFullCloneOfAnOldVersionThenCatchUp(t *testing.T) {
	src, v, want := sourceTablet(t)
	chunks, digest := export(t, src, v)
	dir := t.TempDir()
	dst := openStore(t, dir, testOptions())
	old, err := dst.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	old.SetBad("test")
	m := testMeta(1)
	m.Replica = 555
	im, err := dst.BeginImport(m, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dst.BeginImport(m, 1); !errors.Is(err, ErrExists) {
		t.Fatalf("second import: %v", err)
	}
	newest := src.Version()
	pendingTxn := types.TxnID(1000 + newest) // the transaction of the newest version reaches the learner meanwhile
	if err := im.Prepare(context.Background(), pendingTxn, 0, puts(t, row{1, "stale", 1})); err != nil {
		t.Fatal(err)
	}
	for _, c := range chunks {
		for range 2 { // a repeated chunk is ignored
			if err := im.Write(c); err != nil {
				t.Fatal(err)
			}
		}
	}
	if done, total := im.Received(); total == 0 || done != total {
		t.Fatalf("received %d of %d", done, total)
	}
	tb, err := im.Commit(v, digest)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := dst.Tablet(1); got != tb || tb.Meta().Replica != 555 {
		t.Fatal("the import is not the replica")
	}
	wantContents(t, tb, v, want)
	catchUp(t, src, tb)
	if err := dst.Maintain(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := tb.CompactAll(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := dst.Close(); err != nil {
		t.Fatal(err)
	}
	tb, _ = openStore(t, dir, testOptions()).Tablet(1)
	if st := tb.Stats(); st.Bad || len(tb.Pending()) != 0 {
		t.Fatalf("after reopen: %+v, pending %v", st, tb.Pending())
	}
	sameDigest(t, src, tb)
}

// catchUp applies the changes that dst lacks.
func catchUp(t *testing.T, src, dst *Tablet) {
	t.Helper()
	stream, err := src.Changes(dst.Version(), src.Version())
	if err != nil {
		t.Fatal(err)
	}
	for {
		c, ok, err := stream.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		for range 2 {
			if err := dst.ApplyChange(c.Version, c.Payload); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(dst.Pending()) != 0 {
		t.Fatalf("pending after the catch-up: %v", dst.Pending())
	}
	sameDigest(t, src, dst)
}

func sameDigest(t *testing.T, a, b *Tablet) {
	t.Helper()
	da, na, err := a.Digest(a.Version())
	if err != nil {
		t.Fatal(err)
	}
	db, nb, err := b.Digest(a.Version())
	if err != nil {
		t.Fatal(err)
	}
	if da != db || na != nb || na != b.Stats().Rows {
		t.Fatalf("digest %x of %d rows, other %x of %d, stats say %d", da, na, db, nb, b.Stats().Rows)
	}
}

func TestImportRefusesWhatIsNotRight(t *testing.T) {
	src, v, _ := sourceTablet(t)
	chunks, digest := export(t, src, v)
	for name, c := range map[string]struct {
		chunks func() []Chunk
		digest uint64
		want   error
	}{
		"wrong digest":  {func() []Chunk { return chunks }, digest + 1, ErrDigest},
		"end missing":   {func() []Chunk { return chunks[:len(chunks)-1] }, digest, ErrImport},
		"chunk skipped": {func() []Chunk { return slices.Delete(slices.Clone(chunks), 1, 2) }, digest, ErrImport},
		"bit flipped": {func() []Chunk {
			out := slices.Clone(chunks)
			out[1].Bytes = slices.Clone(out[1].Bytes)
			out[1].Bytes[len(out[1].Bytes)/2] ^= 4
			return out
		}, digest, ErrImport},
		"wrong tablet": {func() []Chunk {
			out := slices.Clone(chunks)
			out[0].Bytes = sealChunk(chunkHeader, 2, v, 0, nil)
			return out
		}, digest, ErrImport},
	} {
		t.Run(name, func(t *testing.T) {
			dst := openStore(t, t.TempDir(), testOptions())
			im, err := dst.BeginImport(testMeta(1), 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, chunk := range c.chunks() {
				if err = im.Write(Chunk{Seq: chunk.Seq, Bytes: slices.Clone(chunk.Bytes)}); err != nil { // it keeps the bytes
					break
				}
			}
			if err == nil {
				_, err = im.Commit(v, c.digest)
			}
			if !errors.Is(err, c.want) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			im.Abort()
			if _, ok := dst.Tablet(1); ok {
				t.Fatal("the tablet is there")
			}
			if err := dst.Maintain(context.Background()); err != nil {
				t.Fatal(err)
			}
			wantNoKeys(t, dst)
		})
	}
}

func TestUnfinishedImportIsDroppedAtOpen(t *testing.T) {
	src, v, _ := sourceTablet(t)
	chunks, _ := export(t, src, v)
	dir := t.TempDir()
	dst := openStore(t, dir, testOptions())
	im, err := dst.BeginImport(testMeta(1), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range chunks {
		if err := im.Write(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := im.Prepare(context.Background(), 5, 0, puts(t, row{1, "a", 1})); err != nil {
		t.Fatal(err)
	}
	if err := dst.Close(); err != nil {
		t.Fatal(err)
	}
	later := testOptions()
	later.Now = func() time.Time { return time.Now().Add(2 * time.Hour) } // nobody has gone on with it
	dst = openStore(t, dir, later)
	maintain(t, dst)
	wantNoKeys(t, dst)
}

func TestExporterGoesOnAfterSeek(t *testing.T) {
	src, v, _ := sourceTablet(t)
	chunks, _ := export(t, src, v)
	s, err := src.Snapshot(v)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	e := s.Export()
	e.Seek(1)
	c, ok, err := e.Next(context.Background())
	if err != nil || !ok || c.Seq != 1 || !slices.Equal(c.Bytes, chunks[1].Bytes) {
		t.Fatalf("chunk %d, %v, %v", c.Seq, ok, err)
	}
}

func TestChangesBeyondRetentionAreGone(t *testing.T) {
	opt := testOptions()
	opt.Retention = Retention{Versions: 2, Age: time.Minute, Bytes: 1 << 30}
	var later atomic.Int64
	opt.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	dir := t.TempDir()
	s := openStore(t, dir, opt)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		commit(t, tb, puts(t, row{int64(i), "a", 1}))
		if err := s.meta.Commit(); err != nil { // each is a run: a disk that is opened has all of one that it has any of
			t.Fatal(err)
		}
	}
	if c, err := tb.Changes(1, 7); err != nil || c.Bytes() == 0 {
		t.Fatalf("deltas that are not flushed are all there: %v", err)
	}
	early, err := tb.Changes(1, 7)
	if err != nil {
		t.Fatal(err)
	}
	later.Store(int64(time.Hour))
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	check := func(tb *Tablet) {
		t.Helper()
		if _, err := tb.Changes(4, 7); !errors.Is(err, ErrGone) {
			t.Fatalf("old changes: %v", err)
		}
		if st := tb.Stats(); st.OldestRetained != 6 {
			t.Fatalf("oldest retained %d", st.OldestRetained)
		}
		if _, err := tb.Changes(5, 7); err != nil {
			t.Fatal(err)
		}
	}
	check(tb)
	if _, _, err := early.Next(); !errors.Is(err, ErrGone) {
		t.Fatalf("a stream whose changes were dropped: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	tb, _ = openStore(t, dir, opt).Tablet(1)
	check(tb)
	if tb.Stats().Bad || len(tb.Pending()) != 0 {
		t.Fatalf("%+v, pending %v", tb.Stats(), tb.Pending())
	}
}

func TestLargePartsTravelAndSurvive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir, testOptions())
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	schema := testSchema()
	want := make(map[rowKey]int64)
	for part := range 2 {
		var rows []row
		for i := range 60_000 {
			r := row{int64(part*60_000+i) * 7919 % 1_000_003, "t", int64(i)}
			rows = append(rows, r)
			want[rowKey{r.id, r.tag}] = r.val
		}
		payload, err := wire.Encode(&schema, make([]types.RowOp, len(rows)), batchOf(rows))
		if err != nil {
			t.Fatal(err)
		}
		if len(payload) < largePart {
			t.Fatalf("payload of %d bytes is not large", len(payload))
		}
		if err := tb.PreparePart(ctx, 5, part, payload); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, testOptions())
	tb, _ = s.Tablet(1)
	if err := tb.Publish(5, 2); err != nil {
		t.Fatal(err)
	}
	if err := s.Maintain(ctx); err != nil {
		t.Fatal(err)
	}
	if st := tb.Stats(); st.Rowsets != 2 || st.Deltas != 0 || int(st.Rows) != len(want) {
		t.Fatalf("%+v", st)
	}
	if got := contents(t, tb, 2); !maps.Equal(got, want) {
		t.Fatalf("%d rows of %d, or other ones", len(got), len(want))
	}
	found, err := tb.Exists([][]byte{keyOf(rowKey{7919, "t"}), keyOf(rowKey{3, "u"})})
	if err != nil || fmt.Sprint(found) != "[true false]" {
		t.Fatalf("exists %v, %v", found, err)
	}
	other, err := s.Create(testMeta(2))
	if err != nil {
		t.Fatal(err)
	}
	catchUp(t, tb, other)
}

// TestFlipBesideMerge: an import that has caught up is flushed and merged like any tablet. A flip that begins before the manifest of the
// merge is installed must not put back the manifest before it, whose rowsets are deleted.
func TestFlipBesideMerge(t *testing.T) {
	src, _, _ := sourceTablet(t)
	commit(t, src, puts(t, manyRows(0, 300)...))
	if err := src.Flush(); err != nil {
		t.Fatal(err)
	}
	v := src.Version()
	chunks, digest := export(t, src, v)
	opt := testOptions()
	hangs, hanging, goOn := hangingWrite(&opt)
	dir := t.TempDir()
	s := openStore(t, dir, opt)
	im := receive(t, s, chunks)
	if err := im.Verify(v, digest); err != nil {
		t.Fatal(err)
	}
	hangs.Store(true)
	merged, flipped := make(chan error, 1), make(chan error, 1)
	go func() { merged <- im.t.CompactAll(context.Background()) }()
	<-hanging // the manifest of the merge is on its way
	go func() {
		_, err := im.Flip()
		flipped <- err
	}()
	for range 100_000 { // until the flip is in its midst, or waits
		if !s.mu.TryLock() {
			break
		}
		s.mu.Unlock()
		runtime.Gosched()
	}
	close(goOn)
	if err := errors.Join(<-merged, <-flipped, s.Maintain(context.Background()), s.Close()); err != nil {
		t.Fatal(err)
	}
	tb, _ := openStore(t, dir, testOptions()).Tablet(1)
	wantContents(t, tb, v, contents(t, src, v))
	if _, damage := tb.s.VerifyTablet(context.Background(), tb); damage != nil {
		t.Fatalf("%+v", damage)
	}
}

// TestFlipAfterCatchUp restarts right after the flip of an import that has caught up, as when a replica moves between disks: what came after the clone's
// version is replayed, and counts once.
func TestFlipAfterCatchUp(t *testing.T) {
	for name, bulkBytes := range map[string]int64{"through the memtable": 0, "as rowsets": 1} {
		t.Run(name, func(t *testing.T) {
			src, v, _ := sourceTablet(t)
			chunks, digest := export(t, src, v)
			opt := testOptions()
			opt.bulkBytes = bulkBytes
			dir := t.TempDir()
			s := openStore(t, dir, opt)
			im := receive(t, s, chunks)
			if err := im.Verify(v, digest); err != nil {
				t.Fatal(err)
			}
			commit(t, src, puts(t, manyRows(0, 100)...))
			commit(t, src, puts(t, manyRows(50, 300)...))
			if err := im.CatchUp(src, src.Version()); err != nil {
				t.Fatal(err)
			}
			if _, err := im.Flip(); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			tb, _ := openStore(t, dir, opt).Tablet(1)
			want := contents(t, src, src.Version())
			wantContents(t, tb, src.Version(), want)
			if st := tb.Stats(); st.Rows != int64(len(want)) {
				t.Fatalf("%d rows count, there are %d", st.Rows, len(want))
			}
			if _, damage := tb.s.VerifyTablet(context.Background(), tb); damage != nil {
				t.Fatalf("%+v", damage)
			}
		})
	}
}
