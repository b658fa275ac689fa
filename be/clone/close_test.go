package clone

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"stele/be/host"
	"stele/meta/types"
)

// TestNothingRunsAfterClose submits tasks while the manager is being closed: whichever comes first, none is at work afterwards, when the
// stores are closed.
func TestNothingRunsAfterClose(t *testing.T) {
	for range 300 {
		var closed atomic.Bool
		m := NewManager(Options{Host: host.New(nil, slog.New(slog.DiscardHandler), nil), Slots: NewSlots(1, 1), Log: slog.New(slog.DiscardHandler),
			Done: func(types.TabletID) {
				if closed.Load() {
					t.Error("a task has run after Close")
				}
			}})
		var submitting sync.WaitGroup
		for id := range types.TaskID(4) {
			submitting.Go(func() { m.Submit(Task{ID: id + 1, Tablet: types.TabletID(id + 1)}) })
		}
		m.Close()
		closed.Store(true)
		submitting.Wait()
	}
}
