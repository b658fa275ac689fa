package tablet

import (
	"context"
	"sync"
)

// memGauge counts the bytes of decoded deltas of all tablets and lets writers wait while there are too many.
type memGauge struct {
	mu      sync.Mutex
	used    int64
	limit   int64
	changed chan struct{} // closed and replaced when used shrinks
}

func (g *memGauge) add(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.used += n
	if n < 0 {
		close(g.changed)
		g.changed = make(chan struct{})
	}
}

func (g *memGauge) over(part float64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return float64(g.used) > part*float64(g.limit)
}

// wait blocks while the limit is exceeded; poke asks for a flush.
func (g *memGauge) wait(ctx context.Context, poke func()) error {
	for {
		g.mu.Lock()
		full, changed := g.used > g.limit, g.changed
		g.mu.Unlock()
		if !full {
			return nil
		}
		poke()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
