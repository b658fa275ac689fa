package kv

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dgraph-io/badger/v4"
)

// gcDiscardRatio is how much of a value log file must be dead for it to be rewritten.
const gcDiscardRatio = 0.3

// Reclaim gives the space of deleted keys back (reference §9): dropping a key below marker, a prefix that nothing else uses,
// flushes the memtables and compacts, so that Badger learns what is dead; then value log files are rewritten, one at a time,
// until none has enough dead bytes or ctx ends. pace is called between two files.
//
// Badger looks only at the file with the most dead bytes, and gives up, whatever the others have, when that is the one it
// writes to. Then that file is filled, so that another one is begun, and the cycle runs once more.
func (db *DB) Reclaim(ctx context.Context, marker []byte, pace func(context.Context) error) error {
	if err := db.reclaimOnce(ctx, marker, pace); err != nil {
		return err
	}
	stuck, err := db.newestKeepsOthers()
	if err != nil || !stuck {
		return err
	}
	if err := pace(ctx); err != nil {
		return err
	}
	if err := db.fillNewest(marker); err != nil {
		return fmt.Errorf("fill the newest value log: %w", err)
	}
	return db.reclaimOnce(ctx, marker, pace)
}

func (db *DB) reclaimOnce(ctx context.Context, marker []byte, pace func(context.Context) error) error {
	marker = below(marker, 0)
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

// below returns a key with the prefix marker.
func below(marker []byte, tail ...byte) []byte {
	return append(append([]byte(nil), marker...), tail...)
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

// newestKeepsOthers reports whether the file that is written has the most dead bytes while it, or another one, has enough of
// them to be worth a rewrite.
func (db *DB) newestKeepsOthers() (bool, error) {
	sizes, newest, err := db.valueLogs()
	if err != nil {
		return false, err
	}
	dead, err := db.deadBytes()
	if err != nil {
		return false, err
	}
	worst, worth := newest, false
	for fid, n := range dead {
		size, ok := sizes[fid]
		if !ok {
			continue
		}
		if fid == newest {
			size = db.opt.ValueLogFileSize // it is allocated far ahead
		}
		worth = worth || float64(n) >= gcDiscardRatio*float64(size)
		if n > dead[worst] {
			worst = fid
		}
	}
	return worth && worst == newest, nil
}

// valueLogs returns the sizes of the value log files by their numbers, and the highest number.
func (db *DB) valueLogs() (sizes map[uint64]int64, newest uint64, err error) {
	names, err := filepath.Glob(filepath.Join(db.bdb.Opts().ValueDir, "*.vlog"))
	if err != nil {
		return nil, 0, err
	}
	sizes = make(map[uint64]int64)
	for _, name := range names {
		fid, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(name), ".vlog"), 10, 32)
		if err != nil {
			continue
		}
		newest = max(newest, fid)
		if info, err := os.Stat(name); err == nil { // else GC has removed it meanwhile
			sizes[fid] = info.Size()
		}
	}
	return sizes, newest, nil
}

// deadBytes reads Badger's discard statistics, which it does not export: a mapped file of pairs of file number and dead bytes,
// big-endian, up to a number 0. A torn pair does no harm: what is decided with it is only whether a cycle is repeated.
func (db *DB) deadBytes() (map[uint64]uint64, error) {
	raw, err := os.ReadFile(filepath.Join(db.bdb.Opts().ValueDir, "DISCARD"))
	if err != nil {
		return nil, fmt.Errorf("read discard statistics: %w", err)
	}
	dead := make(map[uint64]uint64)
	for ; len(raw) >= 16; raw = raw[16:] {
		fid := binary.BigEndian.Uint64(raw)
		if fid == 0 {
			break
		}
		dead[fid] = binary.BigEndian.Uint64(raw[8:])
	}
	return dead, nil
}

// fillPieces is how many values one transaction of fillNewest writes.
const fillPieces = 8

// fillNewest writes values that nobody needs until Badger has begun another value log file, and deletes them.
func (db *DB) fillNewest(marker []byte) error {
	_, newest, err := db.valueLogs()
	if err != nil {
		return err
	}
	size := max(min(1<<20, db.opt.ValueLogFileSize/16), db.bdb.Opts().ValueThreshold+1)
	var fill, drop []Entry
	for i := range byte(fillPieces) {
		key := below(marker, 1, i)
		fill = append(fill, Entry{Key: key, Value: make([]byte, size)})
		drop = append(drop, Entry{Key: key, Delete: true})
	}
	for written := int64(0); written <= db.opt.ValueLogFileSize; written += fillPieces * size {
		if err := db.Commit(fill...); err != nil {
			return err
		}
		if _, now, err := db.valueLogs(); err != nil || now > newest {
			return errors.Join(err, db.Commit(drop...))
		}
	}
	return db.Commit(drop...)
}

// between runs step in the committer, between two group commits: Badger refuses writes while it drops a prefix.
func (db *DB) between(step func() error) error {
	ch := make(chan error, 1)
	db.send(&request{step: step, done: func(err error) { ch <- err }})
	return <-ch
}
