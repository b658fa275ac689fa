package kv

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"stele/be/tablet/kv/segment"
)

// discardEvery is how many group commits pass between two advances of the discard timestamp.
const discardEvery = 64

// request is an atomic group of changes, or a step to run between two group commits.
type request struct {
	entries []Entry
	bytes   int64
	grows   func() []Entry // makes the entries when it is taken; nil = they are there
	lazy    bool
	ahead   bool   // it may be taken before what grows
	seq     uint64 // in the front
	voids   int    // entries that Badger need not hear of
	step    func() error
	done    func(error) // called once, from the committer or, where there is one, from the finisher; must not block

	placed   bool              // what is large of it is in a segment
	pointers []segment.Pointer // by entry, zero for one that is not; nil = none is
}

// Commit makes the entries durable, atomically, and returns when they are.
func (db *DB) Commit(entries ...Entry) error {
	ch := make(chan error, 1)
	db.CommitAsync(entries, func(err error) { ch <- err })
	return <-ch
}

// CommitAsync queues the entries; done is called when they are durable or refused, and must not
// block. Requests become durable in the order of the calls. It blocks while the queue is full.
func (db *DB) CommitAsync(entries []Entry, done func(error)) { db.enqueue(entries, false, done) }

// CommitBeyond is CommitAsync without waiting for room in the queue, for who has found that it is not Crowded.
func (db *DB) CommitBeyond(entries []Entry, done func(error)) {
	db.sendBeyond(newRequest(entries, false, done))
}

// CommitLazyBeyond is CommitLazy without waiting for room in the queue, for what follows from something that was taken while it was
// not Crowded.
func (db *DB) CommitLazyBeyond(entries []Entry, done func(error)) {
	db.sendBeyond(newRequest(entries, true, done))
}

func (db *DB) sendBeyond(r *request) {
	if !db.reqs.addBeyond(r) {
		r.done(ErrClosed)
	}
}

// Crowded reports whether the queue is full, as it is when the disk hangs.
func (db *DB) Crowded() bool { return db.reqs.full() }

// CommitLazy is CommitAsync for what nobody waits for: it may stay in memory for a few milliseconds longer.
func (db *DB) CommitLazy(entries []Entry, done func(error)) { db.enqueue(entries, true, done) }

// CommitGrowing queues changes that nobody waits for and that may still become more: entries, which must not block, is called once,
// when the committer takes them. They become durable before what is queued later, but for CommitAhead, and are taken some milliseconds
// later at the latest. It does not block: who queues them bounds them.
func (db *DB) CommitGrowing(entries func() []Entry, done func(error)) {
	db.sendBeyond(&request{grows: entries, lazy: true, done: done})
}

// CommitAhead is CommitAsync for what may become durable before growing changes that were queued earlier: it has nothing to do with
// them, and they go on growing. beyond = it does not wait for room in the queue either, as CommitBeyond.
func (db *DB) CommitAhead(entries []Entry, beyond bool, done func(error)) {
	r := newRequest(entries, false, done)
	r.ahead = true
	if beyond {
		db.sendBeyond(r)
		return
	}
	db.send(r)
}

func (db *DB) enqueue(entries []Entry, lazy bool, done func(error)) {
	db.send(newRequest(entries, lazy, done))
}

func newRequest(entries []Entry, lazy bool, done func(error)) *request {
	r := &request{lazy: lazy, done: done}
	r.fill(entries)
	return r
}

func (r *request) fill(entries []Entry) {
	r.entries = entries
	for _, e := range entries {
		r.bytes += int64(len(e.Key) + len(e.Value))
	}
}

// ripen makes the entries of one that grew until now.
func (r *request) ripen() {
	if r.grows != nil {
		r.fill(r.grows())
		r.grows = nil
	}
}

func (db *DB) send(r *request) {
	if !db.reqs.add(r) {
		r.done(ErrClosed)
	}
}

// commitLoop drains the queue into one synced transaction at a time until the queue is closed and empty.
func (db *DB) commitLoop() {
	defer close(db.done)
	defer db.finisher.end()
	most := db.opt.GroupBytes
	if db.front != nil {
		most = min(most, db.front.groupBytes(db.opt.GroupEntries))
	}
	for range db.reqs.poke {
		for {
			group, end := db.reqs.take(db.opt.GroupEntries, most)
			if end {
				return
			}
			if len(group) == 0 {
				break
			}
			if group[0].step == nil {
				db.commitGroup(group)
				continue
			}
			if db.behind != nil {
				db.behind.settle()
			}
			db.finisher.settle()
			group[0].done(group[0].step())
		}
	}
}

func (db *DB) commitGroup(group []*request) {
	err := db.begin(group)
	if db.finisher != nil {
		db.finisher.groups <- placedGroup{group: group, err: err}
		return
	}
	db.end(group, err)
}

// refuses says why nothing more is written; nil = it is.
func (db *DB) refuses() error {
	if db.opt.ReadOnly {
		return ErrReadOnly
	}
	if err := db.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	return nil
}

// begin does what can be done with a group while the one before it is made durable.
func (db *DB) begin(group []*request) error {
	err := db.refuses()
	if err == nil {
		err = db.fault(db.opt.Faults.Before)
	}
	if err == nil && db.finisher != nil {
		err = db.place(group)
	}
	return err
}

// end makes a group durable, unless it was refused, and tells those who wait for it.
func (db *DB) end(group []*request, err error) {
	if err == nil {
		err = db.writeGroup(group)
		if errors.Is(err, badger.ErrTxnTooBig) && len(group) > 1 {
			db.endOneByOne(group)
			return
		}
	}
	// Badger only logs a failed sync: the line has arrived by now and must refuse this very group.
	if err == nil {
		err = db.Err()
	}
	for _, r := range group {
		db.settle(r)
	}
	db.reqs.tell(group)
	db.opt.Together(func() {
		for _, r := range group {
			r.done(err)
		}
	})
}

// endOneByOne is for a group that Badger's transaction limit does not hold together. A request that is too large by
// itself is refused by itself: nothing of it was written, and the others have nothing to do with it.
func (db *DB) endOneByOne(group []*request) {
	for _, r := range group {
		db.end([]*request{r}, db.refuses())
	}
}

func (db *DB) writeGroup(group []*request) error {
	var err error
	if db.front != nil {
		err = db.writeFront(group)
	} else {
		err = db.persist(group, 0)
	}
	if err != nil {
		return err
	}
	return db.fault(db.opt.Faults.After)
}

// writeFront makes a group durable in the front, or, when it is too large for that, in Badger after all that came before.
func (db *DB) writeFront(group []*request) error {
	bytes, entries := int64(0), 0
	for _, r := range group {
		bytes, entries = bytes+r.bytes, entries+len(r.entries)
	}
	if !db.front.takes(bytes, entries+len(group)) {
		if !db.behind.settle() {
			return ErrReadOnly
		}
		if err := db.front.clear(); err != nil {
			db.setFailed(err)
			return err
		}
		return db.persist(group, db.front.seq)
	}
	buf, requests := db.front.encode(group)
	if ok, until := db.front.fits(len(buf)); !ok {
		if !db.behind.wait(until) {
			return ErrReadOnly
		}
		db.front.turn()
		buf, requests = db.front.again(group)
	}
	if err := db.front.write(buf); err != nil {
		db.setFailed(err)
		return err
	}
	db.behind.add(requests)
	return nil
}

// persist puts a group into Badger, after its large values are durable in a segment.
func (db *DB) persist(group []*request, seq uint64) error {
	if db.values != nil {
		if err := db.place(group); err != nil {
			return err
		}
		if err := db.syncPlaced(group); err != nil {
			return err
		}
	}
	return db.writeBadger(group, seq)
}

// writeBadger writes a group in one transaction, and with it how far Badger has the records of the front, if there is one.
// One goroutine at a time may: the applier, the finisher, or the committer when those have nothing left to do.
func (db *DB) writeBadger(group []*request, seq uint64) error {
	if db.commits++; db.commits%discardEvery == 0 {
		db.bdb.SetDiscardTs(db.ts)
	}
	db.ts++
	txn := db.bdb.NewTransactionAt(db.ts, true)
	defer txn.Discard()
	small := true
	changed := db.newLedger()
	for _, r := range group {
		for i, e := range r.entries {
			if e.void {
				continue
			}
			p, placed := r.pointer(i)
			small = small && (placed || int64(len(e.Value)) < db.threshold)
			changed.change(e.Key, p, placed)
			var err error
			switch {
			case e.Delete:
				db.deleting(e.Key)
				err = txn.Delete(e.Key)
			case placed:
				err = txn.SetEntry(&badger.Entry{Key: e.Key, Value: p.Encode(), UserMeta: userPointer})
			default:
				err = txn.SetEntry(&badger.Entry{Key: e.Key, Value: e.Value})
			}
			if err != nil {
				return fmt.Errorf("write key of %d bytes, value of %d: %w", len(e.Key), len(e.Value), err)
			}
		}
	}
	if seq > 0 {
		if err := txn.SetEntry(badger.NewEntry(frontKey, binary.BigEndian.AppendUint64(nil, seq))); err != nil {
			return fmt.Errorf("note how far the front is applied: %w", err)
		}
	}
	if err := db.quiet.commit(small, func() error { return txn.CommitAt(db.ts, nil) }); err != nil {
		err = fmt.Errorf("commit: %w", err)
		db.setFailed(err)
		return err
	}
	changed.settle()
	return nil
}

// fault is the failing disk of a test.
func (db *DB) fault(f func() error) error {
	if f == nil {
		return nil
	}
	err := f()
	if err != nil {
		db.setFailed(err)
	}
	return err
}
