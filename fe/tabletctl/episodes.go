package tabletctl

import (
	"fmt"

	"stele/fe/sched"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
)

// Kinds of the operations that the control loop itself enters in the operation log: the emptying of a BE that was lost or
// decommissioned, from its beginning to its end. They outlive the leader that began them.
const (
	opRepairBackend = "repair_lost_backend"
	opEmptyBackend  = "empty_decommissioned_backend"
)

func opKind(c sched.Cause) string {
	if c == sched.CauseDecommission {
		return opEmptyBackend
	}
	return opRepairBackend
}

// episodes compares what is left to do with the operations that run: one begins with the first tablet and ends with the
// last, and its progress is written down when it has grown by a tenth, so that the log stays short.
func episodes(cat *catalog.Catalog, v *sched.View, clock sched.Clock) []command.Command {
	left := map[string]sched.Left{}
	order := sched.LeftToDo(v, clock, 0)
	for _, l := range order {
		left[opKind(l.Cause)+target(l.BE)] = l
	}
	var cmds []command.Command
	running := map[string]bool{}
	for op := range cat.Ops() {
		if op.State != catalog.OpRunning || op.Kind != opRepairBackend && op.Kind != opEmptyBackend {
			continue
		}
		running[op.Kind+op.Target] = true
		l, goes := left[op.Kind+op.Target]
		done := max(0, op.Total-int64(l.Tablets))
		switch {
		case !goes:
			cmds = append(cmds, &command.FinishOp{ID: op.ID, State: catalog.OpDone, Done: op.Total, TimeMs: clock.NowMs, Message: "nothing is left to do"})
		case int64(l.Tablets) > op.Total || (done-op.Done)*10 > op.Total:
			cmds = append(cmds, &command.FinishOp{ID: op.ID, State: catalog.OpRunning, Done: done, Total: max(op.Total, int64(l.Tablets))})
		}
	}
	for _, l := range order {
		if kind := opKind(l.Cause); !running[kind+target(l.BE)] {
			cmds = append(cmds, &command.AddOp{Op: catalog.Op{Kind: kind, Target: target(l.BE), Owner: "system", State: catalog.OpRunning,
				StartedMs: clock.NowMs, Total: int64(l.Tablets), Message: fmt.Sprintf("%d bytes", l.Bytes)}})
		}
	}
	return cmds
}

func target(be types.BEID) string { return fmt.Sprintf("backend %d", be) }
