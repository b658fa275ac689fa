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
	n     int
	body  []byte
	ends  []kv.Entry    // of the parts that were durable by themselves
	light []types.TxnID // those whose parts are in memory alone until the run is on the disk
}

// joinRun takes a small version into a run, and notes in its record which one. fresh = it is a new one, to be queued. Called with write
// held.
func (t *Tablet) joinRun(version types.Version, rec *versionRecord, payloads [][]byte, light bool) (fresh *versionRun) {
	if t.run == nil || !t.run.add(version, rec, payloads, light) {
		fresh = &versionRun{t: t, first: version, most: runLength}
		if t.s.format() < runFormat {
			fresh.most = 1
		}
		fresh.add(version, rec, payloads, light)
		t.run = fresh
	}
	rec.run = t.run.first
	return fresh
}

// add is false when the run takes no more, or the version is not the one that follows.
func (r *versionRun) add(version types.Version, rec *versionRecord, payloads [][]byte, light bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken || r.n >= r.most || len(r.body) >= runSize || version != r.first+types.Version(r.n) {
		return false
	}
	r.body = appendInline(r.body, rec, payloads)
	r.n++
	r.t.s.inRuns.Add(1)
	if light {
		r.light = append(r.light, rec.Txn)
		return true
	}
	for i := range rec.Parts {
		r.ends = append(r.ends, kv.Entry{Key: partKey(r.t.uid, rec.Txn, i, false), Delete: true})
	}
	return true
}

// take ends the run and returns what stores it.
func (r *versionRun) take() []kv.Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken = true
	if r.n > 1 {
		r.body[0] = runMagic
	}
	key := key2(kVersion, r.t.uid, uint64(r.first))
	return append(r.ends, kv.Entry{Key: key, Value: sealHere(key, r.body)})
}

// written lets go of what the run has in memory, when the disk has it.
func (r *versionRun) written(err error) {
	r.t.s.inRuns.Add(-int64(r.n)) // it is taken: nobody changes it any more
	if err != nil {
		r.t.s.logFailure("version records")(err)
		return // nothing else has the parts of light transactions
	}
	r.t.unwrite(r.light...)
}

// unwrite forgets parts that are on the disk now.
func (t *Tablet) unwrite(txns ...types.TxnID) {
	if len(txns) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, txn := range txns {
		delete(t.unwritten, txn)
	}
}

// crowded reports whether more is on its way to the disk than it should be, as it is when the disk hangs.
func (s *Store) crowded() bool { return s.meta.Crowded() || s.inRuns.Load() >= runsBound }
