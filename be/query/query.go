// Package query runs the operators of a query above its scans for an FE: joins, final aggregates, sorts, windows. The
// scans are calls to the BEs that the request names, each at the version that the FE's snapshot has.
//
// It keeps nothing: a query that it cannot end, because a BE died or it does itself, is the FE's to run again. It never
// looks at the catalog, and reads no row of another version than it was told. The answer of each scan is kept aside until
// it is complete, so that a BE which dies costs a call to another one and never a row twice.
package query

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"stele/meta/rpc"
	"stele/proto/bepb"
	"stele/sql/exec"
	"stele/sql/expr"
	"stele/sql/physical"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// maxAtOnce bounds the queries under way; an FE that is refused runs its query itself.
const maxAtOnce = 64

// Scan calls a BE for a fragment and hands over each encoded batch.
type Scan func(ctx context.Context, address string, req *bepb.ScanRequest, each func([]byte) error) error

// Runner runs queries. It is safe for concurrent use.
type Runner struct {
	scan     Scan
	spillDir func() (string, error)
	mem      *exec.Memory // of all queries together
	log      *slog.Logger
	running  atomic.Int64
	ended    atomic.Uint64
}

// New returns a runner whose queries together hold at most what mem has (nil = each its own limit), beyond which they spill. spillDir makes and names the
// folder for temporary files.
func New(scan Scan, spillDir func() (string, error), mem *exec.Memory, log *slog.Logger) *Runner {
	return &Runner{scan: scan, spillDir: spillDir, mem: mem, log: log}
}

// Running returns how many queries are under way.
func (r *Runner) Running() int { return int(r.running.Load()) }

// Ended returns how many queries were run to the end.
func (r *Runner) Ended() uint64 { return r.ended.Load() }

// Query runs one query and calls send with each encoded batch.
func (r *Runner) Query(ctx context.Context, req *bepb.QueryRequest, send func([]byte) error) error {
	if r.running.Add(1) > maxAtOnce {
		r.running.Add(-1)
		return &rpc.Error{Msg: fmt.Sprintf("%d queries run on this query node already", maxAtOnce), Reason: "busy"}
	}
	defer r.running.Add(-1)
	out, err := r.open(req)
	if err != nil {
		return err
	}
	defer out.Close()
	for {
		b, err := out.Next(ctx)
		if err != nil {
			return err
		}
		if b == nil {
			r.ended.Add(1)
			return nil
		}
		if err := send(vec.Encode(nil, b)); err != nil {
			return err
		}
	}
}

// open makes the operators.
func (r *Runner) open(req *bepb.QueryRequest) (exec.Stream, error) {
	plan, err := physical.DecodePlan(req.Plan)
	if err != nil {
		return nil, err
	}
	loc := time.UTC
	if req.TimeZone != "" {
		if loc, err = sqltypes.LoadLocation(req.TimeZone, time.UTC); err != nil {
			return nil, err
		}
	}
	dir, err := r.spillDir()
	if err != nil {
		return nil, err
	}
	s := &scans{r: r, req: req, dir: dir, tablets: map[uint64]*bepb.QueryRequest_Tablet{}}
	for _, t := range req.Tablets {
		s.tablets[t.TabletId] = t
	}
	return exec.Build(plan, &exec.Env{Scan: s.open,
		System: func(context.Context, *physical.System) (exec.Stream, error) {
			return nil, errors.New("a query node has no system tables")
		},
		Expr: expr.Context{Loc: loc, NowMicros: req.NowUs}, Mem: exec.NewMemoryIn(r.mem, req.MemLimitBytes), SpillDir: dir,
		GroupConcatMaxLen: req.GroupConcatMaxLen})
}
