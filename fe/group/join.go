package group

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"stele/meta/catalog"
	"stele/meta/command"
	"stele/proto/fepb"
)

const (
	// waitingForget is how long an FE that stopped asking is still listed.
	waitingForget = 15 * time.Second
	maxWaiting    = 64
)

// Knock answers an FE with an empty meta_dir that wants to join: its cluster and name when it was added, or what it
// has to wait for. Only the leading FE answers.
func (g *Group) Knock(ctx context.Context, req *fepb.JoinRequest) (*fepb.JoinResponse, error) {
	cat := g.o.Log.Current()
	at := net.JoinHostPort(req.Host, strconv.Itoa(int(req.RaftPort)))
	fe, ok := cat.FEAt(req.Host, int(req.RaftPort))
	why := ""
	switch {
	case !ok:
		why = fmt.Sprintf("frontend %s is not part of cluster %s: ALTER SYSTEM ADD FOLLOWER '%s' (or ADD OBSERVER) on it lets it join", at, cat.ClusterID(), at)
	case !fe.Pending:
		why = fmt.Sprintf("cluster %s has a frontend %s (%s) that had its metadata already, but meta_dir is empty here: bring meta_dir back or, "+
			"if it is lost, RESTORE MNODE ON DNODE %d (or ALTER SYSTEM DROP %s '%s', and ADD it again)", cat.ClusterID(), at, fe.Name, fe.ID, Role(fe), at)
	}
	g.note(at, req, why)
	if why != "" {
		return &fepb.JoinResponse{Wait: why}, nil
	}
	set := &command.SetFE{Name: fe.Name, QueryPort: int(req.QueryPort), HTTPPort: int(req.HttpPort), RPCPort: int(req.RpcPort), GossipPort: int(req.GossipPort)}
	if fe.QueryPort != set.QueryPort || fe.HTTPPort != set.HTTPPort || fe.RPCPort != set.RPCPort || fe.GossipPort != set.GossipPort {
		if _, err := g.o.Log.ProposeOne(ctx, set); err != nil {
			return nil, err
		}
	}
	return &fepb.JoinResponse{ClusterId: string(cat.ClusterID()), Name: fe.Name}, nil
}

// note remembers who waits, for SHOW.
func (g *Group) note(at string, req *fepb.JoinRequest, why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key, w := range g.waiting {
		if time.Since(w.Seen) > waitingForget {
			delete(g.waiting, key)
		}
	}
	if why == "" {
		delete(g.waiting, at)
		return
	}
	w := g.waiting[at]
	if w == nil {
		if len(g.waiting) >= maxWaiting {
			return
		}
		w = &Waiting{Host: req.Host, RaftPort: int(req.RaftPort), Since: time.Now()}
		g.waiting[at] = w
		g.o.Logger.Warn("a frontend without metadata asks to join", "fe", at, "answer", why)
	}
	w.RPCPort, w.Version, w.Seen, w.Why = int(req.RpcPort), req.Version, time.Now(), why
}

// Role is the role that an FE is meant to have, as statements name it.
func Role(fe *catalog.FE) string {
	if fe.Observer {
		return "OBSERVER"
	}
	return "FOLLOWER"
}
