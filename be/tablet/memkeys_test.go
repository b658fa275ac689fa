package tablet

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"stele/be/tablet/sought"
	"stele/meta/types"
)

// hotRange is a narrow range of the first key column, or some values of it.
func (h *narrowHistory) hotRange() []sought.Predicate {
	if h.rnd.IntN(4) == 0 {
		return []sought.Predicate{{Column: 1, Op: sought.OpIn, Ranges: h.ranges(1)}}
	}
	lo, hi := sought.Predicate{Column: 1, Op: sought.OpGE}, sought.Predicate{Column: 1, Op: sought.OpLE}
	lo.Value.I = h.value(1)
	hi.Value.I = lo.Value.I + h.rnd.Int64N(12) - 1
	return []sought.Predicate{lo, hi}
}

// TestHotKeys: rows that change all the time are read as they were at each version, by snapshots from before the keys were put in order
// and by those that come later, at the newest version and at older ones, while memtables are flushed and begun.
func TestHotKeys(t *testing.T) {
	t.Parallel()
	h := newNarrowHistory(t, 150, 3)
	open := map[types.Version]*Snapshot{}
	inOrder := 0
	for step := range 250 {
		h.write(t, 1+h.rnd.IntN(80))
		v := h.tb.Version()
		if step%7 == 0 {
			s, err := h.tb.Snapshot(v)
			if err != nil {
				t.Fatal(err)
			}
			open[v] = s
		}
		if h.rnd.IntN(70) == 0 {
			if err := h.tb.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		if h.rnd.IntN(90) == 0 {
			if err := h.tb.CompactAll(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		for _, v := range slices.Sorted(maps.Keys(h.versions)) {
			if h.rnd.IntN(3) > 0 {
				continue
			}
			s, err := h.tb.Snapshot(v)
			if err == nil {
				h.check(t, v, s, h.hotRange())
				s.Release()
			}
			if open[v] != nil {
				h.check(t, v, open[v], h.hotRange())
			}
		}
		w := h.tb.mems[len(h.tb.mems)-1].View()
		at := w.Schema.ColumnIndex(h.tb.key[0])
		all := func(each func(lo, hi uint64)) { each(0, ^uint64(0)) }
		if k := w.Keys(h.tb.s.memOrders, at, 1<<63); k != nil && k.Len() > k.Count(all) {
			inOrder++
		}
		for v := range h.versions {
			if len(h.versions) > 12 && v != h.tb.Version() && open[v] == nil {
				delete(h.versions, v)
			}
		}
		for v, s := range open {
			if len(open) > 6 {
				s.Release()
				delete(open, v)
			}
		}
	}
	if inOrder == 0 {
		t.Error("no memtable had its keys in order")
	}
	for _, s := range open {
		s.Release()
	}
}

// TestHotKeysWhileWritten reads at versions, some of them old, while others write and flush.
func TestHotKeysWhileWritten(t *testing.T) {
	t.Parallel()
	h := newNarrowHistory(t, 150, 3)
	h.write(t, 500)
	var mu sync.Mutex // of the newest version, which is told last
	newest, rows := h.tb.Version(), h.versions[h.tb.Version()]
	done := make(chan struct{})
	var readers sync.WaitGroup
	for reader := range uint64(2) {
		mine := &narrowHistory{tb: h.tb, rnd: rand.New(rand.NewPCG(3, reader)), as: h.as, bs: h.bs}
		readers.Go(func() {
			for running := true; running; {
				select {
				case <-done:
					running = false
				default:
				}
				mu.Lock()
				v, want := newest, rows
				mu.Unlock()
				s, err := h.tb.Snapshot(v)
				if err != nil {
					t.Error(err)
					return
				}
				mine.versions = map[types.Version]map[narrowKey]int64{v: want}
				for range 1 + mine.rnd.IntN(20) {
					mine.check(t, v, s, mine.hotRange())
				}
				s.Release()
			}
		})
	}
	for step := range 300 {
		h.write(t, 1+h.rnd.IntN(40))
		mu.Lock()
		newest, rows = h.tb.Version(), h.versions[h.tb.Version()]
		mu.Unlock()
		if step%120 == 119 {
			if err := h.tb.Flush(); err != nil {
				t.Error(err)
			}
		}
	}
	close(done)
	readers.Wait()
}
