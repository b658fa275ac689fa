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
// looked at again before it is moved: a position that another tablet has meanwhile is a candidate like any other.
type balanceIndex struct {
	builtMs int64
	bes     beIndex                   // of the View that it was made of
	on      [2][][]int32              // by medium and BE: positions of healthy tablets that may leave it
	cells   map[types.TableID][]int32 // replicas by table and BE; small tables, of which no BE can have too many, are left out
}

// cell is where the replicas of a table on a BE are counted, nil when they are not.
func (x *balanceIndex) cell(t types.TableID, be types.BEID) *int32 {
	row := x.cells[t]
	at, ok := x.bes.at(be)
	if row == nil || !ok {
		return nil
	}
	return &row[at]
}

// skew is how many more replicas of a table one BE has than another.
func (x *balanceIndex) skew(t types.TableID, a, b types.BEID) int {
	n := 0
	if c := x.cell(t, a); c != nil {
		n = int(*c)
	}
	if c := x.cell(t, b); c != nil {
		n -= int(*c)
	}
	return n
}

// shift counts a replica of a table elsewhere.
func (x *balanceIndex) shift(t types.TableID, from, to types.BEID) {
	if c := x.cell(t, from); c != nil {
		*c--
	}
	if c := x.cell(t, to); c != nil {
		*c++
	}
}

// balancer chooses moves for one medium. It works on a copy of the loads, in which the moves that run are done
// already, so that each move is weighed against the state after all the others.
type balancer struct {
	s       *Scheduler
	m       types.Medium
	loads   mediumLoads
	order   []int32                // rows by score, highest first
	sinks   []int32                // likewise the rows that may get something, lowest first
	blocked map[[2]types.BEID]bool // pairs between which nothing fits
	looks   int                    // tablets weighed so far
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
	b := &balancer{s: s, m: m, loads: s.table().media[m].copied(), blocked: map[[2]types.BEID]bool{}}
	for _, t := range s.running {
		b.settle(t.Tablet)
	}
	for i := range s.in.Outcomes { // the clone of a move has ended, the replica that is left is still there
		if id := s.in.Outcomes[i].Tablet; s.tasks[id] == nil {
			b.settle(id)
		}
	}
	for _, t := range s.pending {
		b.settle(t.Tablet)
	}
	b.loads.rate()
	if b.loads.even() {
		return nil
	}
	for i := range b.loads.rows {
		if row := &b.loads.rows[i]; row.Available {
			b.order = append(b.order, int32(i))
			if s.mayReceive(s.in.View.BE(row.BE)) {
				b.sinks = append(b.sinks, int32(i))
			}
		}
	}
	slices.SortFunc(b.order, func(x, y int32) int { return b.compare(y, x) })
	slices.SortFunc(b.sinks, b.compare)
	if len(b.sinks) == 0 {
		return nil
	}
	return b
}

// compare orders rows by score.
func (b *balancer) compare(x, y int32) int {
	return cmp.Or(cmp.Compare(b.loads.rows[x].Score, b.loads.rows[y].Score), cmp.Compare(x, y))
}

// mayReceive reports whether any disk of a BE has a balance slot.
func (s *Scheduler) mayReceive(be *BE) bool {
	for i := range be.Disks {
		if d := &be.Disks[i]; d.State == types.DiskOnline && s.slots.free(be.ID, d.ID, true) {
			return true
		}
	}
	return false
}

// Bounds of the index.
const (
	cellsMax     = 8 << 20 // cells counted
	cellShare    = 4       // a table with less than one replica for so many BEs is not counted
	indexRefresh = 3       // it gets older than the loads: what it says is looked at again
)

// index returns what could be moved, listed anew when it is old.
func (s *Scheduler) index() *balanceIndex {
	if s.movable != nil && s.in.NowMs-s.movable.builtMs < indexRefresh*s.refreshMs() {
		return s.movable
	}
	v := s.in.View
	x := &balanceIndex{builtMs: s.in.NowMs, bes: v.index, cells: countedTables(v)}
	for m := range x.on {
		x.on[m] = make([][]int32, len(v.BEs))
	}
	var table types.TableID
	var row []int32
	for i := range v.Tablets {
		t := &v.Tablets[i]
		if t.Table != table {
			table, row = t.Table, x.cells[t.Table]
		}
		movable := s.movableNow(t)
		for j := range t.Replicas {
			at, ok := v.index.at(t.Replicas[j].BE)
			if !ok {
				continue
			}
			if row != nil {
				row[at]++
			}
			if on := x.on[t.Medium]; movable && len(on[at]) < candidatesMax {
				on[at] = append(on[at], int32(i))
			}
		}
	}
	s.movable = x
	return x
}

// countedTables makes the rows of the tables that have replicas enough for a BE to have too many of them.
func countedTables(v *View) map[types.TableID][]int32 {
	replicas := map[types.TableID]int{}
	var order []types.TableID
	for i := range v.Tablets {
		t := &v.Tablets[i]
		n, ok := replicas[t.Table]
		if !ok {
			order = append(order, t.Table)
		}
		replicas[t.Table] = n + len(t.Replicas)
	}
	rows := map[types.TableID][]int32{}
	for _, t := range order {
		if replicas[t]*cellShare >= len(v.BEs) && (len(rows)+1)*len(v.BEs) <= cellsMax {
			rows[t] = make([]int32, len(v.BEs))
		}
	}
	return rows
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
func (b *balancer) settle(id types.TabletID) {
	leaving, ok := b.s.moved[id]
	if !ok {
		return
	}
	t := b.s.in.View.Tablet(id)
	if t == nil || t.Medium != b.m {
		return
	}
	for i := range t.Replicas {
		switch r := &t.Replicas[i]; {
		case r.ID == leaving:
			bytes, replicas := moves(t, r)
			b.loads.add(r.BE, -bytes, -replicas)
		case r.Role == types.RoleLearner:
			b.loads.add(r.BE, t.TrailBytes, int(t.Trail))
		}
	}
}

// moves are the replicas, and their bytes, that leave a BE when a replica of a tablet does: those of the tablets that follow it
// come along.
func moves(t *Tablet, r *Replica) (bytes int64, replicas int) {
	return r.Bytes + t.TrailBytes, 1 + int(t.Trail)
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

// ends picks the pair of BEs with the largest difference between which something may still be moved: one of them is out of
// the threshold. Rows are in order of their scores, so that the search ends as soon as no pair can be better.
func (b *balancer) ends() (src, dst *Load) {
	rows := b.loads.rows
	gap := minGain
	for _, i := range b.order {
		from := &rows[i]
		for _, j := range b.sinks {
			to := &rows[j]
			if from.Score-to.Score <= gap || from.Class != ClassHigh && to.Class != ClassLow {
				break
			}
			if !b.blocked[[2]types.BEID{from.BE, to.BE}] {
				src, dst, gap = from, to, from.Score-to.Score
				break
			}
		}
		if from.Class != ClassHigh && (len(b.sinks) == 0 || rows[b.sinks[0]].Class != ClassLow) {
			break
		}
	}
	return src, dst
}

// moved puts the two ends of a move where they belong by their new scores.
func (b *balancer) moved(ends ...types.BEID) {
	for _, be := range ends {
		i, ok := slices.BinarySearchFunc(b.loads.rows, be, func(l Load, id types.BEID) int { return cmp.Compare(l.BE, id) })
		if !ok {
			continue
		}
		reorder(b.order, int32(i), func(x, y int32) int { return b.compare(y, x) })
		reorder(b.sinks, int32(i), b.compare)
	}
}

// reorder moves one item of a sorted list to its place.
func reorder(list []int32, item int32, compare func(x, y int32) int) {
	i := slices.Index(list, item)
	if i < 0 {
		return
	}
	for ; i+1 < len(list) && compare(list[i+1], list[i]) < 0; i++ {
		list[i], list[i+1] = list[i+1], list[i]
	}
	for ; i > 0 && compare(list[i], list[i-1]) < 0; i-- {
		list[i], list[i-1] = list[i-1], list[i]
	}
}

// fill takes a BE off the list of those that may get something.
func (b *balancer) fill(be types.BEID) {
	b.sinks = slices.DeleteFunc(b.sinks, func(i int32) bool { return b.loads.rows[i].BE == be })
}

// choose picks the tablet whose move from src to dst helps most: one of a table that is unevenly spread over the two
// comes first, then the one whose size evens bytes and replica counts together.
func (b *balancer) choose(src, dst *Load) *Tablet {
	x, v := b.s.index(), b.s.in.View
	at, ok := x.bes.at(src.BE)
	if !ok {
		return nil
	}
	var best *Tablet
	bestSkew, bestOff, looked := math.MinInt, int64(0), 0
	ideal := max(0, src.Used-dst.Used) / int64(max(1, src.Replicas-dst.Replicas))
	dstBE := v.BE(dst.BE)
	for _, i := range x.on[b.m][at] {
		if looked >= looksMax {
			break
		}
		b.looks++
		if int(i) >= len(v.Tablets) || v.Tablets[i].Medium != b.m || !b.fits(&v.Tablets[i], src.BE, dstBE) {
			continue
		}
		looked++
		t := &v.Tablets[i]
		r := t.On(src.BE)
		bytes, replicas := moves(t, r)
		off := max(bytes-ideal, ideal-bytes)
		skew := x.skew(t.Table, src.BE, dst.BE)
		if skew < bestSkew || skew == bestSkew && off >= bestOff && best != nil || b.loads.gain(src, dst, bytes, replicas) < b.loads.minGain() {
			continue
		}
		if b.s.movableNow(t) && b.source(t, dst.BE) {
			best, bestSkew, bestOff = t, skew, off
		}
	}
	return best
}

// source reports whether a tablet can be copied from somewhere now.
func (b *balancer) source(t *Tablet, dst types.BEID) bool {
	r, _ := b.s.source(&Task{}, t, dst, true)
	return r != nil
}

// fits reports whether a tablet could move, without looking at its health.
func (b *balancer) fits(t *Tablet, src types.BEID, dst *BE) bool {
	r := t.On(src)
	if r == nil || !b.s.in.View.isCopy(r) || t.On(dst.ID) != nil || b.s.touched[t.ID] || b.s.tasks[t.ID] != nil || t.Ordered {
		return false
	}
	return !b.crowds(t, r, dst) && b.s.in.View.unreached(t, dst.ID) <= b.s.in.View.unreached(t, src)
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
		if tally.busy > 0 {
			b.fill(to.BE)
		}
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
	s.index().shift(t.Table, from.BE, to.BE)
	s.note(t.ID, fmt.Sprintf("balance: from be %d (score %.3f) to be %d (score %.3f)", from.BE, from.Score, to.BE, to.Score))
	s.addAndClone(task, t, src, to.BE, disk, true)
	bytes, replicas := moves(t, leaving)
	b.loads.add(from.BE, -bytes, -replicas)
	b.loads.bump(to.BE, bytes, replicas)
	b.moved(from.BE, to.BE)
	if !s.mayReceive(s.in.View.BE(to.BE)) {
		b.fill(to.BE)
	}
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
