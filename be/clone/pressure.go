package clone

import (
	"sync"
	"time"
)

// Pressure watches how long writes of users take, and says which share of their rate clones may use: user traffic comes
// first. It compares the fastest write of a short window with the fastest of the last minute: lock waits and large writes
// make some slow, a disk that is too busy makes all of them slow. It is safe for concurrent use.
type Pressure struct {
	mu     sync.Mutex
	from   time.Time     // of the present window
	best   time.Duration // fastest in it, 0 = none
	minute []time.Duration
	share  float64
}

const (
	pressureWindow = 250 * time.Millisecond
	pressureKeep   = 240 // windows: a minute
	pressureRatio  = 4   // this many times the usual latency is suffering …
	pressureSlack  = 5 * time.Millisecond
	minShare       = 0.1
	shareStep      = 0.1 // back by this much a window
)

// NewPressure returns a pressure that has seen nothing: the share is 1.
func NewPressure() *Pressure { return &Pressure{share: 1} }

// Observe notes that a write took d.
func (p *Pressure) Observe(d time.Duration, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turnLocked(now)
	if p.best == 0 || d < p.best {
		p.best = d
	}
}

// Share returns the share of their rate, between minShare and 1, that clones may use.
func (p *Pressure) Share(now time.Time) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turnLocked(now)
	return p.share
}

// turnLocked ends the window if its time is over. The share is halved by a slow one, and grows in others, those without a
// write included.
func (p *Pressure) turnLocked(now time.Time) {
	if p.from.IsZero() {
		p.from = now
	}
	passed := int(now.Sub(p.from) / pressureWindow)
	if passed < 1 {
		return
	}
	best := p.best
	p.from, p.best = now, 0
	if best != 0 && p.slowLocked(best) {
		p.share = max(p.share/2, minShare)
		passed-- // what came after the slow window was quiet
	}
	p.share = min(p.share+float64(passed)*shareStep, 1)
	if best == 0 {
		return
	}
	if p.minute = append(p.minute, best); len(p.minute) > pressureKeep {
		p.minute = p.minute[1:]
	}
}

func (p *Pressure) slowLocked(best time.Duration) bool {
	if len(p.minute) == 0 {
		return false
	}
	usual := p.minute[0]
	for _, d := range p.minute {
		usual = min(usual, d)
	}
	return best > usual*pressureRatio && best > usual+pressureSlack
}
