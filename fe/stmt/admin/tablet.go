package admin

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"stele/fe/beclient"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/syntax"
	sqltypes "stele/sql/types"
)

var _ = stmt.Register(stmt.Statement{
	Name:   "show_tablet",
	Syntax: "SHOW {TABLET|TABLETS} <id:int>",
	Doc:    "Where one tablet belongs, and in DetailCmd the statement that shows its replicas. An unknown id gives NULL names.",
	Columns: stmt.Cols(`
		DbName        text  Database.
		TableName     text  Table.
		PartitionName text  Partition.
		IndexName     text  The name of the unique key that the tablet is of; else the table's name again: there are no rollups.
		DbId          int   Id of the database.
		TableId       int   Id of the table.
		PartitionId   int   Id of the partition, of the key's where it is of one.
		IndexId       int   Id of the table, or of the key.
		IsSync        text  Whether the catalog has the tablet.
		DetailCmd     text  A statement to run next.
	`),
	Rows: func(_ context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		if id := a.Int("id"); id > 0 {
			if tab, ok := e.Catalog.Tablet(types.TabletID(id)); ok {
				if p, ok := stmt.PlaceOf(e.Catalog, tab); ok {
					detail := fmt.Sprintf("SHOW PROC '/dbs/%d/%d/partitions/%d/%d/%d';", p.DB.ID, p.Table.ID, p.Part.ID, p.Table.ID, tab.ID)
					of := e.Owner(p.Table)
					return []stmt.Row{{p.DB.Name, of.Name, p.Part.Name, e.IndexName(p.Table), p.DB.ID, of.ID, p.Part.ID, p.Table.ID, true, detail}}, nil
				}
			}
		}
		return []stmt.Row{{nil, nil, nil, nil, -1, -1, -1, -1, false, nil}}, nil
	},
	Examples: []string{"SHOW TABLET 10003"},
})

// TabletColumns are those of SHOW TABLETS: a row for each replica.
var TabletColumns = stmt.Cols(`
	TabletId                int   The tablet.
	ReplicaId               int   The replica.
	BackendId               int   The BE it is on.
	SchemaHash              int   Always -1.
	Version                 int   Highest version up to which it has everything.
	VersionHash             int   Always 0.
	LstSuccessVersion       int   Last version that it stored.
	LstSuccessVersionHash   int   Always 0.
	LstFailedVersion        int   Last version that it missed and still lacks, -1 when it lacks none.
	LstFailedVersionHash    int   Always 0.
	LstFailedTime           text  When it missed that.
	DataSize                int   Bytes on disk, as reported last.
	RowCount                int   Rows, as reported last.
	State                   text  NORMAL, CLONE or DECOMMISSION.
	LstConsistencyCheckTime text  When the replicas were compared last, N/A when they have not been since this FE leads.
	CheckVersion            int   Version that was compared, -1 without a comparison.
	CheckVersionHash        int   Always -1.
	VersionCount            int   Versions that it keeps apart, -1 until reported.
	PathHash                int   Id of its disk, -1 until reported.
	MetaUrl                 text  Debug page of the replica on its BE; without PROCESS and SUPER *:0 stands for the BE.
	CompactionStatus        text  Debug page of its compaction, likewise.
`)

var _ = stmt.Register(stmt.Statement{
	Name: "show_tablets",
	Open: true,
	Syntax: "SHOW {TABLET|TABLETS} FROM <table:table> [{PARTITION|PARTITIONS} <partitions:names>] [WHERE <where:expr>] " +
		"[ORDER BY <order:expr>] [LIMIT <limit:expr>]",
	Doc: "One row per replica of a table and of its unique keys, by tablet and replica; IndexName tells them apart. " +
		"WHERE and ORDER BY take any expression over the columns.",
	Columns: stmt.Concat(TabletColumns, indexColumn),
	Rows: func(_ context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		t, err := e.UserTableArg(a, "table")
		if sqlErr, ok := sqltypes.AsError(err); ok && sqlErr.Code == errno.NoSuchTable {
			_, name := a.Table("table")
			return nil, sqltypes.Errorf(errno.UnknownTable, "Unknown table '%s'", name)
		}
		if err != nil {
			return nil, err
		}
		parts, err := stmt.PartitionsArg(t, a, "partitions")
		if err != nil {
			return nil, unknownPartition(t, a, err)
		}
		return indexedTabletRows(e, e.WithKeys(t, parts)), nil
	},
	Examples: []string{"SHOW TABLETS FROM db1.t1", "SHOW TABLET FROM t1 PARTITION (p1) WHERE State = 'NORMAL' ORDER BY DataSize DESC LIMIT 10"},
})

// indexColumn says of which index of its table a tablet is.
var indexColumn = stmt.Cols(`
	IndexName               text  The name of the unique key that the tablet is of; else the table's name.
`)

// indexedTabletRows are the replicas of partitions by tablet and replica, each with the index that it is of.
func indexedTabletRows(e *stmt.Env, parts []*catalog.Partition) []stmt.Row {
	rows := TabletRows(e, parts...)
	for i, row := range rows {
		name := ""
		if tab, ok := e.Catalog.Tablet(row[0].(types.TabletID)); ok {
			if t, ok := e.Catalog.TableByID(tab.Table); ok {
				name = e.IndexName(t)
			}
		}
		rows[i] = append(row, name)
	}
	return rows
}

// unknownPartition is what SHOW TABLET says of a partition that is not there.
func unknownPartition(t *catalog.Table, a syntax.Args, err error) error {
	for _, name := range a.Names("partitions") {
		if stmt.PartitionNamed(t, name) == nil && !a.Has("TEMPORARY") {
			return stmt.AnalysisError("Unknown partition: %s", name)
		}
	}
	return err
}

// TabletRows are the replicas of partitions by tablet and replica.
func TabletRows(e *stmt.Env, parts ...*catalog.Partition) []stmt.Row {
	var tabs []*catalog.Tablet
	for _, p := range parts {
		tabs = slices.AppendSeq(tabs, e.Catalog.TabletsOf(p))
	}
	slices.SortFunc(tabs, func(a, b *catalog.Tablet) int { return cmp.Compare(a.ID, b.ID) })
	var rows []stmt.Row
	for _, tab := range tabs {
		for _, r := range byID(tab.Replicas) {
			rows = append(rows, tabletRow(e, tab, r))
		}
		if len(tab.Replicas) == 0 {
			rows = append(rows, stmt.Row{tab.ID, -1, -1, -1, -1, 0, -1, 0, -1, 0, "N/A", -1, -1, nil, "N/A", -1, -1, -1, -1, "N/A", "N/A"})
		}
	}
	return rows
}

// byID returns replicas by id.
func byID(replicas []catalog.Replica) []*catalog.Replica {
	out := make([]*catalog.Replica, len(replicas))
	for i := range replicas {
		out[i] = &replicas[i]
	}
	slices.SortFunc(out, func(a, b *catalog.Replica) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// replicaFacts is what the catalog and the last report say of a replica together.
type replicaFacts struct {
	bytes, rows, versions int64
	disk                  int64
	failedAt              string
	metaURL, compaction   string
}

func factsOf(e *stmt.Env, tab *catalog.Tablet, r *catalog.Replica) replicaFacts {
	f := replicaFacts{versions: -1, disk: stmt.OrMinus(r.Disk), failedAt: e.StampMs(r.LastFailedMs), metaURL: "N/A", compaction: "N/A"}
	if seen, ok := e.Reported(r.BE, tab.ID); ok {
		f.bytes, f.rows, f.versions = seen.Bytes, seen.Rows, int64(seen.VersionCount)
		if seen.Disk != 0 {
			f.disk = int64(seen.Disk)
		}
	}
	be, ok := e.Catalog.BE(r.BE)
	if !ok {
		return f
	}
	port := be.HTTPPort
	if m := e.Member(r.BE); m.HTTPPort != 0 {
		port = m.HTTPPort
	}
	host := beclient.Address(be.Host, port)
	if !e.Operates() {
		host = "*:0"
	}
	f.metaURL = fmt.Sprintf("http://%s/api/meta/header/%d", host, tab.ID)
	f.compaction = fmt.Sprintf("http://%s/api/compaction/show?tablet_id=%d", host, tab.ID)
	return f
}

func tabletRow(e *stmt.Env, tab *catalog.Tablet, r *catalog.Replica) stmt.Row {
	f := factsOf(e, tab, r)
	checkedAt, checked := lastCheck(e, tab.ID)
	return stmt.Row{tab.ID, r.ID, r.BE, -1, r.Version, 0, stmt.OrMinus(r.LastSuccess), 0, stmt.OrMinus(r.LastFailed), 0, f.failedAt, f.bytes, f.rows,
		r.State.String(), checkedAt, checked, -1, f.versions, f.disk, f.metaURL, f.compaction}
}

// ReplicaColumns are those of the replicas of one tablet.
var ReplicaColumns = stmt.Cols(`
	ReplicaId             int   The replica.
	BackendId             int   The BE it is on.
	Version               int   Highest version up to which it has everything.
	VersionHash           int   Always 0.
	LstSuccessVersion     int   Last version that it stored.
	LstSuccessVersionHash int   Always 0.
	LstFailedVersion      int   Last version that it missed and still lacks, -1 when it lacks none.
	LstFailedVersionHash  int   Always 0.
	LstFailedTime         text  When it missed that.
	SchemaHash            int   Always -1.
	DataSize              int   Bytes on disk, as reported last.
	RowCount              int   Rows, as reported last.
	State                 text  NORMAL, CLONE or DECOMMISSION.
	IsBad                 text  Whether its data is damaged.
	VersionCount          int   Versions that it keeps apart, -1 until reported.
	PathHash              int   Id of its disk, -1 until reported.
	MetaUrl               text  Debug page of the replica on its BE.
	CompactionStatus      text  Debug page of its compaction.
`)

// ReplicaRows are the rows of a tablet's SHOW PROC path.
func ReplicaRows(e *stmt.Env, tab *catalog.Tablet) []stmt.Row {
	var rows []stmt.Row
	for _, r := range byID(tab.Replicas) {
		f := factsOf(e, tab, r)
		rows = append(rows, stmt.Row{r.ID, r.BE, r.Version, 0, stmt.OrMinus(r.LastSuccess), 0, stmt.OrMinus(r.LastFailed), 0, f.failedAt, -1, f.bytes, f.rows,
			r.State.String(), r.Bad, f.versions, f.disk, f.metaURL, f.compaction})
	}
	return rows
}
