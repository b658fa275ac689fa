package server

import (
	"runtime"
	"sync"
	"time"
)

// cpuWindow is over how long the use of the processors is measured at least: heartbeats of several FEs come close together.
const cpuWindow = time.Second

// processor measures how much of the machine's processors this process uses.
type processor struct {
	mu    sync.Mutex
	at    time.Time
	spent time.Duration
	last  float64
}

// used is the share that was used between the last two looks that were far enough apart, negative where the system does not
// tell. The first look measures since the process began to answer, that is nothing.
func (p *processor) used(now time.Time) float64 {
	spent, ok := processorTime()
	if !ok {
		return -1
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	passed := now.Sub(p.at)
	if p.at.IsZero() {
		p.at, p.spent = now, spent
		return 0
	}
	if passed >= cpuWindow {
		share := float64(spent-p.spent) / float64(passed) / float64(runtime.NumCPU())
		p.at, p.spent, p.last = now, spent, min(max(share, 0), 1)
	}
	return p.last
}
