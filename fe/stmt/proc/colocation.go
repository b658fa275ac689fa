package proc

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"stele/fe/sched"
	"stele/fe/stmt"
	"stele/fe/tabletctl"
	"stele/meta/catalog"
	"stele/meta/types"
)

var (
	colocationColumns = stmt.Cols(`
		GroupId        text <id of the database>.<id of the group's oldest table>.
		GroupName      text <id of the database>_<the name in "colocate_with">.
		TableIds       text Its tables, the oldest first.
		BucketsNum     int  Buckets of each partition.
		ReplicationNum int  Replicas of each tablet.
		DistCols       text Types of the columns that rows are spread over buckets by.
		IsStable       text Whether every tablet of the group is healthy, which takes that it lies where the group does.
	`)
	colocationBucketColumns = stmt.Cols(`
		BucketIndex int  The bucket.
		BackendIds  text BEs that have the bucket of every table of the group, or get it.
	`)
)

// groupID is the name of a group in paths.
func groupID(g *tabletctl.Group) string { return fmt.Sprintf("%d.%d", g.DB, g.Tables[0].ID) }

// groupStable reports whether every tablet of a group is healthy. A group whose tablets are not yet where they belong is
// not: their status is COLOCATE_MISMATCH or COLOCATE_REDUNDANT.
func groupStable(e *stmt.Env, g *tabletctl.Group, view *sched.View) bool {
	for _, t := range g.Tables {
		for tab := range e.Catalog.TabletsOfTable(t) {
			seen := view.Tablet(tab.ID)
			if seen == nil || sched.Health(seen, view, e.Control.Clock()).Status != sched.Healthy {
				return false
			}
		}
	}
	return true
}

// distributionTypes prints the types of the columns that a table is distributed by.
func distributionTypes(t *catalog.Table) string {
	var out []string
	for _, id := range t.HashBy {
		if i := t.Schema.ColumnIndex(id); i >= 0 {
			out = append(out, stmt.TypeText(t.Schema.Columns[i].Type, t.Schema.Columns[i].Shown))
		}
	}
	return strings.Join(out, ", ")
}

func colocationRows(e *stmt.Env) []stmt.Row {
	var view *sched.View
	var rows []stmt.Row
	for _, g := range tabletctl.Groups(e.Catalog) {
		stable := any(nil) // nobody knows: the control loop does not run here
		if e.Control != nil {
			if view == nil {
				view = e.Control.View()
			}
			stable = groupStable(e, &g, view)
		}
		ids := make([]string, len(g.Tables))
		for i, t := range g.Tables {
			ids[i] = strconv.FormatUint(uint64(t.ID), 10)
		}
		first := g.Tables[0]
		rows = append(rows, stmt.Row{groupID(&g), fmt.Sprintf("%d_%s", g.DB, g.Name), strings.Join(ids, ", "), first.Buckets, first.Replicas,
			distributionTypes(first), stable})
	}
	return rows
}

// colocationBuckets are the BEs of each bucket of a group: those of the tablet that the others follow.
func colocationBuckets(e *stmt.Env, g *tabletctl.Group) []stmt.Row {
	var rows []stmt.Row
	for bucket, id := range g.Leads {
		var bes []types.BEID
		if tab, ok := e.Catalog.Tablet(id); ok {
			for i := range tab.Replicas {
				bes = append(bes, tab.Replicas[i].BE)
			}
		}
		slices.Sort(bes)
		texts := make([]string, len(bes))
		for i, be := range bes {
			texts[i] = be.String()
		}
		rows = append(rows, stmt.Row{bucket, strings.Join(texts, ", ")})
	}
	return rows
}

// procColocation answers /colocation_group and below.
func procColocation(c procCall) (stmt.Result, error) {
	if len(c.rest) == 0 {
		return c.table(colocationColumns, colocationRows(c.Env))
	}
	part, c := c.next()
	for _, g := range tabletctl.Groups(c.Catalog) {
		if groupID(&g) == part || fmt.Sprintf("%d_%s", g.DB, g.Name) == part {
			return c.table(colocationBucketColumns, colocationBuckets(c.Env, &g))
		}
	}
	return c.fail("Unknown colocate group id or name \"%s\"", part)
}

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: "colocation_groups", Doc: "SHOW PROC '/colocation_group': the groups of colocated tables.",
	Columns: stmt.Concat(stmt.Cols(`
		DbName     name Database.
		TableNames text Its tables by name.
	`), colocationColumns),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		groups, rows := tabletctl.Groups(e.Catalog), colocationRows(e)
		for i := range rows {
			names := make([]string, len(groups[i].Tables))
			for j, t := range groups[i].Tables {
				names[j] = t.Name
			}
			db, _ := e.Catalog.DatabaseByID(groups[i].DB)
			rows[i] = append(stmt.Row{db.Name, strings.Join(names, ", ")}, rows[i]...)
		}
		return rows, nil
	}})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: "colocation_buckets", Doc: "SHOW PROC '/colocation_group/<group>' of all groups: where their buckets lie.",
	Columns: stmt.Concat(stmt.Cols(`
		GroupId text The group.
	`), colocationBucketColumns),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		var rows []stmt.Row
		for _, g := range tabletctl.Groups(e.Catalog) {
			for _, row := range colocationBuckets(e, &g) {
				rows = append(rows, append(stmt.Row{groupID(&g)}, row...))
			}
		}
		return rows, nil
	}})
