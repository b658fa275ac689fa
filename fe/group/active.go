package group

import (
	"context"
	"sync"
	"time"

	"stele/meta/types"
	"stele/proto/fepb"
)

// activeTimeout bounds the question which transactions an FE still works on.
const activeTimeout = 500 * time.Millisecond

// Active returns which transactions some other FE still works on, or may work on: one that does not answer may, until
// it has been silent for DeadAfter. Whoever is not active is safe to abort: the abort is an entry of the log, and a
// commit after it is refused, wherever it comes from. That is the fence between a dead FE and its transactions.
func (g *Group) Active(ctx context.Context, ids []types.TxnID) map[types.TxnID]bool {
	ask, sure := g.askable()
	req := &fepb.ActiveRequest{}
	out := map[types.TxnID]bool{}
	for _, id := range ids {
		req.TxnIds = append(req.TxnIds, uint64(id))
		out[id] = !sure
	}
	if !sure || len(ids) == 0 {
		return out
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, m := range ask {
		wg.Go(func() {
			active, err := g.active(ctx, m.address, req)
			if err != nil {
				active = req.TxnIds // all of them may be its own
			}
			mu.Lock()
			defer mu.Unlock()
			for _, id := range active {
				out[types.TxnID(id)] = true
			}
		})
	}
	wg.Wait()
	return out
}

// askable returns the FEs that may have transactions. It is not sure while this FE has just begun to lead and does not
// know yet how the others are.
func (g *Group) askable() (ask []*member, sure bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.leading.IsZero() {
		return nil, false
	}
	for fe := range g.o.Log.Current().FEs() {
		if fe.Name == g.o.Log.ID() || fe.RPCPort == 0 {
			continue
		}
		switch m := g.members[fe.Name]; {
		case m == nil && time.Since(g.leading) < DeadAfter:
			return nil, false
		case m != nil && !m.gone && time.Since(m.LastSeen) < DeadAfter:
			ask = append(ask, m)
		}
	}
	return ask, true
}

func (g *Group) active(ctx context.Context, address string, req *fepb.ActiveRequest) ([]uint64, error) {
	fe, err := g.o.Clients.FE(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, activeTimeout)
	defer cancel()
	resp, err := fe.Active(ctx, req)
	if err != nil {
		return nil, err
	}
	return resp.TxnIds, nil
}
