package raftlog

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"
)

// TestRecentIsTheLog: what is kept in memory is what the disk has, whatever is appended, cut off and dropped, and it is bounded.
func TestRecentIsTheLog(t *testing.T) {
	store, err := openLogStore(t.TempDir(), 1<<20, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	grown := 0
	c := newRecent(store, func(logs []*raft.Log) { grown += len(logs) })
	data := map[uint64]byte{}
	first, next, stored, hits := uint64(1), uint64(1), 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			switch k := rapid.IntRange(0, 9).Draw(rt, "step"); {
			case k < 6:
				var logs []*raft.Log
				for range rapid.SampledFrom([]int{1, 3, 300}).Draw(rt, "entries") {
					b := rapid.Byte().Draw(rt, "data")
					logs = append(logs, &raft.Log{Index: next, Term: 1, Data: []byte{b}})
					data[next] = b
					next++
				}
				if err := c.StoreLogs(logs); err != nil {
					rt.Fatal(err)
				}
				stored += len(logs)
			case next-first < 3:
			case k < 8: // the beginning, behind a snapshot
				to := first + rapid.Uint64Range(0, next-first-2).Draw(rt, "to")
				if err := c.DeleteRange(first, to); err != nil {
					rt.Fatal(err)
				}
				first = to + 1
			default: // the end, of another leader
				from := first + 1 + rapid.Uint64Range(0, next-first-2).Draw(rt, "from")
				if err := c.DeleteRange(from, next-1); err != nil {
					rt.Fatal(err)
				}
				next = from
			}
			for range 5 {
				index := rapid.Uint64Range(first, next).Draw(rt, "index")
				var l raft.Log
				err := c.GetLog(index, &l)
				if there := index < next; there != (err == nil) || !there && !errors.Is(err, raft.ErrLogNotFound) {
					rt.Fatalf("entry %d of %d to %d: %v", index, first, next-1, err)
				}
				if err == nil && (l.Index != index || l.Data[0] != data[index]) {
					rt.Fatalf("entry %d is %+v", index, l)
				}
				if c.first <= index && index < c.next {
					hits++
				}
			}
			kept := 0
			for _, l := range c.ring {
				if l != nil {
					kept++
				}
			}
			if uint64(kept) != c.next-c.first || c.bytes != kept || kept > 0 && c.next > next {
				rt.Fatalf("%d entries of %d bytes are kept as %d to %d of %d to %d", kept, c.bytes, c.first, c.next, first, next)
			}
		}
	})
	if grown != stored || hits == 0 {
		t.Errorf("%d of %d were told of, %d were read from memory", grown, stored, hits)
	}
}

// TestRecentIsBoundedInBytes: large entries push out the others, and the last one stays in any case.
func TestRecentIsBoundedInBytes(t *testing.T) {
	c := newRecent(nil, nil)
	for i := range uint64(10) {
		c.keepLocked(&raft.Log{Index: i + 1, Data: make([]byte, recentBytes/4)})
	}
	if c.first != 7 || c.next != 11 || c.bytes != recentBytes {
		t.Errorf("%d to %d, %d bytes", c.first, c.next, c.bytes)
	}
	c.keepLocked(&raft.Log{Index: 11, Data: make([]byte, recentBytes+1)})
	if c.first != 11 || c.next != 12 || c.bytes != recentBytes+1 {
		t.Errorf("%d to %d, %d bytes", c.first, c.next, c.bytes)
	}
}
