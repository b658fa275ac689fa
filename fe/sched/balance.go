package sched

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"stele/meta/types"
)

// Bounds of one round of balancing.
const (
	candidatesMax = 4096    // tablets listed for one BE
	looksMax      = 256     // tablets weighed for one move
	looksRound    = 200_000 // tablets weighed in one round
	minGain       = 1e-3    // by how much a move must shrink the spread of scores: less is noise
)

// balanceIndex says what could be moved. It is made of all tablets, so it is kept for a while and each candidate is
// looked at again before it is moved.
type balanceIndex struct {
	builtMs int64
	on      [2]map[types.BEID][]types.TabletID // by medium: healthy tablets that may leave a BE
	cells   map[cellBE]int                     // replicas by table and BE
}

type cellBE struct {
	table types.TableID
	be    types.BEID
}

// balancer chooses moves for one medium. It works on a copy of the loads, in which the moves that run are done
// already, so that each move is weighed against the state after all the others.
type balancer struct {
	s       *Scheduler
	m       types.Medium
	loads   mediumLoads
	order   []int32                // rows by score, highest first
	blocked map[[2]types.BEID]bool // pairs between which nothing fits
	looks   int                    // tablets weighed so far
	full    map[types.BEID]bool    // destinations without a free slot or room
}

// balance starts moves from BEs with a high load to BEs with a low one, and then between the disks of BEs, and returns
// how many.
func (s *Scheduler) balance() int {
	room := s.in.Limits.MaxBalancing - s.moving()
	started := 0
	for m := range s.table().media {
		b := s.newBalancer(types.Medium(m))
		for b != nil && started < room && b.move() {
			started++
		}
	}
	if started == 0 && room > 0 {
		started += s.balanceDisks(room)
	}
	s.stats.Balanced += int64(started)
	return started
}

// moving counts the moves that run.
func (s *Scheduler) moving() int {
	n := 0
	for _, t := range s.running {
		if t.Kind == Balance {
			n++
		}
	}
	return n
}

// newBalancer returns nil when the medium is balanced.
func (s *Scheduler) newBalancer(m types.Medium) *balancer {
	b := &balancer{s: s, m: m, loads: s.table().media[m].copied(), blocked: map[[2]types.BEID]bool{}, full: map[types.BEID]bool{}}
	for _, t := range s.running {
		b.settle(t)
	}
	if b.loads.even() {
		return nil
	}
	s.index()
	return b
}

// index returns what could be moved, listed anew when it is old.
func (s *Scheduler) index() *balanceIndex {
	if s.movable != nil && s.in.NowMs-s.movable.builtMs < s.refreshMs() {
		return s.movable
	}
	x := &balanceIndex{builtMs: s.in.NowMs, cells: map[cellBE]int{}}
	for m := range x.on {
		x.on[m] = make(map[types.BEID][]types.TabletID, len(s.in.View.BEs))
	}
	for i := range s.in.View.Tablets {
		t := &s.in.View.Tablets[i]
		for j := range t.Replicas {
			x.cells[cellBE{t.Table, t.Replicas[j].BE}]++
		}
		if !s.movableNow(t) {
			continue
		}
		on := x.on[t.Medium]
		for j := range t.Replicas {
			if be := t.Replicas[j].BE; len(on[be]) < candidatesMax {
				on[be] = append(on[be], t.ID)
			}
		}
	}
	s.movable = x
	return x
}

// movableNow reports whether a tablet may be moved for balance: healthy, left alone, on its own, and not one whose move
// has just failed.
func (s *Scheduler) movableNow(t *Tablet) bool {
	if t.Assigned != nil || s.tasks[t.ID] != nil || s.touched[t.ID] || s.rested[t.ID] > s.in.NowMs {
		return false
	}
	return Health(t, s.in.View, s.clock()).Status == Healthy
}

// settle counts a running move as done: its new replica counts already, the one that it leaves counts no more.
func (b *balancer) settle(task *Task) {
	t := b.s.in.View.Tablet(task.Tablet)
	if t == nil || t.Medium != b.m {
		return
	}
	if id, ok := b.s.moved[t.ID]; ok {
		for i := range t.Replicas {
			if r := &t.Replicas[i]; r.ID == id {
				b.loads.bump(r.BE, -r.Bytes, -1)
			}
		}
	}
}

// move starts the best move between the most and the least loaded BEs, until none helps. At least one end must be out
// of the threshold, so that an even cluster is left alone.
func (b *balancer) move() bool {
	for !b.loads.even() && b.looks < looksRound {
		src, dst := b.ends()
		if src == nil || dst == nil {
			return false
		}
		if t := b.choose(src, dst); t != nil && b.start(t, src, dst) {
			return true
		}
		b.blocked[[2]types.BEID{src.BE, dst.BE}] = true
	}
	return false
}

// ends picks the pair of BEs with the largest difference between which something may still be moved: rows in order of
// their scores, so that the search ends as soon as no pair can be better.
func (b *balancer) ends() (src, dst *Load) {
	rows := b.loads.rows
	b.order = b.order[:0]
	for i := range rows {
		if rows[i].Available {
			b.order = append(b.order, int32(i))
		}
	}
	slices.SortFunc(b.order, func(x, y int32) int {
		return cmp.Or(cmp.Compare(rows[y].Score, rows[x].Score), cmp.Compare(x, y))
	})
	gap := minGain
	for _, i := range b.order {
		from := &rows[i]
		for j := len(b.order) - 1; j >= 0; j-- {
			to := &rows[b.order[j]]
			if from.Score-to.Score <= gap {
				break
			}
			if (from.Class == ClassHigh || to.Class == ClassLow) && !b.full[to.BE] && !b.blocked[[2]types.BEID{from.BE, to.BE}] {
				src, dst, gap = from, to, from.Score-to.Score
				break
			}
		}
	}
	return src, dst
}

// choose picks the tablet whose move from src to dst helps most: one of a table that is unevenly spread over the two
// comes first, then the one whose size evens bytes and replica counts together.
func (b *balancer) choose(src, dst *Load) *Tablet {
	x := b.s.index()
	var best *Tablet
	bestSkew, bestOff, looked := math.MinInt, int64(0), 0
	ideal := max(0, src.Used-dst.Used) / int64(max(1, src.Replicas-dst.Replicas))
	dstBE := b.s.in.View.BE(dst.BE)
	for _, id := range x.on[b.m][src.BE] {
		if looked >= looksMax {
			break
		}
		b.looks++
		t := b.s.in.View.Tablet(id)
		if t == nil || !b.fits(t, src.BE, dstBE) {
			continue
		}
		looked++
		r := t.On(src.BE)
		if b.loads.gain(src, dst, r.Bytes) < b.loads.minGain() {
			continue
		}
		off := max(r.Bytes-ideal, ideal-r.Bytes)
		skew := x.cells[cellBE{t.Table, src.BE}] - x.cells[cellBE{t.Table, dst.BE}]
		if (skew > bestSkew || skew == bestSkew && off < bestOff) && b.s.movableNow(t) {
			best, bestSkew, bestOff = t, skew, off
		}
	}
	return best
}

// fits reports whether a tablet could move, without looking at its health.
func (b *balancer) fits(t *Tablet, src types.BEID, dst *BE) bool {
	r := t.On(src)
	if r == nil || !b.s.in.View.isCopy(r) || t.On(dst.ID) != nil || b.s.touched[t.ID] || b.s.tasks[t.ID] != nil {
		return false
	}
	return !b.crowds(t, r, dst)
}

// crowds reports whether the move would put a replica into the location, or on the host, of another one although it has
// its own now.
func (b *balancer) crowds(t *Tablet, leaving *Replica, dst *BE) bool {
	v := b.s.in.View
	be := v.BE(leaving.BE)
	return v.sharesPlace(t, dst, leaving) && !v.sharesPlace(t, be, leaving) || v.sharesHost(t, dst, leaving) && !v.sharesHost(t, be, leaving)
}

// start begins a move, if both ends have a balance slot and the destination room.
func (b *balancer) start(t *Tablet, from, to *Load) bool {
	s := b.s
	var tally refusals
	disk, ok := s.disk(s.in.View.BE(to.BE), t, true, true, &tally)
	if !ok || s.taskNext >= s.taskEnd {
		b.full[to.BE] = tally.busy > 0
		return false
	}
	src, why := s.source(&Task{}, t, to.BE, true)
	if src == nil {
		s.note(t.ID, "balance: "+why)
		return false
	}
	leaving := t.On(from.BE)
	task := s.newMove(t)
	s.moved[t.ID] = leaving.ID
	x := s.index()
	x.cells[cellBE{t.Table, from.BE}]--
	x.cells[cellBE{t.Table, to.BE}]++
	s.note(t.ID, fmt.Sprintf("balance: from be %d (score %.3f) to be %d (score %.3f)", from.BE, from.Score, to.BE, to.Score))
	s.addAndClone(task, t, src, to.BE, disk, true)
	b.loads.bump(from.BE, -leaving.Bytes, -1)
	b.loads.bump(to.BE, leaving.Bytes, 1)
	return true
}

// newMove makes the task of a move.
func (s *Scheduler) newMove(t *Tablet) *Task {
	v := Health(t, s.in.View, s.clock())
	task := &Task{Tablet: t.ID, Kind: Balance, Medium: t.Medium, Status: v.Status, OrigPrio: PriorityLow, DynmPrio: PriorityLow,
		Copies: v.Copies, CreatedMs: s.in.NowMs, LastVisitMs: s.in.NowMs, VisibleVersion: t.Version, CommittedVersion: t.Version}
	s.tasks[t.ID] = task
	return task
}
