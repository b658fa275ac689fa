package admin

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"stele/fe/consistency"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/contain"
	"stele/meta/types"
	"stele/sql/syntax"
)

// checksAtOnce is how many tablets ADMIN CHECK TABLE compares at a time: each reads every row of its replicas.
const checksAtOnce = 4

var _ = stmt.Register(stmt.Statement{
	Name:   "admin_check_tablet",
	Syntax: "ADMIN CHECK {TABLET|TABLETS} <ids:ints> <props:props>",
	Doc: "Compare the replicas of tablets in the background, each by reading every row: \"type\" = \"consistency\". A replica that differs from most " +
		"others, or is damaged, is marked bad and repaired first of all. stele.consistency_checks and SHOW TABLET show what came of it.",
	Do:       checkTablets,
	Examples: []string{`ADMIN CHECK TABLET (10003, 10004) PROPERTIES("type" = "consistency")`},
})

func checkTablets(_ context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
	kind, ok := a.Prop("props", "type")
	switch {
	case !ok:
		return stmt.Result{}, stmt.AnalysisError("Missing property 'type'")
	case !strings.EqualFold(kind, "consistency"):
		return stmt.Result{}, stmt.AnalysisError("Invalid type value '%s'", kind)
	}
	for _, p := range a.Props("props") {
		if !strings.EqualFold(p.Key, "type") {
			return stmt.Result{}, stmt.AnalysisError("Unsupported properties '%s'", p.Key)
		}
	}
	var ids []types.TabletID
	for _, id := range a.Ints("ids") {
		if _, known := e.Catalog.Tablet(types.TabletID(max(id, 0))); !known {
			return stmt.Result{}, stmt.Refusal("Tablet %d does not exist", id)
		}
		ids = append(ids, types.TabletID(id))
	}
	if e.Checker == nil {
		return stmt.Result{}, stmt.Refusal("This FE does not compare replicas: connect to the leading one")
	}
	n, err := e.Checker.Submit(ids...)
	if err != nil {
		return stmt.Result{}, stmt.Refusal("Comparisons begun: %d. %s", n, err.Error())
	}
	if n == 0 {
		return stmt.Nothing("these tablets are being compared already"), nil
	}
	return stmt.Result{Info: fmt.Sprintf("Comparisons begun: %d; stele.consistency_checks shows what comes of them", n)}, nil
}

var compareColumns = stmt.Cols(`
	TabletId  int  The tablet.
	ReplicaId int  The replica.
	BackendId int  The BE it is on.
	Version   int  Version that was compared.
	Digest    text Checksum of its rows, the same on replicas with the same rows; NULL when it was not read.
	RowCount  int  Rows; NULL when it was not read.
	Status    text OK, DIVERGED (most replicas hold other rows), UNDECIDED (they differ, none has a majority), UNREADABLE (damaged) or SKIPPED.
	Reason    text Why it is not OK.
	Action    text What was done: marked bad, or nothing.
`)

var _ = stmt.Register(stmt.Statement{
	Name: "admin_check_table", Acts: true,
	Syntax: "ADMIN CHECK TABLE <table:table> [[TEMPORARY] {PARTITION|PARTITIONS} <partitions:names>] CHECKSUM",
	Doc: "Compare the replicas of every tablet of a table and of its unique keys row by row, at one version each, and wait for it. A replica that differs from most others, " +
		"or is damaged, is marked bad and repaired first of all; without a majority nothing is marked and ADMIN SET REPLICA STATUS decides.",
	Columns:  compareColumns,
	Rows:     checkTable,
	Examples: []string{"ADMIN CHECK TABLE db1.t1 CHECKSUM", "ADMIN CHECK TABLE t1 PARTITION (p1) CHECKSUM"},
})

func checkTable(ctx context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
	t, parts, err := e.TableParts(a)
	if err != nil {
		return nil, err
	}
	if e.Checker == nil {
		return nil, stmt.Refusal("This FE does not compare replicas: connect to the leading one")
	}
	results, err := checkAll(ctx, e, e.WithKeys(t, parts), true)
	if err != nil {
		return nil, err
	}
	var rows []stmt.Row
	for i := range results {
		marked, err := e.Checker.Act(ctx, &results[i], e.User)
		if err != nil {
			return nil, err
		}
		rows = append(rows, checkRows(&results[i], marked > 0)...)
	}
	return rows, nil
}

// checkAll compares the tablets of partitions, a few at a time; with verify their rows are read.
func checkAll(ctx context.Context, e *stmt.Env, parts []*catalog.Partition, verify bool) ([]consistency.Result, error) {
	var ids []types.TabletID
	for _, p := range parts {
		ids = append(ids, p.Tablets...)
	}
	results, errs := make([]consistency.Result, len(ids)), make([]error, len(ids))
	var wg sync.WaitGroup
	slots := make(chan struct{}, checksAtOnce)
	for i, id := range ids {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if errs[i] = ctx.Err(); errs[i] == nil {
				errs[i] = contain.Call(func() (err error) { results[i], err = e.Checker.Check(ctx, id, verify); return err })
			}
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("compare the replicas of tablet %d: %w", ids[i], err)
		}
	}
	return results, nil
}

func checkRows(r *consistency.Result, marked bool) []stmt.Row {
	var rows []stmt.Row
	for _, rep := range r.Replicas {
		digest, count, action := any(nil), any(nil), ""
		switch rep.Verdict {
		case consistency.Skipped:
		case consistency.Unreadable, consistency.Diverges:
			if marked {
				action = "marked bad"
			}
		}
		if rep.Verdict != consistency.Skipped && rep.Verdict != consistency.Unreadable {
			digest, count = fmt.Sprintf("%016x", rep.Digest), rep.Rows
		}
		rows = append(rows, stmt.Row{r.Tablet, rep.ID, rep.BE, r.Version, digest, count, rep.Verdict.String(), rep.Why, action})
	}
	return rows
}

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: "consistency_checks",
	Doc: "What comparisons of replicas have found since this FE leads, newest last, one row per replica: those that were asked for, and those that reports gave rise to.",
	Columns: stmt.Concat(stmt.Cols(`
		CheckedAt time When.
	`), compareColumns[:len(compareColumns)-1]),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		if e.Checker == nil {
			return nil, nil
		}
		var rows []stmt.Row
		for _, r := range e.Checker.Results() {
			for _, row := range checkRows(&r, false) {
				rows = append(rows, append(stmt.Row{e.Local(r.At)}, row[:len(row)-1]...))
			}
		}
		return rows, nil
	}})

// lastCheck tells when the replicas of a tablet were compared last, and at which version.
func lastCheck(e *stmt.Env, id types.TabletID) (at string, version int64) {
	if e.Checker == nil {
		return "N/A", -1
	}
	r, ok := e.Checker.Last(id)
	if !ok {
		return "N/A", -1
	}
	return e.Stamp(r.At), int64(r.Version)
}
