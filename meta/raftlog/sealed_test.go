package raftlog

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/segment"
	waltypes "github.com/hashicorp/raft-wal/types"
)

// crashedMeta takes nothing any more, as a process that was killed before it could.
type crashedMeta struct {
	waltypes.MetaStore
	crashed bool
}

func (m *crashedMeta) CommitState(s waltypes.PersistentState) error {
	if m.crashed {
		return errors.New("killed")
	}
	return m.MetaStore.CommitState(s)
}

// fillSegment writes entries of size bytes into a log until its first segment is full, and is killed before the next one is begun.
func fillSegment(t *testing.T, dir string, segmentBytes, size int) (last uint64) {
	t.Helper()
	meta := &crashedMeta{MetaStore: &walMeta{MetaStore: &metaFile{}, log: slog.New(slog.DiscardHandler)}}
	w, err := wal.Open(dir, wal.WithSegmentSize(segmentBytes), wal.WithMetaStore(meta), wal.WithSegmentFiler(segment.NewFiler(dir, newWALFiles())),
		wal.WithLogger(newHclog(slog.New(slog.DiscardHandler), "raft")))
	if err != nil {
		t.Fatal(err)
	}
	meta.crashed = true
	for w.StoreLog(&raft.Log{Index: last + 1, Term: 1, Data: make([]byte, size)}) == nil {
		last++
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return last
}

// breakBefore breaks a byte of the only segment, so far before its index.
func breakBefore(t *testing.T, dir string, bytes int) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil || len(names) != 1 {
		t.Fatalf("segments %v: %v", names, err)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	index, _ := indexFrame(b)
	b[index-bytes] ^= 1
	if err := os.WriteFile(names[0], b, 0o640); err != nil {
		t.Fatal(err)
	}
}

// A torn batch that fills a segment is cut off only when nothing that was acknowledged would go with it.
func TestBrokenBatchBeforeATornOne(t *testing.T) {
	const segmentBytes, size = 4 << 10, 500
	dir := t.TempDir()
	fillSegment(t, dir, segmentBytes, size)
	breakBefore(t, dir, 20)
	breakBefore(t, dir, 20+size+100) // in the batch before
	if _, err := openLogStore(dir, segmentBytes, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("opened a log with a broken batch: %v", err)
	}
}

// A process that is killed when its last segment was full, and the next one not begun, goes on after a restart.
func TestKilledBetweenSegments(t *testing.T) {
	const segmentBytes = 4 << 10
	for _, c := range []struct {
		name string
		size int // of an entry
		torn bool
	}{
		{"small entries", 500, false},
		{"the batch that fills it is torn", 500, true},
		{"one entry fills it", 5000, false},
		{"one entry fills it, torn", 5000, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			last := fillSegment(t, dir, segmentBytes, c.size)
			if c.torn {
				breakBefore(t, dir, 20) // as a torn write of the batch
				last--
			}
			for range 3 {
				goOn(t, dir, segmentBytes, last, 20)
				last += 20
			}
		})
	}
}

// goOn opens a log that ends at last, writes n entries more and closes it.
func goOn(t *testing.T, dir string, segmentBytes int, last uint64, n int) {
	t.Helper()
	s, err := openLogStore(dir, segmentBytes, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.check(0); err != nil {
		t.Fatal(err)
	}
	if got, err := s.LastIndex(); err != nil || got != last {
		t.Fatalf("the log ends at %d, want %d: %v", got, last, err)
	}
	for range n {
		last++
		if err := s.StoreLog(&raft.Log{Index: last, Term: 1, Data: make([]byte, 500)}); err != nil {
			t.Fatalf("entry %d: %v", last, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
