package dist

import (
	"context"
	"errors"

	"stele/fe/beclient"
	"stele/meta/catalog"
	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/exec"
	"stele/sql/physical"
	"stele/sql/spool"
)

// Upper is a plan whose upper part may run on a query node, with what of the session it depends on.
type Upper struct {
	Plan              *physical.Node
	TimeZone          string // "" = UTC
	MemLimit          int64
	GroupConcatMaxLen int64
}

// OnQueryNodes has the scanner offer plans to query nodes; nodes lists those that answer and are of this version. Call it
// before the first query.
func (s *Scanner) OnQueryNodes(nodes func() []types.BEID) { s.queryNodes = nodes }

// Offload runs a plan on a query node and returns its rows, or nil when the FE has to run it: no query node answers, the
// plan is not worth it, or it needs what only the FE has. The answer is kept aside until it is complete: a query node that
// dies costs another run, and no client sees it.
func (s *Scanner) Offload(ctx context.Context, q *Query, u *Upper) (exec.Stream, error) {
	if s.queryNodes == nil || q.Txn != 0 {
		return nil, nil
	}
	scans, heavy, ok := survey(u.Plan, nil)
	if !ok || !heavy || len(scans) == 0 {
		return nil, nil
	}
	nodes := s.queryNodes()
	if len(nodes) == 0 {
		return nil, nil
	}
	req, err := s.queryRequest(q, u, scans)
	if req == nil || err != nil {
		return nil, err
	}
	first := int(s.turn.Add(1) % uint64(len(nodes)))
	for i := range nodes {
		rows, err := s.askNode(ctx, nodes[(first+i)%len(nodes)], req)
		if rows != nil || err != nil {
			return rows, err
		}
	}
	return nil, nil
}

// askNode asks one query node; without rows and error it could not do it, and another is to be asked.
func (s *Scanner) askNode(ctx context.Context, node types.BEID, req *bepb.QueryRequest) (exec.Stream, error) {
	sp := spool.New(s.settings().SpillDir)
	err := s.clients.Query(ctx, s.live.Address(node), req, sp.Add)
	if err == nil {
		err = sp.Rewind()
	}
	if err == nil {
		return sp.Stream(), nil
	}
	sp.Close()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if e := (*rpc.Error)(nil); errors.As(err, &e) && e.Code != 0 {
		return nil, err // the query is at fault: it would fail here as well
	}
	if beclient.Unreachable(err) {
		s.live.Probe(node)
	}
	s.log.Info("a query goes on without its query node", "be_id", node, "err", err)
	return nil, nil
}

// survey finds the scans of a plan. heavy says that there is work above them which is worth a call; ok is false when the
// plan reads what a query node cannot.
func survey(n *physical.Node, scans []*physical.Scan) (all []*physical.Scan, heavy, ok bool) {
	switch {
	case n.System != nil, n.Scan != nil && n.Scan.Via != nil, n.Recursive != nil, n.Work != nil: // a recursion has scans that are no children
		return nil, false, false
	case n.Scan != nil:
		scans = append(scans, n.Scan)
	}
	heavy = n.Agg != nil || n.Join != nil || n.Sort != nil || n.SetOp != nil || n.Window != nil
	for _, c := range n.Children {
		var more bool
		if scans, more, ok = survey(c, scans); !ok {
			return nil, false, false
		}
		heavy = heavy || more
	}
	return scans, heavy, true
}

// queryRequest says where the tablets of a plan are; nil when one of them is nowhere at present, so that the FE has to wait
// for it.
func (s *Scanner) queryRequest(q *Query, u *Upper, scans []*physical.Scan) (*bepb.QueryRequest, error) {
	plan, err := physical.EncodePlan(u.Plan)
	if err != nil {
		return nil, err
	}
	req := &bepb.QueryRequest{Plan: plan, NowUs: q.NowMicros, TimeZone: u.TimeZone, MemLimitBytes: u.MemLimit, GroupConcatMaxLen: u.GroupConcatMaxLen}
	cat, places, seen := s.current(), map[types.BEID]uint32{}, map[types.TabletID]bool{}
	for _, scan := range scans {
		for _, id := range scan.Tablets {
			if seen[id] {
				continue
			}
			seen[id] = true
			t := s.locate(q, cat, id, req, places)
			if t == nil {
				return nil, nil
			}
			req.Tablets = append(req.Tablets, t)
		}
	}
	return req, nil
}

// locate finds the live replicas that have a tablet's version, nil when there is none.
func (s *Scanner) locate(q *Query, cat *catalog.Catalog, id types.TabletID, req *bepb.QueryRequest, places map[types.BEID]uint32) *bepb.QueryRequest_Tablet {
	then, ok := q.Snapshot.Tablet(id)
	if !ok {
		return nil
	}
	tab, ok := cat.Tablet(id)
	if !ok {
		tab = then // dropped since: the BEs may still have it
	}
	out := &bepb.QueryRequest_Tablet{TabletId: uint64(id), Version: uint64(then.Version)}
	for i := range tab.Replicas {
		rep := &tab.Replicas[i]
		if rep.Role == types.RoleLearner || rep.Bad || rep.OfflineMs != 0 || !s.live.Alive(rep.BE) || rep.LastFailed != 0 && rep.Version < then.Version {
			continue
		}
		place, known := places[rep.BE]
		if !known {
			place = uint32(len(req.Addresses))
			places[rep.BE] = place
			req.Addresses = append(req.Addresses, s.live.Address(rep.BE))
		}
		out.At, out.Replicas = append(out.At, place), append(out.Replicas, uint64(rep.ID))
	}
	if len(out.At) == 0 {
		return nil
	}
	return out
}
