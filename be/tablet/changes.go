package tablet

import (
	"fmt"

	"stele/be/tablet/kv"
	"stele/be/tablet/wire"
	"stele/meta/types"
)

func (r *versionRecord) bytes() int64 {
	n := int64(0)
	for _, p := range r.Parts {
		n += p.Bytes
	}
	return n
}

// retention says which change sets stay. Below the reserve those that somebody may be reading just now do: a replica that lags more costs a
// full clone, and what change sets hold, large writes their rowsets as well, comes back by nothing else until as many versions have followed.
func (s *Store) retention() Retention {
	r := s.tuning().Retention
	if s.tight() {
		r.Versions, r.Age = 0, min(r.Age, s.tuning().ReadAge)
	}
	return r
}

// trimChanges deletes change sets that retention no longer asks for. What is above the manifest's version is needed to
// rebuild the memtables and stays.
func (t *Tablet) trimChanges() {
	retention := t.s.retention()
	t.mu.Lock()
	first := t.changes.first
	n := t.changes.expired(retention, t.manifestVersion, t.s.opt.Now())
	dropped := t.changes.drop(n)
	var next types.Version // the run that the oldest one that stays is in
	if t.changes.len() > 0 {
		next = t.changes.note(0).run
	}
	t.mu.Unlock()
	t.deleteChanges(first, dropped, next)
}

// deleteChanges deletes the change sets of the versions from first on, many in one request: a request each would fill the
// queue, and writers of all tablets would wait for it. The run next, which the versions after them begin with, stays.
func (t *Tablet) deleteChanges(first types.Version, dropped []versionRecord, next types.Version) {
	var entries []kv.Entry
	for i := range dropped {
		v, parts := first+types.Version(i), dropped[i].Parts
		run := dropped[i].run
		if run != 0 {
			v, parts = run, nil
		}
		// A version and its parts in meta go in one request: parts alone would look like a pending transaction.
		if last := i == len(dropped)-1; run == 0 || last && run != next || !last && run != dropped[i+1].run {
			entries = append(entries, kv.Entry{Key: key2(kVersion, t.uid, uint64(v)), Delete: true})
		}
		large := false
		for part, e := range parts {
			del := kv.Entry{Key: partKey(t.uid, dropped[i].Txn, part, e.Large), Delete: true}
			if !e.Large {
				entries = append(entries, del)
				continue
			}
			large = true
			if err := t.s.data.Commit(del); err != nil {
				t.s.log.Warn("large part is not deleted", "tablet_id", t.id, "err", err)
			}
			t.partGone(e)
		}
		if large || len(entries) >= deleteBatch || i == len(dropped)-1 && len(entries) > 0 {
			t.s.meta.CommitLazy(entries, t.s.logFailure("drop change sets"))
			entries = nil
		}
	}
}

// Change is the change set of one version: what the transaction did, in one self-contained value.
type Change struct {
	Version types.Version
	Payload []byte
}

// ChangeStream returns change sets in order of version.
type ChangeStream struct {
	t        *Tablet
	next, to types.Version
	bytes    int64
	run      storedRun // the last one that was read
}

// Bytes returns the size of the whole stream: to be compared with Exporter.TotalBytes.
func (c *ChangeStream) Bytes() int64 { return c.bytes }

// Changes cuts a stream of the change sets of the versions (from, to]. *BehindError when the replica is not at to yet,
// ErrGone when some are no longer retained; the stream may also end in ErrGone when they are dropped while it is read.
func (t *Tablet) Changes(from, to types.Version) (*ChangeStream, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if err := t.usable(); err != nil {
		return nil, err
	}
	if to > t.version {
		return nil, &BehindError{Tablet: t.id, Have: t.version, Want: to}
	}
	if from < to && !t.changes.has(from+1) {
		return nil, fmt.Errorf("changes of tablet %d after version %d, oldest is %d: %w", t.id, from, t.changes.first, ErrGone)
	}
	c := &ChangeStream{t: t, next: from + 1, to: to}
	for v := from + 1; v <= to; v++ {
		c.bytes += t.changes.bytesOf(v)
	}
	return c, nil
}

// Next returns the next change set; ok is false at the end.
func (c *ChangeStream) Next() (change Change, ok bool, err error) {
	if c.next > c.to {
		return Change{}, false, nil
	}
	payload, err := c.t.changePayload(c.next, &c.run)
	if err != nil {
		return Change{}, false, fmt.Errorf("change set of version %d of tablet %d: %w", c.next, c.t.id, err)
	}
	change = Change{Version: c.next, Payload: payload}
	c.next++
	return change, true, nil
}

// nextRun returns the next change sets, as many as ApplyChanges takes together; more is false when they are the last ones.
func (c *ChangeStream) nextRun() (run []Change, more bool, err error) {
	for bytes := 0; len(run) < runChanges && bytes < runBytes; {
		change, ok, err := c.Next()
		if err != nil || !ok {
			return run, false, err
		}
		run = append(run, change)
		bytes += len(change.Payload)
	}
	return run, true, nil
}

func (t *Tablet) changePayload(v types.Version, before *storedRun) ([]byte, error) {
	rec, err := t.retainedRecord(v)
	if err != nil {
		return nil, err
	}
	parts, err := t.loadParts(v, &rec, false, before)
	if err != nil {
		if _, gone := t.retainedRecord(v); gone != nil {
			return nil, gone // retention took it meanwhile
		}
		return nil, t.checkBad(err)
	}
	return wire.EncodeChange(rec.Txn, parts), nil
}

func (t *Tablet) retainedRecord(v types.Version) (versionRecord, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if err := t.usable(); err != nil {
		return versionRecord{}, err
	}
	if !t.changes.has(v) {
		return versionRecord{}, ErrGone
	}
	return t.changes.record(v), nil
}
