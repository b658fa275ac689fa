package raftlog

import (
	"errors"
	"sync"

	"github.com/hashicorp/raft"
)

// The Raft library counts entries: after so many it takes a snapshot, and so many it keeps for followers that are late. Entries whose
// commits carry rows are large, and the log could take gigabytes on the disk of the FE, all of which is read when it starts. So
// here bytes are counted as well.

const (
	// minTrailing is how many entries are kept however large they are.
	minTrailing = 64
	// trailingShare of the bytes that make a snapshot due are kept behind one.
	trailingShare = 4
	// lookEvery is after how many entries it is worked out how many may be kept.
	lookEvery = 4096
)

// growth counts what is appended to the log.
type growth struct {
	due  int64         // bytes that make a snapshot due
	look chan struct{} // of capacity 1: there is something to do

	mu      sync.Mutex
	entries int64 // since the last look
	bytes   int64 // since the last look
	since   int64 // bytes since the last snapshot that was due
}

func newGrowth(due int64) *growth { return &growth{due: due, look: make(chan struct{}, 1)} }

func (g *growth) add(logs []*raft.Log) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range logs {
		g.bytes += int64(len(l.Data))
		g.since += int64(len(l.Data))
	}
	g.entries += int64(len(logs))
	if g.since < g.due && g.entries < lookEvery {
		return
	}
	select {
	case g.look <- struct{}{}:
	default:
	}
}

// take begins to count anew. It returns how many of entries like these may be kept behind a snapshot, and whether one is due.
func (g *growth) take() (trailing uint64, due bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	trailing = uint64(max(g.due/trailingShare*g.entries/max(g.bytes, 1), minTrailing))
	if due = g.since >= g.due; due {
		g.since = 0
	}
	g.entries, g.bytes = 0, 0
	return trailing, due
}

// compact keeps the log small.
func (l *Log) compact() {
	defer l.wg.Done()
	for {
		select {
		case <-l.growth.look:
		case <-l.closing:
			return
		}
		trailing, due := l.growth.take()
		if err := l.compactTo(trailing, due); err != nil && !errors.Is(err, raft.ErrRaftShutdown) {
			l.cfg.Log.Warn("compact metadata log", "err", err)
		}
	}
}

// compactTo has so many entries be kept behind snapshots, and takes one if it is due.
func (l *Log) compactTo(trailing uint64, due bool) error {
	conf := l.raft.ReloadableConfig()
	if conf.TrailingLogs = min(trailing, l.cfg.TrailingLogs); conf != l.raft.ReloadableConfig() {
		if err := l.raft.ReloadConfig(conf); err != nil {
			return err
		}
	}
	if !due {
		return nil
	}
	if err := l.raft.Snapshot().Error(); !errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return err
	}
	return nil
}
