package rpc

import (
	"context"
	"sync"
	"time"
)

// within bounds one call on a pipe. It has no deadline for others to see: the pipe keeps the time.
type within struct {
	context.Context
	d time.Duration
}

// Within is context.WithTimeout for a call on a Conn, which it costs nearly nothing: neither a timer nor a link to ctx. It bounds
// each call that is made with it, and nothing else.
func Within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithTimeout(ctx, d)
	}
	return within{ctx, d}, func() {}
}

// plain returns the context and the timeout of a call that may be within one.
func (c *Conn) plain(ctx context.Context) (context.Context, time.Duration) {
	if w, ok := ctx.(within); ok {
		return w.Context, w.d
	}
	return ctx, c.cfg.Timeout
}

// callTimers are those of calls that wait.
var callTimers = sync.Pool{New: func() any { return time.NewTimer(time.Hour) }}

// startTimer returns a timer that runs out after d; it goes back by stopTimer.
func startTimer(d time.Duration) *time.Timer {
	t := callTimers.Get().(*time.Timer)
	t.Reset(d)
	return t
}

func stopTimer(t *time.Timer) {
	t.Stop()
	callTimers.Put(t)
}
