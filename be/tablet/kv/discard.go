package kv

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// KnownDead returns how many bytes of value logs Badger knows to be dead. It keeps that in a file that it does not sync: a power
// cut may take it.
func (db *DB) KnownDead() (int64, error) {
	dead, err := db.deadBytes()
	if err != nil {
		return 0, err
	}
	sum := uint64(0)
	for _, n := range dead {
		sum += n
	}
	return int64(sum), nil
}

// discardFileBytes is the size of Badger's file of discard statistics.
const discardFileBytes = 1 << 20

// SuspectDead has Badger, which must not have the instance in dir open, take more than half of every value log but the newest for
// dead, so that the next Reclaim looks at each of them. What is alive is found out then, and kept.
func SuspectDead(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, "*.vlog"))
	if err != nil {
		return err
	}
	slices.Sort(names)
	out := make([]byte, 0, discardFileBytes)
	for _, name := range names[:max(len(names)-1, 0)] {
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
