package tablet

import (
	"errors"
	"sync/atomic"
	"testing"

	"stele/meta/types"
)

// TestDiscardOnAFailedDisk: what a failed disk cannot drop it only lists no more, and has again when it is opened anew; a drop that has to last is
// refused there.
func TestDiscardOnAFailedDisk(t *testing.T) {
	t.Parallel()
	dir, opt := t.TempDir(), testOptions()
	var burns atomic.Bool
	opt.Faults.Write = func(string, bool) error {
		if burns.Load() {
			return errors.New("disk on fire")
		}
		return nil
	}
	s := openStore(t, dir, opt)
	for id := range types.TabletID(2) {
		if _, err := s.Create(testMeta(1 + id)); err != nil {
			t.Fatal(err)
		}
	}
	tb, _ := s.Tablet(1)
	list := []Dropping{{tb.ID(), tb.Replica()}, {2, tb.Replica() + 1000}}
	burns.Store(true)
	if err := tb.Prepare(t.Context(), 2, puts(t, row{1, "a", 1})); err == nil || !s.Failed() || !s.Usage().Failed {
		t.Fatalf("prepared on a burning disk: %v, failed %v", err, s.Failed())
	}
	if _, err := s.DropAll(list); err == nil || s.TabletCount() != 2 {
		t.Fatalf("dropped on a failed disk: %v", err)
	}
	gone, err := s.Discard(list)
	if _, listed := s.Tablet(1); err != nil || len(gone) != 1 || gone[0] != tb || listed || s.TabletCount() != 1 {
		t.Fatalf("%v, %v, listed %v: one replica is to go, another one has a newer id", gone, err, listed)
	}
	if _, err := tb.Current(); !errors.Is(err, ErrDropped) {
		t.Errorf("the replica is still read: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Log(err) // the disk has failed
	}
	burns.Store(false)
	s = openStore(t, dir, opt)
	if _, ok := s.Tablet(1); !ok {
		t.Fatal("it is gone from a disk that took no writes")
	}
	if gone, err := s.Discard(list); err != nil || len(gone) != 1 {
		t.Fatalf("%v, %v", gone, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, opt)
	if _, ok := s.Tablet(1); ok {
		t.Fatal("a discarded replica is back on a disk that took the drop")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
