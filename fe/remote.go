package fe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"stele/fe/beclient"
	"stele/fe/cluster"
	"stele/fe/server"
	"stele/fe/session"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/proto/fepb"
	"stele/sql/errno"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// otherTimeout bounds a question to one other FE that a statement can do without.
const otherTimeout = time.Second

// asker reaches the leading FE for sessions.
type asker struct{ n *node }

// Leads reports whether this FE leads.
func (a asker) Leads() bool { return a.n.quorum.Leads() }

// Ask returns the answer of the leading FE, which may have become this one. When it comes, this FE has applied what
// the statement did.
func (a asker) Ask(ctx context.Context, q session.Question) (r stmt.Result, err error) {
	index := uint64(0)
	err = a.n.quorum.AtLeader(ctx, q.Again, func(ctx context.Context) (err error) {
		r, err = a.n.shared.Answer(ctx, q)
		return err
	}, func(ctx context.Context, fe fepb.FrontendClient) (err error) {
		r, index, err = a.ask(ctx, fe, q)
		return err
	})
	if err == nil && index > 0 { // not as a part of the call, which ends when the leader moves: the answer is here
		err = a.n.quorum.WaitApplied(ctx, index)
	}
	return r, err
}

// ask also returns up to where of the log the statement reaches.
func (a asker) ask(ctx context.Context, fe fepb.FrontendClient, q session.Question) (r stmt.Result, index uint64, err error) {
	req := &fepb.AskRequest{Fe: a.n.name, Statement: q.Statement, Database: q.Database, Table: q.Table,
		SessionDatabase: q.SessionDB, User: q.User, Zone: q.Zone, SqlMode: q.Mode}
	for _, role := range q.Roles {
		req.Roles = append(req.Roles, &fepb.Role{Name: role.Name, Host: role.Host})
	}
	stream, err := fe.Ask(ctx, req)
	if err != nil {
		return r, 0, err
	}
	first, err := stream.Recv()
	if err != nil {
		return r, 0, err
	}
	if r, index, err = stmt.DecodeHead(first.Head); err != nil {
		return r, 0, err
	}
	r.Batches = []*vec.Batch{}
	for {
		msg, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return r, 0, err
		}
		b, err := vec.Decode(msg.Batch)
		if err != nil {
			return r, 0, fmt.Errorf("answer of the leading frontend: %w", err)
		}
		r.Batches = append(r.Batches, b)
	}
	return r, index, nil
}

// others calls f for every other FE of the catalog at the same time.
func (n *node) others(f func(ctx context.Context, fe *catalog.FE, client fepb.FrontendClient)) {
	fes := map[string]*catalog.FE{}
	for fe := range n.meta.Current().FEs() {
		if fe.Name != n.name && fe.RPCPort != 0 {
			fes[beclient.Address(fe.Host, fe.RPCPort)] = fe
		}
	}
	n.callAll(slices.Collect(maps.Keys(fes)), func(ctx context.Context, address string, client fepb.FrontendClient) { f(ctx, fes[address], client) })
}

// callAll calls f for the FEs at some addresses at the same time.
func (n *node) callAll(addresses []string, f func(ctx context.Context, address string, client fepb.FrontendClient)) {
	ctx, cancel := context.WithTimeout(context.Background(), otherTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, address := range addresses {
		client, err := n.clients.FE(address)
		if err != nil {
			n.log.Debug("call another frontend", "address", address, "err", err)
			continue
		}
		wg.Go(func() { f(ctx, address, client) })
	}
	wg.Wait()
}

// othersSay asks the other FEs what runs there and hands each answer to each, one at a time. One that does not answer is
// left out.
func (n *node) othersSay(each func(fe *catalog.FE, resp *fepb.SessionsResponse)) {
	var mu sync.Mutex
	n.others(func(ctx context.Context, fe *catalog.FE, client fepb.FrontendClient) {
		resp, err := client.Sessions(ctx, &fepb.SessionsRequest{})
		if err != nil {
			n.log.Debug("what runs on another frontend", "fe", fe.Name, "err", err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		each(fe, resp)
	})
}

// otherSessions lists the sessions of the other FEs.
func (n *node) otherSessions() (out []stmt.Process) {
	n.othersSay(func(_ *catalog.FE, resp *fepb.SessionsResponse) {
		for _, s := range resp.Sessions {
			out = append(out, stmt.Process{ID: s.Id, User: s.User, Host: s.Host, DB: s.Db, Command: s.Command,
				Since: time.UnixMilli(s.SinceMs), Text: s.Text, Txn: openTxn(s.Transaction), Locks: s.Locks, Awaits: s.Awaits})
		}
	})
	return out
}

func openTxn(t *fepb.OpenTransaction) stmt.OpenTxn {
	if t == nil {
		return stmt.OpenTxn{}
	}
	out := stmt.OpenTxn{ID: types.TxnID(t.Id), Since: time.UnixMilli(t.SinceMs), Committed: t.Committed, ReadOnly: t.ReadOnly}
	if t.ReadsMs != 0 {
		out.Reads = time.UnixMilli(t.ReadsMs)
	}
	return out
}

// otherTransactions lists the transactions that run on the other FEs.
func (n *node) otherTransactions() (out []stmt.Transaction) {
	n.othersSay(func(fe *catalog.FE, resp *fepb.SessionsResponse) {
		for _, t := range resp.Transactions {
			out = append(out, stmt.Transaction{ID: types.TxnID(t.Id), Since: time.UnixMilli(t.SinceMs), Frontend: fe.Name})
		}
	})
	return out
}

// uses reports whether something is under way on this FE that locks of tables have to wait for, when it has heard of the locks.
func (n *node) uses(ctx context.Context, tables []types.TableID, all bool) (bool, error) {
	if _, err := n.quorum.ReadIndex(ctx); err != nil {
		return false, err
	}
	return n.shared.Uses(tables, all), nil
}

// othersUse asks that of the other FEs. Of one whose process has ended nothing is under way.
func (n *node) othersUse(_ context.Context, tables []types.TableID, all bool) (busy, silent bool) {
	req := &fepb.UsesRequest{All: all}
	for _, id := range tables {
		req.Tables = append(req.Tables, uint64(id))
	}
	var mu sync.Mutex
	n.others(func(ctx context.Context, _ *catalog.FE, client fepb.FrontendClient) {
		resp, err := client.Uses(ctx, req)
		mu.Lock()
		defer mu.Unlock()
		busy = busy || resp.GetBusy()
		silent = silent || err != nil && !beclient.Refused(err)
	})
	return busy, silent
}

// kill ends a statement or a connection of this FE or another: the id says whose it is.
func (n *node) kill(ctx context.Context, _ server.ConnInfo, id uint64, queryOnly bool) error {
	if n.killHere(id, queryOnly) {
		return nil
	}
	unknown := sqltypes.Errorf(errno.NoSuchThread, "Unknown thread id: %d", id)
	for fe := range n.meta.Current().FEs() {
		if fe.Name == n.name || fe.RPCPort == 0 || server.ConnNode(id) != serverID(fe) {
			continue
		}
		client, err := n.clients.FE(beclient.Address(fe.Host, fe.RPCPort))
		if err != nil {
			return err
		}
		kctx, cancel := context.WithTimeout(ctx, otherTimeout)
		defer cancel()
		resp, err := client.Kill(kctx, &fepb.KillRequest{Id: id, QueryOnly: queryOnly})
		if err != nil {
			return fmt.Errorf("kill on frontend %s: %w", fe.Name, err)
		}
		if resp.Found {
			return nil
		}
	}
	return unknown
}

// killHere ends a statement or a connection of this FE.
func (n *node) killHere(id uint64, queryOnly bool) bool {
	mysql := n.mysql.Load()
	return mysql != nil && mysql.Kill(id, queryOnly)
}

// suspected takes in the hints of other FEs.
func (n *node) suspected(bes []types.BEID, tablets []types.TabletID) {
	for _, be := range bes {
		n.cluster.Probe(be)
	}
	for _, id := range tablets {
		n.control.Notify(cluster.Event{Kind: cluster.ReplicaChanged, Tablet: id})
	}
}

// serverID is the number of an FE in client connection ids.
func serverID(fe *catalog.FE) uint32 { return max(fe.Server, 1) & (1<<10 - 1) }

// suspects passes hints on to the leading FE, a few at a time: what is lost is found by heartbeats.
type suspects struct {
	n     *node
	queue chan *fepb.SuspectRequest
}

func newSuspects(n *node) *suspects {
	return &suspects{n: n, queue: make(chan *fepb.SuspectRequest, 64)}
}

func (s *suspects) add(req *fepb.SuspectRequest) {
	select {
	case s.queue <- req:
	default:
	}
}

// run sends hints until ctx ends.
func (s *suspects) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case req := <-s.queue:
			s.send(ctx, req)
		}
	}
}

func (s *suspects) send(ctx context.Context, req *fepb.SuspectRequest) {
	address := s.n.quorum.LeaderAddress()
	if address == "" {
		return
	}
	client, err := s.n.clients.FE(address)
	if err == nil {
		sctx, cancel := context.WithTimeout(ctx, otherTimeout)
		defer cancel()
		_, err = client.Suspect(sctx, req)
	}
	if err != nil {
		s.n.log.Debug("hint to the leading frontend", "err", err)
	}
}

// suspectBE has the leading FE look at a BE.
func (n *node) suspectBE(id types.BEID) {
	n.suspects.add(&fepb.SuspectRequest{Fe: n.name, BeIds: []uint64{uint64(id)}})
}
