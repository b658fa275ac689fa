package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/segment"
)

// logStore is the log on disk. The library proves only the last batch that was written when it opens; here every entry
// carries a checksum over all that it says, and none is handed out that does not fit. The checksum is this FE's own: it is
// taken off when an entry is read, and never travels.
type logStore struct {
	*wal.WAL
	dir string

	mu  sync.Mutex
	bad func(error) // told of an entry that is damaged or could not be stored, nil = nobody

	stored func() // told when entries are durable or could not be stored, nil = nobody
}

// openLogStore opens the log in dir, a sub-folder of the metadata directory, and mends what a crash leaves behind.
func openLogStore(dir string, segmentBytes int, log *slog.Logger) (*logStore, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	s := &logStore{dir: dir}
	var err error
	s.WAL, err = wal.Open(dir, wal.WithSegmentSize(segmentBytes), wal.WithLogger(newHclog(log, "raft")),
		wal.WithMetaStore(&walMeta{MetaStore: &metaFile{}, log: log}), wal.WithSegmentFiler(segment.NewFiler(dir, newWALFiles())))
	if err != nil {
		return nil, fmt.Errorf("open raft log %s: %w", dir, err)
	}
	return s, nil
}

// onBad has f told of entries that turn out to be damaged, or cannot be stored: what of those is on disk nobody knows, and
// the library keeps no state from which it could go on.
func (s *logStore) onBad(f func(error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bad = f
}

// onStored has f told when entries are durable, or could not be stored. It is set before anything is stored.
func (s *logStore) onStored(f func()) { s.stored = f }

const (
	sumMark = 0xc3 // begins the checksum, the last bytes of Extensions
	sumSize = 5
)

// sumOf is the checksum of what an entry says; when it was appended is of no consequence.
func sumOf(l *raft.Log, extensions []byte) uint32 {
	var head [33]byte
	binary.LittleEndian.PutUint64(head[0:], l.Index)
	binary.LittleEndian.PutUint64(head[8:], l.Term)
	head[16] = byte(l.Type)
	binary.LittleEndian.PutUint64(head[17:], uint64(len(l.Data)))
	binary.LittleEndian.PutUint64(head[25:], uint64(len(extensions)))
	sum := crc32.Checksum(head[:], castagnoli)
	sum = crc32.Update(sum, castagnoli, l.Data)
	return crc32.Update(sum, castagnoli, extensions)
}

// StoreLog appends an entry, durably.
func (s *logStore) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs appends entries, durably.
func (s *logStore) StoreLogs(logs []*raft.Log) error {
	if s.stored != nil {
		defer s.stored()
	}
	signed, copies := make([]*raft.Log, len(logs)), make([]raft.Log, len(logs))
	for i, l := range logs {
		c := &copies[i]
		*c = *l
		ext := make([]byte, 0, len(l.Extensions)+sumSize)
		ext = append(append(ext, l.Extensions...), sumMark)
		c.Extensions = binary.LittleEndian.AppendUint32(ext, sumOf(l, l.Extensions))
		signed[i] = c
	}
	if err := s.WAL.StoreLogs(signed); err != nil {
		return s.broken(fmt.Errorf("%w: entry %d in %s: %w", ErrNotStored, logs[0].Index, s.dir, err))
	}
	return nil
}

// broken tells of an error after which the log is not used any more, and returns it.
func (s *logStore) broken(err error) error {
	s.mu.Lock()
	bad := s.bad
	s.mu.Unlock()
	if bad != nil {
		bad(err)
	}
	return err
}

// GetLog reads an entry.
func (s *logStore) GetLog(index uint64, l *raft.Log) error {
	err := s.read(index, l)
	if err == nil || errors.Is(err, raft.ErrLogNotFound) {
		return err
	}
	return s.broken(fmt.Errorf("log entry %d in %s: %w", index, s.dir, err))
}

func (s *logStore) read(index uint64, l *raft.Log) (err error) {
	defer func() {
		if p := recover(); p != nil { // the library's decoder trusts what it reads
			err = fmt.Errorf("it is damaged: %v", p)
		}
	}()
	if err := s.WAL.GetLog(index, l); err != nil {
		return err
	}
	n := len(l.Extensions) - sumSize
	switch {
	case l.Index != index:
		return fmt.Errorf("it is damaged: it says that it is entry %d", l.Index)
	case len(l.Extensions) == 0:
		return nil // of a version that wrote no checksums
	case n < 0 || l.Extensions[n] != sumMark || binary.LittleEndian.Uint32(l.Extensions[n+1:]) != sumOf(l, l.Extensions[:n]):
		return fmt.Errorf("it is damaged: its checksum is wrong")
	}
	if l.Extensions = l.Extensions[:n:n]; n == 0 {
		l.Extensions = nil
	}
	return nil
}

// check reads the whole log. snapshot is the index of the newest snapshot, 0 = there is none: entries may not be missing
// behind it. A log that ends before it, because a crash came between taking over the snapshot of another FE and dropping
// what that replaces, is dropped now: the store takes only an entry that follows the last one.
func (s *logStore) check(snapshot uint64) error {
	first, err := s.FirstIndex()
	if err != nil {
		return err
	}
	last, err := s.LastIndex()
	if err != nil {
		return err
	}
	if last > 0 && first > snapshot+1 {
		return fmt.Errorf("entries %d to %d are missing: the log begins at %d, and the newest snapshot ends at %d", snapshot+1, first-1, first, snapshot)
	}
	for i := first; i <= last && i > 0; i++ {
		var l raft.Log
		if err := s.GetLog(i, &l); err != nil {
			return err
		}
	}
	if last > 0 && last < snapshot {
		return s.DeleteRange(first, last)
	}
	return nil
}

// lostLog reports whether a metadata directory lacks the log that was there.
func lostLog(dir string) bool {
	for _, name := range []string{metaFileName, "wal-meta.db"} {
		if _, err := os.Stat(filepath.Join(dir, "log", name)); err == nil {
			return false
		}
	}
	return true
}
