package txn

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
)

// TestVictims: of each cycle the youngest, and nobody who only waits for one.
func TestVictims(t *testing.T) {
	type edges = map[types.BEID][]lockWait
	wait := func(txn, has types.TxnID) lockWait { return lockWait{id: uint64(txn), txn: txn, has: has} }
	for name, c := range map[string]struct {
		waits edges
		want  []types.TxnID
	}{
		"nobody":              {edges{}, nil},
		"a queue":             {edges{1: {wait(2, 1), wait(3, 2)}, 2: {wait(4, 1)}}, nil},
		"two":                 {edges{1: {wait(1, 2)}, 2: {wait(2, 1)}}, []types.TxnID{2}},
		"three":               {edges{1: {wait(1, 2)}, 2: {wait(2, 3)}, 3: {wait(3, 1)}}, []types.TxnID{3}},
		"others behind":       {edges{1: {wait(1, 2), wait(9, 1)}, 2: {wait(2, 1), wait(8, 9)}}, []types.TxnID{2}},
		"waits for a cycle":   {edges{1: {wait(1, 2), wait(9, 1)}, 2: {wait(2, 1), wait(9, 2)}}, []types.TxnID{2}},
		"between two cycles":  {edges{1: {wait(1, 2), wait(2, 5), wait(3, 4)}, 2: {wait(2, 1), wait(5, 3), wait(4, 3)}}, []types.TxnID{4, 2}},
		"one in both":         {edges{1: {wait(1, 3), wait(2, 3)}, 2: {wait(3, 1), wait(3, 2)}}, []types.TxnID{3}},
		"the same edge twice": {edges{1: {wait(1, 2)}, 2: {wait(1, 2), wait(2, 1)}}, []types.TxnID{2}},
	} {
		if got := victims(c.waits); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestVictimsOfLongQueues: a queue before a cycle and one behind it cost a walk each. A search that looked at each of them once for each of the others would
// not end here.
func TestVictimsOfLongQueues(t *testing.T) {
	const cycle, queue = 2_000_000, 100_000
	waits := []lockWait{{1, cycle, cycle + 1}, {2, cycle + 1, cycle}}
	for n := range types.TxnID(queue) {
		waits = append(waits, lockWait{uint64(n + 10), n + 2, n + 1}) // ends with one that runs
		has := 3*cycle + n - 1
		if n == 0 {
			has = cycle
		}
		waits = append(waits, lockWait{uint64(n + 10 + queue), 3*cycle + n, has})
	}
	if got := victims(map[types.BEID][]lockWait{1: waits}); !slices.Equal(got, []types.TxnID{cycle + 1}) {
		t.Errorf("%v", got)
	}
}

// TestVictimsAreEnough: without the victims there is no cycle, and each was in one, whoever waits for whom.
func TestVictimsAreEnough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		edges := map[types.TxnID][]types.TxnID{}
		var waits []lockWait
		for n := range rapid.IntRange(0, 14).Draw(t, "waits") {
			txn, has := types.TxnID(rapid.IntRange(1, 7).Draw(t, "txn")), types.TxnID(rapid.IntRange(1, 7).Draw(t, "has"))
			if txn != has {
				edges[txn] = append(edges[txn], has)
				waits = append(waits, lockWait{uint64(n), txn, has})
			}
		}
		for _, txn := range victims(map[types.BEID][]lockWait{1: waits}) {
			if !reaches(edges, txn) {
				t.Fatalf("%d gives way and is in no cycle", txn)
			}
			delete(edges, txn)
		}
		for txn := range edges {
			if reaches(edges, txn) {
				t.Fatalf("%d is in a cycle still", txn)
			}
		}
	})
}

// TestCallsUnderWay: a call is noticed when it has lasted for a whole beat, and again when it has for sixteen more.
func TestCallsUnderWay(t *testing.T) {
	var u underWay
	u.tick()
	short := u.begin()
	long := u.begin()
	if u.tick() {
		t.Error("after less than a beat")
	}
	u.end(short)
	var found []int
	for n := range 20 {
		if u.tick() {
			found = append(found, n)
		}
	}
	if !slices.Equal(found, []int{0, 16}) {
		t.Errorf("noticed in beats %v", found)
	}
	u.end(long)
	for range 20 {
		if u.tick() {
			t.Fatal("a call that has ended is noticed")
		}
	}
}
