package raftlog

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"stele/meta/command"
)

// TestLargeEntriesAreCompacted: the log goes by its bytes, long before there are as many entries as make a snapshot due.
func TestLargeEntriesAreCompacted(t *testing.T) {
	cfg := bootstrapped(t, t.TempDir())
	cfg.SnapshotBytes, cfg.SegmentBytes = 256<<10, 64<<10
	l := open(t, cfg)
	lead(t, l)
	large := strings.Repeat("x", 4<<10)
	ctx := testContext(t)
	first := uint64(1)
	for i := 0; first == 1 && ctx.Err() == nil; i++ {
		propose(t, l, &command.SetConfig{Key: fmt.Sprint("k", i%3), Value: large})
		var err error
		if first, err = l.logs.FirstIndex(); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.raft.ReloadableConfig().TrailingLogs; n != minTrailing {
		t.Errorf("%d entries are kept behind a snapshot", n)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, bootstrapped(t, cfg.Dir))
	lead(t, l)
	if v, _ := l.Current().Config("k1"); v != large {
		t.Error("it is not the same after a restart")
	}
}

func TestGrowth(t *testing.T) {
	entries := func(n, size int) (logs []*raft.Log) {
		for range n {
			logs = append(logs, &raft.Log{Data: make([]byte, size)})
		}
		return logs
	}
	g := newGrowth(1 << 20)
	looked := func() bool {
		select {
		case <-g.look:
			return true
		default:
			return false
		}
	}
	g.add(entries(100, 1000))
	if looked() {
		t.Error("it is too early to look")
	}
	g.add(entries(1000, 1000))
	if !looked() {
		t.Fatal("more than a MiB was appended")
	}
	if n, due := g.take(); n != 262 || !due { // a quarter of a MiB
		t.Errorf("%d, %v", n, due)
	}
	g.add(entries(lookEvery, 10))
	if !looked() {
		t.Fatal("many entries were appended")
	}
	if n, due := g.take(); n != 26214 || due {
		t.Errorf("%d, %v", n, due)
	}
	g.add(entries(1, 900<<10))
	if looked() {
		t.Error("it is too early to look")
	}
	g.add(entries(1, 900<<10)) // more than are left
	if n, due := g.take(); n != minTrailing || !due || !looked() {
		t.Errorf("%d, %v", n, due)
	}
}
