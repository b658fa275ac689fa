package ddl

import (
	"context"
	"time"
)

// An FE takes connections before it has heard of its BEs, and before it can be told of any. Who finds a cluster that has just been started
// is not to be told that it has none: statements wait for those that may be about to come.
const (
	// youth is how long a cluster without any BE is taken to be about to get some.
	youth = 5 * time.Second
	// comingFor is how long BEs that have given no sign yet are waited for where the leading FE does not tell that they have had their time.
	comingFor = 10 * time.Second
	// comingLook is how often a statement looks whether they are there.
	comingLook = 20 * time.Millisecond
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
