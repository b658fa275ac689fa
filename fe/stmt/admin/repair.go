package admin

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/sql/syntax"
)

// hintLife is how long a repair hint holds.
const hintLife = 4 * time.Hour

var _ = stmt.Register(stmt.Statement{
	Name:   "admin_repair_table",
	Syntax: "ADMIN REPAIR TABLE <table:table> [[TEMPORARY] {PARTITION|PARTITIONS} <partitions:names>]",
	Doc: "Repair these partitions, those of unique keys with them, before all others, for the next 4 hours. The hint survives a restart and a change of the leading FE; " +
		"stele.repair_hints and SHOW PROC '/cluster_balance/priority_repair' list it. Undo: ADMIN CANCEL REPAIR TABLE.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		t, parts, err := e.TableParts(a)
		if err != nil {
			return stmt.Result{}, err
		}
		all := e.WithKeys(t, parts)
		if _, err := e.Propose(ctx, &command.SetRepairHint{Hints: repairHints(e, all)}); err != nil {
			return stmt.Result{}, err
		}
		var tablets []types.TabletID
		for _, p := range all {
			tablets = append(tablets, p.Tablets...)
		}
		e.Kick(tablets...)
		info := fmt.Sprintf("Partitions that are repaired first until %s: %d", e.Stamp(e.Now.Add(hintLife)), len(parts))
		if !unhealthyAmong(e, all) {
			info = stmt.Nothing("no tablet of these partitions needs repair now, so the hint ends with the next look at them").Info
		}
		return stmt.Result{Info: info}, nil
	},
	Examples: []string{"ADMIN REPAIR TABLE db1.t1", "ADMIN REPAIR TABLE t1 PARTITION (p1, p2)"},
})

// unhealthyAmong reports whether a tablet of partitions needs repair.
func unhealthyAmong(e *stmt.Env, parts []*catalog.Partition) bool {
	unhealthy := JudgeOf(e)
	for _, p := range parts {
		for tab := range e.Catalog.TabletsOf(p) {
			if unhealthy(tab, p.Replicas) || damaged(tab) {
				return true
			}
		}
	}
	return false
}

// repairHints makes the hints of some partitions.
func repairHints(e *stmt.Env, parts []*catalog.Partition) []catalog.RepairHint {
	hints := make([]catalog.RepairHint, len(parts))
	for i, p := range parts {
		hints[i] = catalog.RepairHint{Partition: p.ID, Owner: e.User, AddedMs: e.Now.UnixMilli(), ExpiresMs: e.Now.Add(hintLife).UnixMilli()}
	}
	return hints
}

var _ = stmt.Register(stmt.Statement{
	Name:   "admin_cancel_repair_table",
	Syntax: "ADMIN CANCEL REPAIR TABLE <table:table> [[TEMPORARY] {PARTITION|PARTITIONS} <partitions:names>]",
	Doc:    "Take back ADMIN REPAIR TABLE. Repairs that wait already keep their place.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		t, parts, err := e.TableParts(a)
		if err != nil {
			return stmt.Result{}, err
		}
		out, err := e.Propose(ctx, cancelHints(e, t, parts)...)
		if err != nil {
			return stmt.Result{}, err
		}
		n := 0
		for i := range out {
			if c, ok := out[i].Value.(catalog.CountResult); ok {
				n += c.N
			}
		}
		if n == 0 {
			return stmt.Nothing("there is no hint for these partitions"), nil
		}
		return stmt.Result{Affected: uint64(n), Info: fmt.Sprintf("Hints cancelled: %d", n)}, nil
	},
	Examples: []string{"ADMIN CANCEL REPAIR TABLE db1.t1", "ADMIN CANCEL REPAIR TABLE t1 PARTITION (p1)"},
})

// cancelHints takes back the hints of partitions of a table and of its unique keys.
func cancelHints(e *stmt.Env, t *catalog.Table, parts []*catalog.Partition) []command.Command {
	of := map[types.TableID][]types.PartitionID{}
	for _, p := range e.WithKeys(t, parts) {
		if table, _, ok := e.Catalog.TableOfPartition(p.ID); ok {
			of[table.ID] = append(of[table.ID], p.ID)
		}
	}
	var cmds []command.Command
	for _, id := range slices.Sorted(maps.Keys(of)) {
		cmds = append(cmds, &command.CancelRepairHint{Table: id, Partitions: of[id]})
	}
	return cmds
}

var _ = stmt.Register(stmt.Statement{
	Name:   "admin_set_replica_status",
	Syntax: "ADMIN SET REPLICA STATUS <props:props>",
	Doc: "Declare a replica damaged (\"status\" = \"bad\": it is not read any more and a new one is made first of all; with auto_failover off it waits " +
		"for recovertable or ADMIN REPAIR TABLE) or sound again (\"ok\"). tablet_id and backend_id say which one.",
	Do:       setReplicaStatus,
	Examples: []string{`ADMIN SET REPLICA STATUS PROPERTIES("tablet_id" = "10003", "backend_id" = "10001", "status" = "bad")`},
})

// replicaProps are the properties of ADMIN SET REPLICA STATUS.
type replicaProps struct {
	tablet types.TabletID
	be     types.BEID
	bad    bool
}

func readReplicaProps(a syntax.Args) (replicaProps, error) {
	var p replicaProps
	seen := map[string]bool{}
	for _, prop := range a.Props("props") {
		key := strings.ToLower(prop.Key)
		seen[key] = true
		n, err := strconv.ParseUint(strings.TrimSpace(prop.Value), 10, 63)
		switch key {
		case "tablet_id":
			if err != nil {
				return p, stmt.AnalysisError("Invalid table id format '%s'", prop.Value)
			}
			p.tablet = types.TabletID(n)
		case "backend_id":
			if err != nil {
				return p, stmt.AnalysisError("Invalid backend id format '%s'", prop.Value)
			}
			p.be = types.BEID(n)
		case "status":
			status := strings.ToUpper(prop.Value)
			if status != "BAD" && status != statusOK {
				return p, stmt.AnalysisError("Invalid replica status value '%s'", prop.Value)
			}
			p.bad = status == "BAD"
		default:
			return p, stmt.AnalysisError("Unsupported properties '%s'", prop.Key)
		}
	}
	if len(seen) < 3 {
		return p, stmt.AnalysisError("Missing necessary properties 'TABLET_ID, BACKEND_ID and STATUS'")
	}
	return p, nil
}

func setReplicaStatus(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
	p, err := readReplicaProps(a)
	if err != nil {
		return stmt.Result{}, err
	}
	tab, ok := e.Catalog.Tablet(p.tablet)
	if !ok {
		return stmt.Result{}, stmt.Refusal("Tablet %d does not exist", p.tablet)
	}
	if tab.Replica(p.be) == nil {
		return stmt.Result{}, stmt.Refusal("Tablet %d has no replica on backend %d", p.tablet, p.be)
	}
	if tab.Replica(p.be).Bad == p.bad {
		return stmt.Nothing("the replica has that status already"), nil
	}
	cmds := []command.Command{&command.SetReplicaBad{Tablet: p.tablet, BE: p.be, Bad: p.bad}}
	auto := e.AutoFailover()
	if where, ok := stmt.PlaceOf(e.Catalog, tab); ok && p.bad && auto {
		cmds = append(cmds, &command.SetRepairHint{Hints: repairHints(e, []*catalog.Partition{where.Part})})
	}
	if _, err := e.Propose(ctx, cmds...); err != nil {
		return stmt.Result{}, err
	}
	e.Kick(p.tablet)
	if p.bad && !auto {
		return stmt.Result{Affected: 1, Info: "auto_failover is off: the replica waits for recovertable, or for ADMIN REPAIR TABLE"}, nil
	}
	return stmt.Result{Affected: 1}, nil
}
