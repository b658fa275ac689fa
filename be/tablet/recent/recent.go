package recent

import "stele/meta/types"

// Capacity bounds one generation of remembered changes (about 2 MB).
const Capacity = 64 << 10

// Changes remembers which version last changed a key, for write-conflict detection: two generations of key hashes,
// of which the older is dropped when the younger is full. Two keys with one hash only cause a conflict too many.
type Changes struct {
	young, old generation
	youngFrom  types.Version // every change above it is in young
	oldFrom    types.Version // every change above it is in young or old
}

// generation is what versions that follow one another have changed. The changes of a version of many rows wait until somebody asks: each
// of its keys costs a cache miss to enter, and nobody asks a replica that catches up.
type generation struct {
	known   keyVersions
	waiting []versionChanges
	n       int // keys that wait; one that several versions have changed counts as often
}

// versionChanges is the hashes of the keys that a version has changed.
type versionChanges struct {
	version types.Version
	hashes  []uint64
}

// waitingKeys is from how many changed keys on a version waits.
const waitingKeys = 256

// New returns changes of which nothing up to version v is known.
func New(v types.Version) Changes {
	return Changes{youngFrom: v, oldFrom: v}
}

// Begin makes room for a version with n changes.
func (r *Changes) Begin(v types.Version, n int) {
	if r.young.known.n+r.young.n+n <= Capacity {
		return
	}
	if n > Capacity { // too many to remember: nothing up to v is known
		*r = New(v)
		return
	}
	r.old, r.oldFrom = r.young, r.youngFrom
	r.young, r.youngFrom = generation{}, v-1
}

// wants reports whether the changes of version v are remembered; a version with too many is not.
func (r *Changes) wants(v types.Version) bool { return v > r.youngFrom }

// RecordAll notes that version v changed keys, whose hashes are the generation's from now on.
func (r *Changes) RecordAll(hashes []uint64, v types.Version) {
	if !r.wants(v) {
		return
	}
	if len(hashes) < waitingKeys {
		r.young.known.putAll(hashes, v)
		return
	}
	r.young.waiting = append(r.young.waiting, versionChanges{v, hashes})
	r.young.n += len(hashes)
}

// Incomplete reports whether changes wait that a lookup would not find.
func (r *Changes) Incomplete() bool { return r.young.n+r.old.n > 0 }

// Complete enters all changes that wait.
func (r *Changes) Complete() {
	r.young.enter()
	r.old.enter()
}

// KnownFrom is the version above which every change is remembered.
func (r *Changes) KnownFrom() types.Version { return r.oldFrom }

// Lookup returns the version that last changed a key, as far as it is remembered. Nothing waits.
func (r *Changes) Lookup(hash uint64) (types.Version, bool) {
	if v := r.young.known.get(hash); v != 0 {
		return v, true
	}
	v := r.old.known.get(hash)
	return v, v != 0
}

// enter enters the changes that wait.
func (g *generation) enter() {
	for _, c := range g.waiting {
		g.known.putAll(c.hashes, c.version)
	}
	g.waiting, g.n = nil, 0
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

// putAll notes that version v has changed keys, unless a later one is known. It is a loop of its own: each key is far from the one before
// in memory, and so the processor fetches several at once.
func (k *keyVersions) putAll(hashes []uint64, v types.Version) {
	k.grow(len(hashes))
	for _, hash := range hashes {
		s := k.find(hash)
		if s.version == 0 {
			k.n++
		}
		if s.version < v {
			*s = keyVersion{hash, v}
		}
	}
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
