package admin

import (
	"context"
	"fmt"

	"stele/fe/consistency"
	"stele/fe/sched"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/types"
)

// eachReplica makes the Rows of a table with one row a replica.
func eachReplica(row func(e *stmt.Env, p stmt.Place, tab *catalog.Tablet, r *catalog.Replica) stmt.Row) func(context.Context, *stmt.Env) ([]stmt.Row, error) {
	return func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		var rows []stmt.Row
		for tab := range e.Catalog.Tablets() {
			p, ok := stmt.PlaceOf(e.Catalog, tab)
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

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: "tablets",
	Doc: "One row per replica, those of unique keys with them: all that SHOW TABLETS tells, where it belongs, who leads, and how far it is behind.",
	Columns: stmt.Concat(stmt.Cols(`
		DbName          name  Database.
		TableName       name  Table.
		IndexName       name  The name of the unique key that the replica is of; else the table's name.
		PartitionName   name  Partition.
		Bucket          int   Number of the bucket in its partition.
	`), TabletColumns, stmt.Cols(`
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
	Rows: eachReplica(func(e *stmt.Env, p stmt.Place, tab *catalog.Tablet, r *catalog.Replica) stmt.Row {
		row := append(stmt.Row{p.DB.Name, e.Owner(p.Table).Name, e.IndexName(p.Table), p.Part.Name, tab.Bucket}, tabletRow(e, tab, r)...)
		var leader, reported, lag any
		if tab.Leader != 0 {
			leader = tab.Leader
		}
		seen, ok := e.Reported(r.BE, tab.ID)
		if ok {
			reported, lag = seen.Version, max(int64(tab.Version)-int64(seen.Version), 0)
		}
		role := "follower"
		if r.Role == types.RoleLearner {
			role = "learner"
		}
		row = append(row, tab.Leader == r.BE, leader, tab.Epoch, role, replicaStatus(e, tab, r), r.Bad, tab.Version, reported, lag, seen.Reason)
		return append(append(row, comparison(e, tab.ID, r.ID)...), diskOf(e, r)...)
	})})

// comparison is what the last comparison of a tablet says of a replica.
func comparison(e *stmt.Env, tablet types.TabletID, replica types.ReplicaID) stmt.Row {
	if e.Checker == nil {
		return stmt.Row{nil, nil}
	}
	last, _ := e.Checker.Last(tablet)
	for i := range last.Replicas {
		r := &last.Replicas[i]
		switch {
		case r.ID != replica || r.Verdict == consistency.Skipped:
		case r.Verdict == consistency.Unreadable:
			return stmt.Row{false, nil}
		default:
			return stmt.Row{r.Verdict == consistency.Agrees, fmt.Sprintf("%016x", r.Digest)}
		}
	}
	return stmt.Row{nil, nil}
}

// diskOf is where a replica lies, as its BE has reported it.
func diskOf(e *stmt.Env, r *catalog.Replica) stmt.Row {
	for _, d := range e.Member(r.BE).Disks {
		if d.ID == r.Disk {
			return stmt.Row{d.Path, d.Medium.String()}
		}
	}
	return stmt.Row{nil, nil}
}

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "be_tablets",
	Doc: "One row per replica, as the BEs reported it last.",
	Columns: stmt.Cols(`
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
	Rows: eachReplica(func(e *stmt.Env, p stmt.Place, tab *catalog.Tablet, r *catalog.Replica) stmt.Row {
		seen, _ := e.Reported(r.BE, tab.ID)
		dir, medium := "", p.Table.MediumOf(p.Part)
		for _, d := range e.Member(r.BE).Disks {
			if d.ID == r.Disk {
				dir, medium = d.Path, d.Medium
			}
		}
		kind := "PRIMARY_KEYS"
		if p.Table.KeyModel == "DUPLICATE" {
			kind = "DUP_KEYS"
		}
		return stmt.Row{r.BE, tab.Table, tab.Partition, tab.ID, seen.VersionCount, seen.Version, min(seen.OldestRetained, seen.Version), seen.Rowsets, seen.Rows, seen.Bytes, 0,
			p.Part.CreatedMs / 1000, r.State.String(), kind, dir, 0, 0, 0, medium.String(), seen.Rowsets}
	})})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: "disks", Doc: "One row per disk of each BE.",
	Columns: stmt.Cols(`
		be_id            int   The BE.
		disk_id          int   Id of the disk, kept on it: the PathHash of other tables.
		path             text  Folder.
		medium           name  HDD or SSD.
		state            name  ` + diskStates + `
		total_bytes      int   Size.
		available_bytes  int   Free.
		data_used_bytes  int   Of replicas.
		tablets          int   Replicas on it, with those that are not cleared away yet after they, or their table, were dropped.
		clone_slots_used int   Clones that it takes part in.
		error            text  Why it is OFFLINE or READ_ONLY.
	`),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		var rows []stmt.Row
		for be := range e.Catalog.BEs() {
			for _, d := range e.Disks(be.ID) {
				rows = append(rows, stmt.Row{be.ID, d.ID, d.Path, d.Medium.String(), shownState(&d), d.Total, d.Available, d.DataUsed, d.Tablets,
					d.CloneSlotsUsed, d.Error})
			}
		}
		return rows, nil
	}})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: "repair_hints", Doc: "ADMIN REPAIR TABLE that still holds: who asked, when, and how long it lasts.",
	Columns: stmt.Cols(`
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
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		var rows []stmt.Row
		for h := range e.Catalog.Hints() {
			t, i, ok := e.Catalog.TableOfPartition(h.Partition)
			if now := e.Now.UnixMilli(); ok && h.ExpiresMs > now {
				db, _ := e.Catalog.DatabaseByID(t.DatabaseID)
				rows = append(rows, stmt.Row{db.Name, t.Name, t.Parts[i].Name, h.Partition, h.Owner, e.When(h.AddedMs), e.When(h.ExpiresMs),
					now - h.AddedMs, h.ExpiresMs - now})
			}
		}
		return rows, nil
	}})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: "operations", Doc: "The operation log: what operators changed, and what came of it.",
	Columns: stmt.Cols(`
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
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		var rows []stmt.Row
		for op := range e.Catalog.Ops() {
			rows = append(rows, stmt.Row{op.ID, op.Kind, op.Target, op.Owner, op.Statement, op.State.String(), e.When(op.StartedMs), e.When(op.EndedMs),
				op.Message, op.Done, op.Total})
		}
		return rows, nil
	}})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: "partitions", Doc: "SHOW PARTITIONS of all tables.", Columns: stmt.Concat(stmt.OfTableColumns, PartitionColumns),
	Rows: stmt.OfTables(PartitionRows)})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: "replica_status", Doc: "ADMIN SHOW REPLICA STATUS of all tables: a row for each replica that is missing as well.",
	Columns: stmt.Concat(stmt.OfTableColumns, replicaStatusColumns),
	Rows: stmt.OfTables(func(e *stmt.Env, t *catalog.Table) []stmt.Row {
		var rows []stmt.Row
		for _, p := range e.WithKeys(t, stmt.AllParts(t)) {
			for tab := range e.Catalog.TabletsOf(p) {
				rows = append(rows, tabletStatusRows(e, p, tab)...)
			}
		}
		return rows
	})})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: "replica_distribution", Doc: "ADMIN SHOW REPLICA DISTRIBUTION of all tables.",
	Columns: stmt.Concat(stmt.OfTableColumns, distributionColumns),
	Rows: stmt.OfTables(func(e *stmt.Env, t *catalog.Table) []stmt.Row {
		return distributionRows(e, e.WithKeys(t, stmt.AllParts(t)))
	})})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: "table_sizes", Doc: "SHOW DATA of all databases, with bytes as numbers.",
	Columns: stmt.Concat(stmt.OfTableColumns, stmt.Cols(`
		Bytes        int Bytes of all replicas, as reported last.
		ReplicaCount int Replicas.
		RowCount     int Rows.
	`)),
	Rows: stmt.OfTables(func(e *stmt.Env, t *catalog.Table) []stmt.Row {
		s := stmt.WholeSize(e, t)
		return []stmt.Row{{s.Bytes, s.Replicas, s.Rows}}
	})})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: "create_tables", Doc: "SHOW CREATE TABLE of all tables.",
	Columns: stmt.Concat(stmt.OfTableColumns, stmt.Cols(`
		CreateTable long The statement that makes the table.
	`)),
	Rows: stmt.OfTables(func(e *stmt.Env, t *catalog.Table) []stmt.Row {
		if e.CreateTable == nil {
			return nil
		}
		return []stmt.Row{{e.CreateTable(e.Catalog, t)}}
	})})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: "unhealthy_tablets",
	Doc: "The tablets that are not HEALTHY, with the rule that decided: what the control loop sees now. A dead BE counts as alive within its tolerance; UNAVAILABLE are tablets of which fewer than a majority answer meanwhile.",
	Columns: stmt.Concat(stmt.OfTableColumns, stmt.Cols(`
		TabletId int  The tablet.
		Status   name REPLICA_MISSING and so on, or UNAVAILABLE.
		Priority name VERY_HIGH, HIGH, NORMAL or LOW.
		Detail   text The counts that the rules look at. ADMIN EXPLAIN TABLET tells more.
	`)),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		if e.Control == nil {
			return nil, nil
		}
		var rows []stmt.Row
		view, clock := e.Control.View(), e.Control.Clock()
		for i := range view.Tablets {
			t := &view.Tablets[i]
			if v := sched.Health(t, view, clock); !v.Well() {
				db, table := tabletNames(e, t.ID)
				rows = append(rows, stmt.Row{db, table, t.ID, v.Shown(), v.Priority.String(), v.Detail()})
			}
		}
		return rows, nil
	}})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: "safe_to_stop",
	Doc: "ADMIN SHOW SAFE TO STOP BACKEND of every BE. A BE without a row may be stopped.",
	Columns: stmt.Concat(stmt.Cols(`
		BackendId int The BE.
	`), hazardColumns),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		if e.Control == nil {
			return nil, nil
		}
		var rows []stmt.Row
		view := e.Control.View()
		for be := range e.Catalog.BEs() {
			for _, row := range hazardRows(e, view, be.ID) {
				rows = append(rows, append(stmt.Row{be.ID}, row...))
			}
		}
		return rows, nil
	}})
