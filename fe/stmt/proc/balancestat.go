package proc

import (
	"slices"

	"stele/fe/sched"
	"stele/fe/stmt"
	"stele/meta/types"
)

var (
	balanceStatColumns = stmt.Cols(`
		StorageMedium  text  HDD or SSD.
		BalanceType    text  What is evened out.
		Balanced       text  Whether it is even: nothing is above or below the average by more than tablet_sched_balance_load_score_threshold.
		PendingTablets int   Moves that wait.
		RunningTablets int   Moves that copy.
	`)
	tabletIDColumns = stmt.Cols(`
		TabletId int A tablet with a task that waits, runs or has ended.
	`)
)

// balanceStat says for each medium what is even: the load of BEs, and the disks of each BE.
func balanceStat(c procCall) []stmt.Row {
	if c.Control == nil {
		return nil
	}
	var rows []stmt.Row
	loads := c.Control.Load()
	for _, m := range []types.Medium{types.MediumHDD, types.MediumSSD} {
		have := false
		even := true
		for _, l := range loads {
			if l.Medium == m {
				have = true
				even = even && l.Class == sched.ClassMid
			}
		}
		if !have {
			continue
		}
		between := func(t sched.Task) bool { return !t.Local }
		within := func(t sched.Task) bool { return t.Local }
		rows = append(rows, stmt.Row{m.String(), "inter-node disk usage and tablet distribution", even, movesOf(c.Env, stmt.Control.Pending, m, between), movesOf(c.Env, runningTasks, m, between)},
			stmt.Row{m.String(), "intra-node disk usage", disksEven(c.Env, m), movesOf(c.Env, stmt.Control.Pending, m, within), movesOf(c.Env, runningTasks, m, within)})
	}
	return rows
}

// movesOf counts the balance tasks of a list that are about tablets of a medium.
func movesOf(e *stmt.Env, list func(stmt.Control) []sched.Task, m types.Medium, keep func(sched.Task) bool) int {
	n := 0
	for _, t := range tasksOf(e, list) {
		if t.Kind != sched.Balance || !keep(t) {
			continue
		}
		if tab, ok := e.Catalog.Tablet(t.Tablet); ok {
			if p, ok := stmt.PlaceOf(e.Catalog, tab); ok && p.Table.MediumOf(p.Part) == m {
				n++
			}
		}
	}
	return n
}

// disksEven reports whether on every BE the disks of a medium are used alike.
func disksEven(e *stmt.Env, m types.Medium) bool {
	threshold := e.Control.Limits().BalanceThreshold
	for be := range e.Catalog.BEs() {
		least, most := 1.0, 0.0
		for _, d := range e.Disks(be.ID) {
			if room := d.DataUsed + d.Available; d.Medium == m && room > 0 {
				used := float64(d.DataUsed) / float64(room)
				least, most = min(least, used), max(most, used)
			}
		}
		if most-least > threshold {
			return false
		}
	}
	return true
}

// taskTablets are the tablets of all tasks, by id.
func taskTablets(e *stmt.Env) []types.TabletID {
	var out []types.TabletID
	for _, t := range allTasks(e) {
		out = append(out, t.Tablet)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func procAllTablets(c procCall) (stmt.Result, error) {
	var rows []stmt.Row
	ids := taskTablets(c.Env)
	for _, id := range ids[:min(len(ids), procRowsMax)] {
		rows = append(rows, stmt.Row{id})
	}
	return c.table(tabletIDColumns, rows)
}
