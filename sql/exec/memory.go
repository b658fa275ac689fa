package exec

import "sync/atomic"

// DefaultMemoryLimit is what a query may hold when nobody says otherwise: eight of them fit a 16 GiB node with room
// for the stores.
const DefaultMemoryLimit = 1 << 30

// minOperatorBytes is what each operator may hold even when the query is at its limit, so that one that spills makes
// progress with partitions that are smaller than it: the limit can be exceeded by this much an operator, no more.
const minOperatorBytes = 256 << 10

// NoSpill as SpillDir forbids temporary files: what needs them fails with error 1038 or 1041.
const NoSpill = "-"

// Memory is the budget of one query on one process, shared by its operators. It is safe for concurrent use.
type Memory struct {
	// Folder makes and names where temporary files go when the Env does not say; nil = the system's directory for them.
	Folder func() (string, error)

	limit   int64
	floor   int64
	pool    *Memory // shared with other queries, nil = none
	used    atomic.Int64
	peak    atomic.Int64
	spilled atomic.Int64
}

// NewMemory returns a budget of limit bytes; limit <= 0 means DefaultMemoryLimit, for nothing is unbounded.
func NewMemory(limit int64) *Memory {
	if limit <= 0 {
		limit = DefaultMemoryLimit
	}
	return &Memory{limit: limit, floor: minOperatorBytes}
}

// NewMemoryIn returns a budget of limit bytes that, with the other queries of pool, may not hold more than pool has. Temporary files go where
// those of the pool do.
func NewMemoryIn(pool *Memory, limit int64) *Memory {
	m := NewMemory(limit)
	if m.pool = pool; pool != nil {
		m.Folder = pool.Folder
	}
	return m
}

// Limit returns the budget in bytes (the setting query_mem_limit_bytes).
func (m *Memory) Limit() int64 { return m.limit }

// Used returns the bytes held now.
func (m *Memory) Used() int64 { return m.used.Load() }

// Peak returns the most bytes ever held at once.
func (m *Memory) Peak() int64 { return m.peak.Load() }

// Spilled returns the bytes written to temporary files so far.
func (m *Memory) Spilled() int64 { return m.spilled.Load() }

// add moves the use by n; when force is not set and the limit would be exceeded, it does nothing and reports false.
func (m *Memory) add(n int64, force bool) bool {
	now := m.used.Add(n)
	if n > 0 && now > m.limit && !force || m.pool != nil && !m.pool.add(n, force) {
		m.used.Add(-n)
		return false
	}
	for {
		peak := m.peak.Load()
		if now <= peak || m.peak.CompareAndSwap(peak, now) {
			return true
		}
	}
}

// account is what one operator holds of a Memory. It belongs to one goroutine.
type account struct {
	mem  *Memory
	held int64
}

// resize makes the operator hold n bytes. It reports false, and changes nothing, when the query may not have them.
func (a *account) resize(n int64) bool {
	d := n - a.held
	if !a.mem.add(d, n <= a.mem.floor) {
		return false
	}
	a.held = n
	return true
}

// force is resize for what has been allocated already and cannot be taken back.
func (a *account) force(n int64) {
	a.mem.add(n-a.held, true)
	a.held = n
}

func (a *account) free() { a.force(0) }
