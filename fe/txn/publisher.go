package txn

import (
	"log/slog"
	"sync"
	"time"

	"stele/fe/beclient"
	"stele/meta/types"
	"stele/proto/bepb"
)

// publisher tells BEs the committed versions: one queue a BE, so that transactions which commit while a call is under way
// share the next one. No answer is called under its lock. See hold.go for versions that wait for a write to take them along.
type publisher struct {
	clients *beclient.Clients
	live    Liveness
	logger  *slog.Logger
	wg      sync.WaitGroup // the loop

	mu     sync.Mutex
	queues map[types.BEID]*publishQueue
	ready  []types.BEID  // with items and no call under way
	wake   chan struct{} // of capacity 1: ready is not empty, or it is closed
	idle   *sync.Cond    // broadcast when a queue has run empty
	closed bool
	hold   holding
}

// publishItem is one version to tell; done, if there is one, is called with whether the BE can serve it.
type publishItem struct {
	msg  *bepb.PublishRequest_Item
	done func(served bool)
	// mayWait: nobody but this FE can miss the version for a moment.
	mayWait bool
}

// publishQueue is what waits for the call under way to a BE to end, or is held.
type publishQueue struct {
	items []publishItem
	busy  bool // a call is under way, or the queue is in ready
	rides rides
}

const (
	// publishTimeout bounds one call: a BE that hangs longer learns the outcome by asking.
	publishTimeout = 5 * time.Second
	// publishGrace is how long close lets a BE that answers take what is queued for it.
	publishGrace = time.Second
	// maxPublished bounds the items of one call.
	maxPublished = 1024
	// maxQueued bounds what waits for a BE that hangs and does not count as dead yet.
	maxQueued = 64 << 10
)

func newPublisher(clients *beclient.Clients, live Liveness, logger *slog.Logger) *publisher {
	p := &publisher{clients: clients, live: live, logger: logger, queues: map[types.BEID]*publishQueue{}, wake: make(chan struct{}, 1),
		hold: holding{most: holdFor}}
	p.idle = sync.NewCond(&p.mu)
	p.wg.Go(p.run)
	return p
}

// close takes no more, and waits a little for what is queued. What a BE does not hear it will ask for.
func (p *publisher) close() {
	timer := time.AfterFunc(publishGrace, p.giveUp)
	p.mu.Lock()
	p.endHoldingLocked()
	for !p.closed && p.busyLocked() {
		p.idle.Wait()
	}
	p.mu.Unlock()
	timer.Stop()
	p.giveUp()
	p.wg.Wait()
}

func (p *publisher) busyLocked() bool {
	for _, q := range p.queues {
		if q.busy {
			return true
		}
	}
	return false
}

// giveUp drops what is queued.
func (p *publisher) giveUp() {
	p.mu.Lock()
	var dropped []publishItem
	p.closed = true
	for _, q := range p.queues {
		dropped = append(dropped, q.items...)
		q.items = nil
	}
	p.idle.Broadcast()
	p.signalLocked()
	p.mu.Unlock()
	answer(dropped, func(publishItem, int) bool { return false })
}

// answer tells the items whether their BE can serve them.
func answer(items []publishItem, served func(it publishItem, at int) bool) {
	for i, it := range items {
		if it.done != nil {
			it.done(served(it, i))
		}
	}
}

func (p *publisher) signalLocked() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// add queues an item; the loop sends it when no call to the BE is under way.
func (p *publisher) add(be types.BEID, it publishItem) {
	if !p.queue(be, it) {
		answer([]publishItem{it}, func(publishItem, int) bool { return false })
	}
}

func (p *publisher) queue(be types.BEID, it publishItem) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.queueLocked(be)
	if p.closed || len(q.items) >= maxQueued {
		return false
	}
	q.items = append(q.items, it)
	if !q.busy && !p.holdLocked(q, it) {
		p.callLocked(be, q)
	}
	return true
}

func (p *publisher) queueLocked(be types.BEID) *publishQueue {
	q := p.queues[be]
	if q == nil {
		q = &publishQueue{}
		p.queues[be] = q
	}
	return q
}

// callLocked has the loop send what is queued.
func (p *publisher) callLocked(be types.BEID, q *publishQueue) {
	q.busy = true
	p.ready = append(p.ready, be)
	p.signalLocked()
}

// backlog returns how many items wait for the slowest of some BEs.
func (p *publisher) backlog(bes []types.BEID) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, be := range bes {
		if q := p.queues[be]; q != nil {
			n = max(n, len(q.items))
		}
	}
	return n
}

// run starts the first call to each BE that has none under way; the next ones follow from the answers.
func (p *publisher) run() {
	for range p.wake {
		p.mu.Lock()
		ready := p.ready
		p.ready = nil
		closed := p.closed
		p.mu.Unlock()
		for _, be := range ready {
			p.next(be, false)
		}
		if closed {
			return
		}
	}
}

// next sends what is queued for a BE; mayWait says that nothing else waits for it.
func (p *publisher) next(be types.BEID, mayWait bool) {
	p.mu.Lock()
	q := p.queues[be]
	n := min(len(q.items), maxPublished)
	items := q.items[:n:n]
	q.items = q.items[n:]
	if n == 0 {
		q.busy, q.items = false, nil
		p.idle.Broadcast()
	}
	p.mu.Unlock()
	if n > 0 {
		p.send(be, items, mayWait)
	}
}

// send makes one call. Its answer comes in the goroutine that reads all answers of the BE.
func (p *publisher) send(be types.BEID, items []publishItem, mayWait bool) {
	req := &bepb.PublishRequest{Items: make([]*bepb.PublishRequest_Item, len(items))}
	for i, it := range items {
		req.Items[i] = it.msg
	}
	p.clients.Publish(p.live.Address(be), req, publishTimeout, mayWait, func(resp *bepb.PublishResponse, err error) {
		if err != nil {
			p.live.Probe(be)
			p.logger.Debug("publish", "be_id", be, "items", len(items), "err", err)
		}
		answer(items, func(it publishItem, i int) bool {
			return err == nil && i < len(resp.Versions) && resp.Versions[i] >= it.msg.Version
		})
		p.again(be)
	})
}

// again has the loop send what has come meanwhile: an error may be answered at once, and sends must not nest.
func (p *publisher) again(be types.BEID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.queues[be]
	if len(q.items) == 0 {
		q.busy, q.items = false, nil
		p.idle.Broadcast()
		return
	}
	p.ready = append(p.ready, be)
	p.signalLocked()
}
