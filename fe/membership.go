package fe

import (
	"context"
	"fmt"
	"time"

	"stele/conf"
	"stele/meta/gossip"
	"stele/meta/stranger"
	"stele/meta/types"
)

// gossipRejoin is how often a node contacts its seeds again, which also heals a long split.
const gossipRejoin = 30 * time.Second

// runGossip takes part in the membership until ctx ends. What it hears only hurries a heartbeat: liveness is decided
// by heartbeats alone.
func (n *node) runGossip(ctx context.Context) error {
	v := n.live.Load()
	keys, err := gossip.ParseKeys(conf.FEGossipKeys.Get(v))
	if err != nil {
		return err
	}
	g, err := gossip.New(gossip.Config{Cluster: n.id.ID(), Name: n.name, BindHost: conf.FEHost.Get(v), BindPort: conf.FEGossipPort.Get(v), Keys: keys, Log: n.log,
		Refused: func(address string, cluster types.ClusterID) {
			n.met.Note(stranger.ViaGossip, address, cluster, "it gossips with this fe")
		}, Unreadable: func(address, why string) {
			n.met.Note(stranger.ViaGossip, address, "", "gossip_keys differ: "+why)
		},
		Meta: gossip.Meta{Kind: gossip.KindFE, Host: conf.FEHost.Get(v), RPCPort: conf.FERPCPort.Get(v), HTTPPort: conf.FEHTTPPort.Get(v),
			QueryPort: conf.QueryPort.Get(v), RaftPort: conf.EditLogPort.Get(v), Incarnation: n.started.UnixMilli(), Version: n.version}})
	if err != nil {
		return fmt.Errorf("gossip: %w", err)
	}
	rejoin := time.NewTicker(gossipRejoin)
	defer rejoin.Stop()
	join := func() {
		if err := g.Join(conf.FESeeds.Get(v)...); err != nil {
			n.log.Debug("join gossip", "err", err)
		}
	}
	join()
	for {
		select {
		case <-ctx.Done():
			return g.Depart()
		case <-rejoin.C:
			join()
		case e, ok := <-g.Events():
			if !ok {
				return nil
			}
			if e.Member.Meta.Kind == gossip.KindBE {
				n.log.Info("gossip", "event", e.Type.String(), "be_id", e.Member.Meta.ID, "name", e.Member.Name)
				n.cluster.Probe(types.BEID(e.Member.Meta.ID))
			}
		}
	}
}
