package txn

import (
	"slices"
	"testing"

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
