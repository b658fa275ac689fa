package fe

import (
	"context"
	"net"
	"slices"
	"time"

	"stele/conf"
	"stele/fe/beclient"
	"stele/fe/quorum"
	"stele/meta/raftlog"
	metarpc "stele/meta/rpc"
	"stele/proto/fepb"
)

// An FE that was dropped from the cluster ends in an orderly way: it stops listening, so that load balancers leave it,
// answers what is under way and closes its connections. It learns of it from the catalog or, when it was not there to
// hear, from the leading FE.

// ErrDropped is how Run ends where the cluster had dropped the FE before it was started.
var ErrDropped = raftlog.ErrDropped

// checkMembership ends this FE when the catalog does not know it any more. It did before the first call.
func (n *node) checkMembership() {
	if _, ok := n.meta.Current().FEByName(n.name); !ok {
		n.quorum.Drop()
	}
}

// askInterval is how often an FE that hears of no leader asks the others whether it still belongs to them.
const askInterval = time.Second

// askMembership asks while no leader is heard of: an FE that was dropped while it was down or cut off hears nothing any
// more. Only an FE that has heard the leading one meanwhile says so.
func (n *node) askMembership(ctx context.Context) {
	tick := time.NewTicker(askInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if n.quorum.Leads() || n.quorum.LeaderAddress() != "" {
			continue
		}
		n.callAll(n.neighbours(), func(ctx context.Context, address string, client fepb.FrontendClient) {
			_, err := client.ReadIndex(ctx, &fepb.ReadIndexRequest{Fe: n.name})
			if metarpc.Reason(err) == quorum.ReasonDropped {
				n.log.Warn("dropped from the cluster", "says", address)
				n.quorum.Drop()
			}
		})
	}
}

// neighbours are the rpc addresses of the other FEs of the catalog. Raft applies nothing without a leader, so the catalog of an FE that has
// no snapshot is empty until it hears of one, and one that was dropped never does. Then they are what fe_helpers names, and the members
// of the Raft group as this FE knows them, at the port that it has itself.
func (n *node) neighbours() (addresses []string) {
	for fe := range n.meta.Current().FEs() {
		if fe.Name != n.name && fe.RPCPort != 0 {
			addresses = append(addresses, beclient.Address(fe.Host, fe.RPCPort))
		}
	}
	if len(addresses) > 0 {
		return addresses
	}
	v := n.live.Load()
	addresses = slices.Clone(conf.FEHelpers.Get(v))
	members, err := n.meta.Servers()
	if err != nil {
		n.log.Debug("members of the Raft group", "err", err)
	}
	for _, m := range members {
		if host, _, err := net.SplitHostPort(m.Addr); err == nil && m.ID != n.name {
			addresses = append(addresses, beclient.Address(host, conf.FERPCPort.Get(v)))
		}
	}
	slices.Sort(addresses)
	return slices.DeleteFunc(slices.Compact(addresses), func(a string) bool { return a == n.rpcAddress() })
}
