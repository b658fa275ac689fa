package kv

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/dgraph-io/badger/v4"
)

// oldValues is what Badger's value logs hold in an instance that keeps its large values in segments: an older release has written
// them. They are read where they are, and move when space is reclaimed.
type oldValues struct {
	disk atomic.Int64 // bytes of the value logs
	live atomic.Int64 // and of what is alive in them
}

func (o *oldValues) dead() int64 { return max(o.disk.Load()-o.live.Load(), 0) }

// oldSize is what an item takes in the value logs, 0 for one that is not there.
func (db *DB) oldSize(item *badger.Item) int64 {
	if item.UserMeta() == userPointer || item.ValueSize() < db.threshold {
		return 0
	}
	return item.EstimatedSize()
}

// emptyLogBytes is the most that a value log without values takes.
const emptyLogBytes = 4 << 10

// oldLogs returns the value logs in dir that hold something, with the bytes that they take.
func oldLogs(dir string) (map[string]int64, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.vlog"))
	if err != nil {
		return nil, err
	}
	out := make(map[string]int64)
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			continue // GC has removed it
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && min(st.Blocks*512, info.Size()) > emptyLogBytes {
			out[name] = min(st.Blocks*512, info.Size())
		}
	}
	return out, nil
}

func oldLogBytes(dir string) (n int64) {
	logs, _ := oldLogs(dir) // the pattern is right
	for _, size := range logs {
		n += size
	}
	return n
}

// discardFileBytes is the size of Badger's file of discard statistics.
const discardFileBytes = 1 << 20

// suspectOldLogs has Badger, which must not have the instance in dir open, take more than half of every value log for dead, so that
// its GC looks at each of them: what it knew of them it may have lost, in a power cut. What is alive is found out then, and kept.
func suspectOldLogs(dir string) error {
	logs, err := oldLogs(dir)
	if err != nil || len(logs) == 0 {
		return err
	}
	names := make([]string, 0, len(logs))
	for name := range logs {
		names = append(names, name)
	}
	slices.Sort(names)
	out := make([]byte, 0, discardFileBytes)
	for _, name := range names {
		fid, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(name), ".vlog"), 10, 32)
		if err != nil || fid == 0 || len(out)+32 > discardFileBytes {
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		out = binary.BigEndian.AppendUint64(out, fid)
		out = binary.BigEndian.AppendUint64(out, uint64(info.Size())*6/10)
	}
	if err := os.WriteFile(filepath.Join(dir, "DISCARD"), out[:discardFileBytes], 0o600); err != nil {
		return fmt.Errorf("write discard statistics: %w", err)
	}
	return nil
}

// marker is a key that is only there while it is dropped.
var marker = []byte("\xffmarker")

// learnDead has Badger find out what is dead, by dropping a prefix that nothing else has: that flushes the memtables and compacts. It
// refuses writes meanwhile, so the committer does it, and writers wait.
func (db *DB) learnDead() error {
	if err := db.Commit(Entry{Key: marker, Value: []byte{1}}); err != nil {
		return err
	}
	return db.between(func() error {
		db.bdb.SetDiscardTs(db.ts)
		if err := db.bdb.DropPrefix(marker); err != nil {
			return fmt.Errorf("flush by dropping the marker: %w", err)
		}
		return nil
	})
}

// moveOldValues moves what lives in value logs to segments, and has Badger delete the logs.
func (db *DB) moveOldValues(ctx context.Context, pace Pace) error {
	if db.values.old.disk.Load() == 0 {
		return nil
	}
	for {
		found, err := db.find(func(item *badger.Item) bool { return db.oldSize(item) > 0 })
		if err != nil {
			return err
		}
		moved, err := db.move(ctx, found, pace)
		if err != nil {
			return err
		}
		if moved == 0 {
			break // what is left cannot be read
		}
	}
	if err := db.learnDead(); err != nil {
		return err
	}
	if err := db.collectLogs(ctx, pace); err != nil {
		return err
	}
	db.values.old.disk.Store(oldLogBytes(db.bdb.Opts().ValueDir))
	return nil
}
