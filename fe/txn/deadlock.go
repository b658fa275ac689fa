package txn

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"stele/meta/types"
	"stele/proto/bepb"
)

// A BE finds deadlocks among its own locks when they arise. One over several BEs nobody of them sees: so an FE whose calls take long asks all BEs
// who waits for whom, and has the youngest transaction of each cycle give up. See DESIGN.md, "Deadlocks over several BEs".

const (
	// lookAfter is how long a call is under way, at least, before somebody looks whether it waits for ever.
	lookAfter = 150 * time.Millisecond
	// askWaits is how long a BE may take to say who waits there.
	askWaits = 500 * time.Millisecond
)

// underWay counts the calls to leaders that are under way, by the beat in which they began: that costs a call next to nothing.
type underWay struct {
	beat  atomic.Uint64
	begun [16]atomic.Int32 // what has lasted for so many beats counts as begun anew
}

// begin notes a call; end takes what it returns.
func (u *underWay) begin() (beat uint64) {
	beat = u.beat.Load() % uint64(len(u.begun))
	u.begun[beat].Add(1)
	return beat
}

func (u *underWay) end(beat uint64) { u.begun[beat].Add(-1) }

// tick begins the next beat and reports whether a call has lasted for a whole one, which it does once in sixteen beats for each.
func (u *underWay) tick() bool {
	n := u.beat.Add(1)
	return n >= 2 && u.begun[(n-2)%uint64(len(u.begun))].Load() > 0
}

// breakDeadlocks looks for deadlocks until ctx ends.
func (c *Coordinator) breakDeadlocks(ctx context.Context) {
	tick := time.NewTicker(lookAfter)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if c.calls.tick() {
			c.LookForDeadlocks(ctx)
		}
	}
}

// LookForDeadlocks has one transaction of each cycle of waiting ones give up.
func (c *Coordinator) LookForDeadlocks(ctx context.Context) {
	if c.log.Current().BECount() < 2 {
		return
	}
	seen := c.askAll(ctx, nil)
	if len(victims(seen)) == 0 {
		return
	}
	// The answers are of different moments. What is in two rounds was there all the time between them, so a cycle of such waits is one.
	again := c.askAll(ctx, nil)
	for be, waits := range again {
		again[be] = slices.DeleteFunc(waits, func(w lockWait) bool { return !slices.Contains(seen[be], w) })
	}
	end := map[types.BEID][]uint64{}
	for _, txn := range victims(again) {
		c.logger.Info("a transaction gives way in a deadlock", "txn_id", txn)
		for be, waits := range again {
			for _, w := range waits {
				if w.txn == txn {
					end[be] = append(end[be], w.id)
				}
			}
		}
	}
	if len(end) > 0 {
		c.askAll(ctx, end)
	}
}

// lockWait is one transaction that waits for another one on some BE.
type lockWait struct {
	id       uint64
	txn, has types.TxnID
}

// askAll asks all BEs who waits there, or those that are to end some waits. Who does not answer has none.
func (c *Coordinator) askAll(ctx context.Context, end map[types.BEID][]uint64) map[types.BEID][]lockWait {
	ctx, cancel := context.WithTimeout(ctx, askWaits)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	out := map[types.BEID][]lockWait{}
	for be := range c.log.Current().BEs() {
		if !c.live.Alive(be.ID) || end != nil && len(end[be.ID]) == 0 {
			continue
		}
		wg.Go(func() {
			waits, err := c.askWaits(ctx, be.ID, end[be.ID])
			if err != nil { // an older one does not know the question
				c.logger.Debug("ask who waits for row locks", "be_id", be.ID, "err", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			out[be.ID] = waits
		})
	}
	wg.Wait()
	return out
}

func (c *Coordinator) askWaits(ctx context.Context, be types.BEID, end []uint64) ([]lockWait, error) {
	client, err := c.clients.BE(c.live.Address(be))
	if err != nil {
		return nil, err
	}
	resp, err := client.Waits(ctx, &bepb.WaitsRequest{End: end})
	if err != nil {
		return nil, err
	}
	out := make([]lockWait, len(resp.Waits))
	for i, w := range resp.Waits {
		out[i] = lockWait{w.Id, types.TxnID(w.TxnId), types.TxnID(w.ForTxnId)}
	}
	return out, nil
}

// victims picks one transaction of each cycle, the youngest: every FE that looks picks the same.
func victims(waits map[types.BEID][]lockWait) []types.TxnID {
	edges := map[types.TxnID][]types.TxnID{}
	for _, ws := range waits {
		for _, w := range ws {
			edges[w.txn] = append(edges[w.txn], w.has)
		}
	}
	var out []types.TxnID
	for {
		withoutEnds(edges)
		if len(edges) == 0 {
			return out
		}
		// Each of those that are left waits for another one of them; not each is in a cycle.
		for _, txn := range slices.Backward(slices.Sorted(maps.Keys(edges))) {
			if reaches(edges, txn) {
				out = append(out, txn)
				delete(edges, txn)
				break
			}
		}
	}
}

// withoutEnds drops whoever waits, in the end, only for transactions that wait for nobody, and those for whom, in the end, nobody waits: a long
// queue goes in one walk.
func withoutEnds(edges map[types.TxnID][]types.TxnID) {
	behind := make(map[types.TxnID][]types.TxnID, len(edges)) // who waits for each
	ahead := make(map[types.TxnID]int, len(edges))            // for how many each waits
	after := make(map[types.TxnID]int, len(edges))            // how many wait for each
	for txn, to := range edges {
		for _, x := range to {
			if _, waits := edges[x]; waits {
				behind[x] = append(behind[x], txn)
				ahead[txn]++
				after[x]++
			}
		}
	}
	var ends []types.TxnID
	for txn := range edges {
		if ahead[txn] == 0 || after[txn] == 0 {
			ends = append(ends, txn)
		}
	}
	less := func(of map[types.TxnID]int, these []types.TxnID) {
		for _, txn := range these {
			if of[txn]--; of[txn] == 0 {
				ends = append(ends, txn)
			}
		}
	}
	for len(ends) > 0 {
		txn := ends[len(ends)-1]
		ends = ends[:len(ends)-1]
		to, left := edges[txn]
		if !left {
			continue
		}
		delete(edges, txn)
		less(ahead, behind[txn])
		less(after, to)
	}
}

// reaches reports whether a transaction waits for itself.
func reaches(edges map[types.TxnID][]types.TxnID, txn types.TxnID) bool {
	seen := map[types.TxnID]bool{}
	next := slices.Clone(edges[txn])
	for len(next) > 0 {
		x := next[len(next)-1]
		next = next[:len(next)-1]
		if x == txn {
			return true
		}
		if !seen[x] {
			seen[x] = true
			next = append(next, edges[x]...)
		}
	}
	return false
}
