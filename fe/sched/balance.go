package sched

import (
	"fmt"
	"math"

	"stele/meta/types"
)

// Bounds of one round of balancing.
const (
	candidatesMax = 4096 // tablets listed for one BE
	looksMax      = 256  // tablets weighed for one move
	minGain       = 1e-3 // by how much a move must shrink the spread of scores: less is noise
)

// balancer chooses moves for one medium. It works on a copy of the loads, in which the moves that run are done
// already, so that each move is weighed against the state after all the others.
type balancer struct {
	s       *Scheduler
	m       types.Medium
	loads   loadTable
	on      map[types.BEID][]*Tablet // healthy tablets that may leave a BE
	cells   map[cellBE]int           // replicas by table and BE
	blocked map[[2]types.BEID]bool   // pairs between which nothing fits
}

type cellBE struct {
	table types.TableID
	be    types.BEID
}

// balance starts moves from BEs with a high load to BEs with a low one, and returns how many.
func (s *Scheduler) balance() int {
	running := 0
	for _, t := range s.running {
		if t.Kind == Balance {
			running++
		}
	}
	started := 0
	for m := range s.table().rows {
		room := s.in.Limits.MaxBalancing - running - started
		if room <= 0 {
			break
		}
		b := s.newBalancer(types.Medium(m))
		if b == nil {
			continue
		}
		for ; room > 0 && b.move(); room-- {
			started++
		}
	}
	s.stats.Balanced += int64(started)
	return started
}

// newBalancer returns nil when the medium is balanced.
func (s *Scheduler) newBalancer(m types.Medium) *balancer {
	b := &balancer{s: s, m: m, loads: computeLoads(s.in.View, s.in.Limits), on: map[types.BEID][]*Tablet{}, cells: map[cellBE]int{},
		blocked: map[[2]types.BEID]bool{}}
	for _, t := range s.running {
		b.settle(t)
	}
	if b.even() {
		return nil
	}
	clock := s.clock()
	for i := range s.in.View.Tablets {
		t := &s.in.View.Tablets[i]
		if t.Medium != m {
			continue
		}
		for j := range t.Replicas {
			b.cells[cellBE{t.Table, t.Replicas[j].BE}]++
		}
		if s.tasks[t.ID] != nil || s.touched[t.ID] || Health(t, s.in.View, clock).Status != Healthy {
			continue
		}
		for j := range t.Replicas {
			if r := &t.Replicas[j]; s.in.View.isCopy(r) && len(b.on[r.BE]) < candidatesMax {
				b.on[r.BE] = append(b.on[r.BE], t)
			}
		}
	}
	return b
}

// settle counts a running move as done. Its learner is counted as a replica already, without its bytes.
func (b *balancer) settle(task *Task) {
	t := b.s.in.View.Tablet(task.Tablet)
	if t == nil || t.Medium != b.m {
		return
	}
	if r := t.On(task.DestBE); r != nil {
		b.loads.bump(task.DestBE, b.m, t.Bytes()-r.Bytes, 0)
	} else {
		b.loads.bump(task.DestBE, b.m, t.Bytes(), 1)
	}
	if id, ok := b.s.moved[t.ID]; ok {
		for i := range t.Replicas {
			if r := &t.Replicas[i]; r.ID == id {
				b.loads.bump(r.BE, b.m, -r.Bytes, -1)
			}
		}
	}
}

// even reports whether no available BE is far from the average.
func (b *balancer) even() bool {
	for i := range b.loads.rows[b.m] {
		if row := &b.loads.rows[b.m][i]; row.Available && (row.Class == ClassLow || row.Class == ClassHigh) {
			return false
		}
	}
	return true
}

// move starts the best move between the most and the least loaded BEs, until none helps. At least one end must be out
// of the threshold, so that an even cluster is left alone.
func (b *balancer) move() bool {
	for !b.even() {
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

// ends picks the pair of BEs with the largest difference between which something may still be moved.
func (b *balancer) ends() (src, dst *Load) {
	rows := b.loads.rows[b.m]
	gap := minGain
	for i := range rows {
		for j := range rows {
			from, to := &rows[i], &rows[j]
			if !from.Available || !to.Available || from.Score-to.Score <= gap || b.blocked[[2]types.BEID{from.BE, to.BE}] {
				continue
			}
			if from.Class == ClassHigh || to.Class == ClassLow {
				src, dst, gap = from, to, from.Score-to.Score
			}
		}
	}
	return src, dst
}

// choose picks the tablet whose move from src to dst helps most: one of a table that is unevenly spread over the two
// comes first, then the one whose size evens bytes and replica counts together.
func (b *balancer) choose(src, dst *Load) *Tablet {
	var best *Tablet
	bestSkew, bestOff, looked := math.MinInt, int64(0), 0
	ideal := max(0, src.Used-dst.Used) / int64(max(1, src.Replicas-dst.Replicas))
	dstBE := b.s.in.View.BE(dst.BE)
	for _, t := range b.on[src.BE] {
		if looked >= looksMax {
			break
		}
		r := t.On(src.BE)
		if r == nil || t.On(dst.BE) != nil || b.s.touched[t.ID] || b.s.tasks[t.ID] != nil || b.worsensHosts(t, r, dstBE) {
			continue
		}
		looked++
		if b.gain(src, dst, r.Bytes) < minGain {
			continue
		}
		off := max(r.Bytes-ideal, ideal-r.Bytes)
		skew := b.cells[cellBE{t.Table, src.BE}] - b.cells[cellBE{t.Table, dst.BE}]
		if skew > bestSkew || skew == bestSkew && off < bestOff {
			best, bestSkew, bestOff = t, skew, off
		}
	}
	return best
}

// worsensHosts reports whether the move would put a replica on the host of another one although it has its own now.
func (b *balancer) worsensHosts(t *Tablet, leaving *Replica, dst *BE) bool {
	for i := range t.Replicas {
		r := &t.Replicas[i]
		if be := b.s.in.View.BE(r.BE); r != leaving && be != nil && be.Host == dst.Host {
			return !b.s.hostShared(t, leaving)
		}
	}
	return false
}

// gain is by how much a move shrinks |score - average| of its two ends together.
func (b *balancer) gain(src, dst *Load, bytes int64) float64 {
	var used, capacity, replicas, n float64
	for i := range b.loads.rows[b.m] {
		if row := &b.loads.rows[b.m][i]; row.Available {
			used, capacity = used+float64(row.Used), capacity+float64(row.Capacity)
			replicas, n = replicas+float64(row.Replicas), n+1
		}
	}
	from, to := *src, *dst
	from.Used, from.Replicas = from.Used-bytes, from.Replicas-1
	to.Used, to.Replicas = to.Used+bytes, to.Replicas+1
	pct, avg, high := share(used, capacity), share(replicas, n), b.s.in.Limits.HighWater
	from.score(pct, avg, high)
	to.score(pct, avg, high)
	mean := b.loads.avg[b.m]
	off := func(x, y *Load) float64 { return math.Abs(x.Score-mean) + math.Abs(y.Score-mean) }
	return off(src, dst) - off(&from, &to)
}

// start begins a move, if both ends have a balance slot and the destination room.
func (b *balancer) start(t *Tablet, from, to *Load) bool {
	s := b.s
	var tally refusals
	disk, ok := s.disk(s.in.View.BE(to.BE), t, true, true, &tally)
	if !ok || s.taskNext >= s.taskEnd {
		return false
	}
	src, why := s.source(t, to.BE, true)
	if src == nil {
		s.note(t.ID, "balance: "+why)
		return false
	}
	leaving := t.On(from.BE)
	v := Health(t, s.in.View, s.clock())
	task := &Task{Tablet: t.ID, Kind: Balance, Medium: t.Medium, Status: v.Status, OrigPrio: PriorityLow, DynmPrio: PriorityLow,
		Copies: v.Copies, CreatedMs: s.in.NowMs, LastVisitMs: s.in.NowMs, VisibleVersion: t.Version, CommittedVersion: t.Version}
	s.tasks[t.ID] = task
	s.moved[t.ID] = leaving.ID
	b.cells[cellBE{t.Table, from.BE}]--
	b.cells[cellBE{t.Table, to.BE}]++
	s.note(t.ID, fmt.Sprintf("balance: from be %d (score %.3f) to be %d (score %.3f)", from.BE, from.Score, to.BE, to.Score))
	fromBE, toBE, bytes := from.BE, to.BE, leaving.Bytes // bump moves what from and to point at
	s.addAndClone(task, t, src, toBE, disk, true)
	b.loads.bump(fromBE, b.m, -bytes, -1)
	b.loads.bump(toBE, b.m, bytes, 1)
	return true
}
