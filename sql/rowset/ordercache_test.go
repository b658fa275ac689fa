package rowset

import "testing"

// TestOrderIsMadeOnce: while somebody makes an order nobody else is told to.
func TestOrderIsMadeOnce(t *testing.T) {
	c := NewBlockCache(1 << 20)
	id, by := GroupID{UID: 1, Rowset: 2, Group: 3}, OrderBy{Column: 4}
	for i, want := range []bool{false, true, false, false} {
		if got := c.WantsOrder(id, by); got != want {
			t.Errorf("question %d: %v", i, got)
		}
	}
	c.made(orderKey(id, by))
	if !c.WantsOrder(id, by) {
		t.Error("an order that was not made is not wanted any more")
	}
}
