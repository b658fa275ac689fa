package group

import (
	"context"
	"fmt"
	"time"

	"stele/meta/catalog"
	"stele/meta/command"
)

// Refusal is why something is not done that was asked for. Nothing has happened.
type Refusal struct{ Why string }

func (r *Refusal) Error() string { return r.Why }

// Drop takes an FE out of the cluster for good, or fails with a *Refusal.
func (g *Group) Drop(ctx context.Context, fe *catalog.FE) error {
	return g.drop(ctx, fe, &command.DropFE{FE: fe.ID})
}

// Replace takes an FE out as Drop does and plans another one in its stead, both by one log entry: nothing comes in between.
func (g *Group) Replace(ctx context.Context, fe *catalog.FE, by *command.PlanFE) error {
	return g.drop(ctx, fe, &command.DropFE{FE: fe.ID}, by)
}

func (g *Group) drop(ctx context.Context, fe *catalog.FE, cmds ...command.Command) error {
	if err := g.awaitMayDrop(ctx, fe.Name); err != nil {
		return err
	}
	out, err := g.o.Log.Propose(ctx, cmds...)
	if err == nil {
		err = catalog.BatchResult(out).Err()
	}
	if err != nil {
		return err
	}
	servers, err := g.o.Log.Servers()
	if err != nil {
		return nil // it is dropped; the next leader takes it out
	}
	for _, s := range servers {
		if s.ID == fe.Name {
			if err := g.step(ctx, "take out", fe.Name, func(ctx context.Context) error { return g.o.Log.Remove(ctx, fe.Name) }); err != nil {
				g.o.Logger.Warn("a frontend was dropped and is still in the raft group: that is tried again", "err", err)
			}
		}
	}
	return nil
}

// awaitMayDrop waits while this FE has just begun to lead and has not heard yet from all that are alive.
func (g *Group) awaitMayDrop(ctx context.Context, name string) error {
	tick := time.NewTicker(beatInterval / 10)
	defer tick.Stop()
	for {
		err := g.mayDrop(name)
		if err == nil || !g.leadsSince(beatInterval+2*beatTimeout) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

// leadsSince reports whether this FE has begun to lead within the time before now.
func (g *Group) leadsSince(d time.Duration) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.leading.IsZero() || time.Since(g.leading) < d
}

func (g *Group) mayDrop(name string) error {
	servers, err := g.o.Log.Servers()
	if err != nil {
		return err
	}
	status := g.Statuses()
	voters := map[string]bool{}
	for _, s := range servers {
		if s.Voter {
			voters[s.ID] = s.ID == g.o.Log.ID() || status[s.ID].Alive
		}
	}
	return MayDrop(voters, g.o.Log.ID(), name)
}

// MayDrop refuses to drop the FE that leads, and a voter when those that are left would lack a live majority. It is given
// the voters, and which of them are alive.
func MayDrop(voters map[string]bool, leader, name string) error {
	if name == leader && len(voters) == 1 {
		return &Refusal{"it is the only frontend that votes: without it the cluster would have no metadata. " +
			"ALTER SYSTEM ADD FOLLOWER another one first, and hand leadership to it (ALTER SYSTEM TRANSFER LEADER)"}
	}
	if name == leader {
		return &Refusal{"can not drop current master node. ALTER SYSTEM TRANSFER LEADER hands leadership to another FE first"}
	}
	if _, votes := voters[name]; !votes {
		return nil
	}
	left, alive := 0, 0
	for voter, lives := range voters {
		if voter == name {
			continue
		}
		left++
		if lives {
			alive++
		}
	}
	if alive > left/2 {
		return nil
	}
	return &Refusal{fmt.Sprintf("without it only %d of %d voting frontends would be alive, which is no majority: the cluster could not "+
		"change its metadata any more. Bring another one back, or drop a dead one first", alive, left)}
}
