package tabletctl

import (
	"context"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"stele/fe/beclient"
	"stele/fe/sched"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/proto/bepb"
)

// Bounds of what travels in one Raft entry.
const (
	commandsMax = 1000
	leadersMax  = 10_000
)

// batch is commands with the Actions they come from; an Action may be nil.
type batch struct {
	cmds    []command.Command
	actions []*sched.Action
}

func (b *batch) add(a *sched.Action, cmd command.Command) {
	b.cmds, b.actions = append(b.cmds, cmd), append(b.actions, a)
}

// carryOut proposes the commands of the Actions, then calls the BEs. The tablets concerned are looked at again in the
// next step: it sees what came of it.
func (c *Controller) carryOut(ctx context.Context, actions []sched.Action, hints []command.Command) error {
	b := c.commands(actions)
	for _, cmd := range hints {
		b.add(nil, cmd)
	}
	defer c.again(actions)
	drops := map[types.BEID]*bepb.DropReplicasRequest{}
	for from := 0; from < len(b.cmds); from += commandsMax {
		to := min(from+commandsMax, len(b.cmds))
		results, err := c.o.Log.Propose(ctx, b.cmds[from:to]...)
		if err != nil {
			return fmt.Errorf("propose %d commands: %w", to-from, err)
		}
		for i, res := range results {
			c.applied(ctx, b.actions[from+i], res, drops)
		}
	}
	for be, req := range drops {
		c.call(ctx, be, func(ctx context.Context, client bepb.BackendClient) error {
			_, err := client.DropReplicas(ctx, req)
			return err
		}, nil)
	}
	for i := range actions {
		switch a := &actions[i]; a.Kind {
		case sched.ActClone:
			c.submit(ctx, a, a.Replica)
		case sched.ActCancel:
			c.call(ctx, a.BE, func(ctx context.Context, client bepb.BackendClient) error {
				_, err := client.CancelClone(ctx, &bepb.CancelCloneRequest{TaskId: uint64(a.Task)})
				return err
			}, nil)
		}
	}
	return nil
}

// again has the tablets of Actions looked at in the next step.
func (c *Controller) again(actions []sched.Action) {
	if len(actions) == 0 {
		return
	}
	c.put(func(in *inbox) {
		for i := range actions {
			a := &actions[i]
			if a.Tablet != 0 {
				in.dirty[a.Tablet] = struct{}{}
			}
			for _, m := range a.Leaders {
				in.dirty[m.Tablet] = struct{}{}
			}
		}
	})
}

// commands turns Actions into commands: leaders first, for writes wait for them; then what clones have reached, for
// promotions rest on it.
func (c *Controller) commands(actions []sched.Action) batch {
	var b batch
	nowMs := c.now().UnixMilli()
	reports := &command.ReportReplicas{TimeMs: nowMs}
	for i := range actions {
		switch a := &actions[i]; a.Kind {
		case sched.ActLeaders:
			for _, cmd := range setLeaders(a.Leaders) {
				b.add(a, cmd)
			}
		case sched.ActReport:
			reports.Items = append(reports.Items, command.ReplicaReport{Tablet: a.Tablet, Replica: a.Replica, BE: a.BE, Disk: a.Disk, Version: a.Version})
		}
	}
	if len(reports.Items) > 0 {
		b.add(nil, reports)
	}
	for i := range actions {
		switch a := &actions[i]; a.Kind {
		case sched.ActPromote:
			b.add(a, &command.PromoteReplica{Tablet: a.Tablet, Replica: a.Replica, Version: a.Version})
		case sched.ActDrop:
			b.add(a, &command.DropReplica{Tablet: a.Tablet, Replica: a.Replica, ExpectEpoch: a.Epoch, NewLeader: a.NewLeader})
		case sched.ActAdd:
			b.add(a, &command.AddReplica{Tablet: a.Tablet, Replica: catalog.Replica{BE: a.BE, Disk: a.Disk}, TimeMs: nowMs})
		case sched.ActDropBE:
			b.add(a, &command.DropBE{BE: a.BE})
		}
	}
	return b
}

func setLeaders(moves []sched.LeaderMove) []*command.SetLeaders {
	var cmds []*command.SetLeaders
	for len(moves) > 0 {
		n := min(len(moves), leadersMax)
		cmd := &command.SetLeaders{Items: make([]command.SetLeader, n)}
		for i, m := range moves[:n] {
			cmd.Items[i] = command.SetLeader{Tablet: m.Tablet, BE: m.To, ExpectEpoch: m.Epoch, Failover: m.Failover}
		}
		cmds, moves = append(cmds, cmd), moves[n:]
	}
	return cmds
}

// applied acts on the outcome of one command. A refusal means that the catalog has moved on: the next step sees how.
func (c *Controller) applied(ctx context.Context, a *sched.Action, res catalog.Result, drops map[types.BEID]*bepb.DropReplicasRequest) {
	if a == nil {
		return
	}
	log := c.o.Logger.With("action", a.Kind.String(), "tablet_id", a.Tablet, "be_id", a.BE, "why", a.Why)
	if res.Err != nil {
		var notReady *catalog.ErrNotReady
		if a.Kind == sched.ActPromote && errors.As(res.Err, &notReady) {
			log.Debug("learner is not ready yet", "err", res.Err) // it catches up with another clone
			return
		}
		log.Info("refused", "err", res.Err)
		return
	}
	switch a.Kind {
	case sched.ActAdd:
		id, ok := res.Value.(catalog.IDResult)
		if !ok {
			panic(fmt.Sprintf("BUG: AddReplica answered %T", res.Value))
		}
		log.Info("replica added", "replica_id", id.ID, "task_id", a.Task, "source_be_id", a.Clone.SourceBE)
		c.submit(ctx, a, types.ReplicaID(id.ID))
	case sched.ActDrop:
		log.Info("replica dropped", "replica_id", a.Replica)
		req := drops[a.BE]
		if req == nil {
			req = &bepb.DropReplicasRequest{}
			drops[a.BE] = req
		}
		req.Items = append(req.Items, &bepb.DropReplicasRequest_Item{TabletId: uint64(a.Tablet), ReplicaId: uint64(a.Replica)})
	case sched.ActLeaders:
		log.Info("leaders set", "tablets", len(a.Leaders))
	default:
		log.Info("done", "replica_id", a.Replica)
	}
}

// submit starts a clone on its BE. If that fails the task has failed.
func (c *Controller) submit(ctx context.Context, a *sched.Action, replica types.ReplicaID) {
	failed := func(err error) {
		c.put(func(in *inbox) {
			in.outcomes = append(in.outcomes, sched.Outcome{Task: a.Task, Tablet: a.Tablet, BE: a.BE, Reason: "submit: " + err.Error()})
		})
	}
	req, err := c.cloneRequest(a, replica)
	if err != nil {
		failed(err)
		return
	}
	c.call(ctx, a.BE, func(ctx context.Context, client bepb.BackendClient) error {
		_, err := client.SubmitClone(ctx, req)
		return err
	}, failed)
}

func (c *Controller) cloneRequest(a *sched.Action, replica types.ReplicaID) (*bepb.SubmitCloneRequest, error) {
	cat := c.o.Log.Current()
	t, ok := cat.Tablet(a.Tablet)
	if !ok {
		return nil, fmt.Errorf("tablet %d is gone", a.Tablet)
	}
	table, ok := cat.TableByID(t.Table)
	if !ok {
		return nil, fmt.Errorf("table %d is gone", t.Table)
	}
	source, ok := cat.BE(a.Clone.SourceBE)
	if !ok {
		return nil, fmt.Errorf("source be %d is gone", a.Clone.SourceBE)
	}
	from := t.Replica(source.ID)
	if from == nil {
		return nil, fmt.Errorf("the replica on source be %d is gone", source.ID)
	}
	schema, err := cbor.Marshal(table.Schema)
	if err != nil {
		return nil, fmt.Errorf("encode the schema of table %d: %w", table.ID, err)
	}
	return &bepb.SubmitCloneRequest{TaskId: uint64(a.Task), TabletId: uint64(t.ID), TableId: uint64(t.Table), PartitionId: uint64(t.Partition),
		ReplicaId: uint64(replica), Epoch: uint64(t.Epoch), Schema: schema, Source: beclient.Address(source.Host, source.Port),
		SourceBe: uint64(source.ID), SourceReplica: uint64(from.ID), SourceDisk: uint64(a.Clone.SourceDisk), DiskId: uint64(a.Clone.DestDisk), Version: uint64(a.Clone.Version),
		TimeoutMs: a.Clone.TimeoutMs, StallMs: a.Clone.StallMs, Balance: a.Clone.Balance, Medium: uint32(a.Clone.Medium)}, nil
}

// call calls a BE in the background. failed may be nil: then a lost call does no harm, for reports put it right.
func (c *Controller) call(ctx context.Context, id types.BEID, f func(context.Context, bepb.BackendClient) error, failed func(error)) {
	be, ok := c.o.Log.Current().BE(id)
	if !ok {
		if failed != nil {
			failed(fmt.Errorf("be %d is gone", id))
		}
		return
	}
	c.rpcs.Go(func() {
		err := c.withSlot(ctx, func(ctx context.Context) error {
			client, err := c.o.Clients.BE(beclient.Address(be.Host, be.Port))
			if err != nil {
				return err
			}
			return f(ctx, client)
		})
		if err == nil {
			return
		}
		c.o.Logger.Debug("call be", "be_id", id, "err", err)
		if failed != nil {
			failed(err)
		}
	})
}

// withSlot bounds the calls that run at a time.
func (c *Controller) withSlot(ctx context.Context, f func(context.Context) error) error {
	select {
	case c.slot <- struct{}{}:
		defer func() { <-c.slot }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, rpcTimeout)
	defer cancel()
	return f(ctx)
}
