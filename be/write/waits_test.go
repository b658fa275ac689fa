package write

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"stele/meta/types"
)

// lockLater has a transaction ask for a row that it does not get at once, and returns when it stands in the queue.
func lockLater(t *testing.T, l *lockTable, txn types.TxnID, key string) chan error {
	t.Helper()
	b := newLockBatch(txn, 1, [][]byte{[]byte(key)})
	w, err := l.tryLock(b)
	if err != nil || w == nil {
		t.Fatalf("txn %d does not wait: %v", txn, err)
	}
	done := make(chan error, 1)
	go func() { done <- l.await(context.Background(), w, time.Now().Add(time.Hour)) }()
	return done
}

func lockNow(t *testing.T, l *lockTable, txn types.TxnID, keys ...string) []*rowLock {
	t.Helper()
	var all [][]byte
	for _, k := range keys {
		all = append(all, []byte(k))
	}
	locks, err := l.acquireFree(txn, 1, all)
	if err != nil {
		t.Fatal(err)
	}
	return locks
}

// TestWaitsAreListedInOrder: the first of a queue waits for the owner, each other one for who stands before it, and one that is ended as a
// deadlock leaves the queue to the rest.
func TestWaitsAreListedInOrder(t *testing.T) {
	l := newLockTable()
	lockNow(t, l, 1, "a")
	lockNow(t, l, 2, "b")
	second, third, other := lockLater(t, l, 3, "a"), lockLater(t, l, 4, "a"), lockLater(t, l, 5, "b")
	list := func() (out []string, ids map[uint64]uint64) {
		ids = map[uint64]uint64{}
		for _, w := range l.list() {
			out = append(out, fmt.Sprintf("%d for %d", w.TxnId, w.ForTxnId))
			ids[w.TxnId] = w.Id
		}
		slices.Sort(out)
		return out, ids
	}
	got, ids := list()
	if want := []string{"3 for 1", "4 for 3", "5 for 2"}; !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	l.deadlocked([]uint64{ids[3], ids[5] + 100})
	if err := <-second; !errors.Is(err, ErrDeadlock) {
		t.Errorf("txn 3: %v", err)
	}
	if got, _ := list(); !slices.Equal(got, []string{"4 for 1", "5 for 2"}) {
		t.Errorf("afterwards: %v", got)
	}
	l.release(1, 1)
	l.release(2, 1)
	if err := errors.Join(<-third, <-other); err != nil {
		t.Error(err)
	}
	if l.deadlocked([]uint64{ids[4]}); len(l.list()) != 0 {
		t.Error("somebody waits still")
	}
}

// TestFreeRowsAreLocked: in the order of the keys as they were given, without those that others have, and without waiting.
func TestFreeRowsAreLocked(t *testing.T) {
	l := newLockTable()
	lockNow(t, l, 1, "b", "d")
	locks := lockNow(t, l, 2, "d", "c", "b", "a")
	for i, got := range []bool{false, true, false, true} {
		if (locks[i] != nil) != got {
			t.Errorf("key %d: locked %v", i, locks[i] != nil)
		}
	}
	if again := lockNow(t, l, 2, "a", "c"); again[0] != locks[3] || again[1] != locks[1] {
		t.Error("the transaction does not find its own rows")
	}
	if len(l.list()) != 0 || l.count != 4 {
		t.Errorf("%d waits, %d rows", len(l.list()), l.count)
	}
}
