package consistency

import (
	"context"
	"sync"
	"time"

	"stele/fe/cluster"
	"stele/meta/catalog"
	"stele/meta/types"
)

const (
	// tick is how often some reported digests are compared, step how many tablets each time: a million takes a minute.
	tick = time.Second
	step = 20_000
	// workers is how many comparisons run at a time.
	workers = 2
	// again is how soon a tablet that was found inconsistent is compared again.
	again = time.Minute
	// Owner is under which name the loop acts by itself.
	Owner = "consistency check"
)

// Run compares reported digests and works on what was submitted until ctx ends. It runs on the leading FE.
func (c *Checker) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for range workers {
		wg.Go(func() { c.work(ctx) })
	}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	next := types.TabletID(0)
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			var suspects []types.TabletID
			next, suspects = c.scan(next)
			c.submitSuspects(suspects, now)
		}
	}
}

// work takes comparisons one by one.
func (c *Checker) work(ctx context.Context) {
	for {
		id, ok := c.take()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-c.wake:
			}
			continue
		}
		c.one(ctx, id)
		c.mu.Lock()
		delete(c.queued, id)
		c.mu.Unlock()
		if ctx.Err() != nil {
			return
		}
	}
}

// take returns the next comparison, and wakes another worker when there are more.
func (c *Checker) take() (types.TabletID, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return 0, false
	}
	id := c.queue[0]
	if c.queue = c.queue[1:]; len(c.queue) > 0 {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
	return id, true
}

func (c *Checker) one(ctx context.Context, id types.TabletID) {
	r, err := c.Check(ctx, id, true)
	if err != nil {
		c.o.Logger.Info("comparison of replicas", "tablet_id", id, "err", err)
		return
	}
	if r.Consistent() {
		return
	}
	c.o.Logger.Warn("replicas differ", "tablet_id", id, "version", r.Version, "replicas", r.Replicas)
	bad := 0
	for i := range r.Replicas {
		if v := r.Replicas[i].Verdict; v == Diverges || v == Unreadable {
			bad++
		}
	}
	if bad == 0 {
		return
	}
	if err := c.permit(bad, time.Now()); err != nil {
		c.o.Logger.Error("replicas differ", "tablet_id", id, "err", err)
		return
	}
	if _, err := c.Act(ctx, &r, Owner); err != nil {
		c.o.Logger.Error("mark replicas", "tablet_id", id, "err", err)
	}
}

// scan compares what was reported of some tablets, from an id on, and returns where to go on.
func (c *Checker) scan(from types.TabletID) (next types.TabletID, suspects []types.TabletID) {
	n := 0
	for tab := range c.o.Log.Current().TabletsFrom(from) {
		if n++; n > step {
			return tab.ID, suspects
		}
		if c.differs(tab) {
			suspects = append(suspects, tab.ID)
		}
	}
	return 0, suspects
}

// differs reports whether two replicas have reported different digests of one version.
func (c *Checker) differs(tab *catalog.Tablet) bool {
	for i := range tab.Replicas {
		a, ok := c.point(tab, &tab.Replicas[i])
		if !ok {
			continue
		}
		for j := range i {
			b, ok := c.point(tab, &tab.Replicas[j])
			if ok && a.DigestVersion == b.DigestVersion && a.DigestSchema == b.DigestSchema && a.Digest != b.Digest {
				return true
			}
		}
	}
	return false
}

// point returns what was reported of a replica that counts.
func (c *Checker) point(tab *catalog.Tablet, r *catalog.Replica) (cluster.Replica, bool) {
	if !r.Complete() {
		return cluster.Replica{}, false
	}
	seen, ok := c.o.Members.Replica(r.BE, tab.ID)
	return seen, ok && seen.ID == r.ID && seen.DigestVersion != 0
}

// submitSuspects has tablets compared whose reports differ, and those again that were inconsistent a while ago.
func (c *Checker) submitSuspects(suspects []types.TabletID, now time.Time) {
	c.mu.Lock()
	for id, r := range c.results {
		if now.Sub(r.At) >= again && !r.Consistent() {
			suspects = append(suspects, id)
		}
	}
	fresh := suspects[:0]
	for _, id := range suspects {
		if r, ok := c.results[id]; !ok || now.Sub(r.At) >= again {
			fresh = append(fresh, id)
		}
	}
	c.mu.Unlock()
	if len(fresh) == 0 {
		return
	}
	if _, err := c.Submit(fresh...); err != nil {
		c.o.Logger.Error("compare replicas", "err", err)
	}
}
