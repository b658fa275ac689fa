package tabletctl

import (
	"context"
	"fmt"

	"stele/fe/sched"
)

// PlanLeaders finds the moves after which leaders are as even as can be, with the fewest moves.
func (c *Controller) PlanLeaders(scope sched.LeaderScope) sched.LeaderPlan {
	return sched.PlanLeaderBalance(c.View(), scope)
}

// MoveLeaders gives tablets other leaders. A tablet that has changed since the plan was made is passed over (refused).
func (c *Controller) MoveLeaders(ctx context.Context, moves []sched.LeaderMove) (moved, refused int, err error) {
	for _, cmd := range setLeaders(moves) {
		results, err := c.o.Log.Propose(ctx, cmd)
		if err != nil {
			return moved, refused, fmt.Errorf("set %d leaders: %w", len(cmd.Items), err)
		}
		for _, res := range results {
			m, r, err := countLeaders(res)
			if err != nil {
				return moved, refused, err
			}
			moved, refused = moved+m, refused+r
		}
	}
	return moved, refused, nil
}

// Balance has replicas evened out now, whatever the configuration says, or no longer. It reports whether anything moves.
func (c *Controller) Balance(on bool) bool {
	c.mu.Lock()
	changed := c.balance != on
	c.balance = on
	busy := c.sched.Balancing()
	c.mu.Unlock()
	if changed {
		c.put(func(in *inbox) { in.nodes = true })
	}
	return on && (busy || changed)
}
