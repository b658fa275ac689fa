package ddl

import (
	"context"
	"time"

	"stele/meta/types"
)

// An FE takes connections before it has heard of its BEs, and before it can be told of any. Who finds a cluster that has just been started
// is not to be told that it has none: statements wait for those that may be about to come. Nor is who makes a table while the nodes are
// restarted one after the other: what cannot go on without a BE that was there a moment ago waits for it.
const (
	// youth is how long a cluster without any BE is taken to be about to get some.
	youth = 5 * time.Second
	// comingFor is how long BEs that have given no sign yet are waited for where the leading FE does not tell that they have had their time.
	comingFor = 10 * time.Second
	// comingLook is how often a statement looks whether they are there.
	comingLook = 20 * time.Millisecond
	// returnFor is how long one statement waits for BEs that may just be restarting, where it cannot go on without them.
	returnFor = 10 * time.Second
)

// AwaitFirstBackend waits for the first BE of a cluster that has just been made.
func (d *Tables) AwaitFirstBackend(ctx context.Context) {
	left := youth - time.Since(time.UnixMilli(d.log.Current().CreatedMs()))
	if left <= 0 || left > youth { // by a clock that was ahead
		return
	}
	await(ctx, left, func() bool { return d.log.Current().BECount() == 0 })
}

// awaitComing waits for BEs that have given no sign yet and may be about to. Placement says who is away then.
func (d *Tables) awaitComing(ctx context.Context) { await(ctx, comingFor, d.anyComing) }

func (d *Tables) anyComing() bool {
	for be := range d.log.Current().BEs() {
		if !be.Decommission && d.live.Coming(be.ID) {
			return true
		}
	}
	return false
}

// failure is why a statement goes on without a BE that it has asked to make replicas.
type failure struct {
	why     string
	ended   bool  // it was out of reach: it may be about to restart, and its heartbeats need not have told yet
	startMs int64 // of the process that failed
}

// awaitReturn waits until a statement that lacks BEs has enough of them, for as long as there may be enough once those have restarted that
// were there a moment ago. It reports whether to try again; a BE that failed and is another process now is asked anew.
func (d *Tables) awaitReturn(ctx context.Context, until time.Time, few *TooFewError, failed map[types.BEID]failure) bool {
	enough := false
	await(ctx, time.Until(until), func() bool {
		able, returning := d.outlook(few, failed)
		enough = able >= few.Need
		return !enough && able+returning >= few.Need
	})
	return enough
}

// outlook counts the BEs that a statement has, and those of the others that may just be restarting.
func (d *Tables) outlook(few *TooFewError, failed map[types.BEID]failure) (able, returning int) {
	able = len(few.Able)
	for _, a := range few.Away {
		be, ok := d.log.Current().BE(a.BE)
		if !ok || be.Decommission {
			continue
		}
		f := failed[a.BE]
		if f.ended && be.StartMs != f.startMs {
			delete(failed, a.BE)
		}
		back := d.live.Returning(a.BE) || f.ended && d.live.Alive(a.BE) // asked first: it may come back between the two questions
		switch {
		case d.away(be, failed) == "":
			able++
		case back:
			returning++
		}
	}
	return able, returning
}

// startOf returns when the process of a BE has started, as the catalog knows it.
func (d *Tables) startOf(id types.BEID) int64 {
	be, ok := d.log.Current().BE(id)
	if !ok {
		return 0
	}
	return be.StartMs
}

// await returns when nothing lacks any more, after the time given or when ctx ends.
func await(ctx context.Context, most time.Duration, lacks func() bool) {
	if !lacks() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	look := time.NewTicker(comingLook)
	defer look.Stop()
	for lacks() {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}
