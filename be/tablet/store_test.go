package tablet

import (
	"context"
	"errors"
	"testing"

	"stele/meta/types"
)

func TestFailedDiskServesReadsOnly(t *testing.T) {
	s, tb := newTestTablet(t)
	v := commit(t, tb, puts(t, row{1, "a", 1}))
	s.setFailed(errors.New("sync of value log"))
	if err := tb.Prepare(context.Background(), 9, puts(t, row{2, "a", 1})); !errors.Is(err, ErrReadOnly) {
		t.Fatalf("write: %v", err)
	}
	if err := tb.Flush(); !errors.Is(err, ErrReadOnly) {
		t.Fatalf("flush: %v", err)
	}
	if _, err := s.Create(testMeta(2)); !errors.Is(err, ErrReadOnly) {
		t.Fatalf("create: %v", err)
	}
	if u := s.Usage(); !u.ReadOnly || u.Err == "" {
		t.Fatalf("usage %+v", u)
	}
	wantContents(t, tb, v, map[rowKey]int64{{1, "a"}: 1})
}

// fillTablets makes tablets 1 to n, each a rowset of values that do not compress.
func fillTablets(t *testing.T, s *Store, n types.TabletID) {
	t.Helper()
	for id := types.TabletID(1); id <= n; id++ {
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
}

func TestReclaimAfterDrop(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), testOptions())
	ctx := context.Background()
	fillTablets(t, s, 4)
	before := s.Usage().DataUsed
	for id := types.TabletID(1); id <= 3; id++ {
		if err := s.Drop(id, testMeta(id).Replica); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Reclaim(ctx); err != nil {
		t.Fatal(err)
	}
	if after := s.Usage().DataUsed; after > before*6/10 {
		t.Fatalf("%d bytes became %d after three of four tablets were dropped", before, after)
	}
	tb, _ := s.Tablet(4)
	if err := tb.Scrub(ctx, func(context.Context, int64) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if _, rows, err := tb.Digest(2); err != nil || rows != 60_000 {
		t.Fatalf("%d rows, %v", rows, err)
	}
}

func TestChangedEpochAndBadStateSurvive(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, testOptions())
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []types.Epoch{7, 3} { // a lower one comes late
		if err := tb.SetEpoch(e); err != nil {
			t.Fatal(err)
		}
	}
	tb.SetBad("operator says so")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	tb, _ = openStore(t, dir, testOptions()).Tablet(1)
	if st := tb.Stats(); tb.Meta().Epoch != 7 || !st.Bad || st.BadReason != "operator says so" {
		t.Fatalf("epoch %d, %+v", tb.Meta().Epoch, st)
	}
}
