package raftlog

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"stele/meta/command"
)

// Without room for the next file of the log commits are refused before anything is proposed, and what heals goes on.
func TestNoRoomRefusesCommits(t *testing.T) {
	var free atomic.Int64
	cfg := bootstrapped(t, t.TempDir())
	free.Store(1 << 40)
	cfg.free = func(string) (int64, error) { return free.Load(), nil }
	l := open(t, cfg)
	lead(t, l)
	commit := &command.CommitTxn{Txn: 1, TimeMs: 1}
	if _, err := l.Propose(testContext(t), commit); err != nil {
		t.Fatalf("commit with room: %v", err)
	}
	free.Store(int64(cfg.SegmentBytes) - 1)
	l.lookForRoom()
	before := l.Current().Index()
	if _, err := l.Propose(testContext(t), commit); !errors.Is(err, ErrNoRoom) {
		t.Fatalf("commit without room: %v", err)
	}
	encoded, err := command.Encode(commit)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.ProposeEncoded(testContext(t), Tag{}, [][]byte{encoded}); !errors.Is(err, ErrNoRoom) {
		t.Fatalf("forwarded commit without room: %v", err)
	}
	if after := l.Current().Index(); after != before {
		t.Fatalf("refused commits moved the log from %d to %d", before, after)
	}
	propose(t, l, &command.SetConfig{Key: "x", Value: "1"})
	free.Store(int64(cfg.SegmentBytes))
	l.lookForRoom()
	if _, err := l.Propose(testContext(t), commit); err != nil {
		t.Fatalf("commit with room again: %v", err)
	}
}

// A leader without room has another FE lead.
func TestNoRoomGivesWay(t *testing.T) {
	var free [3]atomic.Int64
	n := -1
	logs := group(t, func(cfg *Config) {
		n++
		mine := &free[n]
		mine.Store(1 << 40)
		cfg.free = func(string) (int64, error) { return mine.Load(), nil }
	})
	leader := leaderOf(t, logs...)
	for i, l := range logs {
		if l == leader {
			free[i].Store(0)
		}
	}
	leader.lookForRoom()
	var others []*Log
	for _, l := range logs {
		if l != leader {
			others = append(others, l)
		}
	}
	if next := leaderOf(t, others...); next == leader {
		t.Fatal("the FE without room still leads")
	}
}

// An FE without room that comes to lead afterwards has another one lead as well.
func TestNoRoomLeadsNotForLong(t *testing.T) {
	var free [3]atomic.Int64
	n := -1
	logs := group(t, func(cfg *Config) {
		n++
		mine := &free[n]
		mine.Store(1 << 40)
		cfg.free = func(string) (int64, error) { return mine.Load(), nil }
	})
	leader := leaderOf(t, logs...)
	full := slices.IndexFunc(logs, func(l *Log) bool { return l != leader })
	free[full].Store(0)
	logs[full].lookForRoom()
	before := leader.Term()
	if err := leader.TransferLeadership(testContext(t), logs[full].ID()); err != nil {
		t.Fatal(err)
	}
	others := slices.Delete(slices.Clone(logs), full, full+1)
	for { // the leader of before may not know yet that it is not
		if next := leaderOf(t, others...); next.IsLeader() && next.Term() > before+1 {
			return
		}
	}
}

// An FE that cannot begin the next file of its log ends, and finds everything that it has acknowledged when it is started again.
func TestStoreFailureEndsTheFrontend(t *testing.T) {
	dir := t.TempDir()
	cfg := bootstrapped(t, dir)
	cfg.SegmentBytes = 64 << 10
	l := open(t, cfg)
	lead(t, l)
	log := filepath.Join(dir, "log")
	if err := os.Rename(log, log+".away"); err != nil { // no file can be made there any more
		t.Fatal(err)
	}
	var acknowledged uint64
	for {
		if _, err := l.ProposeOne(testContext(t), &command.SetConfig{Key: "x", Value: strings.Repeat("v", 4<<10)}); err != nil {
			if !errors.Is(err, ErrOutcomeUnknown) { // what of it is on disk nobody knows
				t.Fatalf("an entry that could not be stored: %v", err)
			}
			break
		}
		acknowledged = l.Current().Index()
	}
	select {
	case <-l.Failed():
	case <-testContext(t).Done():
		t.Fatal("an FE that cannot store anything goes on")
	}
	if err := l.Failure(); !errors.Is(err, ErrNotStored) {
		t.Fatalf("it ended with %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(log+".away", log); err != nil {
		t.Fatal(err)
	}
	again := config(t, "fe1", dir)
	again.SegmentBytes = cfg.SegmentBytes
	l = open(t, again)
	lead(t, l)
	if got := l.Current().Index(); got < acknowledged {
		t.Fatalf("entry %d was acknowledged, %d is there", acknowledged, got)
	}
}
