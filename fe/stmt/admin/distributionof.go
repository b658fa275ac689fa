package admin

import (
	"context"

	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/sql/syntax"
)

var _ = stmt.Register(stmt.Statement{
	Name:   "show_data_distribution",
	Open:   true,
	Syntax: "SHOW DATA DISTRIBUTION FROM <table:table> [{PARTITION|PARTITIONS} <partitions:names>]",
	Doc:    "How rows and bytes of one copy spread over the buckets of each partition: a bucket far above its share says that the distribution columns are badly chosen.",
	Columns: stmt.Cols(`
		PartitionName         text Partition.
		SubPartitionId        int  Id of the partition: there are none inside.
		MaterializedIndexName text The table's name.
		VirtualBuckets        int  Number of the bucket.
		RowCount              int  Rows in it.
		RowCount%             text Its share of the partition's rows.
		DataSize              text Bytes of one copy.
		DataSize%             text Its share of the partition's bytes.
	`),
	Rows: func(_ context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		t, err := e.UserTableArg(a, "table")
		if err != nil {
			return nil, err
		}
		parts, err := stmt.PartitionsArg(t, a, "partitions")
		if err != nil {
			return nil, err
		}
		var rows []stmt.Row
		for _, p := range parts {
			rows = append(rows, bucketRows(e, t, p)...)
		}
		return rows, nil
	},
	Examples: []string{"SHOW DATA DISTRIBUTION FROM db1.t1", "SHOW DATA DISTRIBUTION FROM t1 PARTITION (p1)"},
})

func bucketRows(e *stmt.Env, t *catalog.Table, p *catalog.Partition) []stmt.Row {
	var rowsOf, bytesOf []int64
	var rowSum, byteSum int64
	for tab := range e.Catalog.TabletsOf(p) {
		var s stmt.Size
		s.Add(e, tab)
		bytes := stmt.OneCopy(e, tab)
		rowsOf, bytesOf = append(rowsOf, s.Rows), append(bytesOf, bytes)
		rowSum, byteSum = rowSum+s.Rows, byteSum+bytes
	}
	var out []stmt.Row
	for b := range rowsOf {
		out = append(out, stmt.Row{p.Name, p.ID, t.Name, b, rowsOf[b], stmt.Percent(rowsOf[b], rowSum), stmt.Compact(bytesOf[b]), stmt.Percent(bytesOf[b], byteSum)})
	}
	return out
}

var _ = stmt.Register(stmt.Statement{
	Name: "show_compute_nodes", Table: "compute_nodes",
	Syntax: "SHOW COMPUTE NODES", Doc: "Empty: every BE stores and computes.", Columns: ComputeNodeColumns,
	Rows:     func(context.Context, *stmt.Env, syntax.Args) ([]stmt.Row, error) { return nil, nil },
	Examples: []string{"SHOW COMPUTE NODES"},
})

var _ = stmt.Register(stmt.Statement{
	Name:   "show_temporary_partitions",
	Open:   true,
	Syntax: "SHOW TEMPORARY PARTITIONS FROM <table:table> [WHERE <where:expr>] [ORDER BY <order:expr>] [LIMIT <limit:expr>]",
	Doc:    "Empty: there are no temporary partitions.", Columns: PartitionColumns,
	Rows: func(_ context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		_, err := e.UserTableArg(a, "table")
		return nil, err
	},
	Examples: []string{"SHOW TEMPORARY PARTITIONS FROM db1.t1"},
})
