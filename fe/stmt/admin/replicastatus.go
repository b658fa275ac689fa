package admin

import (
	"context"
	"slices"
	"strings"

	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/sql/syntax"
)

var replicaStatusColumns = stmt.Cols(`
	TabletId          int   The tablet.
	ReplicaId         int   The replica, -1 for one that is missing.
	BackendId         int   The BE it is on, -1 for one that is missing.
	Version           int   Highest version up to which it has everything.
	LastFailedVersion int   Last version that it missed and still lacks, -1 when it lacks none.
	LastSuccessVersion int  Last version that it stored.
	CommittedVersion  int   Version of the tablet.
	SchemaHash        int   Always -1.
	VersionNum        int   Versions that it keeps apart, -1 when its BE has not reported it.
	IsBad             text  Whether its data is damaged.
	State             text  NORMAL, CLONE or DECOMMISSION.
	Status            text  OK, DEAD, VERSION_ERROR or MISSING. SCHEMA_ERROR cannot occur: a replica learns a schema with the first call that needs it.
`)

// Replica statuses, in the order in which they are looked for.
const (
	statusDead    = "DEAD"
	statusVersion = "VERSION_ERROR"
	statusOK      = "OK"
	statusMissing = "MISSING"
)

// statusWords are the statuses that WHERE STATUS takes.
var statusWords = []string{statusOK, statusDead, statusVersion, "SCHEMA_ERROR", statusMissing, "BAD"}

var statusCondition = syntax.MustCompile("STATUS {op: =|!=|'<>'} <status:string>")

var _ = stmt.Register(stmt.Statement{
	Name:   "admin_show_replica_status",
	Syntax: "ADMIN SHOW REPLICA STATUS FROM <table:table> [[TEMPORARY] {PARTITION|PARTITIONS} <partitions:names>] [WHERE <cond:expr>]",
	Doc: "One row per replica of a table, and of its unique keys, with the version it has and whether it can be used, and a row for each that is missing. " +
		"WHERE takes STATUS = 'X' or STATUS != 'X'.",
	Columns:  replicaStatusColumns,
	Rows:     replicaStatusRows,
	Examples: []string{"ADMIN SHOW REPLICA STATUS FROM db1.t1", "ADMIN SHOW REPLICA STATUS FROM t1 PARTITION (p1, p2) WHERE STATUS != 'OK'"},
})

func replicaStatusRows(_ context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
	keep, err := statusFilter(a)
	if err != nil {
		return nil, err
	}
	t, parts, err := e.TableParts(a)
	if err != nil {
		return nil, err
	}
	var rows []stmt.Row
	for _, p := range e.WithKeys(t, parts) {
		for tab := range e.Catalog.TabletsOf(p) {
			rows = append(rows, tabletStatusRows(e, p, tab)...)
		}
	}
	return slices.DeleteFunc(rows, func(r stmt.Row) bool { return !keep(r[len(r)-1].(string)) }), nil
}

// statusFilter reads the condition on the status.
func statusFilter(a syntax.Args) (func(string) bool, error) {
	if !a.Has("cond") {
		return func(string) bool { return true }, nil
	}
	c, err := statusCondition.Match(a.Expr("cond").Text, 0)
	want := ""
	if err == nil {
		want = strings.ToUpper(c.String("status"))
	}
	if !slices.Contains(statusWords, want) {
		return nil, stmt.AnalysisError("Unsupported predicates. Where clause can only be 'status =|!= 'OK'|'DEAD'|'VERSION_ERROR'|'SCHEMA_ERROR'|'MISSING''")
	}
	equal := c.Choice("op") == "="
	return func(status string) bool { return (status == want) == equal }, nil
}

// tabletStatusRows are the replicas of one tablet and those that it lacks.
func tabletStatusRows(e *stmt.Env, p *catalog.Partition, tab *catalog.Tablet) []stmt.Row {
	var rows []stmt.Row
	for i := range tab.Replicas {
		r := &tab.Replicas[i]
		count := -1
		if seen, ok := e.Reported(r.BE, tab.ID); ok {
			count = seen.VersionCount
		}
		rows = append(rows, stmt.Row{tab.ID, r.ID, r.BE, r.Version, stmt.OrMinus(r.LastFailed), stmt.OrMinus(r.LastSuccess), tab.Version, -1, count, r.Bad,
			r.State.String(), replicaStatus(e, tab, r)})
	}
	for range p.Replicas - len(tab.Replicas) {
		rows = append(rows, stmt.Row{tab.ID, -1, -1, -1, -1, -1, tab.Version, -1, -1, false, "NORMAL", statusMissing})
	}
	return rows
}

// replicaStatus judges a replica. A BE that is being emptied is as little counted on as a dead one.
func replicaStatus(e *stmt.Env, tab *catalog.Tablet, r *catalog.Replica) string {
	be, ok := e.Catalog.BE(r.BE)
	switch {
	case !ok || be.Decommission || r.Bad || !e.Alive(r.BE) || e.Lost(r.BE, tab.ID):
		return statusDead
	case r.LastFailed != 0 || r.Version < tab.Version:
		return statusVersion
	}
	return statusOK
}
