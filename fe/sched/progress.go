package sched

import (
	"cmp"
	"slices"

	"stele/meta/types"
)

// Cause is why replicas have to be made anew or moved.
type Cause uint8

// Causes.
const (
	CauseLost         Cause = iota // the BE is dead for longer than is tolerated
	CauseDecommission              // the BE is being emptied
)

func (c Cause) String() string { return [...]string{"LOST", "DECOMMISSION"}[c] }

// Left is what is left to do for one BE.
type Left struct {
	BE      types.BEID
	Cause   Cause
	Tablets int
	Bytes   int64
	EtaMs   int64 // at the rate of late, -1 when there is none
}

// rateWindowMs is how far back the rate of late looks.
const rateWindowMs = 60_000

// RepairRate is the bytes a second of the repair clones that ended lately, and of those that run as far as copied says.
func RepairRate(history []Task, nowMs int64, copying int64) int64 {
	bytes, since := int64(0), int64(rateWindowMs)
	for i := range history {
		if t := &history[i]; t.Kind == Repair && t.State == Finished && nowMs-t.FinishedMs < rateWindowMs {
			bytes += t.Bytes
		}
	}
	return bytes*1000/since + copying
}

// LeftToDo counts what is left for each BE that is lost or being emptied. rate is the bytes a second of all repair; the
// BEs share it.
func LeftToDo(v *View, c Clock, rate int64) []Left {
	byBE := map[types.BEID]*Left{}
	var total int64
	for i := range v.Tablets {
		t := &v.Tablets[i]
		for j := range t.Replicas {
			r := &t.Replicas[j]
			be := v.BE(r.BE)
			if be == nil || !be.Decommissioned && (!be.dead() || c.NowMs-be.DeadSinceMs < c.ToleranceMs) {
				continue
			}
			l := byBE[be.ID]
			if l == nil {
				l = &Left{BE: be.ID, Cause: CauseLost, EtaMs: -1}
				if be.Decommissioned {
					l.Cause = CauseDecommission
				}
				byBE[be.ID] = l
			}
			bytes := max(r.Bytes, t.Bytes())
			l.Tablets++
			l.Bytes += bytes
			total += bytes
		}
	}
	out := make([]Left, 0, len(byBE))
	for i := range v.BEs {
		if l := byBE[v.BEs[i].ID]; l != nil {
			if rate > 0 {
				l.EtaMs = total * 1000 / rate
			}
			out = append(out, *l)
		}
	}
	slices.SortFunc(out, func(a, b Left) int { return cmp.Compare(a.BE, b.BE) })
	return out
}
