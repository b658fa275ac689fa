package admin

import (
	"context"
	"fmt"
	"strings"

	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/sql/define"
	"stele/sql/syntax"
)

// PartitionColumns are those of SHOW PARTITIONS.
var PartitionColumns = stmt.Cols(`
	PartitionId              int   Id of the partition.
	PartitionName            text  Its name.
	VisibleVersion           int   Highest version of its tablets.
	VisibleVersionTime       text  N/A.
	VisibleVersionHash       int   Always 0.
	State                    text  NORMAL.
	PartitionKey             text  Columns that the table is partitioned by.
	Range                    text  Values that go here, also those of a list; empty when the table is not partitioned.
	DistributionKey          text  Columns that rows are spread over buckets by.
	Buckets                  int   Tablets.
	ReplicationNum           int   Replicas that each tablet should have.
	StorageMedium            text  HDD or SSD.
	CooldownTime             text  Never: data does not change its medium by age.
	LastConsistencyCheckTime text  When replicas of it were last compared by their rows, as ADMIN CHECK does; N/A unless that was since this FE leads.
	DataSize                 text  Bytes of one copy.
	IsInMemory               text  Always false.
	RowCount                 int   Rows.
`)

var _ = stmt.Register(stmt.Statement{
	Name:    "show_partitions",
	Open:    true,
	Syntax:  "SHOW PARTITIONS FROM <table:table> [WHERE <where:expr>] [ORDER BY <order:expr>] [LIMIT <limit:expr>]",
	Doc:     "One row per partition of a table, in the order of their ranges.",
	Columns: PartitionColumns,
	Rows: func(_ context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		t, err := e.UserTableArg(a, "table")
		if err != nil {
			return nil, err
		}
		return PartitionRows(e, t), nil
	},
	Examples: []string{"SHOW PARTITIONS FROM db1.t1", "SHOW PARTITIONS FROM t1 WHERE PartitionName = 'p1'"},
})

// PartitionRows are the rows of SHOW PARTITIONS and the partitions path.
func PartitionRows(e *stmt.Env, t *catalog.Table) []stmt.Row {
	key := ""
	if t.Partition != nil {
		key = stmt.ColumnNames(t, t.Partition.Columns)
		if fn := t.Partition.Func; fn != "" {
			key = fn + "(" + key + ")"
		}
	}
	var rows []stmt.Row
	for i := range t.Parts {
		p := &t.Parts[i]
		s, version := stmt.PartSize(e, p)
		var bytes int64
		for tab := range e.Catalog.TabletsOf(p) {
			bytes += stmt.OneCopy(e, tab)
		}
		rows = append(rows, stmt.Row{p.ID, p.Name, version, "N/A", 0, "NORMAL", key, rangeText(t, p), distribution(t), len(p.Tablets), p.Replicas,
			t.MediumOf(p).String(), "9999-12-31 23:59:59", e.Stamp(stmt.LastCheck(e, e.Catalog.TabletsOf(p))), stmt.Compact(bytes), false, s.Rows})
	}
	return rows
}

// distribution names the columns that choose the bucket.
func distribution(t *catalog.Table) string {
	if len(t.HashBy) == 0 || t.Schema.HasRowID() && t.HashBy[0] == t.Schema.Key[0] {
		return "ALL KEY"
	}
	return stmt.ColumnNames(t, t.HashBy)
}

// rangeText prints a list as that of VALUES IN, and a range: [types: [DATE]; keys: [2019-01-01]; ..types: [DATE]; keys: [2020-01-01]; ).
func rangeText(t *catalog.Table, p *catalog.Partition) string {
	if t.Partition == nil {
		return ""
	}
	if t.Partition.List {
		return "(" + define.PartitionValues(t, p) + ")"
	}
	kinds := make([]string, 0, len(t.Partition.Columns))
	for _, id := range t.Partition.Columns {
		if i := t.Schema.ColumnIndex(id); i >= 0 {
			kind, _, _ := strings.Cut(strings.ToUpper(stmt.TypeText(t.Schema.Columns[i].Type, "")), "(")
			kinds = append(kinds, kind)
		}
	}
	bound := func(key []byte, text []string, open string) string {
		keys := open
		if key != nil {
			keys = strings.Join(text, ", ")
		}
		return fmt.Sprintf("types: [%s]; keys: [%s]; ", strings.Join(kinds, ", "), keys)
	}
	return "[" + bound(p.Lower, p.LowerText, "MINVALUE") + ".." + bound(p.Upper, p.UpperText, "MAXVALUE") + ")"
}
