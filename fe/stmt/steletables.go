package stmt

import (
	"context"
	"fmt"

	"stele/fe/consistency"
	"stele/fe/sched"
	"stele/fe/tabletctl"
	"stele/meta/catalog"
	"stele/meta/types"
)

// eachReplica makes the Rows of a table with one row a replica.
func eachReplica(row func(e *Env, p place, tab *catalog.Tablet, r *catalog.Replica) Row) func(context.Context, *Env) ([]Row, error) {
	return func(_ context.Context, e *Env) ([]Row, error) {
		var rows []Row
		for tab := range e.Catalog.Tablets() {
			p, ok := placeOf(e.Catalog, tab)
			if !ok {
				continue
			}
			for i := range tab.Replicas {
				rows = append(rows, row(e, p, tab, &tab.Replicas[i]))
			}
		}
		return rows, nil
	}
}

var _ = registerTable(Table{Database: steleDB, Name: "tablets",
	Doc: "One row per replica: all that SHOW TABLETS tells, where it belongs, who leads, and how far it is behind.",
	Columns: concat(cols(`
		DbName          name  Database.
		TableName       name  Table.
		PartitionName   name  Partition.
		Bucket          int   Number of the bucket in its partition.
	`), tabletColumns, cols(`
		IsLeader        text  Whether the replica leads the tablet.
		LeaderBe        int   BE that leads, NULL when none does.
		Epoch           int   Epoch of the tablet: grows with each change of its leader or followers.
		Role            name  follower or learner.
		Status          name  OK, DEAD or VERSION_ERROR.
		IsBad           text  Whether its data is damaged.
		TabletVersion   int   Version of the tablet.
		ReportedVersion int   Version that its BE reported last, NULL when it has not.
		Lag             int   TabletVersion less ReportedVersion.
		Reason          text  What its BE says is wrong with it.
		IsConsistent    text  Whether the replica agreed with most others when they were compared last, NULL when it was not compared.
		Checksum        text  Checksum of its rows then, NULL when it was not read.
		Path            text  Folder of its disk, NULL until its BE has reported it.
		Medium          name  HDD or SSD, NULL until its BE has reported it.
	`)),
	Rows: eachReplica(func(e *Env, p place, tab *catalog.Tablet, r *catalog.Replica) Row {
		row := append(Row{p.db.Name, p.table.Name, p.part.Name, tab.Bucket}, tabletRow(e, tab, r)...)
		var leader, reported, lag any
		if tab.Leader != 0 {
			leader = tab.Leader
		}
		seen, ok := e.reported(r.BE, tab.ID)
		if ok {
			reported, lag = seen.Version, max(int64(tab.Version)-int64(seen.Version), 0)
		}
		role := "follower"
		if r.Role == types.RoleLearner {
			role = "learner"
		}
		row = append(row, tab.Leader == r.BE, leader, tab.Epoch, role, replicaStatus(e, tab, r), r.Bad, tab.Version, reported, lag, seen.Reason)
		return append(append(row, e.comparison(tab.ID, r.ID)...), e.diskOf(r)...)
	})})

// comparison is what the last comparison of a tablet says of a replica.
func (e *Env) comparison(tablet types.TabletID, replica types.ReplicaID) Row {
	if e.Checker == nil {
		return Row{nil, nil}
	}
	last, _ := e.Checker.Last(tablet)
	for i := range last.Replicas {
		r := &last.Replicas[i]
		switch {
		case r.ID != replica || r.Verdict == consistency.Skipped:
		case r.Verdict == consistency.Unreadable:
			return Row{false, nil}
		default:
			return Row{r.Verdict == consistency.Agrees, fmt.Sprintf("%016x", r.Digest)}
		}
	}
	return Row{nil, nil}
}

// diskOf is where a replica lies, as its BE has reported it.
func (e *Env) diskOf(r *catalog.Replica) Row {
	for _, d := range e.member(r.BE).Disks {
		if d.ID == r.Disk {
			return Row{d.Path, d.Medium.String()}
		}
	}
	return Row{nil, nil}
}

var _ = registerTable(Table{Database: schemaDB, Name: "be_tablets",
	Doc: "One row per replica, as the BEs reported it last.",
	Columns: cols(`
		BE_ID int
		TABLE_ID int
		PARTITION_ID int
		TABLET_ID int
		NUM_VERSION int
		MAX_VERSION int
		MIN_VERSION int
		NUM_ROWSET int
		NUM_ROW int
		DATA_SIZE int
		INDEX_MEM int
		CREATE_TIME int
		STATE name
		TYPE name
		DATA_DIR text
		SHARD_ID int
		SCHEMA_HASH int
		INDEX_DISK int
		MEDIUM_TYPE name
		NUM_SEGMENT int
	`),
	Rows: eachReplica(func(e *Env, p place, tab *catalog.Tablet, r *catalog.Replica) Row {
		seen, _ := e.reported(r.BE, tab.ID)
		dir, medium := "", p.table.MediumOf(p.part)
		for _, d := range e.member(r.BE).Disks {
			if d.ID == r.Disk {
				dir, medium = d.Path, d.Medium
			}
		}
		kind := "PRIMARY_KEYS"
		if p.table.KeyModel == "DUPLICATE" {
			kind = "DUP_KEYS"
		}
		return Row{r.BE, tab.Table, tab.Partition, tab.ID, seen.VersionCount, seen.Version, min(seen.OldestRetained, seen.Version), seen.Rowsets, seen.Rows, seen.Bytes, 0,
			p.part.CreatedMs / 1000, r.State.String(), kind, dir, 0, 0, 0, medium.String(), seen.Rowsets}
	})})

var _ = registerTable(Table{Database: steleDB, Name: "disks", Doc: "One row per disk of each BE.",
	Columns: cols(`
		be_id            int   The BE.
		disk_id          int   Id of the disk, kept on it: the PathHash of other tables.
		path             text  Folder.
		medium           name  HDD or SSD.
		state            name  ` + diskStates + `
		total_bytes      int   Size.
		available_bytes  int   Free.
		data_used_bytes  int   Of replicas.
		tablets          int   Replicas on it.
		clone_slots_used int   Clones that it takes part in.
		error            text  Why it is OFFLINE or READ_ONLY.
	`),
	Rows: func(_ context.Context, e *Env) ([]Row, error) {
		var rows []Row
		for be := range e.Catalog.BEs() {
			for _, d := range e.disks(be.ID) {
				rows = append(rows, Row{be.ID, d.ID, d.Path, d.Medium.String(), shownState(&d), d.Total, d.Available, d.DataUsed, d.Tablets,
					d.CloneSlotsUsed, d.Error})
			}
		}
		return rows, nil
	}})

var _ = registerTable(Table{Database: steleDB, Name: "repair_hints", Doc: "ADMIN REPAIR TABLE that still holds: who asked, when, and how long it lasts.",
	Columns: cols(`
		db_name        name  Database.
		table_name     name  Table.
		partition_name name  Partition.
		partition_id   int   Its id.
		owner          text  Who asked.
		added          time  When.
		expires        time  When the hint ends by itself.
		age_ms         int   Milliseconds since it was added.
		remaining_ms   int   Milliseconds until it ends.
	`),
	Rows: func(_ context.Context, e *Env) ([]Row, error) {
		var rows []Row
		for h := range e.Catalog.Hints() {
			t, i, ok := e.Catalog.TableOfPartition(h.Partition)
			if now := e.Now.UnixMilli(); ok && h.ExpiresMs > now {
				db, _ := e.Catalog.DatabaseByID(t.DatabaseID)
				rows = append(rows, Row{db.Name, t.Name, t.Parts[i].Name, h.Partition, h.Owner, e.when(h.AddedMs), e.when(h.ExpiresMs),
					now - h.AddedMs, h.ExpiresMs - now})
			}
		}
		return rows, nil
	}})

var _ = registerTable(Table{Database: steleDB, Name: "databases", Doc: "SHOW PROC '/statistic': what is in each database and how much of it needs repair.",
	Columns: statisticColumns,
	Rows: func(_ context.Context, e *Env) ([]Row, error) {
		rows := statisticRows(e)
		return rows[:len(rows)-1], nil
	}})

var _ = registerTable(Table{Database: steleDB, Name: "operations", Doc: "The operation log: what operators changed, and what came of it.",
	Columns: cols(`
		id        int   Number.
		kind      text  The statement's name.
		target    text  What it was about.
		owner     text  Who.
		statement text  Its text, where it was kept.
		state     name  RUNNING, DONE, FAILED or CANCELLED.
		started   time  When it began.
		ended     time  When it ended.
		message   text  What came of it.
		done      int   Steps done.
		total     int   Steps in all, 0 = unknown.
	`),
	Rows: func(_ context.Context, e *Env) ([]Row, error) {
		var rows []Row
		for op := range e.Catalog.Ops() {
			rows = append(rows, Row{op.ID, op.Kind, op.Target, op.Owner, op.Statement, op.State.String(), e.when(op.StartedMs), e.when(op.EndedMs),
				op.Message, op.Done, op.Total})
		}
		return rows, nil
	}})

var _ = registerTable(Table{Database: steleDB, Name: "variables", Local: true, Doc: "SHOW VARIABLES of this session.",
	Columns: cols(`
		Variable_name name  Name.
		Value         text  Value.
	`),
	Rows: func(_ context.Context, e *Env) ([]Row, error) { return variableRows(e.Variables), nil }})

var _ = registerTable(Table{Database: steleDB, Name: "status", Local: true, Doc: "SHOW STATUS of this FE.",
	Columns: cols(`
		Variable_name name  Name.
		Value         text  Value.
	`),
	Rows: statusRows})

// allTasks are the tasks of the control loop: running, then ended (newest first), then waiting.
func allTasks(e *Env) []sched.Task {
	var out []sched.Task
	for _, list := range []func(Control) []sched.Task{runningTasks, Control.History, Control.Pending} {
		out = append(out, e.tasks(list)...)
	}
	return out
}

var _ = registerTable(Table{Database: schemaDB, Name: "fe_tablet_schedules",
	Doc: "The tasks of the control loop: running, then ended, then waiting.",
	Columns: cols(`
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
	Rows: func(_ context.Context, e *Env) ([]Row, error) {
		var rows []Row
		for _, t := range allTasks(e) {
			table, part := any(nil), any(nil)
			if tab, ok := e.Catalog.Tablet(t.Tablet); ok {
				table, part = tab.Table, tab.Partition
			}
			rows = append(rows, Row{table, part, t.Tablet, t.Kind.String(), t.DynmPrio.String(), t.State.String(), t.Status.String(), e.when(t.CreatedMs),
				e.when(t.LastSchedMs), e.when(t.FinishedMs), orMinus(t.SrcBE), orMinus(t.DestBE), t.Bytes, float64(t.ElapsedMs) / 1000, t.Err})
		}
		return rows, nil
	}})

var _ = registerTable(Table{Database: steleDB, Name: "clone_tasks",
	Doc: "The tasks of the control loop, all of them, with the progress of those that copy now.",
	Columns: concat(cols(`
		DbName    name  Database, NULL when the tablet is gone.
		TableName name  Table.
		TaskId    int   Id of the clone, 0 when there is none.
	`), procTaskColumns, cols(`
		Full       text  Whether everything is copied, or what is missing only.
		FullReason text  Why everything is.
		BytesDone  int   Bytes copied.
		BytesTotal int   Bytes to copy.
		Percent    float Share of the copy that is done.
		RemainMs   int   Milliseconds left at the rate so far, NULL when it cannot be told.
	`)),
	Rows: func(_ context.Context, e *Env) ([]Row, error) {
		if e.Control == nil {
			return nil, nil
		}
		var rows []Row
		running := e.Control.Running()
		for i := range running {
			rows = append(rows, append(cloneTaskRow(e, &running[i].Task), progress(&running[i])...))
		}
		for _, list := range []func(Control) []sched.Task{Control.History, Control.Pending} {
			for _, t := range e.tasks(list) {
				rows = append(rows, append(cloneTaskRow(e, &t), t.Full, "", t.Bytes, nil, nil, nil))
			}
		}
		return rows, nil
	}})

// progress is how far a running clone is.
func progress(t *tabletctl.RunningTask) Row {
	var done, left any
	if t.BytesTotal > 0 {
		done = float64(t.BytesDone) / float64(t.BytesTotal) * 100
	}
	if ms := t.LeftMs(); ms >= 0 {
		left = ms
	}
	return Row{t.CloneFull, t.Reason, t.BytesDone, t.BytesTotal, done, left}
}

func cloneTaskRow(e *Env, t *sched.Task) Row {
	var db, table any
	if tab, ok := e.Catalog.Tablet(t.Tablet); ok {
		if p, ok := placeOf(e.Catalog, tab); ok {
			db, table = p.db.Name, p.table.Name
		}
	}
	return append(Row{db, table, t.ID}, procTaskRow(e, t)...)
}
