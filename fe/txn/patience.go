package txn

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// patience is the context of a decision: nobody's cancellation ends it, only its time does. Nearly all are over long before, so
// they are used again.
type patience struct {
	context.Context // for its values
	end             time.Time
	late            atomic.Bool
	done            chan struct{}
	timer           *time.Timer
}

var patiences sync.Pool // of those whose time was never up

// patient returns a context that ends after d, with the values of ctx; free gives it back.
func patient(ctx context.Context, d time.Duration) *patience {
	p, _ := patiences.Get().(*patience)
	if p == nil {
		p = &patience{done: make(chan struct{})}
		p.timer = time.AfterFunc(d, func() {
			p.late.Store(true)
			close(p.done)
		})
	} else {
		p.timer.Reset(d)
	}
	p.Context, p.end = context.WithoutCancel(ctx), time.Now().Add(d)
	return p
}

func (p *patience) free() {
	if p.timer.Stop() {
		patiences.Put(p)
	}
}

// Deadline implements context.Context.
func (p *patience) Deadline() (time.Time, bool) { return p.end, true }

// Done implements context.Context.
func (p *patience) Done() <-chan struct{} { return p.done }

// Err implements context.Context.
func (p *patience) Err() error {
	if p.late.Load() {
		return context.DeadlineExceeded
	}
	return nil
}
