package tablet

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"

	"stele/be/tablet/kv"
	"stele/meta/contain"
	"stele/meta/types"
)

// ApplyChanges is ApplyChange for change sets of versions that follow one another. Runs of small ones become durable in one
// synced request: a sync a version would hold up a replica that is many small versions behind.
func (t *Tablet) ApplyChanges(changes []Change) error {
	for len(changes) > 0 {
		n, err := t.applyRun(changes)
		if err == nil && n == 0 {
			n, err = 1, t.applyChange(changes[0].Version, changes[0].Payload)
		}
		if err != nil {
			return fmt.Errorf("apply versions %d to %d to tablet %d: %w", changes[0].Version, changes[len(changes)-1].Version, t.id, t.checkBad(err))
		}
		changes = changes[n:]
	}
	return nil
}

const (
	// runBytes, runChanges and runParts bound the change sets that are applied together: writers of the tablet wait for them.
	runBytes   = 1 << 20
	runChanges = 256
	runParts   = 8192
)

// smallChange is one change set of a run.
type smallChange struct {
	version types.Version
	parts   [][]byte
	writes  []write
	rec     versionRecord
}

// applyRun applies the small change sets that changes begins with and returns how many those are, 0 when the first one has
// to be applied by itself.
func (t *Tablet) applyRun(changes []Change) (int, error) {
	n, bytes := 0, 0
	for n < min(len(changes), runChanges) && bytes+len(changes[n].Payload) <= runBytes {
		bytes += len(changes[n].Payload)
		n++
	}
	if n < 2 {
		return 0, nil
	}
	var run []*smallChange
	parts := 0
	for _, c := range changes[:n] {
		s := &smallChange{version: c.Version}
		var err error
		if s.rec.Txn, s.parts, err = DecodeChange(c.Payload); err != nil {
			return 0, err
		}
		if parts += len(s.parts); parts > runParts || slices.ContainsFunc(s.parts, t.s.largeWrite) {
			break
		}
		run = append(run, s)
	}
	if n = len(run); n < 2 {
		return 0, nil
	}
	if err := t.s.writable(); err != nil {
		return 0, err
	}
	t.write.Lock()
	defer t.write.Unlock()
	return n, t.applySmall(run)
}

// applySmall is called with write held. All of the run is decoded before any of it is stored, and stored before any of it can
// be seen.
func (t *Tablet) applySmall(run []*smallChange) error {
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
	if err := t.decodeRun(run); err != nil {
		return err
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
		for _, key := range w.keys {
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

// shareBytes is how many bytes of payloads make it worth to wake a second processor.
const shareBytes = 64 << 10

// decodeRun decodes a run of change sets, a large one on two processors: it is a third of the work, and all of it comes before
// anything is stored. No more than two, as a clone gives way to others.
func (t *Tablet) decodeRun(run []*smallChange) error {
	bytes := 0
	for _, s := range run {
		for _, p := range s.parts {
			bytes += len(p)
		}
	}
	var next atomic.Int64
	decode := func() error {
		for i := next.Add(1) - 1; i < int64(len(run)); i = next.Add(1) - 1 {
			var err error
			if run[i].writes, err = t.decodeParts(nil, run[i].parts, nil); err != nil {
				return err
			}
		}
		return nil
	}
	if bytes < shareBytes || runtime.GOMAXPROCS(0) == 1 {
		return decode()
	}
	var helper contain.Group
	helper.Go(decode)
	err := decode()
	return errors.Join(err, helper.Wait())
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
