package txn

import (
	"sync/atomic"
	"time"

	"stele/meta/types"
	"stele/proto/bepb"
)

// A client that writes row after row has each write follow the publication of the one before within a moment. Sent on its own that
// wakes the BE for nothing: the write needs the version anyhow. So a version may be held until the next write to the BE takes it
// along, which the BE publishes before anything else. It is held
//
//   - for holdFor at most, and only while the versions before have been followed by a write in that time;
//   - not while a write to the BE is under way: it may wait for the row locks that the publication frees;
//   - not when this FE reads: what is held goes before the read;
//   - not when there are other FEs, whose reads and writes would have to wait for it.
//
// A BE says with each answer that it knows versions that come with writes. Those that it has not confirmed are sent on their own.

const (
	// holdFor bounds how long a version waits for a write.
	holdFor = 2 * time.Millisecond
	// maxRiding bounds the versions that a write takes along.
	maxRiding = 32
)

// holding is what a publisher holds. Its mutex is the publisher's.
type holding struct {
	queues atomic.Int32  // that hold something
	most   time.Duration // holdFor, but for tests
	armed  bool          // the timer runs
	timer  *time.Timer
	over   bool // nothing is held any more
}

// rides is how a BE gets versions with writes.
type rides struct {
	able    bool      // its last answer said that it knows of that
	pays    bool      // the last version was followed by a write in time
	held    bool      // the items wait for a write
	last    time.Time // when the first of the items was queued that are held, or were last
	writing int       // writes to it that are under way
}

// holdLocked decides whether the items of a queue with no call under way wait for a write; it is the last of them that has come.
func (p *publisher) holdLocked(q *publishQueue, it publishItem) bool {
	r := &q.rides
	if r.held && it.mayWait && len(q.items) <= maxRiding {
		return true
	}
	if r.held {
		p.unholdLocked(q)
		return false
	}
	r.last = time.Now()
	if !it.mayWait || !r.able || !r.pays || r.writing > 0 || p.hold.over || len(q.items) > maxRiding {
		return false
	}
	r.held = true
	p.hold.queues.Add(1)
	p.armLocked(p.hold.most)
	return true
}

func (p *publisher) unholdLocked(q *publishQueue) {
	q.rides.held = false
	p.hold.queues.Add(-1)
}

func (p *publisher) armLocked(d time.Duration) {
	switch {
	case p.hold.armed:
		return
	case p.hold.timer == nil:
		p.hold.timer = time.AfterFunc(d, p.holdEnds)
	default:
		p.hold.timer.Reset(d)
	}
	p.hold.armed = true
}

// holdEnds has the loop send what no write has taken along in time. The timer is not set anew for each version.
func (p *publisher) holdEnds() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold.armed = false
	now, soonest := time.Now(), p.hold.most
	for be, q := range p.queues {
		if !q.rides.held {
			continue
		}
		if left := p.hold.most - now.Sub(q.rides.last); left > 0 && !p.hold.over {
			soonest = min(soonest, left)
			continue
		}
		q.rides.pays = false
		p.unholdLocked(q)
		p.callLocked(be, q)
	}
	if p.hold.queues.Load() > 0 {
		p.armLocked(soonest)
	}
}

// endHoldingLocked has the loop send what is held; nothing is held from now on.
func (p *publisher) endHoldingLocked() {
	p.hold.over = true
	if p.hold.timer != nil {
		p.hold.timer.Stop()
	}
	for be, q := range p.queues {
		if q.rides.held {
			p.unholdLocked(q)
			p.callLocked(be, q)
		}
	}
}

// release sends what is held before it returns, so that a read behind it does not wait for it. A BE in this process has it by then.
func (p *publisher) release() {
	if p.hold.queues.Load() == 0 {
		return
	}
	p.mu.Lock()
	var held []types.BEID
	for be, q := range p.queues {
		if q.rides.held {
			p.unholdLocked(q)
			q.busy = true
			held = append(held, be)
		}
	}
	p.mu.Unlock()
	for _, be := range held {
		p.next(be, true)
	}
}

// board returns the versions that a write to a BE is to take along. arrived must follow.
func (p *publisher) board(be types.BEID) []*bepb.PublishRequest_Item {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.queueLocked(be)
	r := &q.rides
	r.writing++
	r.pays = time.Since(r.last) < p.hold.most
	if !r.held {
		return nil
	}
	p.unholdLocked(q)
	out := make([]*bepb.PublishRequest_Item, len(q.items))
	for i, it := range q.items {
		out[i] = it.msg
	}
	clear(q.items)
	q.items = q.items[:0]
	return out
}

// arrived is told what the answer to the write says of the versions, 0 = nothing, or there is none. Those that the BE has not
// confirmed go on their own: it may have them, which does no harm.
func (p *publisher) arrived(be types.BEID, rode []*bepb.PublishRequest_Item, published uint32) {
	p.mu.Lock()
	q := p.queueLocked(be)
	q.rides.writing--
	q.rides.able = published > 0
	p.mu.Unlock()
	if int(published) > len(rode) {
		return
	}
	for _, msg := range rode {
		p.add(be, publishItem{msg: msg})
	}
}
