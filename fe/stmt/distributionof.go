package stmt

import (
	"context"

	"stele/meta/catalog"
	"stele/sql/syntax"
)

var _ = register(Statement{
	Name:   "show_data_distribution",
	Open:   true,
	Syntax: "SHOW DATA DISTRIBUTION FROM <table:table> [{PARTITION|PARTITIONS} <partitions:names>]",
	Doc:    "How rows and bytes of one copy spread over the buckets of each partition: a bucket far above its share says that the distribution columns are badly chosen.",
	Columns: cols(`
		PartitionName         text Partition.
		SubPartitionId        int  Id of the partition: there are none inside.
		MaterializedIndexName text The table's name.
		VirtualBuckets        int  Number of the bucket.
		RowCount              int  Rows in it.
		RowCount%             text Its share of the partition's rows.
		DataSize              text Bytes of one copy.
		DataSize%             text Its share of the partition's bytes.
	`),
	Rows: func(_ context.Context, e *Env, a syntax.Args) ([]Row, error) {
		t, err := e.userTableArg(a, "table")
		if err != nil {
			return nil, err
		}
		parts, err := partitionsArg(t, a, "partitions")
		if err != nil {
			return nil, err
		}
		var rows []Row
		for _, p := range parts {
			rows = append(rows, bucketRows(e, t, p)...)
		}
		return rows, nil
	},
	Examples: []string{"SHOW DATA DISTRIBUTION FROM db1.t1", "SHOW DATA DISTRIBUTION FROM t1 PARTITION (p1)"},
})

func bucketRows(e *Env, t *catalog.Table, p *catalog.Partition) []Row {
	var rowsOf, bytesOf []int64
	var rowSum, byteSum int64
	for tab := range e.Catalog.TabletsOf(p) {
		var s size
		s.add(e, tab)
		bytes := oneCopy(e, tab)
		rowsOf, bytesOf = append(rowsOf, s.rows), append(bytesOf, bytes)
		rowSum, byteSum = rowSum+s.rows, byteSum+bytes
	}
	var out []Row
	for b := range rowsOf {
		out = append(out, Row{p.Name, p.ID, t.Name, b, rowsOf[b], percent(rowsOf[b], rowSum), compact(bytesOf[b]), percent(bytesOf[b], byteSum)})
	}
	return out
}

var _ = register(Statement{
	Name: "show_compute_nodes", Table: "compute_nodes",
	Syntax: "SHOW COMPUTE NODES", Doc: "Empty: every BE stores and computes.", Columns: computeNodeColumns,
	Rows:     func(context.Context, *Env, syntax.Args) ([]Row, error) { return nil, nil },
	Examples: []string{"SHOW COMPUTE NODES"},
})

var _ = register(Statement{
	Name:   "show_temporary_partitions",
	Open:   true,
	Syntax: "SHOW TEMPORARY PARTITIONS FROM <table:table> [WHERE <where:expr>] [ORDER BY <order:expr>] [LIMIT <limit:expr>]",
	Doc:    "Empty: there are no temporary partitions.", Columns: partitionColumns,
	Rows: func(_ context.Context, e *Env, a syntax.Args) ([]Row, error) {
		_, err := e.userTableArg(a, "table")
		return nil, err
	},
	Examples: []string{"SHOW TEMPORARY PARTITIONS FROM db1.t1"},
})
