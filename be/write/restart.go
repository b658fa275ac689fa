package write

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"stele/be/tablet"
	"stele/meta/types"
)

// errStarting refuses rows for a replica that may have lost what it acknowledged in its last life.
var errStarting = errors.New("this be has just started and does not know yet which versions it lacks")

// Behind names a version that is committed and that a replica lacks.
type Behind struct {
	Tablet  types.TabletID
	Replica types.ReplicaID
	Version types.Version
}

// restart keeps replicas from acknowledging rows above versions that went with the last process: light rows that it had
// acknowledged, and versions that were published and not written. Only the FE knows of them, and tells in its answer to the first
// full report. Replicas that were made since the start have lost nothing.
type restart struct {
	answered atomic.Bool
	some     atomic.Bool // behind is not empty

	mu     sync.Mutex
	behind map[types.TabletID]Behind
}

// Reported takes in the answer to the first full report of this process; later ones say nothing about the last process.
func (w *Writer) Reported(behind []Behind) {
	s := &w.restart
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answered.Load() {
		return
	}
	s.behind = make(map[types.TabletID]Behind, len(behind))
	for _, b := range behind {
		s.behind[b.Tablet] = b
	}
	s.some.Store(len(behind) > 0)
	s.answered.Store(true)
}

// refuses says why a replica takes no rows yet.
func (s *restart) refuses(t *tablet.Tablet) error {
	if !s.answered.Load() {
		if t.Reopened() {
			return fmt.Errorf("tablet %d: %w", t.ID(), errStarting)
		}
		return nil
	}
	if !s.some.Load() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.behind[t.ID()]
	if !ok {
		return nil
	}
	if have := t.Version(); b.Replica == t.Replica() && have < b.Version {
		return fmt.Errorf("tablet %d has version %d, %d was committed before this be started", t.ID(), have, b.Version)
	}
	delete(s.behind, t.ID())
	s.some.Store(len(s.behind) > 0)
	return nil
}
