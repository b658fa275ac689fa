package tablet

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"stele/meta/types"
)

// TestAbandon closes a disk that has failed under those who read, write and clone: all of them end with an error that says so, no replica turns bad by
// it, and the disk that is opened then has all that was acknowledged.
func TestAbandon(t *testing.T) {
	t.Parallel()
	dir, opt := t.TempDir(), testOptions()
	var burns atomic.Bool
	opt.Faults.Write = func(string, bool) error {
		if burns.Load() {
			return errors.New("disk on fire")
		}
		return nil
	}
	opt.OnBad = func(id types.TabletID) { t.Errorf("tablet %d turns bad", id) }
	s := openStore(t, dir, opt)
	const tablets = 4
	var acked [tablets]types.Version
	var users sync.WaitGroup
	var steps atomic.Int64
	busy := make(chan struct{})
	for n := range types.TabletID(tablets) {
		tb, err := s.Create(testMeta(1 + n))
		if err != nil {
			t.Fatal(err)
		}
		users.Go(func() {
			var err error
			for v := types.Version(2); err == nil; v++ {
				if err = tb.Prepare(t.Context(), types.TxnID(v), puts(t, row{int64(v), "a", int64(v)})); err == nil {
					acked[n] = v
					err = tb.Publish(types.TxnID(v), v)
				}
				if v%20 == 0 && err == nil {
					err = tb.Flush()
				}
				if steps.Add(1) == 200 {
					close(busy)
				}
			}
		})
		users.Go(func() {
			for {
				snap, err := tb.Current()
				if errors.Is(err, ErrDropped) {
					return
				}
				if err == nil {
					_, _, err = snap.ScanDigest(t.Context())
					snap.Release()
				}
				if err != nil && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrDropped) {
					t.Errorf("a reader hears: %v", err)
					return
				}
			}
		})
	}
	<-busy
	burns.Store(true)
	if err := s.Abandon(); err != nil {
		t.Log(err) // the disk has failed
	}
	users.Wait()
	if s.TabletCount() != 0 {
		t.Errorf("%d tablets are listed", s.TabletCount())
	}
	burns.Store(false)
	s = openStore(t, dir, opt)
	for n, last := range acked {
		tb, ok := s.Tablet(types.TabletID(1 + n))
		if !ok {
			t.Fatalf("tablet %d is gone", 1+n)
		}
		for v := tb.Version() + 1; v <= last; v++ {
			if err := tb.Publish(types.TxnID(v), v); err != nil {
				t.Fatalf("tablet %d, version %d of %d: %v", 1+n, v, last, err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
