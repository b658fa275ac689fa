package session

import (
	"maps"
	"sync"
	"time"

	"stele/meta/types"
)

// promises are those to be changing a table that this FE has met. A promise is broken when it was not renewed for as long as it holds,
// by the clock of who looks: what it says itself is a time by the clock of another machine, which may be fast, or slow.
type promises struct {
	mu   sync.Mutex
	seen map[types.TableID]seenPromise
}

// seenPromise is a promise and when it was met first.
type seenPromise struct {
	untilMs int64
	since   time.Time
}

// forgetPromise is when one that nobody asks for any more is forgotten.
const forgetPromise = 10 * alterLease

// broken reports whether who promised to be changing a table until a time has to be taken for dead.
func (p *promises) broken(t types.TableID, untilMs int64, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, ok := p.seen[t]; ok && old.untilMs == untilMs {
		return now.Sub(old.since) >= alterLease
	}
	if p.seen == nil {
		p.seen = map[types.TableID]seenPromise{}
	}
	maps.DeleteFunc(p.seen, func(_ types.TableID, s seenPromise) bool { return now.Sub(s.since) > forgetPromise })
	p.seen[t] = seenPromise{untilMs, now}
	return false
}
