package tablet

import (
	"stele/meta/types"
	"stele/sql/rowset"
)

// recentCapacity bounds one generation of remembered changes (about 2 MB).
const recentCapacity = 64 << 10

// recentChanges remembers which version last changed a key, for write-conflict detection: two generations of key hashes,
// of which the older is dropped when the younger is full. Two keys with one hash only cause a conflict too many.
type recentChanges struct {
	young, old map[uint64]types.Version
	youngFrom  types.Version // every change above it is in young
	oldFrom    types.Version // every change above it is in young or old
}

func newRecentChanges(v types.Version) recentChanges {
	return recentChanges{young: make(map[uint64]types.Version), youngFrom: v, oldFrom: v}
}

// begin makes room for a version with n changes.
func (r *recentChanges) begin(v types.Version, n int) {
	if len(r.young)+n <= recentCapacity {
		if len(r.young) == 0 && n > 1 {
			r.young = make(map[uint64]types.Version, n)
		}
		return
	}
	if n > recentCapacity { // too many to remember: nothing up to v is known
		*r = newRecentChanges(v)
		return
	}
	r.old, r.oldFrom = r.young, r.youngFrom
	r.young, r.youngFrom = make(map[uint64]types.Version, n), v-1
}

// wants reports whether the changes of version v are remembered; a version with too many is not.
func (r *recentChanges) wants(v types.Version) bool { return v > r.youngFrom }

func (r *recentChanges) record(hash uint64, v types.Version) { r.young[hash] = v }

// LastChange returns the version that last changed key. known is false when that was at or before ChangesKnownFrom.
func (t *Tablet) LastChange(key []byte) (v types.Version, known bool) {
	hash := rowset.KeyHash(key)
	t.mu.RLock()
	defer t.mu.RUnlock()
	if v, known = t.recent.young[hash]; !known {
		v, known = t.recent.old[hash]
	}
	return v, known
}

// ChangesKnownFrom returns the version above which LastChange knows every change: a key that it does not know has not
// changed since.
func (t *Tablet) ChangesKnownFrom() types.Version {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.recent.oldFrom
}
