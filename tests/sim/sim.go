// Package sim runs the scheduler of fe/sched, the very code of the FE, in virtual time: BEs with disks of a bandwidth,
// clones that share it, slots, deaths, returns, decommissions. It owns no decision: what the scheduler says is carried out
// by the rules of the catalog, and a rule that it breaks (last copy dropped, two replicas on one BE, slots exceeded) fails
// the run.
//
// A script (testdata/*.sim) says what happens and what must have come of it; see script.go. Nothing depends on the real
// clock, on goroutines or on the order of a map, so a script gives the same run every time.
package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"stele/fe/sched"
	"stele/meta/types"
)

// Shape is the cluster that a run begins with.
type Shape struct {
	BEs, Disks, Zones int
	Tablets, Replicas int
	Tables            int
	Colocate          int   // so many of the tables are a group
	SizeMin, SizeMax  int64 // bytes of a tablet, evenly spread
	Capacity          int64 // bytes of a disk
	Bandwidth         int64 // bytes a second that one disk takes in, and as many that it gives out
	PaceMs            int64 // between two steps, as the FE keeps it
	Seed              uint64
	Limits            sched.Limits
}

// firstTablet is the id of the first tablet; the others follow.
const firstTablet = 1000

// World is a cluster in virtual time.
type World struct {
	shape   Shape
	now     int64
	sched   *sched.Scheduler
	bes     []sched.BE
	tablets []sched.Tablet
	disks   map[diskKey]*disk
	clones  map[types.TaskID]*clone
	queue   cloneQueue
	nextID  types.ReplicaID
	scanAt  int64
	wakeAt  int64

	dirty   []types.TabletID
	ended   []sched.Outcome
	restart []types.BEID
	found   []sched.FoundClone
	events  []event
	offsets []int
	writes  writes
	full    sched.FullDisks
	Stats   Stats
}

type diskKey struct {
	be   types.BEID
	disk types.DiskID
}

// event is something that happens later by itself.
type event struct {
	atMs int64
	do   func() error
}

// Stats counts what a run did.
type Stats struct {
	Adds, Drops, Clones, Failed int
	Fulls                       int   // clones of everything
	Written                     int   // versions committed
	Refused                     int   // versions that a full disk of the leader kept from being committed
	Bytes                       int64 // copied
	FirstMs, LastMs             int64 // of the first begin and the last end of a clone
	RepairedMs                  int64 // end of the last clone that was no balance
	Steps                       int
	StepMaxNs                   int64 // of processor time, the collector's included
	StepSumNs                   int64
}

// New returns a world at rest.
func New(s Shape) *World {
	w := &World{shape: s, now: 1_000_000, sched: sched.New(), disks: map[diskKey]*disk{}, clones: map[types.TaskID]*clone{}, nextID: 1}
	w.sched.GrantTasks(1, 1<<40)
	w.AddBEs(s.BEs)
	rng := rand.New(rand.NewPCG(s.Seed, 7))
	w.tablets = make([]sched.Tablet, s.Tablets)
	arena := make([]sched.Replica, s.Tablets*s.Replicas)
	for i := range w.tablets {
		w.place(i, rng, arena[i*s.Replicas:i*s.Replicas:(i+1)*s.Replicas])
	}
	return w
}

// place puts a tablet down: its replicas in as many zones, BEs and disks in turn.
func (w *World) place(i int, rng *rand.Rand, replicas []sched.Replica) {
	s := &w.shape
	t := &w.tablets[i]
	*t = sched.Tablet{ID: types.TabletID(firstTablet + i), Table: types.TableID(1 + i%max(s.Tables, 1)), Partition: types.PartitionID(1 + i%max(s.Tables, 1)),
		Want: s.Replicas, Version: 1, Epoch: 1, Replicas: replicas}
	size := s.SizeMin + rng.Int64N(max(1, s.SizeMax-s.SizeMin+1))
	if i%s.BEs == 0 {
		w.drawOffsets(rng)
	}
	for j := range s.Replicas {
		be := &w.bes[(i+w.offsets[j])%s.BEs]
		d := be.Disks[(i/s.BEs)%s.Disks].ID
		t.Replicas = append(t.Replicas, sched.Replica{ID: w.nextID, BE: be.ID, Disk: d, Version: 1, Bytes: size})
		w.nextID++
		w.grow(diskKey{be.ID, d}, size)
	}
	t.Leader = t.Replicas[i%s.Replicas].BE
}

// drawOffsets draws how far apart the replicas of a tablet are, for one round over all BEs: each BE gets one replica of
// each place in the list, so that the cluster is even, and the peers of a BE are spread over the cluster. BE n is in zone
// n % zones; zones divide BEs.
func (w *World) drawOffsets(rng *rand.Rand) {
	s := &w.shape
	w.offsets = w.offsets[:0]
	for len(w.offsets) < s.Replicas {
		n := rng.IntN(s.BEs)
		if !slices.ContainsFunc(w.offsets, func(o int) bool { return o == n || s.Zones >= s.Replicas && (o-n)%s.Zones == 0 }) {
			w.offsets = append(w.offsets, n)
		}
	}
}

// AddBEs adds empty BEs.
func (w *World) AddBEs(n int) {
	for range n {
		i := len(w.bes)
		be := sched.BE{ID: types.BEID(1 + i), Host: fmt.Sprintf("host%d", i), Alive: true}
		if w.shape.Zones > 0 {
			be.Zone = fmt.Sprintf("zone%d", i%w.shape.Zones)
		}
		for d := range w.shape.Disks {
			id := types.DiskID(1 + i*w.shape.Disks + d)
			be.Disks = append(be.Disks, sched.Disk{ID: id, Total: w.shape.Capacity, Available: w.shape.Capacity})
			w.disks[diskKey{be.ID, id}] = &disk{}
		}
		w.bes = append(w.bes, be)
	}
}

func (w *World) be(id types.BEID) *sched.BE {
	if i := int(id) - 1; i >= 0 && i < len(w.bes) && w.bes[i].ID == id {
		return &w.bes[i]
	}
	return nil
}

func (w *World) alive(id types.BEID) bool { be := w.be(id); return be != nil && be.Alive }

func (w *World) tablet(id types.TabletID) *sched.Tablet { return &w.tablets[int(id)-firstTablet] }

// View is what the scheduler would see now.
func (w *World) View() *sched.View { return sched.NewView(w.bes, w.tablets) }

// Clock is the time and patience of the run.
func (w *World) Clock() sched.Clock {
	return sched.Clock{NowMs: w.now, ToleranceMs: w.shape.Limits.ToleranceMs}
}

// Unhealthy counts tablets that are not healthy, or have a replica on a dead BE.
func (w *World) Unhealthy() int {
	v, n := w.View(), 0
	for i := range w.tablets {
		t := &w.tablets[i]
		if h := sched.Health(t, v, w.Clock()); h.Status != sched.Healthy || h.Copies < t.Want {
			n++
		}
	}
	return n
}

// Kill takes BEs away.
func (w *World) Kill(ids []types.BEID) error {
	for _, id := range ids {
		be := w.be(id)
		if be == nil || !be.Alive {
			return fmt.Errorf("be %d cannot die", id)
		}
		be.Alive, be.DeadSinceMs = false, w.now
		w.breakClones(id)
	}
	w.wakeAt = w.now
	return nil
}

// Revive brings BEs back with what they had. What was not dropped meanwhile counts again.
func (w *World) Revive(ids []types.BEID) error {
	for _, id := range ids {
		be := w.be(id)
		if be == nil || be.Alive {
			return fmt.Errorf("be %d cannot come back", id)
		}
		be.Alive = true
		w.restart = append(w.restart, id)
	}
	w.wakeAt = w.now
	return nil
}

// Later has something happen after some time.
func (w *World) Later(ms int64, do func() error) {
	w.events = append(w.events, event{atMs: w.now + ms, do: do})
	slices.SortStableFunc(w.events, func(a, b event) int { return int(a.atMs - b.atMs) })
}

// NewLeader has another FE take over: all that the scheduler knew is gone, and clones go on.
func (w *World) NewLeader() {
	next := types.TaskID(1 << 41)
	if w.sched = sched.New(); len(w.clones) > 0 {
		for _, id := range w.taskIDs() {
			c := w.clones[id]
			w.found = append(w.found, sched.FoundClone{Task: id, Tablet: c.tablet, BE: c.dst.be, Disk: c.dst.disk, SourceBE: c.src.be,
				SourceDisk: c.src.disk, Balance: c.balance, RunsMs: w.now - c.begunMs})
		}
	}
	w.sched.GrantTasks(next+types.TaskID(w.Stats.Clones), 1<<40)
	w.scanAt, w.wakeAt = w.now, w.now
}

func (w *World) taskIDs() []types.TaskID {
	ids := make([]types.TaskID, 0, len(w.clones))
	for id := range w.clones {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
