package txn

import (
	"context"
	"slices"
	"sync"
	"time"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/proto/bepb"
)

// publish tells every replica the versions that a transaction got. It does not wait for them: the transaction is committed,
// its rows are on disk on a quorum or in the log, and who reads the version waits for it where he reads. Only when a BE does not keep up
// does it return after enough followers of each tablet can serve them, or the publish wait is over, so that no queue grows
// without bound. Learners are told, so that they stay current, and never waited for: they serve no reads (I6).
func (c *Coordinator) publish(ctx context.Context, t *Txn, tablets []catalog.TabletVersion) {
	cat := c.log.Current()
	var room [1]publishTo
	told := slices.Grow(room[:0], len(tablets))
	for _, tv := range tablets {
		if tab, ok := cat.Tablet(tv.Tablet); ok { // else dropped meanwhile
			told = append(told, c.audience(cat, tab, &bepb.PublishRequest_Item{TabletId: uint64(tab.ID), TxnId: uint64(t.id),
				Version: uint64(tv.Version), Parts: t.parts(tab.ID)}))
		}
	}
	set := c.settings()
	wait := false
	for _, to := range told {
		wait = wait || c.pub.backlog(to.followers) >= set.PublishBacklog
	}
	var w *publishWait
	if wait {
		w = newPublishWait()
	}
	alone := soleFE(cat)
	if len(tablets) < t.shares.len() {
		c.unshare(t, alone)
	}
	for _, to := range told {
		var done func(bool)
		if wait {
			done = w.expect(to.need, len(to.followers))
		}
		for _, be := range to.followers {
			c.pub.add(be, publishItem{msg: to.msg, done: done, mayWait: alone && !wait})
		}
		for _, be := range to.learners {
			c.pub.add(be, publishItem{msg: to.msg})
		}
	}
	if !wait {
		return
	}
	w.seal()
	timer := time.NewTimer(set.PublishWait)
	defer timer.Stop()
	select {
	case <-w.ready:
	case <-timer.C:
		c.logger.Warn("committed, but not yet served by a quorum", "txn_id", t.id)
	case <-ctx.Done():
	}
}

// soleFE reports whether no other FE reads or writes what this one publishes.
func soleFE(cat *catalog.Catalog) bool {
	n := 0
	for range cat.FEs() {
		n++
	}
	return n <= 1
}

// publishTo is who hears of one version.
type publishTo struct {
	msg                 *bepb.PublishRequest_Item
	followers, learners []types.BEID
	need                int // of the followers
}

func (c *Coordinator) audience(cat *catalog.Catalog, tab *catalog.Tablet, msg *bepb.PublishRequest_Item) publishTo {
	to := publishTo{msg: msg, followers: make([]types.BEID, 0, len(tab.Replicas))}
	for i := range tab.Replicas {
		r := &tab.Replicas[i]
		switch {
		case r.OfflineMs != 0:
		case !c.live.Alive(r.BE):
		case r.Role == types.RoleFollower:
			to.followers = append(to.followers, r.BE)
		default:
			to.learners = append(to.learners, r.BE)
		}
	}
	if table, ok := cat.TableByID(tab.Table); ok {
		to.need = min(table.CommitNeed(tab), len(to.followers))
	}
	return to
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
		return nil
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
