// Package process holds settings of the Go runtime that a process has once, however many nodes run in it (`stele node` runs an FE and a BE).
// It knows neither.
package process

import (
	"runtime/debug"
	"sync"
)

var gc struct {
	mu     sync.Mutex
	lowest int // 0 = nobody has asked yet
}

// GCPercent sets the growth of the heap after which the collector runs to the least that anybody in this process has asked for: it costs
// CPU time, where more would cost memory that the other did not reckon with.
func GCPercent(percent int) {
	gc.mu.Lock()
	defer gc.mu.Unlock()
	if gc.lowest == 0 || percent < gc.lowest {
		gc.lowest = percent
		debug.SetGCPercent(percent)
	}
}
