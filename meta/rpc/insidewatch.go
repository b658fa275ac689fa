package rpc

import (
	"context"
	"sync/atomic"
	"time"
)

// insideWatch notices handlers that hang in the goroutines of their callers: one that waits for a disk heeds no context. From then on, until none
// hangs, calls get goroutines of their own, and their callers leave when their time is up.
type insideWatch struct {
	beat  atomic.Uint32
	begun [2]atomic.Int32 // handlers under way, by the beat in which they began
	armed atomic.Bool     // the next beat will come
	found [2]atomic.Bool  // what the last two beats have found
}

// insideBeat is how long a handler may take at least before it counts as one that hangs.
const insideBeat = 100 * time.Millisecond

// begin notes that a handler runs; end takes what it returns.
func (w *insideWatch) begin() (beat uint32) {
	beat = w.beat.Load() & 1
	w.begun[beat].Add(1)
	w.arm()
	return beat
}

func (w *insideWatch) end(beat uint32) { w.begun[beat].Add(-1) }

// hangs reports whether some handler does.
func (w *insideWatch) hangs() bool { return w.found[0].Load() || w.found[1].Load() }

func (w *insideWatch) arm() {
	if !w.armed.Load() && w.armed.CompareAndSwap(false, true) {
		time.AfterFunc(insideBeat, w.tick)
	}
}

// tick begins the next beat. Who began before the last one, and all that have hung for longer, are found in every other beat.
func (w *insideWatch) tick() {
	now := w.beat.Add(1) & 1
	w.found[now].Store(w.begun[now].Load() > 0)
	w.armed.Store(false)
	if w.begun[0].Load() > 0 || w.begun[1].Load() > 0 || w.hangs() {
		w.arm()
	}
}

// Heeds says that the handler of ctx waits, from here on, for what is no disk, and for no longer than ctx lives: it does not hang.
func Heeds(ctx context.Context) {
	c, ok := ctx.Value(callKey{}).(*servedCall)
	if !ok {
		return
	}
	if c, ok := c.by.(*insideCall); ok && c.watched.Load() {
		c.unwatch()
	}
}

// unwatch ends the watch over a handler, once.
func (c *insideCall) unwatch() {
	if c.watched.CompareAndSwap(true, false) {
		c.s.inside.end(c.beat)
	}
}

// runHere runs the handler of a brief call in the goroutine of its caller.
func (c *insideCall) runHere(ctx context.Context) {
	c.s.wg.Add(1) // the handler may go on after its answer
	defer c.s.wg.Done()
	c.caller = ctx
	c.beat = c.s.inside.begin()
	c.watched.Store(true)
	defer c.unwatch()
	c.run()
	if c.request != nil {
		giveBuffer(c.request) // the handler has had it decoded
	}
}
