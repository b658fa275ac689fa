package sched

import "stele/meta/types"

// Pacing of the plan of sources.
const (
	sourcesMs     = 5_000 // how old the plan may get
	sourcesPasses = 6
)

// waiting is a pending task with its tablet, for the plan of sources.
type waiting struct {
	task *Task
	t    *Tablet
}

// planSources chooses for each waiting tablet the source that it had best be copied from, so that the disks that send
// have about the same to do in all: the time of a repair is that of the busiest disk. A tablet whose source is busy may
// still be copied from another that has nothing else to do.
func (s *Scheduler) planSources() {
	unplanned := 0
	for _, task := range s.pending {
		if task.source == (diskKey{}) && !task.Hopeless {
			unplanned++
		}
	}
	if unplanned*10 <= len(s.pending) && s.in.NowMs-s.plannedMs < sourcesMs {
		return
	}
	s.plannedMs = s.in.NowMs
	load := map[diskKey]int64{}
	for _, task := range s.running {
		load[diskKey{task.SrcBE, task.SrcDisk}] += task.Size
	}
	var all []waiting
	for _, task := range s.pending {
		task.source = diskKey{}
		if t := s.tablet(task); t != nil && !task.Hopeless {
			all = append(all, waiting{task, t})
		}
	}
	for range sourcesPasses {
		if !s.improveSources(all, load) {
			break
		}
	}
}

// improveSources moves each tablet to the source with the least to do; false when none moved.
func (s *Scheduler) improveSources(all []waiting, load map[diskKey]int64) bool {
	moved := false
	for _, w := range all {
		size := max(w.task.Size, 1)
		best, bestLoad := w.task.source, load[w.task.source]-size
		if best == (diskKey{}) {
			bestLoad = -1
		}
		for i := range w.t.Replicas {
			r := &w.t.Replicas[i]
			k := diskKey{r.BE, r.Disk}
			if k == w.task.source || r.BE == w.task.avoid || !s.in.View.isCopy(r) {
				continue
			}
			if n := load[k]; bestLoad < 0 && best == (diskKey{}) || n < bestLoad {
				best, bestLoad = k, n
			}
		}
		if best == w.task.source {
			continue
		}
		if w.task.source != (diskKey{}) {
			load[w.task.source] -= size
		}
		load[best] += size
		w.task.source = best
		moved = true
	}
	return moved
}

// source picks the copy to clone from: on a live BE other than dest, with a free slot: the one that was planned, else, once
// all plans had their turn (s.anySource), the one whose disk sends least. One that let an earlier clone down comes last.
func (s *Scheduler) source(task *Task, t *Tablet, dest types.BEID, balance bool) (*Replica, string) {
	var best, second *Replica
	why := "no complete replica on a live backend"
	planned := !balance && !s.anySource && task.source != (diskKey{})
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
		case r.BE == task.avoid:
			second = r
		case best == nil || s.busier(best, r):
			best = r
		}
	}
	if best == nil {
		best = second
	}
	return best, why
}

// unfit reports whether a planned source is none any more.
func (v *View) unfit(t *Tablet, k diskKey, dest types.BEID) bool {
	r := t.On(k.be)
	return r == nil || r.Disk != k.disk || r.BE == dest || !v.isCopy(r)
}
