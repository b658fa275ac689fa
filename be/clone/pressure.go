package clone

import (
	"slices"
	"sync"
	"time"
)

// Pressure watches how long writes of users take, and says which share of their rate clones may use: user traffic comes
// first. What it compares is the median write of a short window with that of the quiet windows of the last minute, in which no
// clone moved anything. Clones begin with little while users write, get more as long as the writes do not suffer, and half as
// soon as they do. What stays slow although clones hardly move has another cause, and counts as usual from then on. It is safe
// for concurrent use.
type Pressure struct {
	mu     sync.Mutex
	from   time.Time       // of the present window
	writes []time.Duration // in it, at most pressureSample
	seen   int             // writes in it
	moved  bool            // clones have moved bytes in it
	quiet  []time.Duration // medians of windows without clones
	share  float64
	calm   time.Time // since when no clone has moved anything
	wrote  time.Time // the last window with writes
	stuck  int       // slow windows in a row at the lowest share
}

const (
	pressureWindow = 100 * time.Millisecond
	pressureKeep   = 600  // windows: a minute
	pressureSample = 64   // writes looked at in a window
	pressureRatio  = 1.25 // this many times the usual latency is suffering …
	pressureSlack  = 300 * time.Microsecond
	minShare       = 0.05
	shareStep      = 0.02 // back by this much a window
	// pressureRest is how long clones have to be idle, or users, for the next one to count as the beginning of something.
	pressureRest = time.Second
	// pressureStuck is after how many slow windows at the lowest share the slowness is not the clones'.
	pressureStuck = 50
)

// NewPressure returns a pressure that has seen nothing: the share is 1.
func NewPressure() *Pressure { return &Pressure{share: 1} }

// Observe notes that a write took d.
func (p *Pressure) Observe(d time.Duration, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turnLocked(now)
	p.seen++
	if len(p.writes) < pressureSample {
		p.writes = append(p.writes, d)
	} else {
		p.writes[p.seen%pressureSample] = d // the later ones in the place of the earlier
	}
}

// Share returns the share of their rate, between minShare and 1, that clones may use. Whoever asks is about to move something.
func (p *Pressure) Share(now time.Time) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turnLocked(now)
	if now.Sub(p.calm) > pressureRest && (len(p.writes) > 0 || now.Sub(p.wrote) <= pressureRest) {
		p.share = minShare // users write, and nobody knows yet what a clone does to them
	}
	p.moved, p.calm = true, now
	return p.share
}

// turnLocked ends the window if its time is over.
func (p *Pressure) turnLocked(now time.Time) {
	if p.from.IsZero() {
		p.from = now
	}
	passed := int(now.Sub(p.from) / pressureWindow)
	if passed < 1 {
		return
	}
	median := p.medianLocked()
	if median != 0 {
		p.wrote = p.from
	}
	moved := p.moved
	p.from, p.writes, p.seen, p.moved = now, p.writes[:0], 0, false
	switch {
	case median != 0 && !moved:
		p.keepLocked(median)
	case median != 0 && p.slowLocked(median):
		p.share = max(p.share/2, minShare)
		passed-- // what came after the slow window was quiet
		if p.stuck++; p.stuck >= pressureStuck {
			p.quiet, p.stuck = p.quiet[:0], 0 // something else makes writes slow: that is the usual now
			p.keepLocked(median)
		}
	default:
		p.stuck = 0
	}
	p.growLocked(passed)
}

func (p *Pressure) growLocked(windows int) { p.share = min(p.share+float64(windows)*shareStep, 1) }

// medianLocked is the median write of the window, 0 when there was none.
func (p *Pressure) medianLocked() time.Duration {
	if len(p.writes) == 0 {
		return 0
	}
	slices.Sort(p.writes)
	return p.writes[len(p.writes)/2]
}

func (p *Pressure) keepLocked(median time.Duration) {
	if p.quiet = append(p.quiet, median); len(p.quiet) > pressureKeep {
		p.quiet = p.quiet[1:]
	}
}

// slowLocked reports whether writes take longer than usual. Without a quiet window to compare with, the first is taken for one.
func (p *Pressure) slowLocked(median time.Duration) bool {
	if len(p.quiet) == 0 {
		p.keepLocked(median)
		return false
	}
	sorted := slices.Clone(p.quiet)
	slices.Sort(sorted)
	usual := sorted[len(sorted)/2]
	return float64(median) > float64(usual)*pressureRatio && median > usual+pressureSlack
}
