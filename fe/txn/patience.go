package txn

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// patience is the context of a decision: nobody's cancellation ends it, only its time does. Nearly all are over long before, so
// they are used again. The timer of one runs on between two uses and is set anew when it rings too soon: to set and stop it for each
// decision would cost more than all that is decided with it.
type patience struct {
	context.Context // for its values
	late            atomic.Bool
	done            chan struct{}

	mu    sync.Mutex
	end   time.Time
	used  bool
	rings time.Time // when the timer does; zero = it does not run
	timer *time.Timer
}

var patiences sync.Pool // of those whose time was never up

// patient returns a context that ends after d, with the values of ctx; free gives it back.
func patient(ctx context.Context, d time.Duration) *patience {
	p, _ := patiences.Get().(*patience)
	if p == nil {
		p = &patience{done: make(chan struct{})}
	}
	p.Context = context.WithoutCancel(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end, p.used = time.Now().Add(d), true
	if p.rings.IsZero() || p.end.Before(p.rings) {
		p.ringLocked(d)
	}
	return p
}

func (p *patience) ringLocked(d time.Duration) {
	p.rings = p.end
	if p.timer == nil {
		p.timer = time.AfterFunc(d, p.ring)
		return
	}
	p.timer.Reset(d)
}

// ring ends the context if its time is up.
func (p *patience) ring() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rings = time.Time{}
	if !p.used || p.late.Load() {
		return
	}
	if left := time.Until(p.end); left > 0 {
		p.ringLocked(left)
		return
	}
	p.late.Store(true)
	close(p.done)
}

func (p *patience) free() {
	p.mu.Lock()
	p.used = false
	late := p.late.Load()
	p.mu.Unlock()
	if !late {
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
