// Package operate declares what an operator does with nodes and groups rather than with tables: dnodes, mnodes, qnodes and vgroups, the verbs of
// a nameserver, and the recovery of what was lost. Most are ordered: they put operations (fe/ops) into the catalog, which fe/opctl carries out, and
// show how far those are. What StarRocks has words for is in fe/stmt/admin, which this package calls.
package operate

import (
	"context"
	"fmt"
	"slices"

	"stele/conf"
	"stele/fe/ops"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/sql/errno"
	"stele/sql/syntax"
	sqltypes "stele/sql/types"
)

// opError is a refusal of one of the verbs, with the code that it has in their home.
func opError(code uint16, format string, args ...any) error {
	return sqltypes.Errorf(code, format, args...)
}

// manual refuses what is only for the operator alone: with auto_failover on the cluster would undo it, or has done it.
func manual(e *stmt.Env) error {
	if e.AutoFailover() {
		return opError(errno.OpAutoFailover, "auto_failover is enabled")
	}
	return nil
}

// manually makes a statement one that is only for the operator alone.
func manually(do func(context.Context, *stmt.Env, syntax.Args) (stmt.Result, error)) func(context.Context, *stmt.Env, syntax.Args) (stmt.Result, error) {
	return func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		if err := manual(e); err != nil {
			return stmt.Result{}, err
		}
		return do(ctx, e, a)
	}
}

// opTable finds the table of a verb.
func opTable(e *stmt.Env, a syntax.Args) (*catalog.Table, error) {
	dbName, name := a.Table("table")
	db, err := e.Database(dbName)
	if err != nil {
		return nil, err
	}
	t, ok := e.Catalog.Table(db.ID, name)
	if !ok {
		return nil, opError(errno.OpNoTable, "table does not exist: %s.%s", db.Name, name)
	}
	return t, nil
}

// opEndpoint finds the BE of a verb.
func opEndpoint(e *stmt.Env, a syntax.Args, name string, code uint16) (*catalog.BE, error) {
	hp := a.HostPort(name)
	be, ok := e.Catalog.BEAt(hp.Host, int(hp.Port))
	if !ok {
		return nil, opError(code, "endpoint does not exist: %s:%d", hp.Host, hp.Port)
	}
	return be, nil
}

// healthyBE refuses a BE that does not answer.
func healthyBE(e *stmt.Env, be *catalog.BE, code uint16) error {
	if !e.Alive(be.ID) {
		return opError(code, "tablet is not healthy: %s", stmt.HostList([]*catalog.BE{be}))
	}
	return nil
}

// concurrency reads how many ops of a statement may run at a time.
func concurrency(e *stmt.Env, a syntax.Args) (int, error) {
	n := int64(ops.DefaultConcurrency)
	if e.Conf != nil {
		n = int64(conf.OpConcurrency.Get(e.Conf.Load()))
	}
	if a.Has("concurrency") {
		n = a.Int("concurrency")
	}
	if n < 1 || n > ops.MaxConcurrency {
		return 0, opError(errno.OpBadParameter, "invalid parameter: concurrency %d is not 1 to %d", n, ops.MaxConcurrency)
	}
	return int(n), nil
}

// order is the ops of one statement in the making.
type order struct {
	e       *stmt.Env
	lanes   int
	list    []catalog.Op
	skipped int
	why     string // of the last that was skipped
	twice   uint64 // an op that is at work already on what was to be ordered again
	whole   bool   // it is about a whole BE, so that some of it may be under way
}

func newOrder(e *stmt.Env, lanes int) *order { return &order{e: e, lanes: lanes} }

// add appends an op about a tablet.
func (o *order) add(op catalog.Op, t *catalog.Table, pid int, tab *catalog.Tablet) {
	op.Database, op.Table, op.Tablet, op.Pid = t.DatabaseID, t.ID, tab.ID, pid
	op.Target, op.Owner, op.Lane = t.Name, o.e.User, ops.Lane(pid, o.lanes)
	o.list = append(o.list, op)
}

func (o *order) skip(format string, args ...any) {
	o.skipped++
	o.why = fmt.Sprintf(format, args...)
}

// dropTwice leaves out what an op that has not ended is at work on already.
func (o *order) dropTwice() {
	for was := range o.e.Catalog.Ops() {
		if was.Type == 0 || was.Ended() {
			continue
		}
		o.list = slices.DeleteFunc(o.list, func(op catalog.Op) bool {
			if !ops.SameWork(was, &op) {
				return false
			}
			o.twice = was.ID
			o.skip("op %d is at it already", was.ID)
			return true
		})
	}
}

// send puts the ops into the catalog. text is what success is called; what was skipped is said behind it. A verb about one
// tablet that is ordered twice is refused.
func (o *order) send(ctx context.Context, text string) (stmt.Result, error) {
	var notes []string
	one := len(o.list) == 1
	if o.dropTwice(); one && !o.whole && o.twice != 0 {
		return stmt.Result{}, opError(errno.OpTwice, "op already exists: %d", o.twice)
	}
	switch {
	case o.skipped > 0:
		notes = []string{fmt.Sprintf("skipped %d: %s", o.skipped, o.why)}
	case len(o.list) == 0:
		notes = []string{"nothing to do"}
	}
	if _, err := o.propose(ctx); err != nil {
		return stmt.Result{}, err
	}
	if notes != nil {
		text += "; " + notes[0]
	}
	return stmt.Result{Affected: uint64(len(o.list)), Info: text, Notes: notes}, nil
}

// propose returns the id of the first op, 0 when there is none.
func (o *order) propose(ctx context.Context) (uint64, error) {
	if len(o.list) == 0 {
		return 0, nil
	}
	out, err := o.e.Propose(ctx, &command.AddOps{Ops: o.list, TimeMs: o.e.Now.UnixMilli()})
	if err != nil {
		return 0, opError(errno.OpNotMade, "create op failed: %s", err.Error())
	}
	o.e.Kick()
	ids, ok := out[0].Value.(catalog.AllocResult)
	if !ok {
		return 0, fmt.Errorf("BUG: AddOps answered %T", out[0].Value)
	}
	return ids.First, nil
}
