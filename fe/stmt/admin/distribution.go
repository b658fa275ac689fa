package admin

import (
	"context"
	"strings"

	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/syntax"
)

var distributionColumns = stmt.Cols(`
	BackendId  int   The BE.
	ReplicaNum int   Replicas of the table on it.
	Graph      text  One > for each full average share.
	Percent    text  Its share of all replicas of the table.
`)

var _ = stmt.Register(stmt.Statement{
	Name:    "admin_show_replica_distribution",
	Syntax:  "ADMIN SHOW REPLICA DISTRIBUTION FROM <table:table> [[TEMPORARY] {PARTITION|PARTITIONS} <partitions:names>]",
	Doc:     "How the replicas of a table and of its unique keys spread over the BEs: one row per BE, those without a replica included.",
	Columns: distributionColumns,
	Rows: func(_ context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		t, parts, err := e.TableParts(a)
		if err != nil {
			return nil, err
		}
		return distributionRows(e, e.WithKeys(t, parts)), nil
	},
	Examples: []string{"ADMIN SHOW REPLICA DISTRIBUTION FROM db1.t1", "ADMIN SHOW REPLICA DISTRIBUTION FROM t1 PARTITION (p1)"},
})

// distributionRows count the replicas of partitions by BE.
func distributionRows(e *stmt.Env, parts []*catalog.Partition) []stmt.Row {
	count, total := map[types.BEID]int64{}, int64(0)
	for _, p := range parts {
		for tab := range e.Catalog.TabletsOf(p) {
			for i := range tab.Replicas {
				count[tab.Replicas[i].BE]++
				total++
			}
		}
	}
	var rows []stmt.Row
	for be := range e.Catalog.BEs() {
		n := count[be.ID]
		rows = append(rows, stmt.Row{be.ID, n, graph(n, total, int64(e.Catalog.BECount())), stmt.Share(n, total)})
	}
	return rows
}

// graph draws how often n holds the average share of bes in total, rounded down.
func graph(n, total, bes int64) string {
	if total == 0 {
		return ""
	}
	return strings.Repeat(">", int(n*bes/total))
}
