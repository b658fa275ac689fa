package userlock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"stele/fe/lease"
	"stele/proto/fepb"
)

// Timings of an FE's own part.
const (
	// lookInterval is how often an FE looks whether there is a new leader to announce itself to, or a lease to renew.
	lookInterval = 250 * time.Millisecond
	renewEvery   = time.Second
	renewTimeout = time.Second
)

// What becomes of a GET.
var (
	// ErrCircle says that the lock's holder waits for who asks.
	ErrCircle = errors.New("the connections wait for one another's locks")
	// ErrFull says that too many locks are held.
	ErrFull = errors.New("too many locks are held")
	// ErrLost says that the connection's locks may be another's by now.
	ErrLost = fmt.Errorf("the lease of the connection's locks is over: %w", lease.ErrLost)
	// ErrUnsure is what Call returns when nobody can say whether a leader has carried a request out. It may be made again.
	ErrUnsure = errors.New("the leading frontend changed while the request was on its way")
)

// Options are what a Keeper needs.
type Options struct {
	FE      string
	StartMs int64 // of this process
	// Call asks the Table of the leading FE. Its context carries the time that it may take.
	Call func(ctx context.Context, req *fepb.UserLockRequest) (*fepb.UserLockResponse, error)
	// Term is the newest one that this FE has heard of.
	Term func() uint64
	// End ends a client connection, which has lost its locks.
	End    func(connection uint64)
	Now    func() time.Time
	Logger *slog.Logger
}

// Keeper has the locks of one FE's connections. It is safe for concurrent use.
type Keeper struct {
	o     Options
	wake  chan struct{}
	lease *lease.Lease // proved by answers of leaders that lead

	mu    sync.Mutex
	term  uint64 // the newest one that was heard of; answers of earlier ones count for nothing
	seq   uint64 // of the last request
	held  map[string]*held
	asked map[uint64]bool // GETs under way, by seq
	// unsure is the seq after which a RENEW is wanted: the leader may believe in a lock that nobody here has.
	unsure uint64
}

type held struct {
	connection uint64
	times      int
	seq        uint64 // of the GET
}

// NewKeeper returns a keeper; Run has it renew its lease.
func NewKeeper(o Options) *Keeper {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Keeper{o: o, wake: make(chan struct{}, 1), held: map[string]*held{}, asked: map[uint64]bool{},
		lease: lease.New(lease.Options{What: "user-level locks", Patience: giveUp, End: o.End, Now: o.Now, Logger: o.Logger})}
}

// Get waits for a lock; a negative time is for ever. It is false when the time is over.
func (k *Keeper) Get(ctx context.Context, name string, connection uint64, wait time.Duration) (bool, error) {
	began := k.o.Now()
	for {
		if mine, err := k.again(name, connection); mine || err != nil {
			return mine, err
		}
		left := longestCall
		if wait >= 0 {
			left = min(left, max(0, wait-k.o.Now().Sub(began)))
		}
		req, sent := k.ask(fepb.UserLockRequest_GET, &fepb.HeldLock{Name: name, Connection: connection})
		req.WaitMs = left.Milliseconds()
		resp, err := k.o.Call(ctx, req)
		counts, err := k.got(req, sent, resp, err)
		switch {
		case errors.Is(err, ErrUnsure) && (wait < 0 || k.o.Now().Sub(began) < wait): // what came of it is asked for meanwhile
		case err != nil || counts && resp.Done:
			return err == nil, err
		case resp.Announce:
			if err := k.Sync(ctx); err != nil {
				return false, err
			}
		case counts && !resp.Gathering && wait >= 0 && k.o.Now().Sub(began) >= wait:
			return false, nil
		}
	}
}

// again takes a lock once more that the connection has.
func (k *Keeper) again(name string, connection uint64) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	h := k.held[name]
	switch {
	case h == nil || h.connection != connection:
		return false, nil
	case !k.lease.Runs():
		return false, ErrLost
	}
	h.times++
	return true, nil
}

// ask begins a request, which is sent after the time that it returns.
func (k *Keeper) ask(kind fepb.UserLockRequest_Kind, lock *fepb.HeldLock) (req *fepb.UserLockRequest, sent time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seq++
	req = &fepb.UserLockRequest{Fe: k.o.FE, StartMs: k.o.StartMs, Term: k.term, Seq: k.seq, Kind: kind, Lock: lock}
	switch kind {
	case fepb.UserLockRequest_GET:
		k.asked[k.seq] = true
	case fepb.UserLockRequest_RENEW:
		for name, h := range k.held {
			req.Held = append(req.Held, &fepb.HeldLock{Name: name, Connection: h.connection})
		}
		req.Asked = slices.Collect(maps.Keys(k.asked))
	}
	return req, k.o.Now()
}

// heard takes in that some FE leads, or led, in a term. It reports whether the answer counts.
func (k *Keeper) heard(req *fepb.UserLockRequest, sent time.Time, resp *fepb.UserLockResponse) bool {
	k.term = max(k.term, resp.Term)
	if resp.Announce || resp.Term != k.term || req.Term != k.term || k.o.Now().Sub(sent) >= giveUp {
		return false
	}
	k.lease.Prove(sent)
	return true
}

// doubt wants a RENEW that is asked for after now: the leader may believe in a lock that nobody has. It holds mu.
func (k *Keeper) doubt() {
	k.unsure = k.seq + 1
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// got takes in the answer to a GET and reports whether it counts.
func (k *Keeper) got(req *fepb.UserLockRequest, sent time.Time, resp *fepb.UserLockResponse, err error) (counts bool, _ error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	name := req.Lock.Name
	delete(k.asked, req.Seq)
	switch {
	case err != nil:
		k.doubt()
		return false, err
	case !k.heard(req, sent, resp):
		if resp.Done {
			k.doubt()
		}
		return false, nil
	case resp.Circle:
		return false, ErrCircle
	case resp.Full:
		return false, ErrFull
	case resp.Done:
		k.held[name] = &held{connection: req.Lock.Connection, times: 1, seq: req.Seq}
	}
	return true, nil
}

// Release gives a lock back once; there is false when nobody holds it.
func (k *Keeper) Release(ctx context.Context, name string, connection uint64) (mine, there bool, err error) {
	k.mu.Lock()
	h := k.held[name]
	if mine = h != nil && h.connection == connection; mine {
		if h.times--; h.times > 0 {
			k.mu.Unlock()
			return true, true, nil
		}
		delete(k.held, name)
	}
	k.mu.Unlock()
	if !mine {
		by, err := k.Holder(ctx, name)
		return false, by != 0, err
	}
	k.giveBack(ctx, name, connection)
	return true, true, nil
}

// giveBack has the leader free a lock that is held no more. What does not reach it, the next RENEW says.
func (k *Keeper) giveBack(ctx context.Context, name string, connection uint64) {
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	req, sent := k.ask(fepb.UserLockRequest_RELEASE, &fepb.HeldLock{Name: name, Connection: connection})
	resp, err := k.o.Call(ctx, req)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil || !k.heard(req, sent, resp) {
		k.doubt()
	}
}

// drop takes all locks from a connection and returns how often each was taken.
func (k *Keeper) drop(connection uint64) map[string]int {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := map[string]int{}
	for name, h := range k.held {
		if h.connection == connection {
			out[name] = h.times
			delete(k.held, name)
		}
	}
	return out
}

// ReleaseAll gives back all locks of a connection and returns how often they were taken.
func (k *Keeper) ReleaseAll(ctx context.Context, connection uint64) (n int) {
	for name, times := range k.drop(connection) {
		n += times
		k.giveBack(ctx, name, connection)
	}
	return n
}

// Ended says that a connection holds nothing any more. The leader hears of it a moment later.
func (k *Keeper) Ended(connection uint64) {
	dropped := k.drop(connection)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lease.Ended(connection)
	if len(dropped) > 0 {
		k.doubt()
	}
}

// Holder returns the connection that holds a lock, 0 = nobody.
func (k *Keeper) Holder(ctx context.Context, name string) (connection uint64, err error) {
	for {
		req, sent := k.ask(fepb.UserLockRequest_HOLDER, &fepb.HeldLock{Name: name})
		resp, err := k.o.Call(ctx, req)
		if err != nil {
			return 0, err
		}
		k.mu.Lock()
		counts := k.heard(req, sent, resp)
		k.mu.Unlock()
		switch {
		case counts && !resp.Gathering:
			return resp.Holder, nil
		case !counts:
			if err := k.Sync(ctx); err != nil {
				return 0, err
			}
		}
	}
}

// Check refuses a connection that holds locks which may be another's by now.
func (k *Keeper) Check(connection uint64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.lease.Lost(connection):
		return ErrLost
	case len(k.held) == 0 || k.lease.Runs():
		return nil
	}
	for _, h := range k.held {
		if h.connection == connection {
			return ErrLost
		}
	}
	return nil
}

// Sync tells the leader what is held here.
func (k *Keeper) Sync(ctx context.Context) error {
	for {
		req, sent := k.ask(fepb.UserLockRequest_RENEW, nil)
		resp, err := k.o.Call(ctx, req)
		if err != nil {
			return err
		}
		if k.renewed(req, sent, resp) {
			return nil
		}
		if resp.Announce && resp.Term == req.Term {
			return errors.New("the leading frontend still believes in another process of this one")
		}
	}
}

// renewed takes in the answer to a RENEW; false = it has to be asked again.
func (k *Keeper) renewed(req *fepb.UserLockRequest, sent time.Time, resp *fepb.UserLockResponse) bool {
	var lost []uint64
	defer func() { k.lease.End(lost) }()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.heard(req, sent, resp) {
		return false
	}
	if req.Seq >= k.unsure {
		k.unsure = 0
	}
	for _, l := range resp.Lost {
		if h := k.held[l.Name]; h != nil && h.connection == l.Connection && h.seq <= req.Seq {
			delete(k.held, l.Name)
			lost = k.lease.Lose(lost, l.Connection)
		}
	}
	return true
}

// lapse ends the connections that have locks when the lease is over.
func (k *Keeper) lapse() { k.lease.End(k.lapsed()) }

// lapsed takes the locks whose lease is over from their connections.
func (k *Keeper) lapsed() []uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.held) == 0 || k.lease.Runs() {
		return nil
	}
	var lost []uint64
	for _, h := range k.held {
		lost = k.lease.Lose(lost, h.connection)
	}
	clear(k.held)
	k.doubt()
	return lost
}

// due reports whether the leader has to be told what is held: it may be a new one, a lease runs, or it believes what is not so.
func (k *Keeper) due() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.unsure > 0 || k.o.Term() > k.term || len(k.held) > 0 && k.lease.Age() >= renewEvery
}

// Run announces this FE to new leaders and renews its lease until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-k.wake:
		}
		k.lapse()
		if !k.due() {
			continue
		}
		rctx, cancel := context.WithTimeout(ctx, renewTimeout)
		if err := k.Sync(rctx); err != nil && ctx.Err() == nil {
			k.o.Logger.Debug("renew the lease of user-level locks", "err", err)
		}
		cancel()
	}
}
