package kv

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
)

// tree knows about how much of Badger's own tables is dead. Badger gives it back as it merges tables, which it does when so much is written that
// a level is too large: what is deleted when the writing ends stays for ever. Deletions are in the memtable then, and the tables know nothing of them.
//
// What changes delete is estimated as they are written, one in deadSample is looked up, and measured by a scan of all keys before anything is
// done about it, and at open. A sweep writes until Badger flushes its memtable, and has it merge the tables into one level: it rewrites those that
// a deletion may concern. Both go on beside readers and writers, which wait for neither.
type tree struct {
	dead atomic.Int64 // bytes, as they were before compression
}

const (
	// deadSample is how many deletions there are to one that is looked up.
	deadSample = 16
	// sweepPart of a memtable is what a sweep writes at once.
	sweepPart = 256
	// sweepMost is after how many memtables a sweep gives up.
	sweepMost = 8
)

// ownKeys begin what callers never see.
var ownKeys = []byte("\xff")

// sweepKey begins the keys that a sweep fills the memtable with.
const sweepKey = "\xffsweep"

// deleting notes that a change deletes what Badger has of a key. It is called by who writes to Badger.
func (db *DB) deleting(key []byte) {
	if rand.Uint32N(deadSample) != 0 {
		return
	}
	_ = db.item(key, func(_ *guard, item *badger.Item) error { // without it, there is nothing to delete
		db.tree.dead.Add(deadSample * item.EstimatedSize())
		return nil
	})
}

// tables returns what Badger's tables take on the disk, and what that was before compression.
func (db *DB) tables() (disk, raw int64) {
	for _, t := range db.bdb.Tables() {
		disk, raw = disk+int64(t.OnDiskSize), raw+int64(t.UncompressedSize)
	}
	return disk, raw
}

// TreeDead returns about how many bytes of Badger's own tables hold nothing that is alive.
func (db *DB) TreeDead() int64 {
	disk, raw := db.tables()
	if raw == 0 {
		return 0
	}
	return int64(float64(disk) * min(float64(db.tree.dead.Load())/float64(raw), 1))
}

// SweepDue reports whether more of Badger's own tables is dead than alive, and enough to be worth a sweep.
func (db *DB) SweepDue() bool {
	disk, _ := db.tables()
	dead := db.TreeDead()
	return dead > db.opt.SweepBytes && dead > disk-dead
}

// countTree counts what is dead anew, by what is alive.
func (db *DB) countTree(live int64) {
	_, raw := db.tables()
	db.tree.dead.Store(max(raw-live, 0))
}

// Sweep gives back what is dead in Badger's tables, if it is worth it. Writers do not wait for it, but they feel what it writes: it is for times in
// which there are few.
func (db *DB) Sweep(ctx context.Context, pace Pace) error {
	db.collecting.Lock()
	defer db.collecting.Unlock()
	if !db.SweepDue() {
		return nil
	}
	live := int64(0)
	if err := db.scan(nil, func(_ *guard, item *badger.Item) error { live += item.EstimatedSize(); return nil }); err != nil {
		return err
	}
	if db.countTree(live); !db.SweepDue() {
		return nil
	}
	before, _ := db.tables()
	if err := pace(ctx, before); err != nil {
		return err
	}
	if err := db.flushTree(ctx, pace); err != nil {
		return err
	}
	if err := db.flatten(); err != nil {
		return err
	}
	db.tree.dead.Store(0)
	after, _ := db.tables()
	db.logf(LevelInfo, "a sweep has made %d bytes of tables of %d", after, before)
	return nil
}

// flushTree writes until the tables have all that is written now.
func (db *DB) flushTree(ctx context.Context, pace Pace) error {
	var until uint64
	if err := db.between(func() error {
		until = db.ts
		db.bdb.SetDiscardTs(db.ts)
		return nil
	}); err != nil {
		return err
	}
	fill := make([]Entry, max(db.opt.MemTableBytes/sweepPart/(db.threshold/2), 1))
	value := bytes.Repeat([]byte{1}, int(db.threshold/2))
	for i := range fill {
		fill[i] = Entry{Key: fmt.Append(nil, sweepKey, i), Value: value}
	}
	for range sweepMost * sweepPart {
		if db.mergeable(until) {
			break
		}
		if err := pace(ctx, int64(len(fill)*len(value))); err != nil {
			return err
		}
		if err := db.Commit(fill...); err != nil {
			return err
		}
		if db.behind != nil && !db.behind.settle() { // else Badger gets many of them as one
			return fmt.Errorf("fill a memtable: %w: %w", ErrReadOnly, db.Err())
		}
	}
	for i := range fill {
		fill[i] = Entry{Key: fill[i].Key, Delete: true}
	}
	return db.Commit(fill...)
}

// mergeable reports whether the tables have all changes up to one, and not all of them are in the level that Badger does not merge by itself:
// what is there it merges with that below when there are five.
func (db *DB) mergeable(until uint64) bool {
	newest, below := uint64(0), false
	for _, t := range db.bdb.Tables() {
		newest, below = max(newest, t.MaxVersion), below || t.Level > 0
	}
	return below && newest >= until
}

func (db *DB) flatten() (err error) {
	g := guard{}
	defer g.end(&err)
	if err := db.bdb.Flatten(1); err != nil {
		return fmt.Errorf("flatten: %w", err)
	}
	return nil
}
