package tablet

import (
	"stele/meta/types"
	"stele/sql/rowset"
)

// LastChange returns the version that last changed key. known is false when that was at or before ChangesKnownFrom.
func (t *Tablet) LastChange(key []byte) (v types.Version, known bool) {
	hash := rowset.KeyHash(key)
	t.rlockRecent()
	defer t.mu.RUnlock()
	return t.recent.Lookup(hash)
}

// rlockRecent takes mu for reading, with all recent changes entered.
func (t *Tablet) rlockRecent() {
	t.mu.RLock()
	for t.recent.Incomplete() {
		t.mu.RUnlock()
		t.mu.Lock()
		t.recent.Complete()
		t.mu.Unlock()
		t.mu.RLock()
	}
}

// ChangesKnownFrom returns the version above which LastChange knows every change: a key that it does not know has not
// changed since.
func (t *Tablet) ChangesKnownFrom() types.Version {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.recent.KnownFrom()
}
