package proc

import (
	"context"

	"stele/fe/sched"
	"stele/fe/stmt"
	"stele/fe/tabletctl"
)

// allTasks are the tasks of the control loop: running, then ended (newest first), then waiting.
func allTasks(e *stmt.Env) []sched.Task {
	var out []sched.Task
	for _, list := range []func(stmt.Control) []sched.Task{runningTasks, stmt.Control.History, stmt.Control.Pending} {
		out = append(out, tasksOf(e, list)...)
	}
	return out
}

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "fe_tablet_schedules",
	Doc: "The tasks of the control loop: running, then ended, then waiting.",
	Columns: stmt.Cols(`
		TABLE_ID int
		PARTITION_ID int
		TABLET_ID int
		TYPE name
		PRIORITY name
		STATE name
		TABLET_STATUS name
		CREATE_TIME time
		SCHEDULE_TIME time
		FINISH_TIME time
		CLONE_SRC int
		CLONE_DEST int
		CLONE_BYTES int
		CLONE_DURATION float
		MSG text
	`),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		var rows []stmt.Row
		for _, t := range allTasks(e) {
			table, part := any(nil), any(nil)
			if tab, ok := e.Catalog.Tablet(t.Tablet); ok {
				table, part = tab.Table, tab.Partition
			}
			rows = append(rows, stmt.Row{table, part, t.Tablet, t.Kind.String(), t.DynmPrio.String(), t.State.String(), t.Status.String(), e.When(t.CreatedMs),
				e.When(t.LastSchedMs), e.When(t.FinishedMs), stmt.OrMinus(t.SrcBE), stmt.OrMinus(t.DestBE), t.Bytes, float64(t.ElapsedMs) / 1000, t.Err})
		}
		return rows, nil
	}})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: "clone_tasks",
	Doc: "The tasks of the control loop, all of them, with the progress of those that copy now: those that run, those that wait, and those that are over.",
	Columns: stmt.Concat(stmt.Cols(`
		DbName    name  Database, NULL when the tablet is gone.
		TableName name  Table.
		TaskId    int   Id of the clone, 0 when there is none.
	`), procTaskColumns, stmt.Cols(`
		Full       text  Whether everything is copied, or what is missing only.
		FullReason text  Why everything is.
		BytesDone  int   Bytes copied.
		BytesTotal int   Bytes to copy.
		Percent    float Share of the copy that is done.
		RemainMs   int   Milliseconds left at the rate so far, NULL when it cannot be told.
	`)),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		if e.Control == nil {
			return nil, nil
		}
		var rows []stmt.Row
		running := e.Control.Running()
		for i := range running {
			rows = append(rows, append(cloneTaskRow(e, &running[i].Task), progress(&running[i])...))
		}
		for _, list := range []func(stmt.Control) []sched.Task{stmt.Control.Pending, stmt.Control.History} {
			for _, t := range tasksOf(e, list) {
				rows = append(rows, append(cloneTaskRow(e, &t), t.Full, "", t.Bytes, nil, nil, nil))
			}
		}
		return rows, nil
	}})

// progress is how far a running clone is.
func progress(t *tabletctl.RunningTask) stmt.Row {
	var done, left any
	if t.BytesTotal > 0 {
		done = float64(t.BytesDone) / float64(t.BytesTotal) * 100
	}
	if ms := t.LeftMs(); ms >= 0 {
		left = ms
	}
	return stmt.Row{t.CloneFull, t.Reason, t.BytesDone, t.BytesTotal, done, left}
}

func cloneTaskRow(e *stmt.Env, t *sched.Task) stmt.Row {
	var db, table any
	if tab, ok := e.Catalog.Tablet(t.Tablet); ok {
		if p, ok := stmt.PlaceOf(e.Catalog, tab); ok {
			db, table = p.DB.Name, e.Owner(p.Table).Name
		}
	}
	return append(stmt.Row{db, table, t.ID}, procTaskRow(e, t)...)
}
