package tablet

import (
	"errors"
	"sync/atomic"
	"testing"

	"stele/meta/types"
)

// manyMetas are tablets from one on.
func manyMetas(from, n int) (out []Meta) {
	for i := range n {
		m := testMeta(types.TabletID(from + i))
		out = append(out, m)
	}
	return out
}

// TestManyShareSyncs: a table of many tablets is made, and dropped, with a few syncs, and each of them is as after Create and Drop: also
// after a restart, where some were there before, and where replicas are others.
func TestManyShareSyncs(t *testing.T) {
	var syncs atomic.Int64
	dir, opt := t.TempDir(), testOptions()
	opt.Faults.Write = func(instance string, durable bool) error {
		if instance == "meta" && durable {
			syncs.Add(1)
		}
		return nil
	}
	s := openStore(t, dir, opt)
	const n = 3*madeAtOnce + 1
	metas := manyMetas(1, n)
	old, err := s.Create(metas[5])
	if err != nil {
		t.Fatal(err)
	}
	syncs.Store(0)
	made, err := s.CreateAll(metas)
	if err != nil || len(made) != n || made[5] != old {
		t.Fatalf("%d made, %v", len(made), err)
	}
	if got := syncs.Load(); got > 2*(n/madeAtOnce+1) {
		t.Errorf("%d tablets took %d syncs", n, got)
	}
	uids := map[uint64]bool{}
	for i, tb := range made {
		uids[tb.uid] = true
		if listed, ok := s.Tablet(metas[i].Tablet); !ok || listed != tb || tb.ID() != metas[i].Tablet {
			t.Fatalf("tablet %d is not listed", metas[i].Tablet)
		}
	}
	if len(uids) != n {
		t.Fatalf("%d incarnations of %d tablets", len(uids), n)
	}

	s = openAgain(t, s, dir, opt)
	if s.TabletCount() != n {
		t.Fatalf("%d tablets after a restart", s.TabletCount())
	}
	other := metas[7]
	list := []Dropping{{other.Tablet, other.Replica + 1}, {n + 100, 1}, {metas[0].Tablet, metas[0].Replica}, {metas[0].Tablet, metas[0].Replica}}
	for _, m := range metas[8:] {
		list = append(list, Dropping{m.Tablet, m.Replica})
	}
	syncs.Store(0)
	gone, err := s.DropAll(list)
	if err != nil || len(gone) != n-7 || s.TabletCount() != 7 {
		t.Fatalf("%d gone, %d left, %v", len(gone), s.TabletCount(), err)
	}
	if got := syncs.Load(); got > 2 {
		t.Errorf("%d syncs", got)
	}
	s = openAgain(t, s, dir, opt)
	if _, ok := s.Tablet(other.Tablet); !ok || s.TabletCount() != 7 {
		t.Errorf("%d tablets after a restart", s.TabletCount())
	}
}

// TestCreateAllStops: what is refused makes none of those it is made with, and what came before is told.
func TestCreateAllStops(t *testing.T) {
	s := openStore(t, t.TempDir(), testOptions())
	metas := manyMetas(1, 2*madeAtOnce)
	taken := metas[madeAtOnce+3]
	taken.Replica++
	if _, err := s.Create(taken); err != nil {
		t.Fatal(err)
	}
	made, err := s.CreateAll(metas)
	if !errors.Is(err, ErrExists) || len(made) != madeAtOnce || s.TabletCount() != madeAtOnce+1 {
		t.Errorf("%d made, %d are there, %v", len(made), s.TabletCount(), err)
	}
	if made, err := s.CreateAll([]Meta{testMeta(900), testMeta(900)}); !errors.Is(err, ErrExists) || len(made) != 0 {
		t.Errorf("one tablet twice: %d made, %v", len(made), err)
	}
}

func openAgain(t *testing.T, s *Store, dir string, opt Options) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return openStore(t, dir, opt)
}
