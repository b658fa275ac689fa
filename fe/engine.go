package fe

import (
	"context"
	"time"

	"stele/conf"
	"stele/fe/server"
	"stele/fe/session"
	"stele/fe/stmt"
	"stele/meta/types"
	"stele/proto/bepb"
	sqltypes "stele/sql/types"
)

// engine runs the statements of MySQL clients.
type engine struct {
	shared *session.Shared
	node   *node
}

// Account finds the account of a user. A cluster without accounts has root without a password, as a fresh MySQL has.
func (e *engine) Account(user, _ string) (server.Account, bool) {
	cat := e.node.meta.Current()
	for u := range cat.Users() {
		if u.Name == user {
			return server.Account{Host: u.Host, Plugin: u.Plugin, AuthString: string(u.Auth)}, true
		}
	}
	if user == "root" {
		return server.Account{Host: "%", Plugin: server.PluginNative}, true
	}
	return server.Account{}, false
}

// Open starts the session of a connection.
func (e *engine) Open(ctx context.Context, info server.ConnInfo) (server.Session, error) {
	return e.shared.Open(ctx, info)
}

// Kill ends a statement or a connection of this FE.
func (e *engine) Kill(ctx context.Context, by server.ConnInfo, id uint64, queryOnly bool) error {
	return e.node.kill(ctx, by, id, queryOnly)
}

func (n *node) kill(_ context.Context, _ server.ConnInfo, id uint64, queryOnly bool) error {
	if !n.mysql.Kill(id, queryOnly) {
		return sqltypes.Errorf(1094, "HY000", "Unknown thread id: %d", id)
	}
	return nil
}

// frontends lists the FEs of the cluster.
func (n *node) frontends() []stmt.Frontend {
	leader, _ := n.meta.Leader()
	var out []stmt.Frontend
	for f := range n.meta.Current().FEs() {
		row := stmt.Frontend{Name: f.Name, Role: "FOLLOWER", Join: true, Self: f.Name == n.name}
		if f.Name == leader {
			row.Role = "LEADER"
		}
		if row.Self {
			row.Alive, row.Journal, row.Heartbeat, row.Started, row.Version = true, n.meta.AppliedIndex(), time.Now(), n.started, n.version
		}
		out = append(out, row)
	}
	return out
}

// httpAddress is where the status pages are.
func (n *node) httpAddress() string {
	v := n.live.Load()
	return hostPort(conf.FEHost.Get(v), conf.FEHTTPPort.Get(v))
}

// digest asks a BE for the digest of a replica.
func (n *node) digest(ctx context.Context, be types.BEID, req *bepb.DigestRequest) (*bepb.DigestResponse, error) {
	client, err := n.clients.BE(n.cluster.Address(be))
	if err != nil {
		return nil, err
	}
	return client.Digest(ctx, req)
}
