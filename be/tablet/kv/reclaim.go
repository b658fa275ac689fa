package kv

import (
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// gcDiscardRatio is how much of a value log file must be dead for it to be rewritten.
const gcDiscardRatio = 0.3

// Reclaim gives the space of deleted keys back (reference §9): dropping marker, a key that nothing else uses, flushes
// the memtables and compacts, so that Badger learns what is dead; then value log files are rewritten, one at a time, until
// none has enough dead bytes or ctx ends. pace is called between two files.
func (db *DB) Reclaim(ctx context.Context, marker []byte, pace func(context.Context) error) error {
	if err := db.Commit(Entry{Key: marker, Value: []byte{1}}); err != nil {
		return err
	}
	if err := db.between(func() error {
		db.bdb.SetDiscardTs(db.ts)
		return db.bdb.DropPrefix(marker)
	}); err != nil {
		return fmt.Errorf("flush by dropping the marker: %w", err)
	}
	return db.CollectValues(ctx, pace)
}

// CollectValues is the second half of Reclaim: it rewrites value log files of which Badger knows that enough is dead. That is
// all that an instance needs whose small writes make it compact by itself, and it stalls nobody.
func (db *DB) CollectValues(ctx context.Context, pace func(context.Context) error) error {
	for {
		err := db.quiet.collect(func() error { return db.bdb.RunValueLogGC(gcDiscardRatio) })
		if errors.Is(err, badger.ErrNoRewrite) || errors.Is(err, badger.ErrRejected) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("value log gc: %w", err)
		}
		if err := pace(ctx); err != nil {
			return err
		}
	}
}

// between runs step in the committer, between two group commits: Badger refuses writes while it drops a prefix.
func (db *DB) between(step func() error) error {
	ch := make(chan error, 1)
	db.send(&request{step: step, done: func(err error) { ch <- err }})
	return <-ch
}
