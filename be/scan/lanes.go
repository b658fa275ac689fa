package scan

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"stele/sql/exec"
	"stele/sql/expr"
	"stele/sql/physical"
)

// laneRows is from how many rows on an aggregation is worth a lane for each processor; tests have fewer.
var laneRows int64 = 1 << 17

// queue hands the sources of a fragment out, each to one lane.
type queue struct {
	sources []*source
	taken   atomic.Int32
}

// next returns the next source, nil = there are no more.
func (q *queue) next() *source {
	if at := int(q.taken.Add(1)) - 1; at < len(q.sources) {
		return q.sources[at]
	}
	return nil
}

// lanes returns in how many goroutines a fragment aggregates its tablets. Other fragments have one: the FE asks for
// each tablet by itself.
func lanes(f *physical.Fragment, sources []*source) (int, error) {
	if f.Agg == nil || f.Keys != nil || len(sources) < 2 {
		return 1, nil
	}
	rows, err := toRead(f, sources)
	if err != nil || rows < laneRows {
		return 1, err
	}
	return min(runtime.GOMAXPROCS(0), len(sources)), nil
}

// runLanes runs a fragment over sources in so many goroutines, of which one at a time calls send. The first error ends all of them.
func runLanes(ctx context.Context, n int, f *physical.Fragment, sources []*source, ectx expr.Context, mem *exec.Memory, send func([]byte) error) error {
	q := &queue{sources: sources}
	if n == 1 {
		return runLane(ctx, f, q, ectx, mem, send)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var sending sync.Mutex
	inTurn := func(batch []byte) error {
		sending.Lock()
		defer sending.Unlock()
		return send(batch)
	}
	var running sync.WaitGroup
	for range n {
		running.Go(func() {
			if err := runLane(ctx, f, q, ectx, mem, inTurn); err != nil {
				cancel(err)
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}

// runLane takes sources until there are no more. What makes whole groups holds those of one tablet at a time.
func runLane(ctx context.Context, f *physical.Fragment, q *queue, ectx expr.Context, mem *exec.Memory, send func([]byte) error) error {
	if !f.GroupsWhole() {
		return pump(ctx, f, newChain(q), ectx, mem, send)
	}
	for src := q.next(); src != nil; src = q.next() {
		if err := pump(ctx, f, newChain(&queue{sources: []*source{src}}), ectx, mem, send); err != nil {
			return err
		}
	}
	return nil
}
