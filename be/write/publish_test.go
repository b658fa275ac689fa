package write

import (
	"reflect"
	"testing"

	"stele/meta/types"
)

// TestPublishInOrder: a version of which all is there is shown at once; one that lacks a part, and those behind it, wait for that part,
// whatever comes first, and nothing stays noted afterwards.
func TestPublishInOrder(t *testing.T) {
	p := newPair(t)
	follower := p.members[1]
	noted := func(want int) {
		t.Helper()
		r := follower.w.replica(follower.tablet())
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.decided) != want || r.ahead.Load() != (want > 0) {
			t.Fatalf("%d versions are noted, not %d; ahead is %v", len(r.decided), want, r.ahead.Load())
		}
	}
	told := func(v types.Version, txn types.TxnID, parts int, want types.Version) {
		t.Helper()
		if got := follower.publish(v, txn, parts); got != want {
			t.Fatalf("version %d was told: the replica has %d, not %d", v, got, want)
		}
	}
	p.write(10, 0, 1, 1, 1<<20, 1, 1)
	p.write(11, 0, 1, 1, 1<<20, 2, 2)
	told(2, 10, 1, 2)
	noted(0)
	p.cut = true
	p.write(11, 1, 1, 1, 1<<20, 3, 3)
	p.cut = false
	p.write(12, 0, 1, 1, 1<<20, 4, 4)
	told(3, 11, 2, 2) // one part of two is here
	told(4, 12, 1, 2)
	told(2, 10, 1, 2) // a repetition
	noted(2)
	if resp := p.write(11, 1, 1, 1, 1<<20, 3, 3); resp.Message != "" {
		t.Fatal(resp.Message)
	}
	follower.w.Close() // what the late part has set off is done then
	noted(0)
	if v, rows := follower.tablet().Version(), follower.contents(t); v != 4 || !reflect.DeepEqual(rows, map[int64]int64{1: 1, 2: 2, 3: 3, 4: 4}) {
		t.Fatalf("version %d with %v", v, rows)
	}
}
