package cluster

import (
	"context"
	"time"
)

// Sleep lets a while go by, or less if the context ends: load goes on meanwhile, or a refused client comes again. It is no synchronisation.
func Sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
