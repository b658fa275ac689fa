package session

import (
	"context"
	"fmt"
	"time"

	"stele/fe/stmt"
	"stele/meta/types"
	"stele/sql/exec"
	"stele/sql/explain"
	"stele/sql/parse"
	"stele/sql/physical"
	"stele/sql/plan"
	"stele/sql/vec"
)

// explainAnalyze runs a query to its end and answers the plan with what each operator has done: rows that came out of it,
// and the time until they had, that of its inputs included.
func (s *Session) explainAnalyze(ctx context.Context, n *parse.ExplainStmt, params []plan.Param, out *output) error {
	switch n.Stmt.(type) {
	case *parse.SelectStmt, *parse.SetOprStmt:
	default:
		return unsupported("EXPLAIN ANALYZE of anything but a query")
	}
	s.implicit()
	cat, err := s.read(ctx)
	if err != nil {
		return err
	}
	if err := s.mayExplain(cat, n.Stmt); err != nil {
		return err
	}
	if err := s.refresh(ctx); err != nil {
		return err
	}
	now := time.Now()
	pctx := s.planContext(cat, now, params)
	pctx.Sleep = func(seconds float64) error { return sleep(ctx, seconds) }
	p, err := plan.Select(pctx, n.Stmt)
	if err != nil {
		return err
	}
	seen := map[*physical.Node]*observed{}
	env := s.execEnv(cat, now)
	env.Observe = func(n *physical.Node, in exec.Stream) exec.Stream {
		if seen[n] == nil {
			seen[n] = &observed{}
		}
		seen[n].runs++
		return &observer{Stream: in, of: seen[n]}
	}
	if err := drain(ctx, p, env); err != nil {
		return err
	}
	var rows []stmt.Row
	for _, l := range explain.Noted(p, pctx.TableName, func(n *physical.Node) string { return seen[n].text() }) {
		rows = append(rows, stmt.Row{l})
	}
	cols := []stmt.Column{{Name: "EXPLAIN", Type: types.ColumnType{Kind: types.KindVarChar, Length: 65535}}}
	return s.table(ctx, stmt.Result{Columns: cols, Rows: rows}, out)
}

// drain runs a plan for what it does.
func drain(ctx context.Context, p *physical.Node, env *exec.Env) error {
	rows, err := exec.Build(p, env)
	if err != nil {
		return err
	}
	defer rows.Close()
	for {
		if b, err := rows.Next(ctx); err != nil || b == nil {
			return err
		}
	}
}

// observed is what an operator has done so far.
type observed struct {
	rows int64
	time time.Duration
	runs int
}

func (o *observed) text() string {
	if o == nil {
		return " (never run)"
	}
	t := fmt.Sprintf(" (rows=%d time=%.3fms", o.rows, float64(o.time.Microseconds())/1000)
	if o.runs > 1 {
		t += fmt.Sprintf(" runs=%d", o.runs)
	}
	return t + ")"
}

// observer counts what passes. Operators pull their inputs from one goroutine at a time.
type observer struct {
	exec.Stream
	of *observed
}

// Next returns the next batch.
func (o *observer) Next(ctx context.Context) (*vec.Batch, error) {
	start := time.Now()
	b, err := o.Stream.Next(ctx)
	o.of.time += time.Since(start)
	if b != nil {
		o.of.rows += int64(b.Rows())
	}
	return b, err
}
