package stmt

import (
	"context"
	"fmt"

	"stele/meta/catalog"
	"stele/meta/command"
)

// Act makes a change and enters it in the operation log, stele.operations.
func Act(ctx context.Context, e *Env, kind, target string, cmds ...command.Command) error {
	if len(cmds) == 0 {
		return nil
	}
	if _, err := e.Propose(ctx, cmds...); err != nil {
		return err
	}
	if err := Note(ctx, e, kind, target); err != nil {
		return err
	}
	e.Kick()
	return nil
}

// Note enters a change that is done already, as a node has made it or several commands, in the operation log.
func Note(ctx context.Context, e *Env, kind, target string) error {
	now := e.Now.UnixMilli()
	op := catalog.Op{Kind: kind, Target: target, Owner: e.User, State: catalog.OpDone, StartedMs: now, EndedMs: now}
	if _, err := e.Propose(ctx, &command.AddOp{Op: op}); err != nil {
		return fmt.Errorf("%s is done, but not in the operation log: %w", kind, err)
	}
	return nil
}

// Nothing is the result of a statement that had nothing to do.
func Nothing(why string) Result { return Result{Info: "Nothing to do: " + why} }
