package proc

import (
	"cmp"
	"fmt"
	"slices"

	"stele/fe/sched"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/types"
)

// procRowsMax bounds the task lists of SHOW PROC; stele.clone_tasks has all of them.
const procRowsMax = 1000

var (
	balanceColumns = stmt.Cols(`
		Item   text  A node below.
		Number int   How much there is in it.
	`)
	mediumColumns = stmt.Cols(`
		StorageMedium text HDD or SSD.
	`)
	loadColumns = stmt.Cols(`
		BeId         int    The BE.
		Cluster      text   Always default_cluster.
		Available    text   Whether it takes replicas.
		UsedCapacity int    Bytes used.
		Capacity     int    Bytes in all.
		UsedPercent  text   Use, three decimals.
		ReplicaNum   int    Replicas on it.
		CapCoeff     float  Weight of the bytes in the score.
		ReplCoeff    float  Weight of the replicas in the score.
		Score        float  Load: 1 is the average.
		Class        text   LOW, MID or HIGH.
	`)
	slotColumns = stmt.Cols(`
		BeId        int   The BE.
		PathHash    int   The disk.
		AvailSlots  int   Free slots for repair.
		TotalSlots  int   Slots for repair.
		BalanceSlot int   Free slots for balance.
		AvgRate     int   Average bytes a second of its clones.
	`)
	statColumns = stmt.Cols(`
		Item  text  What is counted.
		Value int   Since this FE leads.
	`)
	hintColumns = stmt.Cols(`
		Database        int  Id.
		Table           int  Id.
		Partition       int  Id.
		RemainingTimeMs int  Until the hint ends by itself.
	`)
	procTaskColumns = stmt.Cols(`
		TabletId      int   The tablet.
		Type          text  REPAIR or BALANCE.
		Status        text  What is wrong with the tablet.
		State         text  PENDING, RUNNING, FINISHED, CANCELLED, TIMEOUT or UNEXPECTED.
		OrigPrio      text  Priority that it came with.
		DynmPrio      text  Priority that it has by now.
		SrcBe         int   BE that is copied from, -1 until chosen.
		SrcPath       int   Disk there.
		DestBe        int   BE that is copied to.
		DestPath      int   Disk there.
		Timeout       int   Milliseconds that the copy may take.
		Create        text  When the task was made.
		LstSched      text  When it was scheduled last.
		LstVisit      text  When it was looked at last.
		Finished      text  When it ended.
		Rate          text  MB a second of the copy.
		FailedSched   int   Times that no place or slot was found.
		FailedRunning int   Times that the copy failed.
		LstAdjPrio    text  When the priority was adjusted last.
		VisibleVer    int   Version that can be read.
		VisibleVerHash int  Always 0.
		CmtVer        int   Version that is committed.
		CmtVerHash    int   Always 0.
		ErrMsg        text  Why it waits or failed.
		Reason        text  What it waits for: SLOT, SOURCE, DESTINATION, BACKEND, DELAY, RETRY; NONE is its turn.
	`)
)

// procBalanceNodes are the children of /cluster_balance, in their order.
var procBalanceNodes = []struct {
	name   string
	number func(procCall) int
	node   func(procCall) (stmt.Result, error)
}{
	{"cluster_load_stat", func(procCall) int { return 1 }, procLoads},
	{"working_slots", func(c procCall) int { return len(slotBEs(c)) }, procSlots},
	{"sched_stat", func(c procCall) int { return min(len(counterRows(c.Env)), 1) }, procCounters},
	{"priority_repair", func(c procCall) int { return len(procHints(c)) }, func(c procCall) (stmt.Result, error) { return c.table(hintColumns, procHints(c)) }},
	{"balance_stat", func(c procCall) int { return len(balanceStat(c)) }, func(c procCall) (stmt.Result, error) { return c.table(balanceStatColumns, balanceStat(c)) }},
	{"pending_tablets", func(c procCall) int { return len(tasksOf(c.Env, stmt.Control.Pending)) }, procTaskList(stmt.Control.Pending)},
	{"running_tablets", func(c procCall) int { return len(tasksOf(c.Env, runningTasks)) }, procTaskList(runningTasks)},
	{"history_tablets", func(c procCall) int { return len(tasksOf(c.Env, stmt.Control.History)) }, procTaskList(stmt.Control.History)},
	{"all_tablets", func(c procCall) int { return len(taskTablets(c.Env)) }, procAllTablets},
}

// procBalance answers /cluster_balance and below.
func procBalance(c procCall) (stmt.Result, error) {
	if len(c.rest) == 0 {
		var rows []stmt.Row
		for _, n := range procBalanceNodes {
			rows = append(rows, stmt.Row{n.name, n.number(c)})
		}
		return c.table(balanceColumns, rows)
	}
	part, c := c.next()
	for _, n := range procBalanceNodes {
		if n.name == part {
			return n.node(c)
		}
	}
	return c.fail("invalid type: %s", part)
}

// tasksOf are those of one list; an FE that does not lead has none.
func tasksOf(e *stmt.Env, list func(stmt.Control) []sched.Task) []sched.Task {
	if e.Control == nil {
		return nil
	}
	return list(e.Control)
}

// runningTasks are the running tasks without their progress.
func runningTasks(c stmt.Control) []sched.Task {
	running := c.Running()
	out := make([]sched.Task, len(running))
	for i := range running {
		out[i] = running[i].Task
	}
	return out
}

func loadsOf(e *stmt.Env) []sched.Load {
	if e.Control == nil {
		return nil
	}
	return e.Control.Load()
}

func slotsOf(e *stmt.Env) []sched.SlotUse {
	if e.Control == nil {
		return nil
	}
	return e.Control.Slots()
}

func procLoads(c procCall) (stmt.Result, error) {
	loads := loadsOf(c.Env)
	if len(c.rest) == 0 {
		media := map[string]bool{}
		for _, l := range loads {
			media[l.Medium.String()] = true
		}
		return c.table(mediumColumns, names(media))
	}
	part, c := c.next()
	if part != types.MediumHDD.String() && part != types.MediumSSD.String() {
		return c.fail("invalid storage medium: %s", part)
	}
	if len(c.rest) > 0 {
		return procBackends(c)
	}
	loads = slices.DeleteFunc(slices.Clone(loads), func(l sched.Load) bool { return l.Medium.String() != part })
	slices.SortStableFunc(loads, func(a, b sched.Load) int { return cmp.Compare(a.Score, b.Score) })
	var rows []stmt.Row
	for _, l := range loads {
		rows = append(rows, stmt.Row{l.BE, "default_cluster", l.Available, l.Used, l.Capacity, fmt.Sprintf("%.3f", l.UsedPercent*100), l.Replicas,
			l.CapCoeff, l.ReplCoeff, l.Score, l.Class.String()})
	}
	return c.table(loadColumns, rows)
}

// slotBEs are the BEs that have slots.
func slotBEs(c procCall) map[types.BEID]bool {
	bes := map[types.BEID]bool{}
	for _, s := range slotsOf(c.Env) {
		bes[s.BE] = true
	}
	return bes
}

func procSlots(c procCall) (stmt.Result, error) {
	if len(c.rest) > 0 {
		return procBackends(c)
	}
	var rows []stmt.Row
	for _, s := range slotsOf(c.Env) {
		rows = append(rows, stmt.Row{s.BE, s.Disk, max(s.RepairTotal-s.RepairUsed, 0), s.RepairTotal, max(s.BalanceTotal-s.BalanceUsed, 0), s.Rate})
	}
	return c.table(slotColumns, rows)
}

// counterRows are the counters of the control loop since this FE leads.
func counterRows(e *stmt.Env) []stmt.Row {
	if e.Control == nil {
		return nil
	}
	s := e.Control.Stats()
	rows := []stmt.Row{
		{"checker rounds", s.Scans}, {"tablets checked", s.Checked}, {"unhealthy tablets found", s.Unhealthy},
		{"tablets added to the scheduler", s.Added}, {"scheduler rounds", s.Steps}, {"tablets scheduled", s.Scheduled},
		{"tablets succeeded", s.Succeeded}, {"tablets failed", s.Failed}, {"tablets discarded", s.Discarded},
		{"priorities upgraded", s.Upgraded}, {"priorities downgraded", s.Downgraded}, {"clone tasks", s.Clones},
		{"clone tasks succeeded", s.ClonesDone}, {"clone tasks failed", s.ClonesFailed}, {"clone tasks timed out", s.ClonesTimed},
	}
	for status := sched.ReplicaMissing; int(status) < len(s.ByStatus); status++ {
		rows = append(rows, stmt.Row{"added as " + status.String(), s.ByStatus[status]})
	}
	return append(rows, stmt.Row{"balance scheduled", s.Balanced}, stmt.Row{"replicas dropped", s.Dropped}, stmt.Row{"replicas promoted", s.Promoted},
		stmt.Row{"leaders moved", s.LeadersMoved})
}

func procCounters(c procCall) (stmt.Result, error) { return c.table(statColumns, counterRows(c.Env)) }

// procHints are the hints that still hold.
func procHints(c procCall) []stmt.Row {
	var rows []stmt.Row
	for h := range c.Catalog.Hints() {
		left := h.ExpiresMs - c.Now.UnixMilli()
		t, ok := c.Catalog.TableByID(h.Table)
		if left <= 0 || !ok {
			continue
		}
		rows = append(rows, stmt.Row{t.DatabaseID, h.Table, h.Partition, left})
	}
	return rows
}

// procTaskList answers one of the task lists, and the replicas of a tablet below it.
func procTaskList(list func(stmt.Control) []sched.Task) func(procCall) (stmt.Result, error) {
	return func(c procCall) (stmt.Result, error) {
		if len(c.rest) > 0 {
			part, c := c.next()
			return c.tablet(part, func(*catalog.Tablet) bool { return true })
		}
		tasks := tasksOf(c.Env, list)
		var rows []stmt.Row
		for i := range tasks[:min(len(tasks), procRowsMax)] {
			rows = append(rows, procTaskRow(c.Env, &tasks[i]))
		}
		return c.table(procTaskColumns, rows)
	}
}

func procTaskRow(e *stmt.Env, t *sched.Task) stmt.Row {
	return stmt.Row{t.Tablet, t.Kind.String(), t.Status.String(), t.State.String(), t.OrigPrio.String(), t.DynmPrio.String(), stmt.OrMinus(t.SrcBE),
		stmt.OrMinus(t.SrcDisk), stmt.OrMinus(t.DestBE), stmt.OrMinus(t.DestDisk), t.TimeoutMs, e.StampMs(t.CreatedMs), e.StampMs(t.LastSchedMs),
		e.StampMs(t.LastVisitMs), e.StampMs(t.FinishedMs), rate(t), t.FailedSched, t.FailedRunning, e.StampMs(t.LastAdjPrioMs),
		t.VisibleVersion, 0, t.CommittedVersion, 0, t.Err, t.Wait.String()}
}

// rate is how fast a copy was, in MB a second.
func rate(t *sched.Task) string {
	if t.Rate() == 0 {
		return "N/A"
	}
	return fmt.Sprintf("%.2f", float64(t.Rate())/1e6)
}
