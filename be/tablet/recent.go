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
	young, old keyVersions
	youngFrom  types.Version // every change above it is in young
	oldFrom    types.Version // every change above it is in young or old
}

func newRecentChanges(v types.Version) recentChanges {
	return recentChanges{youngFrom: v, oldFrom: v}
}

// begin makes room for a version with n changes.
func (r *recentChanges) begin(v types.Version, n int) {
	if r.young.n+n <= recentCapacity {
		r.young.grow(n)
		return
	}
	if n > recentCapacity { // too many to remember: nothing up to v is known
		*r = newRecentChanges(v)
		return
	}
	r.old, r.oldFrom = r.young, r.youngFrom
	r.young, r.youngFrom = keyVersions{}, v-1
	r.young.grow(n)
}

// wants reports whether the changes of version v are remembered; a version with too many is not.
func (r *recentChanges) wants(v types.Version) bool { return v > r.youngFrom }

// recordAll notes that version v changed keys. It is a loop of its own: each key is far from the one before in memory, and so the
// processor fetches several at once.
func (r *recentChanges) recordAll(hashes []uint64, v types.Version) {
	if !r.wants(v) {
		return
	}
	for _, hash := range hashes {
		r.young.put(hash, v)
	}
}

// lookup returns the version that last changed a key, as far as it is remembered.
func (r *recentChanges) lookup(hash uint64) (types.Version, bool) {
	if v := r.young.get(hash); v != 0 {
		return v, true
	}
	v := r.old.get(hash)
	return v, v != 0
}

// keyVersions is a map from hashes of keys to versions, none of which is 0. What is a hash already needs no other one: a write of
// many rows spends less here than in a map of Go.
type keyVersions struct {
	slots []keyVersion // a power of two of them, a third free at least; a key is in the first free one from its hash on
	n     int
}

type keyVersion struct {
	hash    uint64
	version types.Version
}

// find returns the slot of a hash, or the one where it belongs. There is a free one.
func (k *keyVersions) find(hash uint64) *keyVersion {
	mask := uint64(len(k.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		if s := &k.slots[i]; s.version == 0 || s.hash == hash {
			return s
		}
	}
}

func (k *keyVersions) get(hash uint64) types.Version {
	if k.n == 0 {
		return 0
	}
	return k.find(hash).version
}

func (k *keyVersions) put(hash uint64, v types.Version) {
	k.grow(1)
	s := k.find(hash)
	if s.version == 0 {
		k.n++
	}
	*s = keyVersion{hash, v}
}

// grow makes room for n more.
func (k *keyVersions) grow(n int) {
	size := max(len(k.slots), 4)
	for (k.n+n)*3 > size*2 {
		size *= 2
	}
	if size == len(k.slots) {
		return
	}
	before := k.slots
	k.slots = make([]keyVersion, size)
	for _, s := range before {
		if s.version != 0 {
			*k.find(s.hash) = s
		}
	}
}

// LastChange returns the version that last changed key. known is false when that was at or before ChangesKnownFrom.
func (t *Tablet) LastChange(key []byte) (v types.Version, known bool) {
	hash := rowset.KeyHash(key)
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.recent.lookup(hash)
}

// ChangesKnownFrom returns the version above which LastChange knows every change: a key that it does not know has not
// changed since.
func (t *Tablet) ChangesKnownFrom() types.Version {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.recent.oldFrom
}
