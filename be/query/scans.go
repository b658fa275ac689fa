package query

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"stele/meta/rpc"
	"stele/proto/bepb"
	"stele/sql/exec"
	"stele/sql/physical"
	"stele/sql/spool"
)

// callsAtOnce bounds the calls of one scan that are under way together.
const callsAtOnce = 8

// answerMemory is how much of the answer to one call is kept in memory; there may be many at once.
const answerMemory = 2 << 20

// scans starts the scans of one query.
type scans struct {
	r       *Runner
	req     *bepb.QueryRequest
	dir     string
	tablets map[uint64]*bepb.QueryRequest_Tablet
}

// target is one tablet of a scan, with the BEs that may still be asked.
type target struct {
	*bepb.QueryRequest_Tablet
	left []int // places in At
	err  error // of the last one that was asked
}

// run is one scan under way.
type run struct {
	s        *scans
	fragment []byte
	whole    bool          // one call for all tablets of a BE, so that it aggregates them together
	room     chan struct{} // bounds the calls
	give     func(context.Context, *spool.Spool) error
}

// open starts a scan.
func (s *scans) open(ctx context.Context, scan *physical.Scan) (exec.Stream, error) {
	fragment, err := physical.EncodeFragment(&scan.Fragment)
	if err != nil {
		return nil, err
	}
	var targets []*target
	for _, id := range scan.Tablets {
		t := s.tablets[uint64(id)]
		if t == nil {
			return nil, fmt.Errorf("the request does not say where tablet %d is", id)
		}
		targets = append(targets, &target{QueryRequest_Tablet: t, left: rand.Perm(len(t.At))})
	}
	return spool.Gather(ctx, func(ctx context.Context, give func(context.Context, *spool.Spool) error) error {
		r := &run{s: s, fragment: fragment, whole: scan.Fragment.Agg != nil, room: make(chan struct{}, callsAtOnce), give: give}
		return r.all(ctx, targets)
	}), nil
}

// all serves every tablet; one that fails goes to the next BE that has it.
func (r *run) all(ctx context.Context, left []*target) error {
	for len(left) > 0 {
		calls, err := r.assign(left)
		if err != nil {
			return err
		}
		if left, err = spool.Round(ctx, r.room, calls, r.one); err != nil {
			return err
		}
	}
	return nil
}

// call is the tablets that one call asks of one BE, each of a replica.
type call struct {
	address  string
	targets  []*target
	replicas []uint64
}

// assign takes the next BE of every tablet.
func (r *run) assign(targets []*target) ([]call, error) {
	var calls []call
	at := map[string]int{}
	for _, t := range targets {
		if len(t.left) == 0 {
			return nil, &rpc.Error{Msg: fmt.Sprintf("no replica of tablet %d can serve version %d to this query node: %v", t.TabletId, t.Version, t.err),
				Reason: "unserved"}
		}
		address, replica, err := r.place(t.QueryRequest_Tablet, t.left[0])
		if err != nil {
			return nil, err
		}
		t.left = t.left[1:]
		i, seen := at[address]
		if !seen || !r.whole {
			i = len(calls)
			at[address] = i
			calls = append(calls, call{address: address})
		}
		calls[i].targets, calls[i].replicas = append(calls[i].targets, t), append(calls[i].replicas, replica)
	}
	return calls, nil
}

// place says where one of the BEs of a tablet is, and which replica it has.
func (r *run) place(t *bepb.QueryRequest_Tablet, at int) (address string, replica uint64, err error) {
	place := t.At[at]
	if int(place) >= len(r.s.req.Addresses) {
		return "", 0, fmt.Errorf("the request names %d addresses and refers to number %d", len(r.s.req.Addresses), place)
	}
	if at < len(t.Replicas) { // an FE of a release before names none
		replica = t.Replicas[at]
	}
	return r.s.req.Addresses[place], replica, nil
}

// one makes one call and hands its answer over when it is complete.
func (r *run) one(ctx context.Context, c call) ([]*target, error) {
	req := &bepb.ScanRequest{Fragment: r.fragment, NowUs: r.s.req.NowUs, MemLimitBytes: r.s.req.MemLimitBytes}
	for i, t := range c.targets {
		req.Tablets = append(req.Tablets, &bepb.ScanRequest_Tablet{TabletId: t.TabletId, Version: t.Version, ReplicaId: c.replicas[i]})
	}
	sp := spool.Sized(r.s.dir, answerMemory)
	err := r.s.r.scan(ctx, c.address, req, sp.Add)
	if err == nil {
		err = sp.Rewind()
	}
	if err == nil {
		return nil, r.give(ctx, sp)
	}
	sp.Close()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if e := (*rpc.Error)(nil); errors.As(err, &e) && e.Code != 0 {
		return nil, err // the query is at fault: it would fail anywhere
	}
	r.s.r.log.Debug("scan of a query goes to other replicas", "address", c.address, "tablets", len(c.targets), "err", err)
	for _, t := range c.targets {
		t.err = err
	}
	return c.targets, nil
}
