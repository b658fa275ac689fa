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
type publisher struct {
	clients *beclient.Clients
	live    Liveness
	logger  *slog.Logger
	wg      sync.WaitGroup
	ctx     context.Context
	stop    context.CancelFunc

	mu     sync.Mutex
	queues map[types.BEID]*publishQueue
}

// publishItem is one version to tell; done is called with whether the BE can serve it.
type publishItem struct {
	msg  *bepb.PublishRequest_Item
	done func(served bool)
}

type publishQueue struct {
	items   []publishItem
	running bool
}

// publishTimeout bounds one call: a BE that hangs longer learns the outcome by asking.
const publishTimeout = 5 * time.Second

func newPublisher(clients *beclient.Clients, live Liveness, logger *slog.Logger) *publisher {
	ctx, stop := context.WithCancel(context.Background())
	return &publisher{clients: clients, live: live, logger: logger, ctx: ctx, stop: stop, queues: map[types.BEID]*publishQueue{}}
}

func (p *publisher) close() {
	p.stop()
	p.wg.Wait()
}

// add queues an item; a goroutine drains the queue for as long as there is something in it.
func (p *publisher) add(be types.BEID, it publishItem) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		it.done(false)
		return
	}
	q := p.queues[be]
	if q == nil {
		q = &publishQueue{}
		p.queues[be] = q
	}
	q.items = append(q.items, it)
	if !q.running {
		q.running = true
		p.wg.Go(func() { p.drain(be, q) })
	}
}

func (p *publisher) drain(be types.BEID, q *publishQueue) {
	for {
		p.mu.Lock()
		items := q.items
		q.items = nil
		if len(items) == 0 {
			q.running = false
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

// publish tells every replica the versions that a transaction got, and returns when enough replicas of each tablet
// can serve them or the publish wait is over. The transaction is committed either way.
func (c *Coordinator) publish(ctx context.Context, txn types.TxnID, tablets []catalog.TabletVersion) {
	cat := c.log.Current()
	w := &publishWait{ready: make(chan struct{})}
	for _, tv := range tablets {
		tab, ok := cat.Tablet(tv.Tablet)
		if !ok {
			continue
		}
		table, ok := cat.TableByID(tab.Table)
		if !ok {
			continue
		}
		alive := make([]types.BEID, 0, len(tab.Replicas))
		voters := 0
		for i := range tab.Replicas {
			if tab.Replicas[i].Role == types.RoleFollower {
				voters++
			}
			if c.live.Alive(tab.Replicas[i].BE) {
				alive = append(alive, tab.Replicas[i].BE)
			}
		}
		left := w.expect(min(table.Quorum.Need(voters), len(alive)), len(alive))
		msg := &bepb.PublishRequest_Item{TabletId: uint64(tv.Tablet), TxnId: uint64(txn), Version: uint64(tv.Version)}
		for _, be := range alive {
			c.pub.add(be, publishItem{msg: msg, done: left})
		}
	}
	w.expect(0, 0) // closes ready when there was nothing to wait for
	timer := time.NewTimer(c.settings().PublishWait)
	defer timer.Stop()
	select {
	case <-w.ready:
	case <-timer.C:
		c.logger.Warn("committed, but not yet served by a quorum", "txn_id", txn)
	case <-ctx.Done():
	}
}

// publishWait counts the tablets of one transaction that are not served by enough replicas yet.
type publishWait struct {
	mu      sync.Mutex
	tablets int
	started bool
	ready   chan struct{}
}

// expect registers a tablet that needs so many of its answers to be good, and returns what each answer calls. When
// too many answers are bad there is nothing more to wait for.
func (w *publishWait) expect(need, answers int) func(bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if answers == 0 {
		w.started = true
		w.checkLocked()
		return func(bool) {}
	}
	w.tablets++
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
			w.tablets--
			w.checkLocked()
		}
	}
}

func (w *publishWait) checkLocked() {
	if w.started && w.tablets == 0 {
		select {
		case <-w.ready:
		default:
			close(w.ready)
		}
	}
}
