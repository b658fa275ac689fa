package raftlog

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"stele/meta/catalog"
	"stele/meta/command"
)

// fsm applies log entries to the catalog and publishes each result. An entry that it cannot read stops it for good:
// to pass over one would be to drift away from the other FEs.
type fsm struct {
	decode  func([]byte) (command.Command, error)
	own     func(data []byte) command.Command // what data is the encoded form of, nil = it has to be decoded
	taken   func()                            // told that entries are about to be applied
	landed  func(entry *raft.Log, result any) // told what each command entry came to, once it is published
	skipped func()                            // told that a snapshot is about to take the place of entries
	current atomic.Pointer[catalog.Catalog]
	applied atomic.Uint64 // index of the last command or configuration entry seen

	mu      sync.Mutex
	changed chan struct{} // closed when applied moves; nil while nobody has asked for it
	err     error         // why the fsm stopped
	failed  chan struct{} // closed with err
	restore error         // why the last snapshot could not be restored
}

func newFSM(decode func([]byte) (command.Command, error), own func([]byte) command.Command) *fsm {
	f := &fsm{decode: decode, own: own, taken: func() {}, landed: func(*raft.Log, any) {}, skipped: func() {}, failed: make(chan struct{})}
	f.current.Store(catalog.New())
	return f
}

// Apply applies one entry.
func (f *fsm) Apply(l *raft.Log) any { return f.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch applies entries in order and publishes the last catalog once.
func (f *fsm) ApplyBatch(logs []*raft.Log) []any {
	f.taken()
	out := make([]any, len(logs))
	c := f.current.Load()
	for i, l := range logs {
		if err := f.failure(); err != nil {
			out[i] = unknown(err) // it is in the log
			continue
		}
		if l.Type != raft.LogCommand {
			continue
		}
		cmd, err := f.read(l.Data)
		if err != nil {
			out[i] = unknown(f.fail(fmt.Errorf("apply metadata log entry %d: %w", l.Index, err)))
			continue
		}
		c, out[i] = applyOne(c, cmd)
		c = c.WithIndex(l.Index)
	}
	f.current.Store(c) // what came before an unreadable entry counts
	if f.failure() == nil && len(logs) > 0 {
		f.advance(logs[len(logs)-1].Index)
	}
	for i, l := range logs {
		if l.Type == raft.LogCommand {
			f.landed(l, out[i])
		}
	}
	return out
}

// read returns the command of an entry.
func (f *fsm) read(data []byte) (command.Command, error) {
	if cmd := f.own(data); cmd != nil {
		return cmd, nil
	}
	return f.decode(data)
}

func applyOne(c *catalog.Catalog, cmd command.Command) (*catalog.Catalog, catalog.BatchResult) {
	next, res, err := catalog.Apply(c, cmd)
	if batch, ok := res.(catalog.BatchResult); ok {
		return next, batch
	}
	return next, catalog.BatchResult{{Value: res, Err: err}}
}

// StoreConfiguration only notes the index: the members themselves are Raft's.
func (f *fsm) StoreConfiguration(index uint64, _ raft.Configuration) { f.advance(index) }

func (f *fsm) advance(index uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.applied.Store(index)
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

// changes returns a channel that is closed when more has been applied.
func (f *fsm) changes() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	return f.changed
}

func (f *fsm) fail(err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
		close(f.failed)
	}
	return f.err
}

func (f *fsm) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *fsm) restoreFailure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.restore
}

// Snapshot captures the catalog: it never changes, so it is written while more entries are applied.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	if err := f.failure(); err != nil {
		return nil, err
	}
	return snapshot{f.current.Load()}, nil
}

// Restore replaces the catalog by that of a snapshot; on an error the old one stays.
func (f *fsm) Restore(r io.ReadCloser) error {
	defer r.Close()
	c, err := catalog.ReadSnapshot(r)
	f.mu.Lock()
	f.restore = err
	f.mu.Unlock()
	if err != nil {
		return err
	}
	f.skipped()
	f.current.Store(c)
	f.advance(max(c.Index(), f.applied.Load()))
	return nil
}

type snapshot struct{ c *catalog.Catalog }

// Persist writes the snapshot.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if err := s.c.WriteSnapshot(sink); err != nil {
		_ = sink.Cancel()
		return err
	}
	return sink.Close()
}

// Release does nothing: the collector frees what the catalog held.
func (s snapshot) Release() {}
