package sched

import (
	"cmp"
	"math"
	"slices"

	"stele/meta/types"
)

// Pacing and bounds of the plan of sources.
const (
	sourcesMs   = 1_000   // how old the plan may get
	chainMax    = 12      // tablets that change their source for one another's sake
	chainLooks  = 50_000  // tablets weighed for the sake of one disk
	sourceLooks = 400_000 // tablets weighed for one plan
	reliefRange = 50      // disks that have less to send than all but one part in so many of the busiest are not relieved
	noSource    = -1      // position of a tablet that the plan found no source for
	reliefShare = 512     // what a disk is relieved of at least: less is not worth the search
)

// sourcePlan spreads the tablets that wait over the disks that they may be copied from, so that the disk with the most to
// send has as little of it as can be: the time of a repair is that of the busiest disk. Each tablet has few disks to
// choose from, and where a BE of a thousand is lost each disk has few tablets: then a plan in which no single tablet could
// be moved to advantage leaves the busiest disk with half as much again as the average. What helps are chains: a tablet
// goes to a disk that passes one of its own on to a third.
type sourcePlan struct {
	tablets []planned
	disks   []diskKey
	load    []int64   // bytes to send, by position in disks
	on      [][]int32 // tablets whose source is the disk
	inChain []bool
	looks   int
}

// planned is a waiting tablet: the disks with a copy, and which of them is the source.
type planned struct {
	task *Task
	from []int32
	at   int32
}

// planSources chooses the source of each waiting tablet. What turned out slower than planned is spread anew soon.
func (s *Scheduler) planSources() {
	defer s.findFree()
	unplanned := 0
	for _, task := range s.pending {
		if task.sourceAt == 0 && !task.Hopeless && !task.Status.drops() {
			unplanned++
		}
	}
	if unplanned == 0 && len(s.pending) == 0 || unplanned*10 <= len(s.pending) && s.in.NowMs-s.plannedMs < sourcesMs {
		return
	}
	s.plannedMs = s.in.NowMs
	p := s.newSourcePlan()
	p.spread()
	s.sources = p.disks
	for i := range p.tablets {
		w := &p.tablets[i]
		w.task.source, w.task.sourceAt = p.disks[w.at], w.at+1
	}
}

// findFree notes which planned sources may begin to send. Thousands of tablets may wait for each.
func (s *Scheduler) findFree() {
	s.sourceFree = slices.Grow(s.sourceFree[:0], len(s.sources))[:len(s.sources)]
	for i, k := range s.sources {
		s.sourceFree[i] = s.slots.mayTake(k.be, k.disk, false, math.MaxInt64, false)
	}
}

// sourceBusy reports whether the planned source of a task cannot begin to send.
func (s *Scheduler) sourceBusy(task *Task) bool {
	if task.sourceAt <= 0 {
		return false
	}
	if task.Size > smallClone && int(task.sourceAt) <= len(s.sourceFree) {
		return !s.sourceFree[task.sourceAt-1]
	}
	return !s.slots.mayTake(task.source.be, task.source.disk, false, task.Size, false)
}

// newSourcePlan lists what is to be sent and from where it could come. What runs stays where it is and counts with the bytes
// that it still has to send.
func (s *Scheduler) newSourcePlan() *sourcePlan {
	p := &sourcePlan{}
	at := map[diskKey]int32{}
	disk := func(k diskKey) int32 {
		i, ok := at[k]
		if !ok {
			i = int32(len(p.disks))
			at[k] = i
			p.disks, p.load, p.on = append(p.disks, k), append(p.load, 0), append(p.on, nil)
		}
		return i
	}
	for _, task := range s.running {
		left := task.Size
		if c := s.progress(task); c != nil {
			left = max(0, left-c.Bytes)
		}
		p.load[disk(diskKey{task.SrcBE, task.SrcDisk})] += left
	}
	for _, task := range s.pending {
		t := s.tablet(task)
		if t == nil || task.Hopeless || task.Status.drops() {
			task.source, task.sourceAt = diskKey{}, 0
			continue
		}
		w := planned{task: task, at: -1}
		for i := range t.Replicas {
			r := &t.Replicas[i]
			if r.BE == task.avoid || !s.in.View.isCopy(r) {
				continue
			}
			k := diskKey{r.BE, r.Disk}
			w.from = append(w.from, disk(k))
			if k == task.source {
				w.at = w.from[len(w.from)-1]
			}
		}
		task.source, task.sourceAt = diskKey{}, 0
		if len(w.from) > 0 {
			p.tablets = append(p.tablets, w)
		} else {
			task.sourceAt = noSource // until the next plan: to plan at once would not find any either
		}
	}
	p.inChain = make([]bool, len(p.disks))
	return p
}

func (p *sourcePlan) size(i int32) int64 { return max(p.tablets[i].task.Size, 1) }

// spread plans: what has a source keeps it for the time being; the others get one, the largest first; then the busiest
// disks are relieved, one after the other.
func (p *sourcePlan) spread() {
	var open []int32
	for i := range p.tablets {
		if w := &p.tablets[i]; w.at >= 0 {
			p.put(int32(i), w.at)
		} else {
			open = append(open, int32(i))
		}
	}
	slices.SortStableFunc(open, func(a, b int32) int { return cmp.Compare(p.size(b), p.size(a)) })
	for _, i := range open {
		p.put(i, p.idlest(i))
	}
	for range 3 {
		for i := range p.tablets {
			n, w := int32(i), &p.tablets[i]
			if to := p.idlest(n); p.load[to]+p.size(n) < p.load[w.at] {
				p.move(n, to)
			}
		}
	}
	for _, depth := range [...]int{3, 6, chainMax} {
		p.relieve(depth)
	}
}

// idlest is the disk with a copy of a tablet that has least to send.
func (p *sourcePlan) idlest(i int32) int32 {
	from := p.tablets[i].from
	best := from[0]
	for _, d := range from[1:] {
		if p.load[d] < p.load[best] {
			best = d
		}
	}
	return best
}

func (p *sourcePlan) put(i, disk int32) {
	p.tablets[i].at = disk
	p.load[disk] += p.size(i)
	p.on[disk] = append(p.on[disk], i)
}

func (p *sourcePlan) move(i, to int32) {
	at := p.tablets[i].at
	p.load[at] -= p.size(i)
	list := p.on[at]
	k := slices.Index(list, i)
	list[k] = list[len(list)-1]
	p.on[at] = list[:len(list)-1]
	p.put(i, to)
}

// relieve takes something off the disk that has most to send, and again, until that cannot be done; then off the next one.
func (p *sourcePlan) relieve(depth int) {
	stuck := make([]bool, len(p.disks))
	var peak, average int64 // peak: of the disks that cannot be relieved
	for _, n := range p.load {
		average += n
	}
	average /= int64(max(len(p.load), 1))
	for p.looks < sourceLooks {
		worst := -1
		for d := range p.load {
			if !stuck[d] && (worst < 0 || p.load[d] > p.load[worst]) {
				worst = d
			}
		}
		if worst < 0 || p.load[worst]*reliefRange <= max(peak*(reliefRange-1), average*(reliefRange+1)) {
			return // the others are done before, or all at the same time
		}
		most := p.load[worst] - 1 - p.load[worst]/reliefShare
		if !p.below(int32(worst), most, depth, min(p.looks+chainLooks, sourceLooks)) {
			stuck[worst] = true
			peak = max(peak, p.load[worst])
		}
	}
}

// below brings a disk to at most so many bytes, without another one getting more than that: one of its tablets goes to
// another disk, from which, where it is too much, others go on.
func (p *sourcePlan) below(disk int32, most int64, depth int, until int) bool {
	if p.load[disk] <= most {
		return true
	}
	if depth == 0 || p.looks >= until {
		return false
	}
	p.inChain[disk] = true
	defer func() { p.inChain[disk] = false }()
	for k := 0; k < len(p.on[disk]); k++ {
		i := p.on[disk][k]
		for _, to := range p.tablets[i].from {
			p.looks++
			if p.inChain[to] {
				continue
			}
			p.move(i, to)
			if p.below(to, most, depth-1, until) {
				return p.below(disk, most, depth-1, until)
			}
			p.move(i, disk)
			list := p.on[disk] // where it was, for the loop
			list[len(list)-1], list[k] = list[k], list[len(list)-1]
		}
	}
	return false
}

// source picks the copy to clone from: on a live BE other than dest, with a free slot: the one that was planned, else the
// one whose disk sends least. One that let an earlier clone down comes late, one that dest does not
// reach last.
func (s *Scheduler) source(task *Task, t *Tablet, dest types.BEID, balance bool) (*Replica, string) {
	var best, second, far *Replica
	why := "no complete replica on a live backend"
	planned := !balance && task.source != (diskKey{})
	for i := range t.Replicas {
		r := &t.Replicas[i]
		if r.BE == dest || !s.in.View.isCopy(r) {
			continue
		}
		switch {
		case !s.slots.mayTake(r.BE, r.Disk, balance, r.Bytes, false):
			why = noSlot
		case planned && task.source != (diskKey{r.BE, r.Disk}) && !s.in.View.unfit(t, task.source, dest):
			why = noSlot
		case s.in.View.cut(r.BE, dest):
			far = r
		case r.BE == task.avoid:
			second = r
		case best == nil || s.busier(best, r):
			best = r
		}
	}
	switch {
	case best != nil:
	case second != nil:
		best = second
	case why != noSlot:
		best = far
	}
	return best, why
}

// unfit reports whether a planned source is none any more.
func (v *View) unfit(t *Tablet, k diskKey, dest types.BEID) bool {
	r := t.On(k.be)
	return r == nil || r.Disk != k.disk || r.BE == dest || !v.isCopy(r) || v.cut(k.be, dest)
}
