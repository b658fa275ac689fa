package tablet

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"stele/meta/types"
)

// groupReads counts the row groups that a store reads.
type groupReads struct{ n atomic.Int64 }

func (g *groupReads) read(key, val []byte) []byte {
	if key[0] == kGroup {
		g.n.Add(1)
	}
	return val
}

// manyRows returns rows from..to-1, in order of the key of testSchema.
func manyRows(from, to int) []row {
	rows := make([]row, 0, to-from)
	for i := from; i < to; i++ {
		rows = append(rows, row{int64(i), "t", int64(i % 1000)})
	}
	return rows
}

func wantDigest(t rapid.TB, tb *Tablet, what string) {
	t.Helper()
	got, rows, err := tb.Digest(tb.Version())
	if err != nil {
		t.Fatal(err)
	}
	want, n, err := tb.ScanDigest(context.Background(), tb.Version())
	if err != nil || got != want || rows != n {
		t.Fatalf("%s: digest %x of %d rows, a scan says %x of %d: %v", what, got, rows, want, n, err)
	}
}

// TestDigestReadsWhatChanged flushes three row groups and changes one row in one of them.
func TestDigestReadsWhatChanged(t *testing.T) {
	dir, reads := t.TempDir(), &groupReads{}
	opt := testOptions()
	opt.Faults.Read = reads.read
	s := openStore(t, dir, opt)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	commit(t, tb, puts(t, manyRows(0, 150_000)...))
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	if n := tb.Stats().Rowsets; n != 1 {
		t.Fatalf("%d rowsets", n)
	}
	commit(t, tb, puts(t, row{70_000, "t", 5}))
	commit(t, tb, deletesPayload(t, row{70_001, "t", 0}))
	digestReads := func(what string, want int64) {
		t.Helper()
		reads.n.Store(0)
		if _, _, err := tb.Digest(tb.Version()); err != nil {
			t.Fatal(err)
		}
		if n := reads.n.Load(); n > want {
			t.Fatalf("%s: the digest read %d row groups, not %d", what, n, want)
		}
	}
	digestReads("after two changes in one row group", 1)
	wantDigest(t, tb, "after two changes")
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	digestReads("after a flush", 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	tb, _ = openStore(t, dir, opt).Tablet(1)
	digestReads("reopened", 0)
	wantDigest(t, tb, "reopened")
}

// TestComparePoint checks that a tablet under writes keeps the digest of a version that its peers keep too, and a quiet
// one that of its newest.
func TestComparePoint(t *testing.T) {
	now := time.Now()
	opt := testOptions()
	opt.Now = func() time.Time { return now }
	var points [2]DigestPoint
	for i, versions := range []int{digestStep + 40, digestStep + 90} {
		s := openStore(t, t.TempDir(), opt)
		tb, err := s.Create(testMeta(1))
		if err != nil {
			t.Fatal(err)
		}
		for v := range versions {
			commit(t, tb, puts(t, row{int64(v % 50), "a", int64(v)}))
			if v == 20 {
				if err := tb.Flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := s.Maintain(context.Background()); err != nil {
			t.Fatal(err)
		}
		p, ok := tb.ComparePoint()
		if !ok || p.Version != digestStep || p.Rows != 50 {
			t.Fatalf("under writes: %+v, %v", p, ok)
		}
		points[i] = p
		now = now.Add(digestQuiet)
		if err := s.Maintain(context.Background()); err != nil {
			t.Fatal(err)
		}
		if p, _ := tb.ComparePoint(); p.Version != tb.Version() {
			t.Fatalf("quiet: %+v at version %d", p, tb.Version())
		}
	}
	if points[0] != points[1] {
		t.Fatalf("replicas that did the same have %+v and %+v", points[0], points[1])
	}
}

// TestDigestSurvivesAnEmptyColumn adds a column that is NULL everywhere, then one that is not.
func TestDigestSurvivesAnEmptyColumn(t *testing.T) {
	_, tb := newTestTablet(t)
	commit(t, tb, puts(t, row{1, "a", 1}, row{2, "b", 2}))
	if err := tb.advanceDigest(context.Background()); err != nil {
		t.Fatal(err)
	}
	next := testSchema()
	next.Version = 2
	next.Columns = append(next.Columns, types.Column{ID: 9, Type: types.ColumnType{Kind: types.KindInt}})
	if err := tb.SetSchema(next); err != nil {
		t.Fatal(err)
	}
	if !tb.digest.known {
		t.Fatal("a column of NULLs made the digest unknown")
	}
	wantDigest(t, tb, "a column of NULLs")
	next.Version = 3
	next.Columns = append(next.Columns, types.Column{ID: 10, Type: types.ColumnType{Kind: types.KindInt, NotNull: true}, Initial: &types.Initial{I: 7}})
	if err := tb.SetSchema(next); err != nil {
		t.Fatal(err)
	}
	if tb.digest.known {
		t.Fatal("the digest of other columns is taken for that of these")
	}
	wantDigest(t, tb, "a column of sevens")
}
