package tablet

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"stele/be/tablet/wire"
	"stele/meta/types"
)

// light prepares a part that must be taken as light.
func light(t *testing.T, tb *Tablet, txn types.TxnID, part int, payload []byte) {
	t.Helper()
	if taken, err := tb.PrepareLight(txn, part, payload); !taken || err != nil {
		t.Fatalf("txn %d part %d: taken %v, %v", txn, part, taken, err)
	}
}

// TestPrepareLight has parts kept in memory, and in every way in which they cannot be.
func TestPrepareLight(t *testing.T) {
	s := openStore(t, t.TempDir(), testOptions())
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	small, more := puts(t, row{1, "a", 1}), puts(t, row{2, "b", 2})
	bad := append([]byte(nil), small...)
	bad[len(bad)/2] ^= 1
	schema := testSchema()
	if err := tb.PreparePart(context.Background(), 3, 0, small); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name    string
		txn     types.TxnID
		part    int
		payload []byte
		taken   bool
		want    error
	}{
		{"first part", 2, 0, small, true, nil},
		{"again", 2, 0, small, true, nil},
		{"gap", 2, 2, small, true, ErrPartGap},
		{"second part", 2, 1, more, true, nil},
		{"behind a durable part", 3, 1, more, false, nil},
		{"a durable part again", 3, 0, small, true, nil},
		{"damaged", 4, 0, bad, true, ErrPayload},
		{"grouped", 4, 0, groupedPayload(t, &schema, small), false, nil},
		{"large", 4, 0, puts(t, make([]row, laterBytes)...), false, nil},
	} {
		if taken, err := tb.PrepareLight(step.txn, step.part, step.payload); taken != step.taken || !errors.Is(err, step.want) {
			t.Errorf("%s: taken %v, %v", step.name, taken, err)
		}
	}
	if own := tb.Light(2, 0, more); !slices.Equal(own, small) {
		t.Error("a part that is light is answered with other rows")
	}
	if tb.Light(3, 1, more) != nil || tb.Light(3, 0, more) != nil {
		t.Error("parts of a durable transaction are said to be light")
	}
	if err := tb.Publish(2, 2); err != nil {
		t.Fatal(err)
	}
	wantContents(t, tb, 2, map[rowKey]int64{{1, "a"}: 1, {2, "b"}: 2})
	light(t, tb, 2, 0, small)
	if pending := tb.Pending(); !slices.Equal(pending, []types.TxnID{3}) {
		t.Errorf("pending %v", pending)
	}
}

// TestDurableLargeTakesLightWithIt: the parts that were light are durable before one that goes to the other instance.
func TestDurableLargeTakesLightWithIt(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, testOptions())
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	schema := testSchema()
	light(t, tb, 2, 0, puts(t, row{1, "a", 1}))
	light(t, tb, 2, 1, puts(t, row{2, "a", 2}))
	if err := tb.PreparePart(context.Background(), 2, 2, groupedPayload(t, &schema, puts(t, row{3, "a", 3}))); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, testOptions())
	tb, _ = s.Tablet(1)
	if n := tb.PendingParts(2); n != 3 {
		t.Fatalf("%d parts after a restart", n)
	}
	if err := tb.Publish(2, 2); err != nil {
		t.Fatal(err)
	}
	wantContents(t, tb, 2, map[rowKey]int64{{1, "a"}: 1, {2, "a"}: 2, {3, "a"}: 3})
}

// TestApplyChangeOverLight: a clone brings the version of a transaction that is light here.
func TestApplyChangeOverLight(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, testOptions())
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	part := puts(t, row{1, "a", 1})
	light(t, tb, 2, 0, part)
	light(t, tb, 2, 1, puts(t, row{9, "a", 9})) // which the transaction did not have in the end
	if err := tb.ApplyChange(2, wire.EncodeChange(2, [][]byte{part})); err != nil || len(tb.Pending()) != 0 {
		t.Fatal(err, tb.Pending())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, testOptions())
	tb, _ = s.Tablet(1)
	wantContents(t, tb, 2, map[rowKey]int64{{1, "a"}: 1})
	if len(tb.Pending()) != 0 {
		t.Fatal(tb.Pending())
	}
}

// TestLightBesideReaders: change sets are read while their parts are on the way to the disk, parts come while others are published, and
// a disk says no more of what it has than it has.
func TestLightBesideReaders(t *testing.T) {
	const last = types.Version(400)
	s := openStore(t, t.TempDir(), testOptions())
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	prepared := make(chan types.Version, 16)
	var group sync.WaitGroup
	group.Go(func() {
		defer close(prepared)
		for v := types.Version(2); v <= last; v++ {
			if taken, err := tb.PrepareLight(types.TxnID(v), 0, puts(t, row{int64(v % 7), "a", int64(v)})); !taken || err != nil {
				t.Error(taken, err)
				return
			}
			if v%5 == 0 { // it comes once more, to be durable, while it is published perhaps
				group.Go(func() {
					if err := tb.PreparePart(context.Background(), types.TxnID(v), 0, puts(t, row{int64(v % 7), "a", int64(v)})); err != nil {
						t.Error(err)
					}
				})
			}
			prepared <- v
		}
	})
	group.Go(func() {
		for v := range prepared {
			err := tb.Publish(types.TxnID(v), v)
			for errors.Is(err, ErrUnknownTxn) { // it is being made durable
				err = errors.Join(s.meta.Commit(), tb.Publish(types.TxnID(v), v))
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	group.Go(func() {
		for seen := types.Version(1); seen < last; {
			newest := tb.Version()
			stream, err := tb.Changes(seen, newest)
			for ok := true; err == nil && ok; {
				var c Change
				if c, ok, err = stream.Next(); err == nil && ok {
					if txn, parts, derr := wire.DecodeChange(c.Payload); derr != nil || txn != types.TxnID(c.Version) || len(parts) != 1 {
						t.Errorf("version %d: txn %d, %d parts, %v", c.Version, txn, len(parts), derr)
					}
				}
			}
			if err != nil {
				t.Error(err)
				return
			}
			seen = newest
		}
	})
	group.Go(func() {
		for v := types.Version(1); v < last; {
			if v, err = tb.Queued(); err == nil {
				err = s.meta.Commit()
			}
			if err == nil && v > 1 {
				var rec versionRecord
				if rec, err = tb.retainedRecord(v); err == nil {
					var run storedRun
					if err = tb.readRun(rec.run, &run); err == nil && int(v-rec.run) >= len(run.versions) {
						err = ErrCorrupt
					}
				}
			}
			if err != nil {
				t.Error(v, err)
				return
			}
		}
	})
	group.Wait()
	if err := s.meta.Commit(); err != nil || len(tb.unwritten)+len(tb.runs) != 0 {
		t.Fatalf("%d transactions and %d runs are not written after a wait, %v", len(tb.unwritten), len(tb.runs), err)
	}
}

// TestLightBesideAHungDisk: versions are published beside a disk that hangs until what waits for it is enough; then no part is light,
// and nobody who tells of a version waits.
func TestLightBesideAHungDisk(t *testing.T) {
	var hung atomic.Bool
	goesOn := make(chan struct{})
	opt := testOptions()
	opt.Faults.Write = func(string, bool) error {
		if hung.Load() {
			<-goesOn
		}
		return nil
	}
	dir := t.TempDir()
	s := openStore(t, dir, opt)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	hung.Store(true)
	payload := puts(t, row{1, "a", 1})
	waiting := types.TxnID(1 << 30) // a transaction from before, published late
	light(t, tb, waiting, 0, payload)
	v := types.Version(2)
	for ; ; v++ {
		taken, err := tb.PrepareLight(types.TxnID(v), 0, payload)
		if err != nil || v > 20_000 {
			t.Fatalf("version %d: %v", v, err)
		}
		if !taken {
			break
		}
		if err := tb.Publish(types.TxnID(v), v); err != nil {
			t.Fatal(err)
		}
	}
	if err := tb.Publish(waiting, v); err != nil {
		t.Fatal(err)
	}
	said := errors.New("nothing")
	s.Barrier(func(err error) { said = err })
	if !errors.Is(said, errCrowded) {
		t.Fatalf("the disk hangs, and says %v", said)
	}
	hung.Store(false)
	close(goesOn)
	if err := s.meta.Commit(); err != nil {
		t.Fatal(err)
	}
	light(t, tb, types.TxnID(v+1), 0, payload)
	if got := tb.Version(); got != v {
		t.Fatalf("version %d, want %d", got, v)
	}
}
