package sched

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"stele/meta/types"

	"pgregory.net/rapid"
)

// unevenWorld is one in which replicas lie anywhere, of sizes and on disks of capacities that have nothing to do with each other.
func unevenWorld(rt *rapid.T) *world {
	bes := rapid.IntRange(1, 8).Draw(rt, "bes")
	w := newWorld(rt, rapid.Uint64().Draw(rt, "seed"), bes, rapid.IntRange(1, 2).Draw(rt, "disks"), rapid.IntRange(1, 60).Draw(rt, "tablets"),
		rapid.IntRange(1, 3).Draw(rt, "replicas"))
	size := rapid.SampledFrom([]string{"none", "one", "tiny", "equal", "any"}).Draw(rt, "sizes")
	unlike := rapid.Bool().Draw(rt, "unlike disks")
	if zones := rapid.IntRange(0, 3).Draw(rt, "zones"); zones > 0 {
		for i := range w.bes {
			w.bes[i].Zone = string(rune('a' + i%zones))
		}
	}
	for i := range w.bes {
		for j := range w.bes[i].Disks {
			if d := &w.bes[i].Disks[j]; unlike {
				d.Total = int64(1+w.rng.IntN(20)) * 200 << 30
				d.Available = d.Total - d.Used
			}
		}
	}
	crowd := 1 + w.rng.IntN(bes) // only so many BEs have something
	for i, t := range w.tablets {
		order := w.rng.Perm(max(crowd, t.Want))
		bytes := map[string]int64{"none": 0, "tiny": int64(w.rng.IntN(4096)), "equal": 1 << 28, "any": 1 << w.rng.IntN(30)}[size]
		if size == "one" && i == 0 {
			bytes = 1000
		}
		for j := range t.Replicas {
			be := &w.bes[order[j]]
			r := &t.Replicas[j]
			r.BE, r.Disk, r.Bytes = be.ID, be.Disks[w.rng.IntN(len(be.Disks))].ID, bytes
		}
		t.Leader = t.Replicas[0].BE
	}
	return w
}

// TestBalanceEnds: in any static cluster the balancer comes to rest, no tablet goes back and forth on the way, nothing is ever
// short of a copy, and at the end no move is left that would help.
func TestBalanceEnds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := unevenWorld(rt)
		first := make([][]types.BEID, len(w.tablets))
		for i, tab := range w.tablets {
			first[i] = homesOf(tab)
		}
		came := map[[2]uint64]int{} // how often a replica came to a BE
		w.added = func(tab types.TabletID, be types.BEID) { came[[2]uint64{uint64(tab), uint64(be)}]++ }
		w.run(2 * 3600_000)
		w.checkHealthy()
		w.checkQuietFor(600_000)
		for k, n := range came {
			if n > 3 { // a clone breaks now and then and is tried again
				rt.Fatalf("tablet %d came to be %d %d times: %v", k[0], k[1], n, w.of(types.TabletID(k[0])))
			}
		}
		replicas := len(w.tablets) * w.tablets[0].Want
		if w.moves > 3*replicas+10 {
			rt.Fatalf("%d new replicas for %d that there are", w.moves, replicas)
		}
		checkNothingHelps(rt, w)
	})
}

// of are the lines of the log about one tablet.
func (w *world) of(id types.TabletID) []string {
	var out []string
	for _, line := range w.log {
		if strings.Contains(line, fmt.Sprintf(" tablet %d ", id)) {
			out = append(out, line)
		}
	}
	return out
}

func homesOf(t *worldTablet) []types.BEID {
	var out []types.BEID
	for i := range t.Replicas {
		out = append(out, t.Replicas[i].BE)
	}
	slices.Sort(out)
	return out
}

// checkNothingHelps tries every move there is: none between a BE that is out of the threshold and another one shrinks the spread
// by as much as counts.
func checkNothingHelps(rt *rapid.T, w *world) {
	v := w.view()
	l := w.lim.withFloor()
	table := computeLoads(v, &l)
	for m := range table.media {
		loads := &table.media[m]
		for i := range loads.rows {
			for j := range loads.rows {
				src, dst := &loads.rows[i], &loads.rows[j]
				if src.Score <= dst.Score+minGain || src.Class != ClassHigh && dst.Class != ClassLow {
					continue
				}
				for k := range v.Tablets {
					t := &v.Tablets[k]
					r, to := t.On(src.BE), v.BE(dst.BE)
					if r == nil || int(t.Medium) != m || t.On(dst.BE) != nil {
						continue
					}
					b := balancer{s: w.s}
					w.s.in.View = v
					bytes, replicas := moves(t, r)
					if !b.crowds(t, r, to) && loads.gain(src, dst, bytes, replicas) > 2*loads.minGain() {
						rt.Fatalf("tablet %d of %d bytes from be %d (%.3f) to be %d (%.3f) would help: %+v", t.ID, r.Bytes, src.BE, src.Score, dst.BE,
							dst.Score, loads.rows)
					}
				}
			}
		}
	}
	w.s.in.View = nil
}

// TestFirstBytesCountLittle: where nearly all tablets are empty, the few bytes of some do not drive the others from their BEs.
func TestFirstBytesCountLittle(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		bes := rapid.IntRange(2, 5).Draw(rt, "bes")
		w := newWorld(rt, rapid.Uint64().Draw(rt, "seed"), bes, 1, bes*rapid.IntRange(4, 10).Draw(rt, "tablets"), 1)
		for i, tab := range w.tablets {
			tab.Replicas[0].Bytes = 0
			if i < rapid.IntRange(0, 2).Draw(rt, "with rows") {
				tab.Replicas[0].Bytes = int64(1 + w.rng.IntN(100<<10))
			}
		}
		w.run(3600_000)
		count := map[types.BEID]int{}
		for _, tab := range w.tablets {
			count[tab.Replicas[0].BE]++
		}
		for be, n := range count {
			if mean := len(w.tablets) / bes; n < mean-1 || n > mean+1 {
				rt.Fatalf("be %d has %d tablets of %d on average: %v", be, n, mean, count)
			}
		}
	})
}
