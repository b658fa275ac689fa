package tablet

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"stele/be/tablet/kv"
	"stele/be/tablet/sought"
	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/rowset"
)

// TestReuseGivesTheSameRows scans rowsets, a schema's later column, deleted rows and a memtable with vectors filled again.
func TestReuseGivesTheSameRows(t *testing.T) {
	_, tb := newTestTablet(t)
	want := make(map[rowKey]int64)
	for round := range 3 {
		var rows []row
		for i := range 5000 {
			r := row{int64(i*3 + round), "t", int64(i % 700)}
			if i%50 == 0 {
				r.val = -1
			}
			rows = append(rows, r)
			want[rowKey{r.id, r.tag}] = r.val
		}
		commit(t, tb, puts(t, rows...))
		if round < 2 {
			if err := tb.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	var gone []row
	for i := range 900 {
		gone = append(gone, row{int64(i * 7), "t", 0})
		delete(want, rowKey{int64(i * 7), "t"})
	}
	commit(t, tb, deletesPayload(t, gone...))
	next := testSchema()
	next.Version = 2
	next.Columns = append(next.Columns, types.Column{ID: 9, Type: types.ColumnType{Kind: types.KindInt}})
	if err := tb.SetSchema(next); err != nil {
		t.Fatal(err)
	}
	snap, err := tb.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	got := make(map[rowKey]int64)
	it := snap.Scan(append(append([]types.ColumnID(nil), allColumns...), 9), ScanOptions{Reuse: true})
	for {
		b, err := it.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			break
		}
		if b.Cols[len(allColumns)].NullCount() != b.N {
			t.Fatal("a column that nobody wrote has values")
		}
		b.Cols = b.Cols[:len(allColumns)]
		readBatch(t, b, got)
		b.Cols = b.Cols[:len(allColumns)+1]
	}
	if !maps.Equal(got, want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
}

// TestReadAheadOfAnyMemory asks for pages of a row group that is a mapping, and of bytes that are none.
func TestReadAheadOfAnyMemory(t *testing.T) {
	kv.WillNeed(nil)
	kv.WillNeed(make([]byte, 3*4096))
	s, tb := newTestTablet(t)
	var rows []row
	for i := range 30_000 {
		rows = append(rows, row{int64(i), "t", int64(i * 7919)})
	}
	commit(t, tb, puts(t, rows...))
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, r := range tb.rowsets {
		for g := range r.groups {
			if err := s.viewGroup(r.group(g), func(group *rowset.Group) error {
				for _, id := range allColumns {
					b, _ := group.ColumnBytes(group.Column(id), 0, group.Vectors())
					asked += len(b)
					kv.WillNeed(b)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if st := tb.Stats(); asked < int(st.Bytes)/2 {
		t.Fatalf("%d bytes of columns in %d", asked, st.Bytes)
	}
}

// TestReadAheadOfARange asks the disk for those vectors of a column that a scan of some keys decodes, and for no others.
func TestReadAheadOfARange(t *testing.T) {
	s, tb := newTestTablet(t)
	var rows []row
	for i := range 30_000 {
		rows = append(rows, row{int64(i), "t", int64(i)})
	}
	commit(t, tb, puts(t, rows...))
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	snap, err := tb.Snapshot(tb.Version())
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	it := snap.Scan(allColumns, ScanOptions{Prune: []sought.Predicate{
		{Column: allColumns[0], Op: sought.OpGE, Value: expr.Value{I: 5000}}, {Column: allColumns[0], Op: sought.OpLT, Value: expr.Value{I: 7000}}}})
	asked := 0
	for _, u := range it.units {
		if err := s.viewRows(u.w.r, u.group, func(group *rowset.Group) error {
			from, to := it.zoned(group)
			for i := range group.Vectors() {
				if within := from <= i && i < to; within != it.zonesMatch(group, i) {
					t.Errorf("vector %d of %d is asked for: %v", i, group.Vectors(), within)
				}
			}
			asked += to - from
			one, _ := group.ColumnBytes(0, from, to)
			all, _ := group.ColumnBytes(0, 0, group.Vectors())
			if from < to && (len(one) == 0 || len(one) >= len(all)) {
				t.Errorf("vectors [%d, %d) take %d bytes of %d", from, to, len(one), len(all))
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if asked == 0 || asked > 3 {
		t.Errorf("%d vectors are asked for", asked)
	}
}

// TestEmptyValueIsBad: Badger gives an empty value and no error for some damage (B1).
func TestEmptyValueIsBad(t *testing.T) {
	key := key1(kManifest, 7)
	if _, err := unseal(key, nil); !errors.Is(err, ErrCorrupt) {
		t.Fatal(err)
	}
	if _, err := rowset.OpenGroup(rowset.GroupID{UID: 7}, nil); !errors.Is(err, ErrCorrupt) {
		t.Fatal(err)
	}
	if _, err := unseal(key1(kManifest, 8), seal(key, []byte("another tablet's"))); !errors.Is(err, ErrCorrupt) {
		t.Fatal(err)
	}
}

// TestFaultsAtEveryWrite fails the n-th write of an instance, for every n (every third one, from a random one on, unless
// proving): what was acknowledged is there after a restart.
func TestFaultsAtEveryWrite(t *testing.T) {
	t.Parallel()
	failEveryWrite(t, steps)
}

// TestFaultsBelowTheReserve does so while rows are deleted on a disk below its reserve and their room is given back.
func TestFaultsBelowTheReserve(t *testing.T) {
	t.Parallel()
	failEveryWrite(t, stepsBelowReserve)
}

func failEveryWrite(t *testing.T, steps faultySteps) {
	for _, instance := range []string{"meta", "data"} {
		for _, durable := range []bool{false, true} {
			stride := upTo(1, 3)
			first := 1 + rand.IntN(stride)
			t.Logf("%s, durable %v: each %d. write fails, from %d on", instance, durable, stride, first)
			for fail := first; ; fail += stride {
				if !failsAtWrite(t, instance, durable, fail, steps) {
					break
				}
			}
		}
	}
}

// faultySteps writes version n as row n, but for those from firstDelete on, which delete the row of version 2 and those after it. It returns the last
// version that was prepared, and when something has failed.
type faultySteps func(t *testing.T, dir string, opt Options) (acked types.Version)

const firstDelete = 7

// failsAtWrite runs some steps on a disk whose n-th write fails and reports whether there were as many.
func failsAtWrite(t *testing.T, instance string, durable bool, n int, steps faultySteps) bool {
	t.Helper()
	dir := t.TempDir()
	opt := testOptions()
	left := n
	opt.Faults.Write = func(in string, d bool) error {
		if in != instance || d != durable {
			return nil
		}
		if left--; left == 0 {
			return errors.New("disk on fire")
		}
		return nil
	}
	acked := steps(t, dir, opt)
	s := openStore(t, dir, testOptions())
	tb, ok := s.Tablet(1)
	if !ok && acked > 0 {
		t.Fatalf("%s, durable %v, write %d: the tablet is gone", instance, durable, n)
	}
	if ok {
		for v := tb.Version() + 1; v <= acked; v++ {
			if err := tb.Publish(types.TxnID(v), v); err != nil {
				t.Fatalf("%s, durable %v, write %d: version %d: %v", instance, durable, n, v, err)
			}
		}
		want := make(map[rowKey]int64)
		for v := int64(2); v <= int64(tb.Version()); v++ {
			if v < firstDelete {
				want[rowKey{v, "a"}] = v
			} else {
				delete(want, rowKey{v - firstDelete + 2, "a"})
			}
		}
		wantContents(t, tb, tb.Version(), want)
		if tb.Version() < acked {
			t.Fatalf("%s, durable %v, write %d: version %d of %d", instance, durable, n, tb.Version(), acked)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return left <= 0
}

// steps writes versions, flushes and merges until something fails; it returns the last version that was prepared.
func steps(t *testing.T, dir string, opt Options) (acked types.Version) {
	t.Helper()
	s, err := Open(dir, opt)
	if err != nil {
		return 0
	}
	defer s.Close()
	tb, err := s.Create(testMeta(1))
	if err != nil {
		return 0
	}
	for v := types.Version(2); v < firstDelete; v++ {
		if err := tb.Prepare(context.Background(), types.TxnID(v), puts(t, row{int64(v), "a", int64(v)})); err != nil {
			return acked
		}
		acked = v
		if err := tb.Publish(types.TxnID(v), v); err != nil {
			return acked
		}
		if v%3 == 0 && tb.Flush() != nil {
			return acked
		}
	}
	_ = tb.CompactAll(context.Background())
	return acked
}

// stepsBelowReserve deletes most of what steps has written, when the disk is below its reserve, and has the rest merged and the segments collected.
func stepsBelowReserve(t *testing.T, dir string, opt Options) types.Version {
	const reserve = int64(8 << 20)
	acked := steps(t, dir, opt)
	var minutes atomic.Int64 // each look at the clock takes one
	start := time.Now()
	opt.Now = func() time.Time { return start.Add(time.Duration(minutes.Add(1)) * time.Minute) }
	opt.ReadAge, opt.FloodBytes, opt.FloodPercent = 1, reserve, 50
	opt.Faults.Space = func() (int64, int64, error) { return 1 << 30, reserve - 1, nil }
	s, err := Open(dir, opt)
	if err != nil {
		return acked
	}
	defer s.Close()
	tb, ok := s.Tablet(1)
	if !ok || tb.Version() != firstDelete-1 {
		return acked
	}
	for v := types.Version(firstDelete); v < firstDelete+4; v++ {
		if err := tb.Prepare(t.Context(), types.TxnID(v), deletesPayload(t, row{int64(v) - firstDelete + 2, "a", 0})); err != nil {
			if errors.Is(err, ErrDiskFull) {
				t.Error(err)
			}
			return acked
		}
		if acked = v; tb.Publish(types.TxnID(v), v) != nil {
			return acked
		}
	}
	if tb.Flush() != nil {
		return acked
	}
	if did, err := tb.Compact(t.Context()); err == nil && !did {
		t.Error("nothing was merged, although one row of five is left")
	}
	if err := s.Reclaim(t.Context()); errors.Is(err, ErrDiskFull) {
		t.Error(err)
	}
	return acked
}
