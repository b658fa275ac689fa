package stmt

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"stele/fe/beclient"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/syntax"
	sqltypes "stele/sql/types"
)

var _ = register(Statement{
	Name:   "show_tablet",
	Syntax: "SHOW {TABLET|TABLETS} <id:int>",
	Doc:    "Where one tablet belongs, and in DetailCmd the statement that shows its replicas. An unknown id gives NULL names.",
	Columns: cols(`
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
	Rows: func(_ context.Context, e *Env, a syntax.Args) ([]Row, error) {
		if id := a.Int("id"); id > 0 {
			if tab, ok := e.Catalog.Tablet(types.TabletID(id)); ok {
				if p, ok := placeOf(e.Catalog, tab); ok {
					detail := fmt.Sprintf("SHOW PROC '/dbs/%d/%d/partitions/%d/%d/%d';", p.db.ID, p.table.ID, p.part.ID, p.table.ID, tab.ID)
					of := e.owner(p.table)
					return []Row{{p.db.Name, of.Name, p.part.Name, e.indexName(p.table), p.db.ID, of.ID, p.part.ID, p.table.ID, true, detail}}, nil
				}
			}
		}
		return []Row{{nil, nil, nil, nil, -1, -1, -1, -1, false, nil}}, nil
	},
	Examples: []string{"SHOW TABLET 10003"},
})

var tabletColumns = cols(`
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
	MetaUrl                 text  Debug page of the replica on its BE.
	CompactionStatus        text  Debug page of its compaction.
`)

var _ = register(Statement{
	Name: "show_tablets",
	Open: true,
	Syntax: "SHOW {TABLET|TABLETS} FROM <table:table> [{PARTITION|PARTITIONS} <partitions:names>] [WHERE <where:expr>] " +
		"[ORDER BY <order:expr>] [LIMIT <limit:expr>]",
	Doc:     "One row per replica of a table, by tablet and replica. WHERE and ORDER BY take any expression over the columns.",
	Columns: tabletColumns,
	Rows: func(_ context.Context, e *Env, a syntax.Args) ([]Row, error) {
		t, err := e.userTableArg(a, "table")
		if sqlErr, ok := sqltypes.AsError(err); ok && sqlErr.Code == codeUnknownTable {
			_, name := a.Table("table")
			return nil, sqltypes.Errorf(codeNoSuchTable, stateNoTable, "Unknown table '%s'", name)
		}
		if err != nil {
			return nil, err
		}
		parts, err := partitionsArg(t, a, "partitions")
		if err != nil {
			return nil, unknownPartition(t, a, err)
		}
		return tabletRows(e, parts...), nil
	},
	Examples: []string{"SHOW TABLETS FROM db1.t1", "SHOW TABLET FROM t1 PARTITION (p1) WHERE State = 'NORMAL' ORDER BY DataSize DESC LIMIT 10"},
})

// unknownPartition is what SHOW TABLET says of a partition that is not there.
func unknownPartition(t *catalog.Table, a syntax.Args, err error) error {
	for _, name := range a.Names("partitions") {
		if partitionNamed(t, name) == nil && !a.Has("TEMPORARY") {
			return analysis("Unknown partition: %s", name)
		}
	}
	return err
}

// tabletRows are the replicas of partitions by tablet and replica.
func tabletRows(e *Env, parts ...*catalog.Partition) []Row {
	var tabs []*catalog.Tablet
	for _, p := range parts {
		tabs = slices.AppendSeq(tabs, e.Catalog.TabletsOf(p))
	}
	slices.SortFunc(tabs, func(a, b *catalog.Tablet) int { return cmp.Compare(a.ID, b.ID) })
	var rows []Row
	for _, tab := range tabs {
		for _, r := range byID(tab.Replicas) {
			rows = append(rows, tabletRow(e, tab, r))
		}
		if len(tab.Replicas) == 0 {
			rows = append(rows, Row{tab.ID, -1, -1, -1, -1, 0, -1, 0, -1, 0, "N/A", -1, -1, nil, "N/A", -1, -1, -1, -1, "N/A", "N/A"})
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

func factsOf(e *Env, tab *catalog.Tablet, r *catalog.Replica) replicaFacts {
	f := replicaFacts{versions: -1, disk: orMinus(r.Disk), failedAt: e.stampMs(r.LastFailedMs), metaURL: "N/A", compaction: "N/A"}
	if seen, ok := e.reported(r.BE, tab.ID); ok {
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
	if m := e.member(r.BE); m.HTTPPort != 0 {
		port = m.HTTPPort
	}
	host := beclient.Address(be.Host, port)
	f.metaURL = fmt.Sprintf("http://%s/api/meta/header/%d", host, tab.ID)
	f.compaction = fmt.Sprintf("http://%s/api/compaction/show?tablet_id=%d", host, tab.ID)
	return f
}

func tabletRow(e *Env, tab *catalog.Tablet, r *catalog.Replica) Row {
	f := factsOf(e, tab, r)
	checkedAt, checked := e.lastCheck(tab.ID)
	return Row{tab.ID, r.ID, r.BE, -1, r.Version, 0, orMinus(r.LastSuccess), 0, orMinus(r.LastFailed), 0, f.failedAt, f.bytes, f.rows,
		r.State.String(), checkedAt, checked, -1, f.versions, f.disk, f.metaURL, f.compaction}
}

var replicaColumns = cols(`
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

// replicaRows are the rows of a tablet's SHOW PROC path.
func replicaRows(e *Env, tab *catalog.Tablet) []Row {
	var rows []Row
	for _, r := range byID(tab.Replicas) {
		f := factsOf(e, tab, r)
		rows = append(rows, Row{r.ID, r.BE, r.Version, 0, orMinus(r.LastSuccess), 0, orMinus(r.LastFailed), 0, f.failedAt, -1, f.bytes, f.rows,
			r.State.String(), r.Bad, f.versions, f.disk, f.metaURL, f.compaction})
	}
	return rows
}
