package query

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"stele/meta/rpc"
	"stele/proto/bepb"
	"stele/sql/exec"
	"stele/sql/physical"
	"stele/sql/spool"
	"stele/sql/vec"
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
	left []uint32
	err  error // of the last one that was asked
}

// answer is the result of one call, or the error that ends the scan.
type answer struct {
	spool *spool.Spool
	err   error
}

// run is one scan under way, and the stream of its result.
type run struct {
	s        *scans
	fragment []byte
	whole    bool // one call for all tablets of a BE, so that it aggregates them together
	cancel   context.CancelFunc
	answers  chan answer
	wg       sync.WaitGroup
	now      *spool.Spool
	done     bool
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
		left := append([]uint32(nil), t.At...)
		rand.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
		targets = append(targets, &target{QueryRequest_Tablet: t, left: left})
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &run{s: s, fragment: fragment, whole: scan.Fragment.Agg != nil, cancel: cancel, answers: make(chan answer)}
	r.wg.Go(func() {
		err := r.all(ctx, targets)
		if err != nil {
			select {
			case r.answers <- answer{err: err}:
			case <-ctx.Done():
			}
		}
		close(r.answers)
	})
	return r, nil
}

// all serves every tablet; one that fails goes to the next BE that has it.
func (r *run) all(ctx context.Context, left []*target) error {
	for len(left) > 0 {
		calls, err := r.assign(left)
		if err != nil {
			return err
		}
		if left, err = r.round(ctx, calls); err != nil {
			return err
		}
	}
	return nil
}

// call is the tablets that one call asks of one BE.
type call struct {
	address string
	targets []*target
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
		place := t.left[0]
		t.left = t.left[1:]
		if int(place) >= len(r.s.req.Addresses) {
			return nil, fmt.Errorf("the request names %d addresses and refers to number %d", len(r.s.req.Addresses), place)
		}
		address := r.s.req.Addresses[place]
		i, seen := at[address]
		if !seen || !r.whole {
			i = len(calls)
			at[address] = i
			calls = append(calls, call{address: address})
		}
		calls[i].targets = append(calls[i].targets, t)
	}
	return calls, nil
}

// round makes calls at the same time and returns the tablets to try elsewhere.
func (r *run) round(ctx context.Context, calls []call) ([]*target, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		mu    sync.Mutex
		again []*target
		wg    sync.WaitGroup
		room  = make(chan struct{}, callsAtOnce)
	)
	for _, c := range calls {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			wg.Wait()
			return nil, context.Cause(ctx)
		}
		wg.Go(func() {
			defer func() { <-room }()
			retry, err := r.one(ctx, c)
			if err != nil {
				cancel(err)
			}
			mu.Lock()
			defer mu.Unlock()
			again = append(again, retry...)
		})
	}
	wg.Wait()
	return again, context.Cause(ctx)
}

// one makes one call and hands its answer over when it is complete.
func (r *run) one(ctx context.Context, c call) ([]*target, error) {
	req := &bepb.ScanRequest{Fragment: r.fragment, NowUs: r.s.req.NowUs, MemLimitBytes: r.s.req.MemLimitBytes}
	for _, t := range c.targets {
		req.Tablets = append(req.Tablets, &bepb.ScanRequest_Tablet{TabletId: t.TabletId, Version: t.Version})
	}
	sp := spool.Sized(r.s.dir, answerMemory)
	err := r.s.r.scan(ctx, c.address, req, sp.Add)
	if err == nil {
		err = sp.Rewind()
	}
	if err == nil {
		select {
		case r.answers <- answer{spool: sp}:
			return nil, nil
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
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

// Next returns the next batch.
func (r *run) Next(ctx context.Context) (*vec.Batch, error) {
	for {
		if r.now != nil {
			b, err := r.now.Next()
			if b != nil || err != nil {
				return b, err
			}
			r.now.Close()
			r.now = nil
		}
		if r.done {
			return nil, nil
		}
		select {
		case a, ok := <-r.answers:
			if !ok || a.err != nil {
				r.done = true
				if ok {
					return nil, a.err
				}
				continue
			}
			r.now = a.spool
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Close ends the scan and waits for its calls.
func (r *run) Close() {
	r.cancel()
	for a := range r.answers {
		if a.spool != nil {
			a.spool.Close()
		}
	}
	if r.now != nil {
		r.now.Close()
		r.now = nil
	}
	r.wg.Wait()
}
