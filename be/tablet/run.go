package tablet

import (
	"sync"

	"stele/be/tablet/kv"
	"stele/meta/types"
)

// A run is the records of small versions that follow one another, with their parts, as one value: it is queued with the first of them,
// under whose key it is stored, and grows until the committer takes it. A value a version would cost more in Badger, when it comes and
// when retention drops it, than all else that the version costs here.

const (
	// runLength and runSize bound a run: who reads the parts of one version reads all of it.
	runLength = 64
	runSize   = 16 << 10
	// runsBound is how many versions may be in runs on their way to the disk before whoever can wait has to.
	runsBound = 8192
)

// versionRun is a run that the disk does not have yet.
type versionRun struct {
	t     *Tablet
	first types.Version
	most  int

	mu    sync.Mutex // a leaf of the lock order; guards what follows
	taken bool       // nothing is added any more
	body  []byte
	parts [][][]byte // of each version: light ones are nowhere else until the run is on the disk
	ends  []kv.Entry // of the parts that were durable by themselves
}

// joinRun takes a small version into a run, and notes in its record which one. fresh = it is a new one, to be queued. Called with write
// and mu held.
func (t *Tablet) joinRun(version types.Version, rec *versionRecord, payloads [][]byte, light bool) (fresh *versionRun) {
	if t.run == nil || !t.run.add(version, rec, payloads, light) {
		fresh = &versionRun{t: t, first: version, most: runLength}
		if t.s.format() < runFormat {
			fresh.most = 1
		}
		fresh.add(version, rec, payloads, light)
		t.run, t.runs[version] = fresh, fresh
	}
	rec.run = t.run.first
	return fresh
}

// add is false when the run takes no more, or the version is not the one that follows.
func (r *versionRun) add(version types.Version, rec *versionRecord, payloads [][]byte, light bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.parts); r.taken || n >= r.most || len(r.body) >= runSize || version != r.first+types.Version(n) {
		return false
	}
	r.body = appendInline(r.body, rec, payloads)
	r.parts = append(r.parts, payloads)
	r.t.s.inRuns.Add(1)
	for i := range rec.Parts {
		if light {
			break
		}
		r.ends = append(r.ends, kv.Entry{Key: partKey(r.t.uid, rec.Txn, i, false), Delete: true})
	}
	return true
}

// take ends the run and returns what stores it.
func (r *versionRun) take() []kv.Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken = true
	if len(r.parts) > 1 {
		r.body[0] = runMagic
	}
	key := key2(kVersion, r.t.uid, uint64(r.first))
	return append(r.ends, kv.Entry{Key: key, Value: sealHere(key, r.body)})
}

// partsOf returns the parts of a version; nil = the disk has them.
func (r *versionRun) partsOf(v types.Version) [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.parts == nil {
		return nil
	}
	return r.parts[v-r.first]
}

// written lets go of what the run has in memory, when the disk has it; after a failure nothing else may.
func (r *versionRun) written(err error) {
	if err != nil {
		r.t.s.logFailure("version records")(err)
		return
	}
	r.t.mu.Lock()
	delete(r.t.runs, r.first)
	r.t.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.t.s.inRuns.Add(-int64(len(r.parts)))
	r.body, r.parts, r.ends = nil, nil, nil // the tablet still names its last run
}

// crowded reports whether more is on its way to the disk than it should be, as it is when the disk hangs.
func (s *Store) crowded() bool { return s.meta.Crowded() || s.inRuns.Load() >= runsBound }
