package opctl

import (
	"context"
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"

	"stele/fe/beclient"
	"stele/fe/ops"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/proto/bepb"
)

// facts gathers what is true about the tablet of an op.
func (e *Engine) facts(op *catalog.Op) *ops.Facts {
	cat := e.o.Log.Current()
	now := e.now()
	f := &ops.Facts{NowMs: now.UnixMilli(), Nodes: map[types.BEID]ops.Node{}, Seen: map[types.BEID]ops.Seen{},
		Timeout: e.o.Settings().Timeout.Milliseconds()}
	for be := range cat.BEs() {
		f.Nodes[be.ID] = e.node(op, be, now)
	}
	tab, ok := cat.Tablet(op.Tablet)
	if !ok {
		return f
	}
	f.Tablet = tab
	if table, i, ok := cat.TableOfPartition(tab.Partition); ok {
		f.Want = table.Parts[i].Replicas
	}
	for i := range tab.Replicas {
		r := &tab.Replicas[i]
		f.Seen[r.BE] = e.replica(tab, r)
	}
	if op.Type == ops.ChangeLeader {
		f.Leaders = map[types.BEID]int{}
		for t := range cat.Tablets() {
			f.Leaders[t.Leader]++
		}
	}
	return f
}

// node says what a BE is. Whether it answers is asked anew for each op: an operator may know of a death before this FE does.
func (e *Engine) node(op *catalog.Op, be *catalog.BE, now time.Time) ops.Node {
	known, _ := e.o.Cluster.Get(be.ID)
	n := ops.Node{Endpoint: beclient.Address(be.Host, be.Port), Alive: known.Alive, StartMs: known.LastStart.UnixMilli()}
	begun, ok := e.begun[op.ID]
	n.Fresh = ok && known.LastHeartbeat.After(begun)
	switch {
	case known.Alive:
	case !known.FirstMiss.IsZero():
		n.DeadSinceMs = now.Add(-now.Sub(known.FirstMiss)).UnixMilli()
	case !known.LastHeartbeat.IsZero():
		n.DeadSinceMs = now.Add(-now.Sub(known.LastHeartbeat)).UnixMilli()
	default:
		n.DeadSinceMs = now.UnixMilli() // never heard of: this FE leads for a short time only
	}
	return n
}

func (e *Engine) replica(tab *catalog.Tablet, r *catalog.Replica) ops.Seen {
	known, _ := e.o.Cluster.Get(r.BE)
	s := ops.Seen{Heard: known.Heard(), Lost: e.o.Cluster.Lost(r.BE, tab.ID)}
	if seen, ok := e.o.Cluster.Replica(r.BE, tab.ID); ok && seen.ID == r.ID && s.Heard && !s.Lost {
		s.Reported, s.Version, s.OldestRetained = true, seen.Version, seen.OldestRetained
	}
	return s
}

// drop has a BE delete a replica, in the background.
func (e *Engine) drop(ctx context.Context, d ops.Drop) {
	e.calls.Go(func() {
		select {
		case e.drops <- struct{}{}:
			defer func() { <-e.drops }()
		case <-ctx.Done():
			return
		}
		err := e.withBE(ctx, d.BE, func(ctx context.Context, be bepb.BackendClient) error {
			_, err := be.DropReplicas(ctx, &bepb.DropReplicasRequest{Items: []*bepb.DropReplicasRequest_Item{{TabletId: uint64(d.Tablet), ReplicaId: uint64(d.Replica)}}})
			return err
		})
		if err != nil {
			e.o.Logger.Debug("drop replica", "be_id", d.BE, "tablet_id", d.Tablet, "err", err)
		}
	})
}

// call has a BE do something for an op.
func (e *Engine) call(ctx context.Context, c ops.Call) error {
	if c.Create {
		return e.create(ctx, c)
	}
	return e.withBE(ctx, c.BE, func(ctx context.Context, be bepb.BackendClient) error {
		_, err := be.Settle(ctx, &bepb.SettleRequest{TabletId: uint64(c.Tablet), ReplicaId: uint64(c.Replica), Version: uint64(c.Fill)})
		return err
	})
}

// create has a BE make an empty replica.
func (e *Engine) create(ctx context.Context, c ops.Call) error {
	cat := e.o.Log.Current()
	tab, ok := cat.Tablet(c.Tablet)
	if !ok {
		return nil // dropped meanwhile: the next step sees it
	}
	table, part, ok := cat.TableOfPartition(tab.Partition)
	if !ok {
		return nil
	}
	schema, err := cbor.Marshal(&table.Schema)
	if err != nil {
		return fmt.Errorf("encode schema: %w", err)
	}
	req := &bepb.CreateReplicasRequest{Schema: schema, Medium: uint32(table.MediumOf(&table.Parts[part])), Items: []*bepb.CreateReplicasRequest_Item{{
		TabletId: uint64(tab.ID), TableId: uint64(tab.Table), PartitionId: uint64(tab.Partition), ReplicaId: uint64(c.Replica), Epoch: uint64(tab.Epoch)}}}
	return e.withBE(ctx, c.BE, func(ctx context.Context, be bepb.BackendClient) error {
		_, err := be.CreateReplicas(ctx, req)
		return err
	})
}

func (e *Engine) withBE(ctx context.Context, id types.BEID, f func(context.Context, bepb.BackendClient) error) error {
	be, ok := e.o.Log.Current().BE(id)
	if !ok {
		return fmt.Errorf("backend %d is not in the cluster", id)
	}
	client, err := e.o.Clients.BE(beclient.Address(be.Host, be.Port))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	return f(ctx, client)
}
