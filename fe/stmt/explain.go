package stmt

import (
	"context"
	"net"
	"slices"
	"strconv"

	"stele/fe/sched"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/syntax"
)

// noControl is said where the control loop is needed and does not run.
func noControl() error {
	return refusal("The tablet scheduler does not run on this FE: ask again when a leader is elected")
}

var _ = register(Statement{
	Name:   "admin_explain_tablet",
	Syntax: "ADMIN EXPLAIN TABLET <id:int>",
	Doc: "Why a tablet is as it is: the rule that decided, what each replica lacks, what its repair waits for and since when, what was " +
		"tried, and what can be done about it.",
	Columns: cols(`
		Item       text  What the line is about.
		Info       text  What is the case.
		Suggestion text  What an operator can do, empty when nothing.
	`),
	Rows: func(_ context.Context, e *Env, a syntax.Args) ([]Row, error) {
		if e.Control == nil {
			return nil, noControl()
		}
		v, id := e.Control.View(), types.TabletID(a.Int("id"))
		t := v.Tablet(id)
		if t == nil {
			return nil, analysis("Unknown tablet: %d", id)
		}
		var task *sched.Task
		if found, ok := e.Control.Task(id); ok {
			task = &found
		}
		var rows []Row
		for _, l := range sched.Explain(v, t, e.Control.Clock(), e.Control.Limits(), task) {
			rows = append(rows, Row{l.Item, l.Info, l.Advice})
		}
		return rows, nil
	},
	Examples: []string{"ADMIN EXPLAIN TABLET 10031"},
})

var hazardColumns = cols(`
	TabletId   int   The tablet.
	DbName     text  Its database.
	TableName  text  Its table.
	Danger     text  LAST_COPY or QUORUM.
	CopiesLeft int   Complete replicas on live BEs that would be left.
	Needed     int   Of them for a write.
`)

// hazardRows are the tablets that would suffer if a BE stopped now.
func hazardRows(e *Env, view *sched.View, be types.BEID) []Row {
	need := func(t *sched.Tablet, followers int) int {
		if table, ok := e.Catalog.TableByID(t.Table); ok {
			return table.Quorum.Need(followers)
		}
		return types.QuorumMajority.Need(followers)
	}
	var rows []Row
	for _, h := range sched.SafeToStop(view, be, need) {
		danger := "QUORUM"
		if h.Last {
			danger = "LAST_COPY"
		}
		db, table := e.tabletNames(h.Tablet)
		rows = append(rows, Row{h.Tablet, db, table, danger, h.Copies, h.Need})
	}
	return rows
}

var _ = register(Statement{
	Name:   "admin_show_safe_to_stop_backend",
	Syntax: "ADMIN SHOW SAFE TO STOP BACKEND <host:string>",
	Doc: "Whether a BE may be stopped now: one row per tablet that could then no longer be written (QUORUM) or not even be read (LAST_COPY). " +
		"No rows: it is safe.",
	Columns: hazardColumns,
	Rows: func(_ context.Context, e *Env, a syntax.Args) ([]Row, error) {
		if e.Control == nil {
			return nil, noControl()
		}
		hp, err := parseAddress(a.String("host"))
		if err != nil {
			return nil, err
		}
		be, ok := e.Catalog.BEAt(hp.Host, int(hp.Port))
		if !ok {
			return nil, refusal("Backend does not exist[%s]", net.JoinHostPort(hp.Host, strconv.Itoa(int(hp.Port))))
		}
		return hazardRows(e, e.Control.View(), be.ID), nil
	},
	Examples: []string{`ADMIN SHOW SAFE TO STOP BACKEND "10.0.0.1:9050"`},
})

// tabletNames are the names of a tablet's database and table, nil when it is gone.
func (e *Env) tabletNames(id types.TabletID) (db, table any) {
	if tab, ok := e.Catalog.Tablet(id); ok {
		if p, ok := placeOf(e.Catalog, tab); ok {
			return p.db.Name, p.table.Name
		}
	}
	return nil, nil
}

var plannedColumns = cols(`
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
func plannedRows(e *Env, o sched.Outlook, keep func(sched.Planned) bool, tablets func(types.TabletID) bool) []Row {
	var rows []Row
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
		db, table := e.tabletNames(s.Tablet)
		rows = append(rows, Row{len(rows) + 1, s.Action.String(), s.Tablet, db, table, s.From, orNull(uint64(s.To)), orNull(uint64(s.ToDisk)), s.Bytes, s.Why})
	}
	for _, t := range o.Stuck {
		if tablets(t.Tablet) {
			db, table := e.tabletNames(t.Tablet)
			rows = append(rows, Row{len(rows) + 1, "stuck", t.Tablet, db, table, nil, nil, nil, nil, t.Err})
		}
	}
	if o.Cut {
		rows = append(rows, Row{len(rows) + 1, "cut", nil, nil, nil, nil, nil, nil, nil, "there is more to do than a dry run goes through"})
	}
	return rows
}

func everyStep(sched.Planned) bool    { return true }
func everyTablet(types.TabletID) bool { return true }

var _ = register(Statement{
	Name:   "alter_system_decommission_backend_dry_run",
	Syntax: "ALTER SYSTEM DECOMMISSION BACKEND {<hosts:hostports>|<texts:strings>} DRY RUN",
	Doc: "What ALTER SYSTEM DECOMMISSION BACKEND would copy and drop, worked out by the scheduler on a copy of the cluster. Nothing is changed. " +
		"What stands in its way is an error, as without DRY RUN.",
	Columns: plannedColumns,
	Rows: func(_ context.Context, e *Env, a syntax.Args) ([]Row, error) {
		if e.Control == nil {
			return nil, noControl()
		}
		bes, err := backendsAt(e, a, "Backend does not exist")
		if err != nil {
			return nil, err
		}
		bes = slices.DeleteFunc(bes, func(be *catalog.BE) bool { return be.Decommission })
		if err := checkRoom(e, bes); err != nil {
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
	Examples: []string{`ALTER SYSTEM DECOMMISSION BACKEND "10.0.0.1:9050" DRY RUN`},
})

var _ = register(Statement{
	Name:    "admin_repair_table_dry_run",
	Syntax:  "ADMIN REPAIR TABLE <table:table> [{PARTITION|PARTITIONS} <partitions:names>] DRY RUN",
	Doc:     "What the repair of these partitions would do, and what stands in its way. Nothing is changed.",
	Columns: plannedColumns,
	Rows: func(_ context.Context, e *Env, a syntax.Args) ([]Row, error) {
		if e.Control == nil {
			return nil, noControl()
		}
		_, t, err := e.tableArg(a, "table")
		if err != nil {
			return nil, err
		}
		parts, err := partitionsArg(t, a, "partitions")
		if err != nil {
			return nil, err
		}
		wanted := map[types.TabletID]bool{}
		for _, p := range parts {
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

var _ = register(Statement{
	Name:    "admin_balance_dry_run",
	Syntax:  "ADMIN BALANCE DRY RUN",
	Doc:     "What the balancer would move between BEs and disks until the cluster is even. Nothing is changed.",
	Columns: plannedColumns,
	Rows: func(_ context.Context, e *Env, _ syntax.Args) ([]Row, error) {
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

var _ = registerTable(Table{Database: steleDB, Name: "repair_progress",
	Doc: "What is left to do for each BE that is lost or being decommissioned, and how long it takes at the rate of late. stele.operations keeps what was done.",
	Columns: cols(`
		be_id           int   The BE.
		cause           name  LOST or DECOMMISSION.
		tablets_left    int   Tablets that still have a replica there.
		bytes_left      int   Bytes of them.
		bytes_per_second int  Of all repair of late.
		eta_ms          int   Milliseconds left at that rate, NULL when nothing was copied of late.
	`),
	Rows: func(_ context.Context, e *Env) ([]Row, error) {
		if e.Control == nil {
			return nil, nil
		}
		var copying int64
		running := e.Control.Running()
		for i := range running {
			if running[i].Kind == sched.Repair {
				copying += running[i].BytesPerSecond()
			}
		}
		clock := e.Control.Clock()
		rate := sched.RepairRate(e.Control.History(), clock.NowMs, copying)
		var rows []Row
		for _, l := range sched.LeftToDo(e.Control.View(), clock, rate) {
			var eta any
			if l.EtaMs >= 0 {
				eta = l.EtaMs
			}
			rows = append(rows, Row{l.BE, l.Cause.String(), l.Tablets, l.Bytes, rate, eta})
		}
		return rows, nil
	}})
