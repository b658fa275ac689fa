package sched

import (
	"cmp"
	"math"
	"slices"

	"stele/meta/types"
)

// loadRefreshMs is how old the load table may get.
const loadRefreshMs = 1000

// Class of a BE by its load.
type Class uint8

// Classes.
const (
	ClassInit Class = iota
	ClassLow
	ClassMid
	ClassHigh
)

func (c Class) String() string { return [...]string{"INIT", "LOW", "MID", "HIGH"}[c] }

// Load is the load of one BE on the disks of one medium.
type Load struct {
	BE          types.BEID
	Medium      types.Medium
	Available   bool  // the BE may be given replicas
	Capacity    int64 // bytes of its online disks, less what others than Stele use
	Used        int64 // bytes of its replicas
	Replicas    int
	UsedPercent float64 // 0..1
	CapCoeff    float64
	ReplCoeff   float64
	Score       float64
	Class       Class
}

// mediumLoads is the load of the BEs that have disks of one medium.
type mediumLoads struct {
	rows        []Load // by BE
	avg         float64
	avgUsed     float64 // share of the capacity that is used, replicaCost included
	avgReplicas float64
	l           *Limits
}

// loadTable holds the loads of all BEs. Used is counted by replicas, not by what disks report: a dropped replica is
// gone from the count at once, while its bytes are given back much later, and a balancer that looked at those would
// move too much. For the same reason a replica in the making counts with the bytes that it will have.
type loadTable struct {
	media   [2]mediumLoads
	mixed   []float64    // by position in the View
	count   []int        // replicas of any medium, likewise
	leaders []int        // likewise
	order   []types.BEID // by mixed score
	view    *View        // whose BEs have the positions
}

// table returns the loads, counted anew when they are old. What the Step decides is added by bump. Counting costs time in
// proportion to the tablets, and takes a small share of it only.
func (s *Scheduler) table() *loadTable {
	if s.loads == nil || s.in.NowMs-s.loadsMs >= s.refreshMs() {
		s.loadsMs = s.in.NowMs
		s.loads = computeLoads(s.in.View, &s.in.Limits)
	}
	s.loads.view = s.in.View
	return s.loads
}

// refreshMs is how old what is counted over all tablets may get.
func (s *Scheduler) refreshMs() int64 {
	return max(loadRefreshMs, int64(len(s.in.View.Tablets))/tabletsPerMs)
}

// tabletsPerMs makes a million tablets be counted every twenty seconds.
const tabletsPerMs = 50

// Loads computes the load of every BE, by medium and id: what SHOW PROC shows and the balancer goes by.
func Loads(v *View, l Limits) []Load {
	l = l.withFloor()
	t := computeLoads(v, &l)
	return append(slices.Clone(t.media[0].rows), t.media[1].rows...)
}

func computeLoads(v *View, l *Limits) *loadTable {
	n := len(v.BEs)
	t := &loadTable{mixed: make([]float64, n), count: make([]int, n), leaders: make([]int, n), view: v}
	var at [2][]int32 // row of a BE
	for m := range t.media {
		t.media[m].l = l
		at[m] = make([]int32, n)
		for i := range v.BEs {
			at[m][i] = -1
			if row, ok := diskLoad(&v.BEs[i], types.Medium(m)); ok {
				at[m][i] = int32(len(t.media[m].rows))
				t.media[m].rows = append(t.media[m].rows, row)
			}
		}
	}
	for i := range v.Tablets {
		tab := &v.Tablets[i]
		if b, ok := v.index.at(tab.Leader); ok {
			t.leaders[b]++
		}
		for j := range tab.Replicas {
			r := &tab.Replicas[j]
			b, ok := v.index.at(r.BE)
			if !ok {
				continue
			}
			t.count[b]++
			if row := at[tab.Medium][b]; row >= 0 {
				load := &t.media[tab.Medium].rows[row]
				load.Replicas++
				load.Used += weight(tab, r)
			}
		}
	}
	for m := range t.media {
		t.media[m].rate()
	}
	for i := range v.BEs {
		t.mixed[i] = t.mixedScore(v.BEs[i].ID)
		t.order = append(t.order, v.BEs[i].ID)
	}
	slices.SortFunc(t.order, t.compare)
	return t
}

// weight is the bytes that a replica counts for.
func weight(t *Tablet, r *Replica) int64 {
	if r.Role == types.RoleLearner {
		return t.Bytes()
	}
	return r.Bytes
}

func (t *loadTable) compare(a, b types.BEID) int {
	return cmp.Or(cmp.Compare(t.score(a), t.score(b)), cmp.Compare(a, b))
}

func diskLoad(be *BE, m types.Medium) (Load, bool) {
	row := Load{BE: be.ID, Medium: m, Available: be.Available()}
	found := false
	for _, d := range be.Disks {
		if d.Medium != m || d.State != types.DiskOnline {
			continue
		}
		found = true
		row.Capacity += d.Used + d.Available
	}
	return row, found
}

func (t *mediumLoads) row(be types.BEID) *Load {
	i, ok := slices.BinarySearchFunc(t.rows, be, func(l Load, id types.BEID) int { return cmp.Compare(l.BE, id) })
	if !ok {
		return nil
	}
	return &t.rows[i]
}

// rate computes the scores and classes. The averages are over the BEs that take part.
func (t *mediumLoads) rate() {
	rows := t.rows
	var used, capacity, replicas, n float64
	for i := range rows {
		if rows[i].Available {
			used, capacity = used+float64(rows[i].cost()), capacity+float64(rows[i].Capacity)
			replicas, n = replicas+float64(rows[i].Replicas), n+1
		}
	}
	if n == 0 {
		return
	}
	t.avgUsed, t.avgReplicas = share(used, capacity), replicas/n
	sum := 0.0
	for i := range rows {
		rows[i].score(t.avgUsed, t.avgReplicas, t.l.HighWater)
		if rows[i].Available {
			sum += rows[i].Score
		}
	}
	t.avg = sum / n
	for i := range rows {
		rows[i].Class = classOf(rows[i].Score, t.avg, t.l.BalanceThreshold)
	}
}

// bump counts a replica that comes or goes.
func (t *mediumLoads) bump(be types.BEID, bytes int64, replicas int) {
	t.add(be, bytes, replicas)
	t.rate()
}

// add counts a replica that comes or goes; the scores stay what they were.
func (t *mediumLoads) add(be types.BEID, bytes int64, replicas int) {
	if row := t.row(be); row != nil {
		row.Used, row.Replicas = max(0, row.Used+bytes), max(0, row.Replicas+replicas)
	}
}

// copied returns loads that can be changed apart.
func (t *mediumLoads) copied() mediumLoads {
	c := *t
	c.rows = slices.Clone(t.rows)
	return c
}

// even reports whether no available BE is far from the average.
func (t *mediumLoads) even() bool {
	for i := range t.rows {
		if row := &t.rows[i]; row.Available && (row.Class == ClassLow || row.Class == ClassHigh) {
			return false
		}
	}
	return true
}

// minGain is by how much a move must shrink the spread: a fair part of what one replica among so many can do.
func (t *mediumLoads) minGain() float64 { return min(minGain, 0.1/max(t.avgReplicas, 1)) }

// gain is by how much a move of replicas shrinks |score - average| of its two ends together. A move after which the
// destination is as high as the source was gains nothing: so the scores, highest first, get smaller with every move, and there
// can be no circle, although the average of unlike disks shifts with what is moved.
func (t *mediumLoads) gain(src, dst *Load, bytes int64, replicas int) float64 {
	from, to := *src, *dst
	from.Used, from.Replicas = max(0, from.Used-bytes), max(0, from.Replicas-replicas)
	to.Used, to.Replicas = to.Used+bytes, to.Replicas+replicas
	from.score(t.avgUsed, t.avgReplicas, t.l.HighWater)
	to.score(t.avgUsed, t.avgReplicas, t.l.HighWater)
	if to.Score > src.Score-minGain {
		return 0
	}
	off := func(x, y *Load) float64 { return math.Abs(x.Score-t.avg) + math.Abs(y.Score-t.avg) }
	return off(src, dst) - off(&from, &to)
}

func (l *Load) score(avgPct, avgReplicas, highWater float64) {
	l.UsedPercent = share(float64(l.Used), float64(l.Capacity))
	switch {
	case l.UsedPercent < 0.5:
		l.CapCoeff = 0.5
	case l.UsedPercent > highWater:
		l.CapCoeff = 1
	default: // from 0.5 at half full to 1 at high water, whatever high water is
		l.CapCoeff = min(1, 0.5+0.5*share(l.UsedPercent-0.5, highWater-0.5))
	}
	l.ReplCoeff = 1 - l.CapCoeff
	l.Score = share(share(float64(l.cost()), float64(l.Capacity)), avgPct)*l.CapCoeff + share(float64(l.Replicas), avgReplicas)*l.ReplCoeff
}

// replicaCost is what a replica counts for beyond its bytes. Without it the first kilobytes of a nearly empty cluster would weigh
// as much as half of all replicas: their BE would lose every other one.
const replicaCost = 1 << 20

func (l *Load) cost() int64 { return l.Used + int64(l.Replicas)*replicaCost }

func share(part, whole float64) float64 {
	if whole <= 0 {
		return 0
	}
	return part / whole
}

func classOf(score, avg, threshold float64) Class {
	base := avg
	if base == 0 {
		base = 1
	}
	switch off := (score - avg) / base; {
	case math.Abs(off) <= threshold:
		return ClassMid
	case off > 0:
		return ClassHigh
	default:
		return ClassLow
	}
}

func (t *loadTable) mixedScore(be types.BEID) float64 {
	sum, n := 0.0, 0.0
	for m := range t.media {
		if row := t.media[m].row(be); row != nil {
			sum, n = sum+row.Score, n+1
		}
	}
	return share(sum, n)
}

func (t *loadTable) score(be types.BEID) float64 {
	if i, ok := t.view.index.at(be); ok {
		return t.mixed[i]
	}
	return 0
}

// bump counts a replica that was just decided on, and keeps the order by score.
func (t *loadTable) bump(be types.BEID, m types.Medium, bytes int64, replicas int) {
	at, ok := t.view.index.at(be)
	if !ok {
		return
	}
	t.count[at] += replicas
	t.media[m].bump(be, bytes, replicas)
	t.mixed[at] = t.mixedScore(be)
	i := slices.Index(t.order, be)
	for ; i+1 < len(t.order) && t.compare(t.order[i+1], t.order[i]) < 0; i++ {
		t.order[i], t.order[i+1] = t.order[i+1], t.order[i]
	}
	for ; i > 0 && t.compare(t.order[i], t.order[i-1]) < 0; i-- {
		t.order[i], t.order[i-1] = t.order[i-1], t.order[i]
	}
}

// lead counts a change of leader.
func (t *loadTable) lead(from, to types.BEID) {
	if i, ok := t.view.index.at(from); ok {
		t.leaders[i]--
	}
	if i, ok := t.view.index.at(to); ok {
		t.leaders[i]++
	}
}

func (t *loadTable) leads(be types.BEID) int {
	if i, ok := t.view.index.at(be); ok {
		return t.leaders[i]
	}
	return 0
}

func (t *loadTable) replicas(be types.BEID) int {
	if i, ok := t.view.index.at(be); ok {
		return t.count[i]
	}
	return 0
}
