package sched

import (
	"fmt"
	"strings"

	"stele/meta/types"
)

// Line is one line of an explanation: what is the case, and what an operator can do about it, "" = nothing.
type Line struct {
	Item   string
	Info   string
	Advice string
}

// Explain says why a tablet is in the state it is in: the rule that decided, what each replica lacks, what its task waits
// for and since when, what was tried, and what an operator can do. It works on any View, with or without a task.
func Explain(v *View, t *Tablet, c Clock, l Limits, task *Task) []Line {
	h := Health(t, v, c)
	out := []Line{{Item: "Status", Info: h.Shown(), Advice: statusAdvice(&h)}, {Item: "Rule", Info: ruleText(&h)}}
	if h.Status != Healthy {
		out = append(out, Line{Item: "Priority", Info: priorityText(t, &h, task)})
	}
	out = append(out, Line{Item: "Counts", Info: h.Detail()})
	for i := range t.Replicas {
		out = append(out, explainReplica(v, t, &t.Replicas[i], c))
	}
	if n := AbsentReplicas(t); n > 0 {
		out = append(out, Line{Item: "Missing", Info: fmt.Sprintf("%d of %d replicas have not been made yet", n, t.Want)})
	}
	if at := delayEnds(v, t, h, c, &l); at > c.NowMs {
		out = append(out, Line{Item: "Delayed", Info: fmt.Sprintf("for another %d s: a dead backend may come back with what it had", (at-c.NowMs+999)/1000),
			Advice: delayAdvice(h)})
	}
	if task == nil && h.Status != Healthy && !mayRepair(t, h, l.AutoFailover) {
		return append(out, explainManual(t, l.AutoFailover))
	}
	return append(out, explainTask(h, c, task)...)
}

// explainManual says whom a tablet waits for that may not be repaired without being told.
func explainManual(t *Tablet, auto bool) Line {
	switch {
	case t.Ordered:
		return Line{Item: "Operation", Info: "an operation has the tablet in hand", Advice: "SHOW OPSTATUS tells how far it is"}
	case auto:
		return Line{Item: "Manual", Info: "auto_failover is on again: the replica that an operator has set aside is about to be in use again"}
	case t.setAside():
		return Line{Item: "Manual", Info: "auto_failover is off, and an operator has set a replica aside: it is neither filled nor replaced, whatever hints say",
			Advice: "recovertable brings it back, delreplica drops it"}
	}
	return Line{Item: "Manual", Info: "auto_failover is off: what fails is not repaired without being told",
		Advice: "ADMIN REPAIR TABLE orders the repair, recovertable that of one replica"}
}

// ruleText says which rule of the order decided.
func ruleText(h *Verdict) string {
	switch h.Status {
	case ReplicaMissing:
		return fmt.Sprintf("%d of %d replicas are alive", h.Alive, h.Want)
	case VersionIncomplete:
		return fmt.Sprintf("%d of %d replicas have every version", h.Complete, h.Want)
	case ReplicaRelocating:
		return fmt.Sprintf("%d of %d complete replicas are on backends that stay", h.Stable, h.Want)
	case Redundant:
		return fmt.Sprintf("%d replicas, %d are wanted", h.Followers+h.Stray, h.Want)
	case ForceRedundant:
		return fmt.Sprintf("%d replicas are damaged and no backend is free to make another one", h.Damaged)
	case ColocateMismatch:
		return fmt.Sprintf("%d of %d backends of the group have a replica", h.Assigned.here, h.Assigned.want)
	case ColocateRedundant:
		return fmt.Sprintf("%d replicas, %d of them damaged; the group has %d backends", h.Followers, h.Assigned.damaged, h.Assigned.want)
	case NeedFurtherRepair:
		return fmt.Sprintf("%d extra replicas are being made", h.Learners)
	case DiskMigration:
		return fmt.Sprintf("%d of %d replicas are on disks that stay and of the medium that is wanted", h.DiskStays, h.Want)
	case LocationMismatch:
		return fmt.Sprintf("the replicas are in %d locations and could be in %d", h.Spread, h.SpreadMax)
	default:
		if h.Copies < h.Want {
			return fmt.Sprintf("no rule fits, but only %d of %d replicas can be read now: the others are on backends that may come back", h.Copies, h.Want)
		}
		return "no rule fits: as many complete replicas as wanted, where they belong"
	}
}

func statusAdvice(h *Verdict) string {
	switch {
	case h.Well() || h.Copies > 0 && h.Free > 0 && h.Status != Healthy:
		return ""
	case h.Followers == h.Damaged:
		return "nothing of it is left on any disk: RECOVER DATA tells what is lost, and with ACCEPT LOSS makes an empty tablet of it"
	case h.Copies == 0:
		return "bring a backend with a complete replica back; no other copy can be read"
	case h.Status == Healthy:
		return "bring the backends back: a majority of the replicas does not answer"
	case h.Status == ReplicaMissing && h.Free == 0 && h.Learners == 0:
		return "add a backend, or lower replication_num: no backend without a replica is available"
	}
	return ""
}

func priorityText(t *Tablet, h *Verdict, task *Task) string {
	text := h.Priority.String()
	if t.Hinted {
		text += " by an operator's hint"
	}
	if task != nil && task.DynmPrio != task.OrigPrio {
		text = fmt.Sprintf("%s, by now %s after %d attempts to schedule it", task.OrigPrio, task.DynmPrio, task.FailedSched)
	}
	return text
}

func explainReplica(v *View, t *Tablet, r *Replica, c Clock) Line {
	var notes []string
	advice := ""
	if r.Role == types.RoleLearner {
		notes = append(notes, "is being made")
	}
	be := v.BE(r.BE)
	switch {
	case be == nil:
		notes = append(notes, "its backend was dropped")
	case be.dead():
		notes = append(notes, fmt.Sprintf("its backend is dead for %d s", (c.NowMs-be.DeadSinceMs)/1000))
		advice = "start the backend again, or drop it if it is gone for good"
	case be.Unknown:
		notes = append(notes, "its backend has not been heard of yet")
	case be.Decommissioned:
		notes = append(notes, "its backend is being decommissioned")
	}
	if r.Bad {
		notes = append(notes, "its data is damaged")
	}
	if r.Lost {
		notes = append(notes, "its backend or disk has lost it")
	}
	if r.Offline {
		notes = append(notes, "was taken out of use by an operator")
		advice = "recovertable brings it back; updatetablealive with yes puts it back into use as it is"
	}
	if r.LastFailed != 0 {
		notes = append(notes, fmt.Sprintf("it lacks versions %d to %d of %d", r.Version+1, r.LastFailed, t.Version))
	}
	if be != nil {
		if d := be.disk(r.Disk); d != nil && !d.Leave && !v.diskStays(t, r, be) {
			notes = append(notes, fmt.Sprintf("its disk is %s and %s", d.State, d.Medium))
		}
	}
	if d := v.disk(r); d != nil && d.full() {
		note := "its disk has refused writes, and has little room"
		if d.Refuses {
			note = "its disk refuses writes"
			advice = "free space on the disk, or add a backend: stele.disks tells what the disk lacks"
		}
		if d.Failed {
			note = "its disk has failed and refuses writes"
			advice = "repair the disk, or add a backend: stele.disks tells what has failed. Its backend opens it anew when it takes writes (ALTER SYSTEM OPEN DISK), or when it is restarted"
		}
		notes = append(notes, fmt.Sprintf("%s for %d s", note, (c.NowMs-d.FullSinceMs)/1000))
	}
	if len(notes) == 0 {
		notes = append(notes, "complete")
	}
	if t.Leader == r.BE {
		notes = append(notes, "leads")
	}
	return Line{Item: fmt.Sprintf("Replica %d on backend %d disk %d", r.ID, r.BE, r.Disk), Info: strings.Join(notes, ", "), Advice: advice}
}

// delayEnds is until when a repair is held back because a BE may come back, 0 when it is not.
func delayEnds(v *View, t *Tablet, h Verdict, c Clock, l *Limits) int64 {
	var at int64
	if t.Hinted || h.Damaged > 0 || h.Status != Healthy && h.Status != ReplicaMissing {
		return 0
	}
	for i := range t.Replicas {
		be := v.BE(t.Replicas[i].BE)
		if be == nil || !be.dead() {
			continue
		}
		if c.NowMs-be.DeadSinceMs < c.ToleranceMs {
			at = max(at, be.DeadSinceMs+c.ToleranceMs)
		} else if h.Status == ReplicaMissing && h.Priority < PriorityHigh && h.Damaged == 0 {
			at = max(at, be.DeadSinceMs+l.delayMs(h.Priority))
		}
	}
	return at
}

// delayAdvice is how to end a delay.
func delayAdvice(h Verdict) string {
	if h.Status == Healthy {
		return "ADMIN REPAIR TABLE repairs it now; if the backend does not come back: ALTER SYSTEM DROP BACKEND, or lower tablet_sched_be_down_tolerate_time_s"
	}
	return "ADMIN REPAIR TABLE repairs it now"
}

func explainTask(h Verdict, c Clock, task *Task) []Line {
	if task == nil {
		if h.Status == Healthy {
			return nil
		}
		return []Line{{Item: "Task", Info: "none: the next scan makes one when the delay is over"}}
	}
	since := func(ms int64) string { return fmt.Sprintf("for %d s", max(0, c.NowMs-ms)/1000) }
	out := []Line{{Item: "Task", Info: fmt.Sprintf("%s %s %s", task.Kind, task.State, since(task.CreatedMs))}}
	switch {
	case task.State == Running:
		out = append(out, Line{Item: "Copies", Info: fmt.Sprintf("from backend %d disk %d to backend %d disk %d %s, at most %d s", task.SrcBE,
			task.SrcDisk, task.DestBE, task.DestDisk, since(task.LastSchedMs), task.TimeoutMs/1000)})
	case task.Wait != WaitNone:
		out = append(out, Line{Item: "Waits for", Info: fmt.Sprintf("%s %s: %s", task.Wait, since(task.WaitSinceMs), task.Err), Advice: waitAdvice(task.Wait)})
	default:
		out = append(out, Line{Item: "Waits for", Info: "its turn"})
	}
	if task.NextMs > c.NowMs {
		out = append(out, Line{Item: "Tried again in", Info: fmt.Sprintf("%d ms", task.NextMs-c.NowMs)})
	}
	for _, a := range task.Attempts {
		out = append(out, Line{Item: "Failed attempt", Info: fmt.Sprintf("%d s ago, from backend %d to backend %d: %s: %s", (c.NowMs-a.AtMs)/1000, a.Src,
			a.Dest, a.Kind, a.Reason), Advice: failureAdvice(a.Kind)})
	}
	return out
}

func waitAdvice(w Wait) string {
	switch w {
	case WaitSlot:
		return "ADMIN SET FRONTEND CONFIG (\"tablet_sched_slot_num_per_path\" = \"…\") allows more clones on a disk"
	case WaitSource:
		return "bring a backend with a complete replica back"
	case WaitDestination:
		return "add a backend or a disk, or make room"
	case WaitBackend:
		return "look at the backend: it is in the cluster and does not answer"
	default:
		return ""
	}
}

func failureAdvice(f Failure) string {
	switch f {
	case FailSpace:
		return "make room at the destination"
	case FailTimeout:
		return "raise clone_bandwidth_limit_mb_per_disk or tablet_sched_max_clone_task_timeout_sec"
	default:
		return ""
	}
}
