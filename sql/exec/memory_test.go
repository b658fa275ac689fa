package exec

import "testing"

// TestPool: queries of a pool hold no more than it has together, and no more than each may alone; what they may have at any
// rate is counted, and all of it comes back.
func TestPool(t *testing.T) {
	const mb = 1 << 20
	pool := NewMemory(10 * mb)
	a, b := NewMemoryIn(pool, 8*mb), NewMemoryIn(pool, 8*mb)
	one, two := &account{mem: a}, &account{mem: b}
	if one.resize(9 * mb) {
		t.Error("a query got more than its own limit")
	}
	if !one.resize(7*mb) || two.resize(4*mb) || !two.resize(3*mb) {
		t.Errorf("the first holds %d, the second %d of 10 MB", a.Used(), b.Used())
	}
	if pool.Used() != 10*mb || a.Used() != 7*mb || b.Used() != 3*mb {
		t.Errorf("pool %d, %d, %d", pool.Used(), a.Used(), b.Used())
	}
	three := &account{mem: NewMemoryIn(pool, 8*mb)}
	if !three.resize(minOperatorBytes) || three.resize(2*minOperatorBytes) {
		t.Error("an operator of a query in a full pool has to get on, with little")
	}
	for _, acc := range []*account{one, two, three} {
		acc.free()
	}
	if pool.Used() != 0 || a.Used() != 0 {
		t.Errorf("%d bytes are held by nobody", pool.Used())
	}
}
