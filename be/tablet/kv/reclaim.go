package kv

import (
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"stele/be/tablet/kv/segment"
)

const (
	// gcDiscardRatio is how much of a value log must be dead for it to be rewritten.
	gcDiscardRatio = 0.3
	// deadRatio is the same of a segment: what lives is then at least four fifths of the disk. Less would copy more than four bytes for
	// one that comes free.
	deadRatio = 0.2
	// moveBytes and moveEntries bound what a collector moves at once.
	moveBytes   = 4 << 20
	moveEntries = 1000
	// findEntries bounds what a collector knows at once of what is to be moved.
	findEntries = 100_000
)

// Pace is called by what works in the background, with the bytes that it is about to write or has read. It may wait, and may end
// the work with an error.
type Pace func(ctx context.Context, bytes int64) error

// Reclaim gives the space of dead values back: it moves what lives in segments of which enough is dead, and removes these. Writers
// wait for it only while the pointers of a few values are changed. What value logs of an older release hold is moved first.
func (db *DB) Reclaim(ctx context.Context, pace Pace) error {
	if db.values == nil {
		return db.collectLogs(ctx, pace)
	}
	db.collecting.Lock()
	defer db.collecting.Unlock()
	if err := db.moveOldValues(ctx, pace); err != nil {
		return fmt.Errorf("move values out of value logs: %w", err)
	}
	tried := make(map[uint32]bool)
	for {
		if err := db.sealWasteful(); err != nil {
			return err
		}
		var victims []uint32
		for _, id := range db.values.log.Wasteful(deadRatio) {
			if !tried[id] {
				victims = append(victims, id)
				tried[id] = true
			}
		}
		if len(victims) == 0 {
			return nil
		}
		if err := db.collect(ctx, victims, pace); err != nil {
			return fmt.Errorf("collect segments: %w", err)
		}
	}
}

// sealWasteful leaves the segments that are written if they are worth a rewrite.
func (db *DB) sealWasteful() error {
	seal := func(w *segment.Writer) error {
		if dead, all := w.Waste(); all == 0 || float64(dead) < deadRatio*float64(all) {
			return nil
		}
		return w.Seal()
	}
	if err := seal(db.values.moves); err != nil {
		db.setFailed(err)
		return err
	}
	return db.between(func() error {
		err := seal(db.values.groups)
		if err != nil {
			db.setFailed(err)
		}
		return err
	})
}

// collect rewrites segments. Pointers to a sealed segment without pins grow no more, so that a scan of all keys which begins now
// finds all of them; one that is left keeps the segment.
func (db *DB) collect(ctx context.Context, victims []uint32, pace Pace) error {
	for len(victims) > 0 {
		n, values := 0, int64(0)
		chosen := make(map[uint32]bool)
		info := make(map[uint32]segment.Info)
		for _, s := range db.values.log.Segments() {
			info[s.ID] = s
		}
		for n < len(victims) && (n == 0 || values+info[victims[n]].Values <= findEntries) {
			values += info[victims[n]].Values
			chosen[victims[n]] = true
			n++
		}
		if err := db.collectSome(ctx, victims[:n], chosen, pace); err != nil {
			return err
		}
		victims = victims[n:]
	}
	return nil
}

func (db *DB) collectSome(ctx context.Context, victims []uint32, chosen map[uint32]bool, pace Pace) error {
	found, err := db.find(func(item *badger.Item) bool {
		p, pointed, err := pointerOf(item)
		return err == nil && pointed && chosen[p.Segment]
	})
	if err != nil {
		return err
	}
	alive := make(map[uint32][]living, len(victims))
	for _, v := range found {
		alive[v.p.Segment] = append(alive[v.p.Segment], v)
	}
	for _, id := range victims {
		all := alive[id]
		sound := all[:0:0]
		for _, v := range all {
			if err := db.values.log.Verify(v.key, v.p); err != nil {
				db.logf(LevelWarn, "segment %d stays: %v", id, err) // until the replica that has the value is dropped
				continue
			}
			sound = append(sound, v)
		}
		if _, err := db.move(ctx, sound, pace); err != nil {
			return err
		}
		if len(sound) < len(all) || !db.left(id, all) {
			continue
		}
		if err := db.values.log.Remove(id); err != nil {
			return err
		}
	}
	return nil
}

// left reports whether no value points to a segment any more.
func (db *DB) left(id uint32, all []living) bool {
	for _, v := range all {
		var p segment.Pointer
		err := db.item(v.key, func(_ *guard, item *badger.Item) (err error) { p, _, err = pointerOf(item); return err })
		if err != nil && !errors.Is(err, ErrNotFound) || p.Segment == id {
			return false
		}
	}
	return true
}

// living is a value as a collector found it.
type living struct {
	key     []byte
	version uint64 // of Badger: another one says that the key was changed since
	bytes   int64
	p       segment.Pointer // Segment 0 = it is in a value log
}

// find returns what is wanted of all that there is, in the order of keys, at most findEntries when there is no segment to it.
func (db *DB) find(wanted func(*badger.Item) bool) (out []living, err error) {
	errEnough := errors.New("enough")
	err = db.scan(nil, func(_ *guard, item *badger.Item) error {
		if !wanted(item) {
			return nil
		}
		p, pointed, err := pointerOf(item)
		if err != nil {
			return nil // its reader hears of it
		}
		bytes := int64(p.Length)
		if !pointed {
			if bytes = item.EstimatedSize(); len(out) >= findEntries {
				return errEnough
			}
		}
		out = append(out, living{key: item.KeyCopy(nil), version: item.Version(), bytes: bytes, p: p})
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return out, err
}

// move writes values to another segment and has the committer change their pointers, if nobody has changed the keys meanwhile. It
// returns how many were written.
func (db *DB) move(ctx context.Context, all []living, pace Pace) (moved int, err error) {
	for len(all) > 0 {
		n, bytes := 0, int64(0)
		for n < len(all) && n < moveEntries && (n == 0 || bytes+all[n].bytes <= moveBytes) {
			bytes += all[n].bytes
			n++
		}
		if err := pace(ctx, bytes); err != nil {
			return moved, err
		}
		did, err := db.moveSome(all[:n])
		if moved += did; err != nil {
			return moved, err
		}
		all = all[n:]
	}
	return moved, nil
}

func (db *DB) moveSome(some []living) (int, error) {
	r := &request{placed: true}
	var records []segment.Record
	var versions []uint64
	for _, v := range some {
		var val []byte
		read := func(b []byte) error { val = append([]byte(nil), b...); return nil }
		if err := db.viewOnce(v.key, true, nil, read); err != nil || len(val) == 0 {
			continue // deleted meanwhile, or unreadable: then what it is in stays
		}
		records = append(records, segment.Record{Key: v.key, Value: val})
		versions = append(versions, v.version)
		r.entries = append(r.entries, Entry{Key: v.key})
	}
	if len(records) == 0 {
		return 0, nil
	}
	if err := db.Err(); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	var err error
	if r.pointers, err = db.values.moves.Append(records, false); err == nil {
		err = db.values.moves.Sync()
	}
	if err != nil {
		db.setFailed(err)
		return 0, err
	}
	defer db.settle(r)
	return len(records), db.between(func() error { return db.repoint(r, versions) })
}

// repoint commits pointers to what was moved, in the committer. A key that has another version than it had when its value was
// found has another value: it is left alone.
func (db *DB) repoint(r *request, versions []uint64) error {
	if err := db.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	if err := db.fault(db.opt.Faults.Before); err != nil {
		return err
	}
	same := &request{placed: true}
	for i, e := range r.entries {
		_ = db.item(e.Key, func(_ *guard, item *badger.Item) error { // without it, the key stays as it is
			if item.Version() == versions[i] {
				same.entries, same.pointers = append(same.entries, e), append(same.pointers, r.pointers[i])
			}
			return nil
		})
	}
	if len(same.entries) == 0 {
		return nil
	}
	if err := db.writeBadger([]*request{same}, 0); err != nil {
		return err
	}
	return db.fault(db.opt.Faults.After)
}

// collectLogs rewrites value logs of which Badger knows that enough is dead. It stalls nobody.
func (db *DB) collectLogs(ctx context.Context, pace Pace) error {
	for {
		err := db.quiet.collect(func() error { return db.bdb.RunValueLogGC(gcDiscardRatio) })
		if errors.Is(err, badger.ErrNoRewrite) || errors.Is(err, badger.ErrRejected) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("value log gc: %w", err)
		}
		if err := pace(ctx, db.opt.ValueLogFileSize); err != nil {
			return err
		}
	}
}

// between runs step in the committer, between two group commits.
func (db *DB) between(step func() error) error {
	ch := make(chan error, 1)
	db.send(&request{step: step, done: func(err error) { ch <- err }})
	return <-ch
}
