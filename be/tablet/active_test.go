package tablet

import (
	"sync/atomic"
	"testing"
	"time"

	"stele/meta/types"
)

// TestMaintenanceLooksAtWhatChanged: a tablet keeps the maintenance worker busy until its deltas are flushed, what it dropped is
// beyond the horizon and retention is satisfied, and not a moment longer.
func TestMaintenanceLooksAtWhatChanged(t *testing.T) {
	var now atomic.Int64
	now.Store(time.Now().UnixNano())
	opt := testOptions()
	opt.Now = func() time.Time { return time.Unix(0, now.Load()) }
	opt.ReadAge, opt.Flush.Age = time.Minute, 10*time.Second
	opt.Retention = Retention{Versions: 3, Age: 2 * time.Minute, Bytes: 1 << 30}
	s := openStore(t, t.TempDir(), opt)
	for id := range types.TabletID(20) {
		if _, err := s.Create(testMeta(id + 1)); err != nil {
			t.Fatal(err)
		}
	}
	wantActive := func(when string, want int) {
		t.Helper()
		maintain(t, s)
		maintain(t, s)
		if got := len(s.active.all()); got != want {
			t.Fatalf("%s: %d tablets are active, not %d", when, got, want)
		}
	}
	wantActive("new tablets", 0)
	tb, _ := s.Tablet(7)
	for i := range 6 {
		commit(t, tb, puts(t, row{int64(i % 2), "a", int64(i)}))
	}
	wantActive("deltas", 1)
	now.Add(int64(11 * time.Second))
	wantActive("flushed, old rows can still be read", 1)
	if st := tb.Stats(); st.Deltas != 0 || st.Rowsets != 1 {
		t.Fatalf("%+v", st)
	}
	now.Add(int64(2 * time.Minute))
	wantActive("nothing is left to do", 0)
	if st := tb.Stats(); st.OldestReadable != tb.Version() || st.OldestRetained != tb.Version()-2 {
		t.Fatalf("%+v at version %d", st, tb.Version())
	}
	snap, err := tb.Current()
	if err != nil {
		t.Fatal(err)
	}
	commit(t, tb, puts(t, row{1, "a", 100}))
	now.Add(int64(time.Hour))
	wantActive("a pinned version", 1)
	snap.Release()
	now.Add(int64(time.Hour))
	wantActive("released", 0)
}
