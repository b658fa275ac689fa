package userlock

import (
	"context"
	"sync"
	"time"

	"stele/proto/fepb"
)

// Timings of leases.
const (
	// freeAfter is for how long the leading FE believes in locks of an FE that it does not hear of.
	freeAfter = 6 * time.Second
	// giveUp is how old the last proof of its lease may be before an FE takes its own locks for lost. The rest of the lease
	// is for noticing it, and for clocks that do not run alike.
	giveUp = 4 * time.Second
	// longestCall bounds how long one call waits; who waits longer calls again.
	longestCall = 2 * time.Second
	// lookAgain is how often a call that waits looks for FEs that have fallen silent.
	lookAgain = 500 * time.Millisecond
	// maxLocks bounds the names that are held.
	maxLocks = 1 << 16
)

// Lead says that this FE leads, for certain and at a moment after the call has begun.
type Lead struct {
	Term    uint64
	Members []Member
}

// Member is an FE of the cluster.
type Member struct {
	Name string
	// Ended is when it was last seen that its process had ended, which may be that of a process before; zero = it was not seen.
	Ended time.Time
}

// Table has the locks of all FEs, on the one that leads. It is memory of one term. It is safe for concurrent use.
type Table struct {
	verify func(context.Context) (Lead, error)

	mu      sync.Mutex
	term    uint64
	since   time.Time            // a moment after the term began
	fes     map[string]*frontend // those that have announced themselves in this term
	locks   map[string]*lock
	waiting map[owner]string // the name that a connection waits for
	news    chan struct{}    // closed when an FE has announced itself
}

type owner struct {
	fe         string
	connection uint64
}

// frontend is an FE that is heard of.
type frontend struct {
	startMs int64
	seq     uint64 // of its newest request
	last    time.Time
	renewed uint64          // of its newest RENEW
	asked   map[uint64]bool // the GETs that were under way then
}

// abandoned reports whether nobody waits any more for the answer to a GET, as a later RENEW has said.
func (fe *frontend) abandoned(seq uint64) bool { return seq < fe.renewed && !fe.asked[seq] }

type lock struct {
	by    owner
	seq   uint64        // of the request by which it is held
	freed chan struct{} // closed when it is not held any more
}

// NewTable returns an empty table; verify is asked with every request.
func NewTable(verify func(context.Context) (Lead, error)) *Table {
	t := &Table{verify: verify}
	t.begin(0, time.Time{})
	return t
}

// begin forgets what was known in an earlier term.
func (t *Table) begin(term uint64, now time.Time) {
	for _, l := range t.locks {
		close(l.freed)
	}
	if t.news != nil {
		close(t.news)
	}
	t.term, t.since = term, now
	t.fes, t.locks, t.waiting, t.news = map[string]*frontend{}, map[string]*lock{}, map[owner]string{}, make(chan struct{})
}

// Do answers a request. It waits as the request says, up to longestCall.
func (t *Table) Do(ctx context.Context, req *fepb.UserLockRequest) (*fepb.UserLockResponse, error) {
	began, wait := time.Now(), min(time.Duration(req.WaitMs)*time.Millisecond, longestCall)
	defer t.stopWaiting(req)
	for {
		lead, err := t.verify(ctx)
		if err != nil {
			return nil, err
		}
		resp, change := t.step(req, lead, time.Now())
		left := wait - time.Since(began)
		if resp.Gathering {
			left = max(wait, lookAgain) - time.Since(began)
		}
		if change == nil || left <= 0 {
			return resp, nil
		}
		again := time.NewTimer(min(left, lookAgain))
		select {
		case <-change:
		case <-again.C:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		if again.Stop(); err != nil {
			return nil, err
		}
	}
}

func ownerOf(req *fepb.UserLockRequest) owner { return owner{req.Fe, req.Lock.GetConnection()} }

func (t *Table) stopWaiting(req *fepb.UserLockRequest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if req.Kind == fepb.UserLockRequest_GET {
		delete(t.waiting, ownerOf(req))
	}
}

// step does what can be done of a request at once. change is closed when it is worth trying again, nil = the answer stands.
func (t *Table) step(req *fepb.UserLockRequest, lead Lead, now time.Time) (resp *fepb.UserLockResponse, change <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if lead.Term > t.term {
		t.begin(lead.Term, now)
	}
	t.expire(lead.Members, now)
	resp = &fepb.UserLockResponse{Term: t.term}
	if lead.Term < t.term || req.Term != t.term {
		resp.Announce = true
		return resp, nil
	}
	if req.Kind == fepb.UserLockRequest_RENEW {
		t.renew(req, resp, now)
		return resp, nil
	}
	fe := t.fes[req.Fe]
	if fe == nil || fe.startMs != req.StartMs {
		resp.Announce = true
		return resp, nil
	}
	fe.last, fe.seq = now, max(fe.seq, req.Seq)
	l := t.locks[req.Lock.GetName()]
	switch {
	case req.Kind == fepb.UserLockRequest_RELEASE:
		if resp.Done = l != nil && l.by == ownerOf(req) && req.Seq > l.seq; resp.Done {
			t.free(req.Lock.Name, l)
		}
		return resp, nil
	case !t.complete(lead.Members, now):
		resp.Gathering = true
		return resp, t.news
	case req.Kind == fepb.UserLockRequest_GET && fe.abandoned(req.Seq):
		return resp, nil
	case req.Kind == fepb.UserLockRequest_GET:
		return resp, t.get(req, l, resp)
	}
	if l != nil {
		resp.Holder = l.by.connection
	}
	return resp, nil
}

// get gives a lock to who asks; else it returns what is closed when the lock is free.
func (t *Table) get(req *fepb.UserLockRequest, l *lock, resp *fepb.UserLockResponse) (freed <-chan struct{}) {
	by := ownerOf(req)
	switch {
	case l == nil && len(t.locks) >= maxLocks:
		resp.Full = true
	case l == nil:
		t.locks[req.Lock.Name] = &lock{by: by, seq: req.Seq, freed: make(chan struct{})}
		resp.Done = true
	case l.by == by: // the answer by which it learnt of it was lost
		l.seq, resp.Done = max(l.seq, req.Seq), true
	case req.WaitMs > 0 && t.circle(by, l):
		resp.Circle = true
	default:
		resp.Holder = l.by.connection
		t.waiting[by] = req.Lock.Name
		return l.freed
	}
	delete(t.waiting, by)
	return nil
}

// circle reports whether the holder of a lock waits, perhaps through others, for by.
func (t *Table) circle(by owner, l *lock) bool {
	for range maxLocks {
		if l == nil || l.by == by {
			return l != nil
		}
		name, waits := t.waiting[l.by]
		if !waits {
			return false
		}
		l = t.locks[name]
	}
	return false // a circle of others, of whom one is just being told
}

func (t *Table) free(name string, l *lock) {
	delete(t.locks, name)
	close(l.freed)
}

// freeOf frees the locks of an FE that meet a condition.
func (t *Table) freeOf(fe string, which func(name string, l *lock) bool) {
	for name, l := range t.locks {
		if l.by.fe == fe && which(name, l) {
			t.free(name, l)
		}
	}
}

func all(string, *lock) bool { return true }

// expire frees the locks of FEs that have ended, that are none any more or that have been silent for a whole lease.
func (t *Table) expire(members []Member, now time.Time) {
	ended := make(map[string]time.Time, len(members))
	for _, m := range members {
		ended[m.Name] = m.Ended
	}
	for name, fe := range t.fes {
		if end, member := ended[name]; !member || end.After(fe.last) || now.Sub(fe.last) >= freeAfter {
			delete(t.fes, name)
			t.freeOf(name, all)
		}
	}
}

// complete reports whether everything is known that any FE may hold: each has said so in this term, has ended in it, or has had no proof
// of its lease for a whole one, because such a proof would be from an earlier term.
func (t *Table) complete(members []Member, now time.Time) bool {
	if now.Sub(t.since) >= freeAfter {
		return true
	}
	for _, m := range members {
		if t.fes[m.Name] == nil && !m.Ended.After(t.since) {
			return false
		}
	}
	return true
}

// renew takes in what an FE holds.
func (t *Table) renew(req *fepb.UserLockRequest, resp *fepb.UserLockResponse, now time.Time) {
	fe := t.fes[req.Fe]
	if fe != nil && fe.startMs > req.StartMs { // that process has ended; this call of it is late
		resp.Announce = true
		return
	}
	if fe != nil && fe.startMs < req.StartMs { // another process: the sessions of the one before have ended
		t.freeOf(req.Fe, all)
		fe = nil
	}
	if fe == nil {
		fe = &frontend{startMs: req.StartMs}
		t.fes[req.Fe] = fe
		close(t.news)
		t.news = make(chan struct{})
	}
	fe.last = now
	if req.Seq < fe.renewed {
		return // the later one knew more
	}
	fe.renewed, fe.asked = req.Seq, make(map[uint64]bool, len(req.Asked))
	for _, seq := range req.Asked {
		fe.asked[seq] = true
	}
	held := make(map[string]bool, len(req.Held))
	for _, h := range req.Held {
		held[h.Name] = true
	}
	t.freeOf(req.Fe, func(name string, l *lock) bool { return req.Seq > l.seq && !held[name] && !fe.asked[l.seq] })
	if req.Seq < fe.seq {
		return // overtaken by a request that knew more of what is held
	}
	fe.seq = req.Seq
	for _, h := range req.Held {
		l, by := t.locks[h.Name], owner{req.Fe, h.Connection}
		switch {
		case l == nil:
			t.locks[h.Name] = &lock{by: by, seq: req.Seq, freed: make(chan struct{})}
		case l.by.fe != req.Fe:
			resp.Lost = append(resp.Lost, h)
		default:
			l.by = by
		}
	}
}
