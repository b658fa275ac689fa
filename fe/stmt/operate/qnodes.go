package operate

import (
	"context"
	"strconv"

	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/sql/syntax"
)

var _ = stmt.Register(stmt.Statement{
	Name: "show_qnodes", Table: "qnodes", Like: "endpoint",
	Syntax: "SHOW QNODES [LIKE <like:string>] [WHERE <where:expr>] [ORDER BY <order:expr>] [LIMIT <limit:expr>]",
	Doc: "One row per BE with the query role: it runs joins, final aggregates, sorts and windows for the FEs, which only pass the rows on. " +
		"LIKE looks at the endpoint.",
	Columns: stmt.Cols(`
		id          int  Id of the BE.
		endpoint    text host:port of the BE.
		create_time text When it got the role.
		status      name ready or offline.
		queries     int  Queries that it runs now.
		ended       int  Queries that it has run to the end since its process started.
	`),
	Rows: func(_ context.Context, e *stmt.Env, _ syntax.Args) ([]stmt.Row, error) {
		var rows []stmt.Row
		for be := range e.Catalog.BEs() {
			if be.QueryMs == 0 {
				continue
			}
			m := e.Member(be.ID)
			rows = append(rows, stmt.Row{be.ID, endpoint(e, be.ID), e.StampMs(be.QueryMs), readyOr(m.Alive, "offline"), m.Queries, m.QueriesEnded})
		}
		return rows, nil
	},
	Examples: []string{"SHOW QNODES"},
})

func readyOr(ok bool, otherwise string) string {
	if ok {
		return "ready"
	}
	return otherwise
}

var _ = stmt.Register(stmt.Statement{
	Name:   "create_qnode",
	Syntax: "CREATE QNODE ON DNODE <id:int>",
	Doc: "Give a BE (its id of SHOW BACKENDS) the query role: FEs send it the upper parts of queries from then on. It may hold replicas, too; " +
		"ALTER SYSTEM DRAIN and a decommission leave the role alone. A query node that dies costs its queries a retry. Undo: DROP QNODE.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		be, err := dnode(e, a)
		if err != nil {
			return stmt.Result{}, err
		}
		switch {
		case be.QueryMs != 0:
			return stmt.Result{}, stmt.Refusal("dnode %d has a qnode already", be.ID)
		case !e.Alive(be.ID):
			return stmt.Result{}, stmt.Refusal("dnode %d (%s) is offline", be.ID, endpoint(e, be.ID))
		}
		return setQueryRole(ctx, e, be, true)
	},
	Examples: []string{"CREATE QNODE ON DNODE 10002"},
})

var _ = stmt.Register(stmt.Statement{
	Name:   "drop_qnode",
	Syntax: "DROP QNODE ON DNODE <id:int>",
	Doc:    "Take the query role from a BE. Queries that it runs go on; FEs send no more. Without any query node the FEs run everything themselves.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		be, err := dnode(e, a)
		if err != nil {
			return stmt.Result{}, err
		}
		if be.QueryMs == 0 {
			return stmt.Result{}, stmt.Refusal("dnode %d has no qnode", be.ID)
		}
		return setQueryRole(ctx, e, be, false)
	},
	Examples: []string{"DROP QNODE ON DNODE 10002"},
})

func setQueryRole(ctx context.Context, e *stmt.Env, be *catalog.BE, on bool) (stmt.Result, error) {
	if _, err := e.Propose(ctx, &command.SetQueryRole{BE: be.ID, On: on, TimeMs: e.Now.UnixMilli()}); err != nil {
		return stmt.Result{}, err
	}
	kind := "drop_qnode"
	if on {
		kind = "create_qnode"
	}
	return stmt.Result{Affected: 1}, stmt.Note(ctx, e, kind, strconv.FormatUint(uint64(be.ID), 10))
}

// dnode finds the BE that a statement names by id.
func dnode(e *stmt.Env, a syntax.Args) (*catalog.BE, error) {
	be, ok := e.Catalog.BE(types.BEID(max(a.Int("id"), 0)))
	if !ok {
		return nil, stmt.Refusal("dnode %d does not exist: SHOW DNODES lists them", a.Int("id"))
	}
	return be, nil
}
