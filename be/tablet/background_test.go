package tablet

import (
	"context"
	"testing"
	"time"

	"stele/meta/types"
)

// TestScrubberRunsByItself damages a row group that nobody reads: the background finds it, and only that replica is bad.
func TestScrubberRunsByItself(t *testing.T) {
	flip := &flipper{kind: kGroup, at: 300}
	bad := make(chan types.TabletID, 8)
	opt := testOptions()
	opt.NoBackground = false
	opt.Faults.Read = func(key, val []byte) []byte {
		if keyUint(key, 0) != 1 { // the first incarnation
			return val
		}
		return flip.read(key, val)
	}
	opt.OnBad = func(id types.TabletID) { bad <- id }
	opt.Tuning = func() Tuning { return Tuning{ScrubEvery: 10 * time.Millisecond} }
	s := openStore(t, t.TempDir(), opt)
	var tabs []*Tablet
	for id := range types.TabletID(3) {
		tb, err := s.Create(testMeta(id + 1))
		if err != nil {
			t.Fatal(err)
		}
		commit(t, tb, puts(t, manyRows(0, 500)...))
		if err := tb.Flush(); err != nil {
			t.Fatal(err)
		}
		tabs = append(tabs, tb)
	}
	flip.armed.Store(true)
	select {
	case id := <-bad:
		if id != 1 {
			t.Fatalf("replica of tablet %d is bad", id)
		}
	case <-time.After(time.Minute):
		t.Fatal("the scrubber found nothing")
	}
	if !tabs[0].Stats().Bad || tabs[1].Stats().Bad || tabs[2].Stats().Bad {
		t.Fatal("bad replicas are not the damaged one")
	}
	deadline := time.After(time.Minute)
	for s.Counters().ScrubbedBytes == 0 { // counted when the pass is through, after what it found was told
		select {
		case <-deadline:
			t.Fatalf("%+v", s.Counters())
		case <-time.After(time.Millisecond):
		}
	}
}

// TestScrubCorrectsADigest stands for a fault in how the digest is kept up: the rows are the truth.
func TestScrubCorrectsADigest(t *testing.T) {
	s, tb := newTestTablet(t)
	commit(t, tb, puts(t, row{1, "a", 1}))
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	tb.mu.Lock()
	tb.digest.point.Digest++
	tb.mu.Unlock()
	free := func(context.Context, int64) error { return nil }
	if err := tb.Scrub(context.Background(), free); err != nil {
		t.Fatal(err)
	}
	wantDigest(t, tb, "scrubbed")
	if n := s.Counters().DigestsCorrected; n != 1 {
		t.Fatalf("%d digests were corrected", n)
	}
}

func TestOldDeltasAreFlushed(t *testing.T) {
	now := time.Now()
	opt := testOptions()
	opt.Now = func() time.Time { return now }
	s := openStore(t, t.TempDir(), opt)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	commit(t, tb, puts(t, row{1, "a", 1}))
	maintain(t, s)
	if n := tb.Stats().Rowsets; n != 0 {
		t.Fatal("a new delta was flushed")
	}
	now = now.Add(s.tuning().Flush.Age)
	maintain(t, s)
	if st := tb.Stats(); st.Rowsets != 1 || st.Deltas != 0 {
		t.Fatalf("%+v", st)
	}
	now = now.Add(time.Hour)
	maintain(t, s)
	if c := s.Counters(); c.Flushes != 1 || c.WriteAmplification() <= 1 {
		t.Fatalf("%+v", c)
	}
}

// TestBudgetYieldsToPressure lets background work spend what nothing allows: it waits, but not while deltas fill the memory.
func TestBudgetYieldsToPressure(t *testing.T) {
	opt := testOptions()
	opt.Tuning = func() Tuning { return Tuning{BackgroundBytes: 1} }
	s := openStore(t, t.TempDir(), opt)
	ctx := context.Background()
	if err := s.spend(ctx, s.budget, budgetBurst); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	err := s.spend(short, s.budget, 1<<20)
	cancel()
	if err == nil {
		t.Fatal("the budget was overdrawn")
	}
	s.mem.add(s.mem.limit)
	defer s.mem.add(-s.mem.limit)
	if err := s.spend(ctx, s.budget, 1<<30); err != nil {
		t.Fatal(err)
	}
	if err := s.spend(short, s.budget, 1); err == nil {
		t.Fatalf("a context that is over: %v", err)
	}
}

// TestLull: a second in which little is written is one, a shorter time says nothing, and neither does the first look.
func TestLull(t *testing.T) {
	var l lull
	at := time.Unix(1_700_000_000, 0)
	for i, look := range []struct {
		after time.Duration
		bytes int64
		quiet bool
	}{{0, 0, false}, {time.Second, 1 << 20, false}, {time.Second / 2, 1 << 20, false}, {time.Second / 2, 1<<20 + 100, true}, {time.Minute, 2 << 20, true}} {
		at = at.Add(look.after)
		if got := l.look(at, look.bytes); got != look.quiet {
			t.Errorf("look %d: %v", i, got)
		}
	}
}

// TestFlushesGoOnWhileRoomIsGivenBack: what dropped tablets leave takes long to delete, and writers wait for flushes.
func TestFlushesGoOnWhileRoomIsGivenBack(t *testing.T) {
	opt := testOptions()
	opt.NoBackground, opt.MemLimit = false, 1
	s := openStore(t, t.TempDir(), opt)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	s.collecting.Lock()
	defer s.collecting.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for v := types.InitialVersion + 1; v < types.InitialVersion+5; v++ {
		if err := tb.Prepare(ctx, types.TxnID(v), puts(t, row{int64(v), "a", 1})); err != nil {
			t.Fatalf("version %d: %v", v, err)
		}
		if err := tb.Publish(types.TxnID(v), v); err != nil {
			t.Fatal(err)
		}
	}
}
