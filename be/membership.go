package be

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
const gossipRejoin = 5 * time.Second

// runGossip takes part in the membership until ctx ends; a BE that belongs to no cluster yet waits until it does. It
// hears nothing that it acts on: a BE obeys the FE.
func (n *node) runGossip(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-n.host.Ready():
	}
	v, id := n.conf, n.host.Identity()
	keys, err := gossip.ParseKeys(conf.BEGossipKeys.Get(v))
	if err != nil {
		n.log.Error("gossip", "err", err)
		return
	}
	g, err := gossip.New(gossip.Config{Cluster: id.Cluster, Name: fmt.Sprintf("be%d", id.BE), BindHost: conf.BEHost.Get(v),
		BindPort: conf.BEGossipPort.Get(v), Keys: keys, Log: n.log,
		Refused: func(address string, cluster types.ClusterID) {
			n.met.Note(stranger.ViaGossip, address, cluster, "it gossips with this be")
		}, Unreadable: func(address, why string) {
			n.met.Note(stranger.ViaGossip, address, "", "gossip_keys differ: "+why)
		}, Meta: gossip.Meta{Kind: gossip.KindBE, ID: uint64(id.BE), Host: conf.BEHost.Get(v),
			RPCPort: conf.BERPCPort.Get(v), HTTPPort: conf.BEHTTPPort.Get(v), Incarnation: n.service.Started.UnixMilli(), Version: n.service.Version}})
	if err != nil {
		n.log.Error("gossip", "err", err)
		return
	}
	rejoin := time.NewTicker(gossipRejoin)
	defer rejoin.Stop()
	for {
		if len(g.Members()) < 2 {
			if err := g.Join(conf.BESeeds.Get(v)...); err != nil {
				n.log.Debug("join gossip", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			if err := g.Depart(); err != nil {
				n.log.Debug("close gossip", "err", err)
			}
			return
		case <-rejoin.C:
		case _, ok := <-g.Events():
			if !ok {
				return
			}
		}
	}
}
