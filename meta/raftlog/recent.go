package raftlog

import (
	"sync"

	"github.com/hashicorp/raft"
)

// Bounds of the entries that are kept in memory. An entry is a few KiB, or a MiB when its commits carry rows.
const (
	recentEntries = 512
	recentBytes   = 32 << 20
)

// recent is the log with its last entries in memory: the state machine of a follower, and followers that keep up, read no others.
type recent struct {
	*logStore
	grown func([]*raft.Log) // told what has been stored

	mu          sync.RWMutex
	ring        [recentEntries]*raft.Log // by index
	first, next uint64                   // what is kept: first ≤ index < next
	bytes       int
}

func newRecent(store *logStore, grown func([]*raft.Log)) *recent {
	return &recent{logStore: store, grown: grown}
}

// GetLog reads an entry.
func (c *recent) GetLog(index uint64, l *raft.Log) error {
	c.mu.RLock()
	if c.first <= index && index < c.next {
		*l = *c.ring[index%recentEntries]
		c.mu.RUnlock()
		return nil
	}
	c.mu.RUnlock()
	return c.logStore.GetLog(index, l)
}

// StoreLog appends an entry, durably.
func (c *recent) StoreLog(l *raft.Log) error { return c.StoreLogs([]*raft.Log{l}) }

// StoreLogs appends entries, durably.
func (c *recent) StoreLogs(logs []*raft.Log) error {
	if tooLate(logs) {
		return errTooLate
	}
	if err := c.logStore.StoreLogs(logs); err != nil {
		return err
	}
	c.mu.Lock()
	for _, l := range logs {
		c.keepLocked(l)
	}
	c.mu.Unlock()
	c.grown(logs)
	return nil
}

func (c *recent) keepLocked(l *raft.Log) {
	if l.Index != c.next { // the log was cut, or begins behind a snapshot
		c.clearLocked()
		c.first, c.next = l.Index, l.Index
	}
	if c.next-c.first == recentEntries {
		c.dropLocked()
	}
	c.ring[l.Index%recentEntries] = l
	c.next++
	for c.bytes += len(l.Data); c.bytes > recentBytes && c.first < l.Index; {
		c.dropLocked()
	}
}

// dropLocked forgets the oldest entry.
func (c *recent) dropLocked() {
	at := c.first % recentEntries
	c.bytes -= len(c.ring[at].Data)
	c.ring[at] = nil
	c.first++
}

func (c *recent) clearLocked() {
	for c.first < c.next {
		c.dropLocked()
	}
}

// DeleteRange drops entries at the beginning or the end of the log.
func (c *recent) DeleteRange(low, high uint64) error {
	c.mu.Lock()
	if high >= c.first {
		c.clearLocked()
	}
	c.mu.Unlock()
	return c.logStore.DeleteRange(low, high)
}
