package fe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"stele/conf"
	"stele/fe/beclient"
	"stele/meta/raftlog"
	metarpc "stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/fepb"
)

const (
	joinInterval = 500 * time.Millisecond // between two requests to be let in
	joinTimeout  = 3 * time.Second
	// sayEvery is how often a wait says again what it waits for.
	sayEvery = 10 * time.Second
)

// repeated says the same thing only now and then.
type repeated struct {
	last string
	at   time.Time
}

func (r *repeated) say(n *node, text string) {
	if text == r.last && time.Since(r.at) < sayEvery {
		return
	}
	r.last, r.at = text, time.Now()
	n.log.Warn("start: " + text)
	fmt.Fprintln(n.stdout, text)
}

// join asks the FEs named by fe_helpers to let this FE, which has no metadata, into their cluster, until they do. It
// never starts a cluster of its own: a disk that was lost must not make a second cluster beside the old one.
func (n *node) join(ctx context.Context) (raftlog.Identity, error) {
	v := n.live.Load()
	helpers := conf.FEHelpers.Get(v)
	fresh := beclient.NewSecure(metarpc.NewCluster(""), n.secure.ClientTLS())
	defer func() {
		if err := fresh.Close(); err != nil {
			n.log.Debug("close connections", "err", err)
		}
	}()
	var words repeated
	tick := time.NewTicker(joinInterval)
	defer tick.Stop()
	for {
		id, why := n.knock(ctx, fresh, helpers)
		if why == "" {
			n.log.Info("let into the cluster", "cluster_id", id.ClusterID, "name", id.ID)
			return id, nil
		}
		words.say(n, fmt.Sprintf("meta_dir %s is empty and bootstrap is false, so this FE waits to join a cluster: %s", conf.MetaDir.Get(v), why))
		select {
		case <-ctx.Done():
			return id, errors.New("stopped while it waited to join a cluster")
		case <-tick.C:
		}
	}
}

// knock asks each helper once; why says what is in the way, "" = nothing.
func (n *node) knock(ctx context.Context, clients *beclient.Clients, helpers []string) (id raftlog.Identity, why string) {
	if len(helpers) == 0 {
		return id, "fe_helpers names no FE to ask. Set it to the host:rpc_port of the FEs of the cluster, or set bootstrap = true to start a new cluster"
	}
	v := n.live.Load()
	req := &fepb.JoinRequest{Host: conf.FEHost.Get(v), RaftPort: uint32(conf.EditLogPort.Get(v)), QueryPort: uint32(conf.QueryPort.Get(v)),
		HttpPort: uint32(conf.FEHTTPPort.Get(v)), RpcPort: uint32(conf.FERPCPort.Get(v)), GossipPort: uint32(conf.FEGossipPort.Get(v)), Version: n.version}
	var silent []string
	for _, address := range helpers {
		if address == n.rpcAddress() {
			continue
		}
		fe, err := clients.FE(address)
		if err != nil {
			return id, err.Error()
		}
		jctx, cancel := context.WithTimeout(ctx, joinTimeout)
		resp, err := fe.Join(jctx, req)
		cancel()
		switch {
		case err != nil:
			clients.Reset(address)
			silent = append(silent, fmt.Sprintf("%s: %v", address, err))
		case resp.Name == "":
			return id, resp.Wait
		default:
			return raftlog.Identity{ClusterID: types.ClusterID(resp.ClusterId), ID: resp.Name}, ""
		}
	}
	return id, "none of fe_helpers can let it in now (" + strings.Join(silent, "; ") + ")"
}

// letIn answers an FE that wants to join: the leading FE knows.
func (n *node) letIn(ctx context.Context, req *fepb.JoinRequest) (*fepb.JoinResponse, error) {
	var resp *fepb.JoinResponse
	err := n.quorum.AtLeader(ctx, true, func(ctx context.Context) (err error) {
		if _, err := n.meta.ReadIndex(ctx); err != nil {
			return err
		}
		resp, err = n.group.Knock(ctx, req)
		return err
	}, func(ctx context.Context, fe fepb.FrontendClient) (err error) {
		resp, err = fe.Join(ctx, req)
		return err
	})
	return resp, err
}
