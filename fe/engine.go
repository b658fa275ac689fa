package fe

import (
	"context"
	"fmt"
	"slices"
	"time"

	"stele/conf"
	"stele/fe/account"
	"stele/fe/group"
	"stele/fe/server"
	"stele/fe/session"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/raftlog"
	"stele/meta/types"
	"stele/proto/bepb"
)

// engine runs the statements of MySQL clients.
type engine struct {
	shared *session.Shared
	node   *node
}

// loginPatience is how long a login waits to hear from the leading FE what has become of the accounts.
const loginPatience = 250 * time.Millisecond

// Account finds the account that a user comes in under. It may have been made, changed or dropped on another FE just now; without
// a leader the accounts are as this FE knows them.
func (e *engine) Account(user, host string) (server.Account, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), loginPatience)
	defer cancel()
	if _, err := e.node.quorum.ReadIndex(ctx); err != nil {
		e.node.log.Debug("accounts of the leading frontend", "err", err)
	}
	accounts := e.node.meta.Current().Accounts()
	if conf.SkipGrantTables.Get(e.node.live.Load()) {
		return rescue(accounts, host)
	}
	u, ok := account.Find(accounts, user, host)
	if !ok {
		return server.Account{}, false
	}
	return server.Account{User: u.Name, Host: u.Host, Plugin: u.Plugin, AuthString: string(u.Auth), Locked: u.Locked, RequireTLS: u.RequireTLS}, true
}

// rescue lets clients of this machine in without a password, as an account that can set the others': the catalog always has one.
func rescue(accounts []*catalog.User, host string) (server.Account, bool) {
	i := slices.IndexFunc(accounts, (*catalog.User).Administers)
	if i < 0 || !account.MatchHost("localhost", host) {
		return server.Account{}, false
	}
	return server.Account{User: accounts[i].Name, Host: accounts[i].Host, Plugin: server.PluginNative}, true
}

// Open starts the session of a connection.
func (e *engine) Open(ctx context.Context, info server.ConnInfo) (server.Session, error) {
	return e.shared.Open(ctx, info)
}

// Kill ends a statement or a connection of this FE.
func (e *engine) Kill(ctx context.Context, by server.ConnInfo, id uint64, queryOnly bool) error {
	if err := e.shared.MayKill(by, id); err != nil {
		return err
	}
	return e.node.kill(ctx, by, id, queryOnly)
}

// frontends lists the FEs of the cluster. Only the leading FE knows how the others are.
func (n *node) frontends() []stmt.Frontend {
	leader, _ := n.meta.Leader()
	servers, err := n.meta.Servers()
	if err != nil {
		n.log.Debug("servers of the raft group", "err", err)
	}
	in := map[string]raftlog.Server{}
	for _, s := range servers {
		in[s.ID] = s
	}
	statuses := n.group.Statuses()
	var out []stmt.Frontend
	for f := range n.meta.Current().FEs() {
		s, joined := in[f.Name]
		row := stmt.Frontend{Name: f.Name, Role: group.Role(f), Join: joined && !f.Pending && (s.Voter || f.Observer),
			Learner: joined && !s.Voter, Self: f.Name == n.name}
		if f.Name == leader {
			row.Role = "LEADER"
		}
		if row.Self {
			row.Starting = !n.serves.Load()
			row.Alive, row.Journal, row.Heartbeat, row.Started, row.Version = !row.Starting, n.meta.AppliedIndex(), time.Now(), n.started, n.version
		} else {
			st := statuses[f.Name]
			row.Starting = st.Alive && st.Starting
			row.Alive, row.Journal, row.Heartbeat, row.Started, row.Version = st.Alive && !st.Starting, st.Applied, st.LastSeen, st.Started, st.Version
			row.Err = n.state(f, st, joined, s.Voter)
		}
		out = append(out, row)
	}
	return out
}

// state says what is to be said of another FE: why it does not answer, or how far it is on its way into the group.
func (n *node) state(f *catalog.FE, st group.Status, joined, voter bool) string {
	switch {
	case f.Pending && f.RPCPort == 0:
		return "waits for it to ask: start stele fe there with an empty meta_dir and fe_helpers = " + n.rpcAddress()
	case st.Err != "":
		return st.Err
	case !joined:
		return "is being added to the raft group"
	case f.Pending || !voter && !f.Observer:
		return fmt.Sprintf("learner: catches up, %d log entries behind", st.Behind)
	case st.Alive && st.Starting:
		return "starts: it takes no MySQL clients yet"
	case st.Clock != 0:
		return clockApart(st.Clock)
	}
	return ""
}

// clockApart says what a clock that is ahead of that of the leading FE, or behind it, means.
func clockApart(ahead time.Duration) string {
	where := "ahead of"
	if ahead < 0 {
		where = "behind"
	}
	return fmt.Sprintf("its clock is %v %s that of the leading frontend: set it (NTP), NOW() and the times shown differ with the frontend that is asked",
		ahead.Abs().Round(time.Second), where)
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
