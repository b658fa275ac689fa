package group

import (
	"sync"
	"time"

	"stele/meta/rpc"
	"stele/meta/stranger"
	"stele/meta/types"
	"stele/proto/fepb"
)

// heard is what the beats of leading FEs have brought.
type heard struct {
	mu     sync.Mutex
	term   uint64
	leader string
	at     time.Time // of the last beat
	view   uint64    // version taken over from that leader
}

// lastHeard is from when on an FE is silent for one that begins to lead: the leader before has not been heard since its
// last beat, but gets the time to answer one; the others get their time from now on.
func (g *Group) lastHeard(name string) time.Time {
	g.heard.mu.Lock()
	defer g.heard.mu.Unlock()
	now := time.Now()
	if g.heard.leader != name {
		return now
	}
	if oneBeat := now.Add(beatTimeout - DeadAfter); g.heard.at.Before(oneBeat) {
		return oneBeat
	}
	return g.heard.at
}

// Heard takes in a beat of the leading FE and answers how this one is. A beat of a term that is over is refused: its
// sender is no leader any more, and what it believes of the BEs may be old.
func (g *Group) Heard(req *fepb.BeatRequest) (*fepb.BeatResponse, error) {
	g.heard.mu.Lock()
	defer g.heard.mu.Unlock()
	h := &g.heard
	if req.Term < h.term {
		return nil, &rpc.Error{Msg: "frontend " + req.Leader + " does not lead any more", Reason: "stale_term"}
	}
	if req.Term != h.term || req.Leader != h.leader {
		h.term, h.leader, h.view = req.Term, req.Leader, 0
	}
	h.at = time.Now()
	if len(req.View) > 0 {
		if err := g.o.Mirror(req.View); err != nil {
			return nil, err
		}
		h.view = req.ViewVersion
	}
	resp := &fepb.BeatResponse{Name: g.o.Log.ID(), Applied: g.o.Log.AppliedIndex(), StartTimeMs: g.o.Started.UnixMilli(),
		Version: g.o.Version, ViewVersion: h.view, Term: h.term, NowMs: time.Now().UnixMilli(), Starting: g.o.Serves != nil && !g.o.Serves()}
	if g.o.OldestRead != nil {
		resp.OldestReadMs = uint64(g.o.OldestRead().Milliseconds())
	}
	if g.o.Strangers != nil {
		for _, s := range g.o.Strangers() {
			resp.Strangers = append(resp.Strangers, &fepb.Stranger{Via: s.Via, Address: s.Address, ClusterId: string(s.Cluster), Detail: s.Detail,
				FirstMs: s.First.UnixMilli(), LastMs: s.Last.UnixMilli(), Count: s.Count})
		}
	}
	return resp, nil
}

// strangersOf reads what of other clusters an FE says it has met.
func strangersOf(resp *fepb.BeatResponse) []stranger.Stranger {
	var out []stranger.Stranger
	for _, s := range resp.Strangers {
		out = append(out, stranger.Stranger{Via: s.Via, Address: s.Address, Cluster: types.ClusterID(s.ClusterId), Detail: s.Detail,
			First: time.UnixMilli(s.FirstMs), Last: time.UnixMilli(s.LastMs), Count: s.Count})
	}
	return out
}
