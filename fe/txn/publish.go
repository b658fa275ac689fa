package txn

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"stele/fe/beclient"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/proto/bepb"
)

// publisher tells BEs the committed versions: one queue a BE, so that transactions which commit together share a call.
// No answer is called under its lock.
type publisher struct {
	clients *beclient.Clients
	live    Liveness
	logger  *slog.Logger
	wg      sync.WaitGroup
	ctx     context.Context
	stop    context.CancelFunc

	mu     sync.Mutex
	closed bool
	queues map[types.BEID]*publishQueue // of the BEs that something is on its way to
}

// publishItem is one version to tell; done is called with whether the BE can serve it.
type publishItem struct {
	msg  *bepb.PublishRequest_Item
	done func(served bool)
}

// publishQueue is what waits for the call under way to a BE to end.
type publishQueue struct {
	items []publishItem
}

// publishTimeout bounds one call: a BE that hangs longer learns the outcome by asking.
const publishTimeout = 5 * time.Second

func newPublisher(clients *beclient.Clients, live Liveness, logger *slog.Logger) *publisher {
	ctx, stop := context.WithCancel(context.Background())
	return &publisher{clients: clients, live: live, logger: logger, ctx: ctx, stop: stop, queues: map[types.BEID]*publishQueue{}}
}

func (p *publisher) close() {
	p.mu.Lock()
	p.closed = true // before the wait: no drain starts after it
	p.mu.Unlock()
	p.stop()
	p.wg.Wait()
}

// add queues an item; a goroutine drains the queue for as long as there is something in it.
func (p *publisher) add(be types.BEID, it publishItem) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		it.done(false)
		return
	}
	defer p.mu.Unlock()
	q := p.queues[be]
	if q != nil {
		q.items = append(q.items, it)
		return
	}
	q = &publishQueue{items: []publishItem{it}}
	p.queues[be] = q
	p.wg.Go(func() { p.drain(be, q) })
}

func (p *publisher) drain(be types.BEID, q *publishQueue) {
	for {
		p.mu.Lock()
		items := q.items
		q.items = nil
		if len(items) == 0 {
			delete(p.queues, be)
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		p.send(be, items)
	}
}

func (p *publisher) send(be types.BEID, items []publishItem) {
	req := &bepb.PublishRequest{}
	for _, it := range items {
		req.Items = append(req.Items, it.msg)
	}
	ctx, cancel := context.WithTimeout(p.ctx, publishTimeout)
	defer cancel()
	client, err := p.clients.BE(p.live.Address(be))
	var resp *bepb.PublishResponse
	if err == nil {
		resp, err = client.Publish(ctx, req)
	}
	if err != nil {
		p.live.Probe(be)
		p.logger.Debug("publish", "be_id", be, "items", len(items), "err", err)
	}
	for i, it := range items {
		it.done(err == nil && i < len(resp.Versions) && resp.Versions[i] >= it.msg.Version)
	}
}

// publish tells every replica the versions that a transaction got, and returns when enough followers of each tablet
// can serve them or the publish wait is over. The transaction is committed either way. Learners are told, so that they
// stay current, and never waited for: they serve no reads (I6).
func (c *Coordinator) publish(ctx context.Context, t *Txn, tablets []catalog.TabletVersion) {
	cat := c.log.Current()
	w := newPublishWait()
	for _, tv := range tablets {
		if tab, ok := cat.Tablet(tv.Tablet); ok { // else dropped meanwhile
			msg := &bepb.PublishRequest_Item{TabletId: uint64(tab.ID), TxnId: uint64(t.id), Version: uint64(tv.Version), Parts: t.parts(tab.ID)}
			c.publishTablet(cat, tab, msg, w)
		}
	}
	w.seal()
	timer := time.NewTimer(c.settings().PublishWait)
	defer timer.Stop()
	select {
	case <-w.ready:
	case <-timer.C:
		c.logger.Warn("committed, but not yet served by a quorum", "txn_id", t.id)
	case <-ctx.Done():
	}
}

func (c *Coordinator) publishTablet(cat *catalog.Catalog, tab *catalog.Tablet, msg *bepb.PublishRequest_Item, w *publishWait) {
	table, ok := cat.TableByID(tab.Table)
	if !ok {
		return
	}
	var learners, followers []types.BEID
	voters := 0
	for i := range tab.Replicas {
		r := &tab.Replicas[i]
		if r.Votes() {
			voters++
		}
		switch {
		case r.OfflineMs != 0:
		case !c.live.Alive(r.BE):
		case r.Role == types.RoleFollower:
			followers = append(followers, r.BE)
		default:
			learners = append(learners, r.BE)
		}
	}
	done := w.expect(min(table.Quorum.Need(voters), len(followers)), len(followers))
	for _, be := range followers {
		c.pub.add(be, publishItem{msg: msg, done: done})
	}
	for _, be := range learners {
		c.pub.add(be, publishItem{msg: msg, done: func(bool) {}})
	}
}

// publishWait counts the tablets of one transaction that are not served by enough replicas yet. ready is closed when
// there are none left.
type publishWait struct {
	mu    sync.Mutex
	left  int
	ready chan struct{}
}

// newPublishWait returns a wait that ends once it is sealed and every tablet is over.
func newPublishWait() *publishWait { return &publishWait{left: 1, ready: make(chan struct{})} }

// expect registers a tablet that needs so many of its answers to be good, and returns what each answer calls. When
// too many answers are bad there is nothing more to wait for.
func (w *publishWait) expect(need, answers int) func(bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if need <= 0 {
		return func(bool) {}
	}
	w.left++
	over := false
	return func(served bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		answers--
		if served {
			need--
		}
		if !over && (need <= 0 || answers < need) {
			over = true
			w.finishLocked()
		}
	}
}

// seal says that all tablets are registered.
func (w *publishWait) seal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finishLocked()
}

func (w *publishWait) finishLocked() {
	w.left--
	if w.left == 0 {
		close(w.ready)
	}
}
