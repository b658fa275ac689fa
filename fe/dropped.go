package fe

import (
	"context"
	"time"

	"stele/fe/quorum"
	"stele/meta/catalog"
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
// more. Only the leading FE says so.
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
		n.others(func(ctx context.Context, fe *catalog.FE, client fepb.FrontendClient) {
			_, err := client.ReadIndex(ctx, &fepb.ReadIndexRequest{Fe: n.name})
			if metarpc.Reason(err) == quorum.ReasonDropped {
				n.log.Warn("dropped from the cluster", "says", fe.Name)
				n.quorum.Drop()
			}
		})
	}
}
