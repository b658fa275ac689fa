package group

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/raftlog"
)

// caughtUp is how many log entries a learner may be behind when it becomes a voter: what one message carries. A voter
// that is further behind could make the others wait for it.
const caughtUp = 512

// stepTimeout bounds one step of a change of the Raft group.
const stepTimeout = 5 * time.Second

func (g *Group) reconcileLoop(ctx context.Context) {
	tick := time.NewTicker(reconcileInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := g.reconcile(ctx); err != nil && ctx.Err() == nil {
			var not *raftlog.ErrNotLeader
			if !errors.As(err, &not) {
				g.o.Logger.Warn("frontends of the raft group", "err", err)
			}
		}
	}
}

// reconcile takes the Raft group one step towards what the catalog says.
func (g *Group) reconcile(ctx context.Context) error {
	servers, err := g.o.Log.Servers()
	if err != nil {
		return err
	}
	in := map[string]raftlog.Server{}
	for _, s := range servers {
		in[s.ID] = s
	}
	cat := g.o.Log.Current()
	var errs []error
	known := map[string]bool{}
	for fe := range cat.FEs() {
		known[fe.Name] = true
		if fe.Name != g.o.Log.ID() {
			s, is := in[fe.Name]
			errs = append(errs, g.bringIn(ctx, fe, s, is))
		}
	}
	if !known[g.o.Log.ID()] {
		return errors.Join(errs...) // a catalog that does not know this FE is not one to act on
	}
	for _, s := range servers {
		if !known[s.ID] {
			errs = append(errs, g.step(ctx, "take out", s.ID, func(ctx context.Context) error { return g.o.Log.Remove(ctx, s.ID) }))
		}
	}
	return errors.Join(errs...)
}

// bringIn takes one FE of the catalog a step further: learner, then known as joined, then voter. It is joined before it
// votes: a voter that has lost its metadata must never be let in again under its old name.
func (g *Group) bringIn(ctx context.Context, fe *catalog.FE, s raftlog.Server, in bool) error {
	st := g.Statuses()[fe.Name]
	switch {
	case !in && st.Alive:
		return g.step(ctx, "add as learner", fe.Name, func(ctx context.Context) error { return g.o.Log.AddLearner(ctx, fe.Name, address(fe)) })
	case !in || s.Voter || !st.Alive || st.Behind > caughtUp || st.Applied == 0:
		return nil
	case fe.Pending:
		_, err := g.o.Log.ProposeOne(ctx, &command.SetFE{Name: fe.Name, Joined: true})
		return err
	case fe.Observer:
		return nil
	}
	return g.step(ctx, "promote", fe.Name, func(ctx context.Context) error { return g.o.Log.Promote(ctx, fe.Name) })
}

func (g *Group) step(ctx context.Context, what, name string, do func(context.Context) error) error {
	sctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	if err := do(sctx); err != nil {
		return fmt.Errorf("%s frontend %s: %w", what, name, err)
	}
	g.o.Logger.Info("raft group changed", "step", what, "fe", name)
	return nil
}

// transferPause is between two tries to hand leadership over.
const transferPause = 50 * time.Millisecond

// Transfer hands leadership to the FE of that name, or to the one that has most of the log. A try lasts no longer than an election
// may, which a busy machine outlasts: it is tried again while this FE leads.
func (g *Group) Transfer(ctx context.Context, name string) error {
	tctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	for {
		err := g.o.Log.TransferLeadership(tctx, name)
		if err == nil {
			return nil
		}
		if leader, _ := g.o.Log.Leader(); leader != "" && leader != g.o.Log.ID() && (name == "" || leader == name) {
			return nil // the answer came too late
		} else if leader != g.o.Log.ID() {
			return err
		}
		select {
		case <-tctx.Done():
			return err
		case <-time.After(transferPause):
		}
	}
}
