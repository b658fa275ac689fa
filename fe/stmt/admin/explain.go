package admin

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"stele/conf"
	"stele/fe/sched"
	"stele/fe/stmt"
	"stele/fe/tabletctl"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/syntax"
)

// noControl is said where the control loop is needed and does not run.
func noControl() error {
	return stmt.Refusal("The tablet scheduler does not run on this FE: ask again when a leader is elected")
}

var _ = stmt.Register(stmt.Statement{
	Name:   "admin_explain_tablet",
	Syntax: "ADMIN EXPLAIN TABLET <id:int>",
	Doc: "Why a tablet is as it is: the rule that decided, what each replica lacks, what its repair waits for and since when, what was " +
		"tried, and what can be done about it.",
	Columns: stmt.Cols(`
		Item       text  What the line is about.
		Info       text  What is the case.
		Suggestion text  What an operator can do, empty when nothing.
	`),
	Rows: func(ctx context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		if e.Control == nil {
			return nil, noControl()
		}
		v, id := e.Control.View(), types.TabletID(a.Int("id"))
		t := v.Tablet(id)
		if t == nil {
			return nil, stmt.AnalysisError("Unknown tablet: %d", id)
		}
		var task *sched.Task
		if found, ok := e.Control.Task(id); ok {
			task = &found
		}
		var rows []stmt.Row
		for _, l := range sched.Explain(v, t, e.Control.Clock(), e.Control.Limits(), task) {
			rows = append(rows, stmt.Row{l.Item, l.Info, l.Advice})
		}
		if tab, ok := e.Catalog.Tablet(id); ok {
			rows = append(rows, explainRedo(e, tab)...)
		}
		return append(append(rows, explainProgress(ctx, e, id)...), explainHint(e, t.Partition)...), nil
	},
	Examples: []string{"ADMIN EXPLAIN TABLET 10031"},
})

// explainRedo says that the log has rows of a tablet until its replicas have them on disk, and which backends let it wait.
func explainRedo(e *stmt.Env, tab *catalog.Tablet) []stmt.Row {
	if tab.Redo == nil {
		return nil
	}
	versions, oldest := 0, tab.Redo.Version
	for r := tab.Redo; r != nil; r = r.Prev {
		versions, oldest = versions+1, r.Version
	}
	info := fmt.Sprintf("the log has the rows of %d versions, from %d on, until the replicas have them on disk", versions, oldest)
	var dead []string
	for i := range tab.Replicas {
		if r := &tab.Replicas[i]; r.Complete() && !e.Alive(r.BE) {
			dead = append(dead, r.BE.String())
		}
	}
	if len(dead) == 0 {
		return []stmt.Row{{"Redo", info, ""}}
	}
	return []stmt.Row{{"Redo", info, "backends that do not answer: " + strings.Join(dead, ", ") + "; started again, they get what they lack from the log"}}
}

// explainProgress says how far the clone of a tablet is, and what holds it back.
func explainProgress(ctx context.Context, e *stmt.Env, id types.TabletID) []stmt.Row {
	running := e.Control.Running()
	i := slices.IndexFunc(running, func(t tabletctl.RunningTask) bool { return t.Tablet == id })
	if i < 0 {
		return nil
	}
	t := &running[i]
	kind := "incremental"
	if t.CloneFull {
		kind = "full"
	}
	switch {
	case t.Waiting:
		return []stmt.Row{{"Progress", "the backend that copies waits for a slot of its own or of the source", "ADMIN SET FRONTEND CONFIG (\"tablet_sched_slot_num_per_path\" = \"…\")"}}
	case t.BytesTotal == 0:
		return []stmt.Row{{"Progress", kind + " clone, nothing has been copied yet", ""}}
	}
	left := "unknown"
	if ms := t.LeftMs(); ms >= 0 {
		left = fmt.Sprintf("%d s", (ms+999)/1000)
	}
	info := fmt.Sprintf("%s clone, %d of %d bytes, %s/s, time left %s", kind, t.BytesDone, t.BytesTotal, stmt.Capacity(t.BytesPerSecond()), left)
	if t.Reason != "" {
		info += ": " + t.Reason
	}
	rows := []stmt.Row{{"Progress", info, ""}}
	if limit := cloneLimit(ctx, e, t.DestBE); limit != "" {
		rows = append(rows, stmt.Row{"Throttled", "to " + limit + " MB/s a disk by clone_bandwidth_limit_mb_per_disk, which all clones of the disk share",
			"ADMIN SET BACKEND CONFIG (\"clone_bandwidth_limit_mb_per_disk\" = \"…\")"})
	}
	return rows
}

// cloneLimit is the MB a second that a BE may spend on clones of one disk, as it says itself; "" when it does not answer.
func cloneLimit(ctx context.Context, e *stmt.Env, id types.BEID) string {
	be, ok := e.Catalog.BE(id)
	if !ok {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return askConfig(ctx, e, be)[conf.CloneBandwidth.Key]
}

// explainHint says who wants the partition of a tablet first.
func explainHint(e *stmt.Env, id types.PartitionID) []stmt.Row {
	h, ok := e.Catalog.Hint(id)
	if !ok || h.ExpiresMs <= e.Now.UnixMilli() {
		return nil
	}
	return []stmt.Row{{"Hint", fmt.Sprintf("repaired first by the word of %s of %s, until %s", h.Owner, e.StampMs(h.AddedMs), e.StampMs(h.ExpiresMs)),
		"ADMIN CANCEL REPAIR TABLE takes it back"}}
}

var hazardColumns = stmt.Cols(`
	TabletId   int   The tablet.
	DbName     text  Its database.
	TableName  text  Its table.
	Danger     text  LAST_COPY or QUORUM.
	CopiesLeft int   Complete replicas on live BEs that would be left.
	Needed     int   Of them for a write.
`)

// hazardRows are the tablets that would suffer if a BE stopped now.
func hazardRows(e *stmt.Env, view *sched.View, be types.BEID) []stmt.Row {
	need := func(t *sched.Tablet, followers int) int {
		if tab, ok := e.Catalog.Tablet(t.ID); ok {
			if table, ok := e.Catalog.TableByID(tab.Table); ok {
				return table.CommitNeed(tab)
			}
		}
		return types.QuorumMajority.Need(followers)
	}
	var rows []stmt.Row
	for _, h := range sched.SafeToStop(view, be, need) {
		danger := "QUORUM"
		if h.Last {
			danger = "LAST_COPY"
		}
		db, table := tabletNames(e, h.Tablet)
		rows = append(rows, stmt.Row{h.Tablet, db, table, danger, h.Copies, h.Need})
	}
	return rows
}

var _ = stmt.Register(stmt.Statement{
	Name:   "admin_show_safe_to_stop_backend",
	Syntax: "ADMIN SHOW SAFE TO STOP BACKEND <host:string>",
	Doc: "Whether a BE may be stopped now: one row per tablet that could then no longer be written (QUORUM) or not even be read (LAST_COPY). " +
		"No rows: it is safe.",
	Columns: hazardColumns,
	Rows: func(_ context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		if e.Control == nil {
			return nil, noControl()
		}
		hp, err := stmt.ParseAddress(a.String("host"))
		if err != nil {
			return nil, err
		}
		be, ok := e.Catalog.BEAt(hp.Host, int(hp.Port))
		if !ok {
			return nil, stmt.Refusal("Backend does not exist[%s]", net.JoinHostPort(hp.Host, strconv.Itoa(int(hp.Port))))
		}
		return hazardRows(e, e.Control.View(), be.ID), nil
	},
	Examples: []string{`ADMIN SHOW SAFE TO STOP BACKEND "10.0.0.1:9060"`},
})

// tabletNames are the names of a tablet's database and of the table that users know, nil when it is gone.
func tabletNames(e *stmt.Env, id types.TabletID) (db, table any) {
	if tab, ok := e.Catalog.Tablet(id); ok {
		if p, ok := stmt.PlaceOf(e.Catalog, tab); ok {
			return p.DB.Name, e.Owner(p.Table).Name
		}
	}
	return nil, nil
}

var plannedColumns = stmt.Cols(`
	Step      int   In this order.
	Action    text  add (a replica), clone (to one that is there), drop or leaders.
	TabletId  int   The tablet.
	DbName    text  Its database.
	TableName text  Its table.
	FromBe    int   BE that is copied from, or that loses a replica or a leader.
	ToBe      int   BE that gets it, NULL for a drop.
	ToDisk    int   Disk there, NULL when the BE chooses.
	Bytes     int   Bytes to copy.
	Reason    text  Why, or why nothing can be done (Action is stuck).
`)

// plannedRows prints an outlook; keep says which steps are shown.
func plannedRows(e *stmt.Env, o sched.Outlook, keep func(sched.Planned) bool, tablets func(types.TabletID) bool) []stmt.Row {
	var rows []stmt.Row
	orNull := func(n uint64) any {
		if n == 0 {
			return nil
		}
		return n
	}
	for _, s := range o.Steps {
		if !keep(s) || !tablets(s.Tablet) {
			continue
		}
		db, table := tabletNames(e, s.Tablet)
		rows = append(rows, stmt.Row{len(rows) + 1, s.Action.String(), s.Tablet, db, table, s.From, orNull(uint64(s.To)), orNull(uint64(s.ToDisk)), s.Bytes, s.Why})
	}
	for _, t := range o.Stuck {
		if tablets(t.Tablet) {
			db, table := tabletNames(e, t.Tablet)
			rows = append(rows, stmt.Row{len(rows) + 1, "stuck", t.Tablet, db, table, nil, nil, nil, nil, t.Err})
		}
	}
	if o.Cut {
		rows = append(rows, stmt.Row{len(rows) + 1, "cut", nil, nil, nil, nil, nil, nil, nil, "there is more to do than a dry run goes through"})
	}
	return rows
}

func everyStep(sched.Planned) bool    { return true }
func everyTablet(types.TabletID) bool { return true }

var _ = stmt.Register(stmt.Statement{
	Name:   "alter_system_decommission_backend_dry_run",
	Syntax: "ALTER SYSTEM DECOMMISSION BACKEND {<hosts:hostports>|<texts:strings>} DRY RUN",
	Doc: "What ALTER SYSTEM DECOMMISSION BACKEND would copy and drop, worked out by the scheduler on a copy of the cluster. Nothing is changed. " +
		"What stands in its way is an error, as without DRY RUN.",
	Columns: plannedColumns,
	Rows: func(_ context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		if e.Control == nil {
			return nil, noControl()
		}
		bes, err := stmt.BackendsAt(e, a, "Backend does not exist")
		if err != nil {
			return nil, err
		}
		bes = slices.DeleteFunc(bes, func(be *catalog.BE) bool { return be.Decommission })
		if err := CheckRoom(e, bes); err != nil {
			return nil, err
		}
		l := e.Control.Limits()
		l.DisableBalance = true
		o := sched.DryRun(e.Control.View(), l, e.Control.Clock().NowMs, func(copies []sched.BE) {
			for i := range copies {
				if slices.ContainsFunc(bes, func(be *catalog.BE) bool { return be.ID == copies[i].ID }) {
					copies[i].Decommissioned = true
				}
			}
		})
		return plannedRows(e, o, everyStep, everyTablet), nil
	},
	Examples: []string{`ALTER SYSTEM DECOMMISSION BACKEND "10.0.0.1:9060" DRY RUN`},
})

var _ = stmt.Register(stmt.Statement{
	Name:    "admin_repair_table_dry_run",
	Syntax:  "ADMIN REPAIR TABLE <table:table> [{PARTITION|PARTITIONS} <partitions:names>] DRY RUN",
	Doc:     "What the repair of these partitions would do, and what stands in its way. Nothing is changed.",
	Columns: plannedColumns,
	Rows: func(_ context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		if e.Control == nil {
			return nil, noControl()
		}
		t, parts, err := e.TableParts(a)
		if err != nil {
			return nil, err
		}
		wanted := map[types.TabletID]bool{}
		for _, p := range e.WithKeys(t, parts) {
			for _, id := range p.Tablets {
				wanted[id] = true
			}
		}
		l := e.Control.Limits()
		l.DisableBalance = true
		o := sched.DryRun(e.Control.View(), l, e.Control.Clock().NowMs, nil)
		return plannedRows(e, o, everyStep, func(id types.TabletID) bool { return wanted[id] }), nil
	},
	Examples: []string{"ADMIN REPAIR TABLE db1.t1 DRY RUN", "ADMIN REPAIR TABLE t1 PARTITION (p1) DRY RUN"},
})

var _ = stmt.Register(stmt.Statement{
	Name:    "admin_balance_dry_run",
	Syntax:  "ADMIN BALANCE DRY RUN",
	Doc:     "What the balancer would move between BEs and disks until the cluster is even. Nothing is changed.",
	Columns: plannedColumns,
	Rows: func(_ context.Context, e *stmt.Env, _ syntax.Args) ([]stmt.Row, error) {
		if e.Control == nil {
			return nil, noControl()
		}
		l := e.Control.Limits()
		l.DisableBalance = false
		o := sched.DryRun(e.Control.View(), l, e.Control.Clock().NowMs, nil)
		o.Stuck = nil
		return plannedRows(e, o, func(s sched.Planned) bool { return s.Balance }, everyTablet), nil
	},
	Examples: []string{"ADMIN BALANCE DRY RUN"},
})
