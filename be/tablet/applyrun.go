package tablet

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"

	"stele/be/tablet/kv"
	"stele/be/tablet/wire"
	"stele/meta/contain"
	"stele/meta/types"
)

// ApplyChanges is ApplyChange for change sets of versions that follow one another. Runs of small ones become durable in one
// synced request: a sync a version would hold up a replica that is many small versions behind.
func (t *Tablet) ApplyChanges(changes []Change) error {
	for len(changes) > 0 {
		run, err := t.decodeRun(changes)
		if err == nil {
			err = run.apply()
		}
		if err != nil {
			return err
		}
		changes = changes[run.len():]
	}
	return nil
}

const (
	// runBytes, runChanges and runParts bound the change sets that are applied together: writers of the tablet wait for them. A run ends
	// with the change set that reaches runBytes, and a change set of more than smallBytes is none of a run.
	runBytes   = 512 << 10
	smallBytes = 1 << 20
	runChanges = 256
	runParts   = 8192
)

// changeRun is change sets of versions that follow one another, checked and decoded, so that they can be applied.
type changeRun struct {
	t      *Tablet
	small  []*smallChange
	bytes  int    // of small
	schema uint32 // of the rows of small
	large  Change // what the run is when it has no small ones
}

// smallChange is one change set of a run.
type smallChange struct {
	version types.Version
	parts   [][]byte
	writes  []write
	rec     versionRecord
}

// decodeRun takes as many of the change sets, of which there is one at least, as are to be applied together: a large one alone. It
// needs no lock: writers wait only while the run is stored and applied.
func (t *Tablet) decodeRun(changes []Change) (*changeRun, error) {
	r := &changeRun{t: t}
	if err := r.take(changes); err != nil {
		return nil, failedRun(t, changes[0].Version, err)
	}
	if err := r.decode(); err != nil {
		return nil, failedRun(t, changes[0].Version, err)
	}
	return r, nil
}

// take takes what change sets begin with.
func (r *changeRun) take(changes []Change) error {
	parts := 0
	for ; len(changes) > 0 && len(r.small) < runChanges && r.bytes < runBytes; changes = changes[1:] {
		c := changes[0]
		s := &smallChange{version: c.Version}
		var err error
		if s.rec.Txn, s.parts, err = wire.DecodeChange(c.Payload); err != nil {
			return err
		}
		parts += len(s.parts)
		if len(c.Payload) > smallBytes || parts > runParts || slices.ContainsFunc(s.parts, r.t.s.largeWrite) {
			if len(r.small) == 0 {
				r.large = c
			}
			break
		}
		r.small = append(r.small, s)
		r.bytes += len(c.Payload)
	}
	return nil
}

// len returns how many change sets it is.
func (r *changeRun) len() int { return max(len(r.small), 1) }

// apply makes the versions of the run durable, and then visible. Those that are there already are passed over.
func (r *changeRun) apply() error {
	if len(r.small) == 0 {
		return r.t.ApplyChange(r.large.Version, r.large.Payload)
	}
	if err := r.applySmall(); err != nil {
		return failedRun(r.t, r.small[0].version, err)
	}
	return nil
}

func failedRun(t *Tablet, first types.Version, err error) error {
	return fmt.Errorf("apply versions from %d on to tablet %d: %w", first, t.id, t.checkBad(err))
}

// shareBytes is how many bytes of payloads make it worth to wake a second processor.
const shareBytes = 64 << 10

// decode decodes the small change sets as the present schema has them, many bytes of them on two processors: it is half of the work. No more
// than two, as a clone gives way to others.
func (r *changeRun) decode() error {
	r.schema = r.t.SchemaVersion()
	var next atomic.Int64
	decode := func() error {
		for i := next.Add(1) - 1; i < int64(len(r.small)); i = next.Add(1) - 1 {
			if err := r.small[i].decode(r.t); err != nil {
				return err
			}
		}
		return nil
	}
	if r.bytes < shareBytes || runtime.GOMAXPROCS(0) == 1 {
		return decode()
	}
	var helper contain.Group
	helper.Go(decode)
	err := decode()
	return errors.Join(err, helper.Wait())
}

func (s *smallChange) decode(t *Tablet) (err error) {
	if s.writes, err = t.decodeParts(nil, s.parts, nil); err != nil {
		return err
	}
	for i := range s.writes {
		s.writes[i].makeReady()
	}
	return nil
}

func (r *changeRun) applySmall() error {
	t := r.t
	var parts [][]byte
	for _, s := range r.small {
		parts = append(parts, s.parts...)
	}
	if err := t.s.takes(parts...); err != nil {
		return err
	}
	t.write.Lock()
	defer t.write.Unlock()
	if t.SchemaVersion() != r.schema { // it was changed meanwhile
		if err := r.decode(); err != nil {
			return err
		}
	}
	return t.applyRun(r.small)
}

// applyRun is called with write held. All of the run was decoded before any of it is stored, and is stored before any of it can
// be seen.
func (t *Tablet) applyRun(run []*smallChange) error {
	for len(run) > 0 {
		done, err := t.nextVersion(run[0].version)
		if err != nil {
			return err
		}
		if !done {
			break
		}
		run = run[1:]
	}
	var entries []kv.Entry
	now := t.s.opt.Now()
	for i, s := range run {
		if want := run[0].version + types.Version(i); s.version != want {
			return fmt.Errorf("version %d follows %d: %w", s.version, want-1, ErrGap)
		}
		s.rec.AtMs = now.UnixMilli()
		noteParts(&s.rec, s.parts)
		more, err := t.changeEntries(s)
		if err != nil {
			return err
		}
		entries = append(entries, more...)
	}
	if len(run) == 0 {
		return nil
	}
	places, err := t.storeAndLocate(entries, run)
	if err != nil {
		return err
	}
	var changed keySpan
	for _, s := range run {
		own, n := spanOf(s.writes)
		unused := t.pendingStaged(s.rec.Txn)
		t.mu.Lock()
		if changed.meets(own) {
			t.placesNow(places[:n], s)
		}
		t.apply(s.version, s.writes, places[:n])
		t.settle(s.version, s.rec, now)
		t.mu.Unlock()
		t.dropStaged(unused...)
		changed.add(own)
		places = places[n:]
	}
	t.pokeIfFull()
	return nil
}

// storeAndLocate makes a run durable and meanwhile finds where its keys are, as if none of it had been applied. An error of that comes when it
// is stored already: it is applied again, or replayed at the next open.
func (t *Tablet) storeAndLocate(entries []kv.Entry, run []*smallChange) ([]place, error) {
	stored := make(chan error, 1)
	t.s.meta.CommitAsync(entries, func(err error) { stored <- err })
	var writes []write
	for _, s := range run {
		writes = append(writes, s.writes...)
	}
	places, err := t.locateWrites(nil, writes)
	if failed := <-stored; failed != nil {
		return nil, failed
	}
	return places, err
}

// placesNow brings places of a change set up to what those of the run before it have changed. Called with mu held.
func (t *Tablet) placesNow(places []place, s *smallChange) {
	for _, w := range s.writes {
		for i, key := range w.keys {
			places[i] = t.placeNow(key, places[i], s.version)
		}
		places = places[len(w.keys):]
	}
}

// keySpan is from the first to the last of some keys; nil = of none.
type keySpan struct{ first, last []byte }

// spanOf returns the range of the keys of writes, and how many there are.
func spanOf(writes []write) (r keySpan, n int) {
	for _, w := range writes {
		n += len(w.keys)
		keys := w.keys
		if len(keys) > 1 && w.ordered {
			keys = [][]byte{keys[0], keys[len(keys)-1]}
		}
		for _, key := range keys {
			if r.first == nil || bytes.Compare(key, r.first) < 0 {
				r.first = key
			}
			if bytes.Compare(key, r.last) > 0 {
				r.last = key
			}
		}
	}
	return r, n
}

func (r *keySpan) meets(o keySpan) bool {
	return r.first != nil && o.first != nil && bytes.Compare(r.first, o.last) <= 0 && bytes.Compare(o.first, r.last) <= 0
}

func (r *keySpan) add(o keySpan) {
	if r.first == nil || o.first != nil && bytes.Compare(o.first, r.first) < 0 {
		r.first = o.first
	}
	if bytes.Compare(o.last, r.last) > 0 {
		r.last = o.last
	}
}

// changeEntries returns what makes a small change set durable.
func (t *Tablet) changeEntries(s *smallChange) ([]kv.Entry, error) {
	var entries []kv.Entry
	for i, p := range s.parts {
		entries = append(entries, t.partStoreEntry(s.rec.Txn, i, p))
		t.chargePart(p)
	}
	for i, old := range t.pendingEntries(s.rec.Txn) {
		if !old.Large && i < len(s.parts) {
			continue
		}
		del := kv.Entry{Key: partKey(t.uid, s.rec.Txn, i, old.Large), Delete: true}
		if !old.Large {
			entries = append(entries, del)
		} else if err := t.s.data.Commit(del); err != nil {
			return nil, err
		} else {
			t.partGone(old)
		}
	}
	return append(entries, sealed(key2(kVersion, t.uid, uint64(s.version)), &s.rec)), nil
}
