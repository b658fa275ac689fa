package rpc

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
)

// servedCall is one call on a server, and its context. Most calls never look at the context, so its timer and its channel
// are made when they are asked for.
type servedCall struct {
	context.Context // of who calls
	s               *PipeServer
	by              carrier
	m               pipeMethod
	id              uint64
	msg             []byte
	given           handingOver // the request, in the place of msg
	deadline        time.Time
	caller          context.Context // of a caller whose goroutine runs the handler; nil = another one does

	state    atomic.Int32
	later    bool // the answer comes after the handler has returned
	answered atomic.Bool

	mu     sync.Mutex
	live   context.Context // nil = nobody has asked yet
	stop   context.CancelFunc
	unlink func() bool // from caller
	ended  bool
}

// carrier is the way by which calls have come.
type carrier interface {
	// answer gives the answer to who has made the call; err is a status.
	answer(c *servedCall, resp proto.Message, err error)
	// handOver has another goroutine do what the one that runs a brief call has to do for others.
	handOver(c *servedCall)
}

// States of a brief call.
const (
	readerRuns   = iota // it runs in the goroutine that reads the pipe
	readerHanded        // another goroutine reads
	readerDone
)

type callKey struct{}

// Deadline implements context.Context.
func (c *servedCall) Deadline() (time.Time, bool) { return c.deadline, true }

// Done implements context.Context.
func (c *servedCall) Done() <-chan struct{} { return c.alive().Done() }

// Err implements context.Context.
func (c *servedCall) Err() error {
	if c.goesOn() {
		return nil
	}
	return c.alive().Err()
}

// goesOn reports whether nothing has ended the context as long as nobody waits for that: handlers ask at each batch of rows.
func (c *servedCall) goesOn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.live == nil && !c.ended && c.Context.Err() == nil && (c.caller == nil || c.caller.Err() == nil) && time.Now().Before(c.deadline)
}

// Value implements context.Context.
func (c *servedCall) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	c.mu.Lock()
	live := c.live
	c.mu.Unlock()
	if live != nil { // contexts that are made of this one look for what cancels them
		return live.Value(key)
	}
	return c.Context.Value(key)
}

func (c *servedCall) alive() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live == nil {
		c.live, c.stop = context.WithDeadline(c.Context, c.deadline)
		switch {
		case c.ended:
			c.stop()
		case c.caller != nil && c.caller.Done() != nil:
			c.unlink = context.AfterFunc(c.caller, c.stop)
		}
	}
	return c.live
}

// cancel ends the context.
func (c *servedCall) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.stop != nil {
		c.stop()
	}
	if c.unlink != nil {
		c.unlink()
	}
}

// run runs the handler.
func (c *servedCall) run() {
	resp, err := c.s.handle(c)
	if c.later && err == nil {
		return
	}
	out, _ := resp.(proto.Message)
	c.answer(out, err)
}

// runBrief runs the handler in the goroutine that reads the pipe; false = another one reads by now.
func (c *servedCall) runBrief() bool {
	c.run()
	return c.state.CompareAndSwap(readerRuns, readerDone)
}

// answer gives the answer, the first time.
func (c *servedCall) answer(resp proto.Message, err error) {
	if !c.answered.CompareAndSwap(false, true) {
		return
	}
	c.by.answer(c, resp, toStatus(err))
}

// Waits says that the call of ctx may block from here on: another goroutine takes over what this one has to do for others.
func Waits(ctx context.Context) {
	c, ok := ctx.Value(callKey{}).(*servedCall)
	if !ok || !c.m.brief || !c.state.CompareAndSwap(readerRuns, readerHanded) {
		return
	}
	c.by.handOver(c)
}

// Given returns the message that the caller of ctx, in this process, has handed over in the place of the request; nil = the request was
// encoded. It may have more than the request has room for.
func Given(ctx context.Context) any {
	c, _ := ctx.Value(callKey{}).(*servedCall)
	if c == nil || c.given == nil {
		return nil
	}
	return c.given
}

// Later has a brief call answered after its handler has returned, with no goroutine that waits for the answer: what the
// handler returns is ignored, unless it is an error. answer may be called by any goroutine; it does not block, and counts
// once. ok is false for a call that comes by gRPC, or may block already; then the handler returns the answer.
func Later(ctx context.Context) (answer func(resp proto.Message, err error), ok bool) {
	c, _ := ctx.Value(callKey{}).(*servedCall)
	if c == nil || !c.m.brief || c.state.Load() != readerRuns {
		return nil, false
	}
	c.later = true
	return c.answer, true
}
