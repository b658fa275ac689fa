package raftlog

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/metadb"
)

// TestLogTakenBack: a log whose last entries were taken back, in one or several segments and more than once, is whole
// after every start.
func TestLogTakenBack(t *testing.T) {
	for _, segmentBytes := range []int{4 << 10, 1 << 20} {
		t.Run(fmt.Sprint(segmentBytes), func(t *testing.T) {
			dir := t.TempDir()
			last := uint64(0)
			for _, step := range []struct{ add, back uint64 }{{100, 0}, {0, 1}, {30, 7}, {0, 0}, {200, 150}, {1, 1}, {5, 0}, {0, 170}, {3, 0}} {
				meta := &metadb.BoltMetaDB{}
				w, err := wal.Open(dir, wal.WithSegmentSize(segmentBytes), wal.WithMetaStore(&walMeta{MetaStore: meta, log: slog.New(slog.DiscardHandler)}))
				if err != nil {
					t.Fatalf("%+v: %v", step, err)
				}
				for i := range step.add {
					entry := &raft.Log{Index: last + 1 + i, Term: step.back, Data: fmt.Appendf(nil, "entry %0*d", int(i%90), last+1+i)}
					if err := w.StoreLog(entry); err != nil {
						t.Fatalf("%+v: %v", step, err)
					}
				}
				last += step.add
				if step.back > 0 {
					if err := w.DeleteRange(last-step.back+1, last); err != nil {
						t.Fatalf("%+v: %v", step, err)
					}
					last -= step.back
				}
				w.Close()
				meta.Close()
				checkLog(t, dir, segmentBytes, last)
			}
		})
	}
}

// checkLog opens the log and reads every entry.
func checkLog(t *testing.T, dir string, segmentBytes int, last uint64) {
	t.Helper()
	meta := &metadb.BoltMetaDB{}
	defer meta.Close()
	w, err := wal.Open(dir, wal.WithSegmentSize(segmentBytes), wal.WithMetaStore(&walMeta{MetaStore: meta, log: slog.New(slog.DiscardHandler)}))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if got, err := w.LastIndex(); err != nil || got != last {
		t.Fatalf("the log ends at %d, want %d (%v)", got, last, err)
	}
	for i := uint64(1); i <= last; i++ {
		var entry raft.Log
		if err := w.GetLog(i, &entry); err != nil || entry.Index != i {
			t.Fatalf("entry %d: index %d, %v", i, entry.Index, err)
		}
	}
}
