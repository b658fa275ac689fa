package txn

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// patience is the context of a decision: nobody's cancellation ends it, only its time does. It is made for one decision and never changes,
// because a context may be looked at by whoever was given it even when the decision is over: a goroutine that ends a child of it still
// looks for the parent then. What costs most, its alarm, is used again.
type patience struct {
	context.Context // for its values
	end             time.Time
	alarm           *alarm
}

// alarm tells when the time of a patience is up. Nearly all are given back long before. The timer of one runs on between two uses and is
// set anew when it rings too soon: to set and stop it for each decision would cost more than all that is decided with it.
type alarm struct {
	late atomic.Bool
	done chan struct{}

	mu    sync.Mutex
	end   time.Time
	used  bool
	rings time.Time // when the timer does; zero = it does not run
	timer *time.Timer
}

var alarms sync.Pool // of those whose time was never up

// patient returns a context that ends after d, with the values of ctx; free gives its alarm back.
func patient(ctx context.Context, d time.Duration) *patience {
	a, _ := alarms.Get().(*alarm)
	if a == nil {
		a = &alarm{done: make(chan struct{})}
	}
	p := &patience{Context: context.WithoutCancel(ctx), end: time.Now().Add(d), alarm: a}
	a.set(p.end, d)
	return p
}

// set has the alarm ring at end, which is d from now.
func (a *alarm) set(end time.Time, d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.end, a.used = end, true
	if a.rings.IsZero() || end.Before(a.rings) {
		a.ringLocked(d)
	}
}

func (a *alarm) ringLocked(d time.Duration) {
	a.rings = a.end
	if a.timer == nil {
		a.timer = time.AfterFunc(d, a.ring)
		return
	}
	a.timer.Reset(d)
}

// ring ends the context if its time is up.
func (a *alarm) ring() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rings = time.Time{}
	if !a.used || a.late.Load() {
		return
	}
	if left := time.Until(a.end); left > 0 {
		a.ringLocked(left)
		return
	}
	a.late.Store(true)
	close(a.done)
}

// free says that the decision is over.
func (p *patience) free() {
	a := p.alarm
	a.mu.Lock()
	a.used = false
	late := a.late.Load()
	a.mu.Unlock()
	if !late {
		alarms.Put(a)
	}
}

// Deadline implements context.Context.
func (p *patience) Deadline() (time.Time, bool) { return p.end, true }

// Done implements context.Context.
func (p *patience) Done() <-chan struct{} { return p.alarm.done }

// Err implements context.Context.
func (p *patience) Err() error {
	if p.alarm.late.Load() {
		return context.DeadlineExceeded
	}
	return nil
}
