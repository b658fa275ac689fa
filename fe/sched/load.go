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

// loadTable holds the loads of all BEs. Used is counted by replicas, not by what disks report: a dropped replica is
// gone from the count at once, while its bytes are given back much later, and a balancer that looked at those would
// move too much.
type loadTable struct {
	rows    [2][]Load // by medium; BEs with such a disk, by id
	avg     [2]float64
	mixed   map[types.BEID]float64
	count   map[types.BEID]int // replicas of any medium
	leaders map[types.BEID]int
	order   []types.BEID // by mixed score
	l       Limits
}

// table returns the loads, counted anew when they are old. What the Step decides is added by bump.
func (s *Scheduler) table() *loadTable {
	if s.in.NowMs-s.loadsMs >= loadRefreshMs || s.loads.count == nil {
		s.loadsMs = s.in.NowMs
		s.loads = computeLoads(s.in.View, s.in.Limits)
	}
	return &s.loads
}

// Loads computes the load of every BE, by medium and id: what SHOW PROC shows and the balancer goes by.
func Loads(v *View, l Limits) []Load {
	t := computeLoads(v, l.withFloor())
	return append(slices.Clone(t.rows[0]), t.rows[1]...)
}

func computeLoads(v *View, l Limits) loadTable {
	t := loadTable{mixed: map[types.BEID]float64{}, count: map[types.BEID]int{}, leaders: map[types.BEID]int{}, l: l}
	for m := range t.rows {
		for i := range v.BEs {
			if row, ok := diskLoad(&v.BEs[i], types.Medium(m)); ok {
				t.rows[m] = append(t.rows[m], row)
			}
		}
	}
	for i := range v.Tablets {
		tab := &v.Tablets[i]
		t.leaders[tab.Leader]++
		for j := range tab.Replicas {
			r := &tab.Replicas[j]
			t.count[r.BE]++
			if row := t.row(r.BE, tab.Medium); row != nil {
				row.Replicas++
				row.Used += r.Bytes
			}
		}
	}
	for m := range t.rows {
		t.rate(m)
	}
	for i := range v.BEs {
		id := v.BEs[i].ID
		t.mixed[id] = t.mixedScore(id)
		t.order = append(t.order, id)
	}
	slices.SortFunc(t.order, func(a, b types.BEID) int { return cmp.Or(cmp.Compare(t.mixed[a], t.mixed[b]), cmp.Compare(a, b)) })
	return t
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

func (t *loadTable) row(be types.BEID, m types.Medium) *Load {
	rows := t.rows[m]
	i, ok := slices.BinarySearchFunc(rows, be, func(l Load, id types.BEID) int { return cmp.Compare(l.BE, id) })
	if !ok {
		return nil
	}
	return &rows[i]
}

// rate computes the scores and classes of one medium. The averages are over the BEs that take part.
func (t *loadTable) rate(m int) {
	rows := t.rows[m]
	var used, capacity, replicas, n float64
	for i := range rows {
		if rows[i].Available {
			used, capacity = used+float64(rows[i].Used), capacity+float64(rows[i].Capacity)
			replicas, n = replicas+float64(rows[i].Replicas), n+1
		}
	}
	if n == 0 {
		return
	}
	avgPct := share(used, capacity)
	avgReplicas := replicas / n
	sum := 0.0
	for i := range rows {
		rows[i].score(avgPct, avgReplicas, t.l.HighWater)
		if rows[i].Available {
			sum += rows[i].Score
		}
	}
	t.avg[m] = sum / n
	for i := range rows {
		rows[i].Class = classOf(rows[i].Score, t.avg[m], t.l.BalanceThreshold)
	}
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
	l.Score = share(l.UsedPercent, avgPct)*l.CapCoeff + share(float64(l.Replicas), avgReplicas)*l.ReplCoeff
}

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
	for m := range t.rows {
		if row := t.row(be, types.Medium(m)); row != nil {
			sum, n = sum+row.Score, n+1
		}
	}
	return share(sum, n)
}

func (t *loadTable) score(be types.BEID) float64 { return t.mixed[be] }

// bump counts a replica that was just decided on, and keeps the order by score.
func (t *loadTable) bump(be types.BEID, m types.Medium, bytes int64, replicas int) {
	t.count[be] += replicas
	row := t.row(be, m)
	if row == nil {
		return
	}
	row.Used, row.Replicas = max(0, row.Used+bytes), max(0, row.Replicas+replicas)
	t.rate(int(m))
	t.mixed[be] = t.mixedScore(be)
	i := slices.Index(t.order, be)
	less := func(a, b types.BEID) bool { return cmp.Or(cmp.Compare(t.mixed[a], t.mixed[b]), cmp.Compare(a, b)) < 0 }
	for ; i+1 < len(t.order) && less(t.order[i+1], t.order[i]); i++ {
		t.order[i], t.order[i+1] = t.order[i+1], t.order[i]
	}
	for ; i > 0 && less(t.order[i], t.order[i-1]); i-- {
		t.order[i], t.order[i-1] = t.order[i-1], t.order[i]
	}
}
