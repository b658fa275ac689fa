package write

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"stele/meta/types"
	"stele/proto/bepb"
)

// round is one write on its way to the disks of its replicas. It ends when every replica has the rows or has failed, or shortly
// after enough of them have: a straggler that stores the rows later still gets the publish, and its report clears the mark. It
// has no goroutine: whoever brings an answer sees what comes next.
type round struct {
	w        *Writer
	parts    []*part
	requests []*peerRequest
	done     func(error)

	mu      sync.Mutex
	here    int         // parts that are not stored here yet
	missing int         // requests without an answer
	enough  time.Time   // when a majority had the rows, and others were missing
	grace   *time.Timer // of the stragglers, once enough replicas have the rows
	over    bool
}

// replicate makes the parts durable here, or keeps the light ones, and forwards them, and notes for each part which replicas have
// it. done is called once.
func (w *Writer) replicate(ctx context.Context, txn types.TxnID, parts []*part, done func(error)) {
	chooseLight(txn, parts)
	requests := fanOut(txn, parts)
	d := &round{w: w, parts: parts, requests: requests, here: len(parts), missing: len(requests), done: done}
	if len(requests) > 0 { // else nobody else has to answer, which is what Close ends the wait for
		w.rounds.add(d)
	}
	if w.ctx.Err() != nil {
		d.end(errStopping)
		return
	}
	// The write may be answered before a straggler: its replication goes on under its own deadline.
	for _, req := range requests {
		if w.owed.Load() > stragglerBytes && w.stragglers.all(req.ways(parts)) {
			d.heard(req, peerAnswer{err: errOwesMuch})
			continue
		}
		w.late.Add(req.bytes)
		w.peers.Forward(req.address, req.req, w.opt.ReplicateTimeout, func(resp *bepb.ReplicateResponse, err error) {
			w.late.Add(-req.bytes)
			d.heard(req, peerAnswer{resp, err})
		})
	}
	for _, p := range parts {
		w.store(ctx, p.r, storedPart{txn, int(p.req.Seq), p.payload, p.written, p.light}, func(r *replica, err error) { d.stored(p, r, err) })
	}
	if len(parts) == 0 {
		d.end(nil)
	}
}

// stored notes that a part is durable here, or not.
func (d *round) stored(p *part, r *replica, err error) {
	if err != nil {
		d.end(refusalOf(types.TabletID(p.req.TabletId), err))
		return
	}
	d.mu.Lock()
	if d.over {
		d.mu.Unlock()
		return
	}
	p.r = r
	p.resp.OkReplicas = append(p.resp.OkReplicas, p.req.ReplicaId)
	d.here--
	d.stepLocked()
}

// heard notes the answer of another BE.
func (d *round) heard(req *peerRequest, a peerAnswer) {
	d.mu.Lock()
	if a.err == nil && d.w.stragglers.some.Load() { // also when nobody waits for it any more
		d.w.stragglers.heard(req.address, req.ways(d.parts), d.enough.IsZero() || time.Since(d.enough) < stragglerGrace)
	}
	if d.over {
		if req.owed {
			d.w.owed.Add(-req.bytes)
		}
		d.mu.Unlock()
		return
	}
	d.missing--
	note(d.parts, req, a)
	d.stepLocked()
}

// Bounds of what is kept in memory for replicas that have not answered: beyond the first one, which counts what nobody waits for any more,
// stragglers get nothing more, beyond the second one a write waits for all.
const (
	stragglerBytes = 64 << 20
	maxLateBytes   = 256 << 20
)

var (
	errNoAnswer = errors.New("no answer yet")
	errOwesMuch = errors.New("it owes the answers to too much already")
)

// stepLocked ends the round if that is due, and unlocks.
func (d *round) stepLocked() {
	switch {
	case d.over || d.here > 0:
	case d.missing == 0:
		d.endLocked(nil)
		return
	case d.w.ctx.Err() != nil:
		d.giveUp(errStopping)
		d.endLocked(nil)
		return
	case d.w.late.Load() >= maxLateBytes || !majority(d.parts):
	case d.forStragglers():
		d.reached()
		d.giveUp(errNoAnswer)
		d.endLocked(nil)
		return
	case d.grace == nil:
		d.reached()
		d.grace = time.AfterFunc(stragglerGrace, d.late)
	}
	d.mu.Unlock()
}

// reached notes that a majority has the rows: what is prompt is counted from here, for where all are slow nobody is a straggler.
func (d *round) reached() {
	if d.enough.IsZero() {
		d.enough = time.Now()
	}
}

// forStragglers reports whether all that has not answered is not to be waited for, and the write can be committed without it.
func (d *round) forStragglers() bool {
	if !d.w.stragglers.some.Load() || !committable(d.parts) {
		return false
	}
	for _, r := range d.requests {
		if !r.noted && !d.w.stragglers.all(r.ways(d.parts)) {
			return false
		}
	}
	return true
}

// late ends the round without the stragglers.
func (d *round) late() {
	d.mu.Lock()
	if d.over {
		d.mu.Unlock()
		return
	}
	var ask []string
	for _, r := range d.requests {
		if !r.noted && d.w.stragglers.late(r.be, r.address, r.ways(d.parts), time.Now()) {
			ask = append(ask, r.address)
		}
	}
	d.giveUp(errNoAnswer)
	d.endLocked(nil)
	for _, address := range ask {
		d.w.askPeer(address)
	}
}

func (d *round) end(err error) {
	d.mu.Lock()
	if d.over {
		d.mu.Unlock()
		return
	}
	d.endLocked(err)
}

// endLocked ends the round and unlocks.
func (d *round) endLocked(err error) {
	d.over = true
	if d.grace != nil {
		d.grace.Stop()
	}
	d.mu.Unlock()
	if len(d.requests) > 0 {
		d.w.rounds.remove(d)
	}
	d.done(err)
}

// rounds are those under way.
type rounds struct {
	mu sync.Mutex
	m  map[*round]struct{}
}

func (s *rounds) add(d *round) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = map[*round]struct{}{}
	}
	s.m[d] = struct{}{}
}

func (s *rounds) remove(d *round) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, d)
}

// step has every round look again whether it is over.
func (s *rounds) step() {
	s.mu.Lock()
	all := make([]*round, 0, len(s.m))
	for d := range s.m {
		all = append(all, d)
	}
	s.mu.Unlock()
	for _, d := range all {
		d.mu.Lock()
		d.stepLocked()
	}
}

// chooseLight says which parts the commit carries. How many bytes it may carry is said by an FE that knows which process leads: one
// that does not would commit what a restart has taken. Behind a durable part of a tablet no other is light.
func chooseLight(txn types.TxnID, parts []*part) {
	carried := 0
	for i, p := range parts {
		if p.req.LeaderStartMs == 0 || carried+len(p.payload) > int(p.req.RedoBytes) || i > 0 && parts[i-1].r == p.r && !parts[i-1].light {
			continue
		}
		if own := p.r.t.Light(txn, int(p.req.Seq), p.payload); own != nil {
			if &own[0] != &p.payload[0] {
				p.written = nil // of another try
			}
			p.payload, p.light = own, true
			carried += len(own)
		}
	}
}

// peerRequest is what goes to one other BE; index maps its parts to those of the write.
type peerRequest struct {
	be      types.BEID
	address string
	req     *bepb.ReplicateRequest
	index   []int
	bytes   int64
	noted   bool
	owed    bool // the round has ended without it
}

// ways are those that the parts of a request take.
func (r *peerRequest) ways(parts []*part) iter.Seq[way] {
	return func(yield func(way) bool) {
		for i, rp := range r.req.Parts {
			for _, o := range parts[r.index[i]].req.Others {
				if o.ReplicaId == rp.ReplicaId && !yield(way{r.address, o.DiskId, rp.Redo}) {
					return
				}
			}
		}
	}
}

type peerAnswer struct {
	resp *bepb.ReplicateResponse
	err  error
}

// maxPeerBytes is when a request to a BE is full: a message has a limit, and many small parts must not add up to it.
const maxPeerBytes = 16 << 20

// fanOut makes one request a BE, or more where the parts are large.
func fanOut(txn types.TxnID, parts []*part) []*peerRequest {
	var out []*peerRequest
	if !slices.ContainsFunc(parts, func(p *part) bool { return len(p.req.Others) > 0 }) {
		return nil
	}
	open := map[string]*peerRequest{}
	for i, p := range parts {
		for _, o := range p.req.Others {
			r := open[o.Address]
			if r == nil || r.bytes+int64(len(p.payload)) > maxPeerBytes {
				r = &peerRequest{be: types.BEID(o.BeId), address: o.Address, req: &bepb.ReplicateRequest{TxnId: uint64(txn)}}
				open[o.Address] = r
				out = append(out, r)
			}
			r.req.Parts = append(r.req.Parts, &bepb.ReplicateRequest_Part{TabletId: p.req.TabletId, ReplicaId: o.ReplicaId,
				Epoch: p.req.Epoch, Seq: p.req.Seq, Payload: p.payload, SchemaVersion: p.req.SchemaVersion, Schema: p.req.Schema,
				Redo: p.light && !o.Learner}) // what a learner has is not asked for before it counts: it must stay
			r.index = append(r.index, i)
			r.bytes += int64(len(p.payload))
		}
	}
	return out
}

// giveUp notes the BEs that have not answered. What is on its way to them is still kept.
func (d *round) giveUp(err error) {
	for _, r := range d.requests {
		if !r.noted {
			note(d.parts, r, peerAnswer{err: err})
			r.owed = true
			d.w.owed.Add(r.bytes)
		}
	}
}

// majority reports whether more than half of the replicas of every part have it.
func majority(parts []*part) bool {
	for _, p := range parts {
		if len(p.resp.OkReplicas) < types.QuorumMajority.Need(len(p.req.Others)+1) {
			return false
		}
	}
	return true
}

// committable reports whether the commit will find enough replicas of every part, which are here already: not each of the majority counts for
// it. Of those that do it takes more than half even where the table asks for fewer.
func committable(parts []*part) bool {
	for _, p := range parts {
		have, count := 1, 1
		for _, o := range p.req.Others {
			if o.Learner || o.Lags {
				continue
			}
			if count++; slices.Contains(p.resp.OkReplicas, o.ReplicaId) {
				have++
			}
		}
		if have < max(int(p.req.Need), types.QuorumMajority.Need(count)) {
			return false
		}
	}
	return true
}

// note records the answer of one BE.
func note(parts []*part, r *peerRequest, a peerAnswer) {
	r.noted = true
	for i, rp := range r.req.Parts {
		p, text := parts[r.index[i]], ""
		switch {
		case a.err != nil:
			text = a.err.Error()
		case i >= len(a.resp.Errors):
			text = "short answer"
		default:
			text = a.resp.Errors[i]
		}
		if text == "" {
			p.resp.OkReplicas = append(p.resp.OkReplicas, rp.ReplicaId)
			if i < len(a.resp.Newest) { // else it is of an older version
				p.has(rp.ReplicaId, a.resp.Newest[i])
			}
		} else {
			p.resp.Failures = append(p.resp.Failures, &bepb.WriteResponse_Failure{ReplicaId: rp.ReplicaId, Error: text})
		}
	}
}
