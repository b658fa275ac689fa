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
var errStarting = errors.New("this be, or the disk, has just begun anew and does not know yet which versions it lacks")

// Behind names a version that is committed and that a replica lacks.
type Behind struct {
	Tablet  types.TabletID
	Replica types.ReplicaID
	Version types.Version
}

// restart keeps replicas from acknowledging rows above versions that went with the last process: light rows that it had
// acknowledged, and versions that were published and not written. Only the FE knows of them, and tells in its answer to the first
// full report of a disk. Replicas that were made since the disk was opened have lost nothing.
type restart struct {
	unasked bool                                   // nobody reports, and no disk waits for an answer
	heard   atomic.Pointer[map[*tablet.Store]bool] // disks that the last answer was about; nil = none
	some    atomic.Bool                            // behind is not empty

	mu     sync.Mutex
	behind map[types.TabletID]Behind
}

// Reported takes in the answer to a full report, which was of all disks that were open. For those that have had one before it says nothing
// about the last process. A disk that is opened once more is another Store.
func (w *Writer) Reported(disks []*tablet.Store, behind []Behind) {
	s := &w.restart
	s.mu.Lock()
	defer s.mu.Unlock()
	heard := make(map[*tablet.Store]bool, len(disks))
	for _, d := range disks {
		heard[d] = true
	}
	for _, b := range behind {
		if t, ok := w.tablets.Tablet(b.Tablet); ok && heard[t.Store()] && !s.knows(t.Store()) {
			s.behind[b.Tablet] = b
		}
	}
	s.some.Store(len(s.behind) > 0)
	s.heard.Store(&heard)
}

func (s *restart) knows(disk *tablet.Store) bool {
	heard := s.heard.Load()
	return s.unasked || heard != nil && (*heard)[disk]
}

// refuses says why a replica takes no rows yet.
func (s *restart) refuses(t *tablet.Tablet) error {
	if t.Reopened() && !s.knows(t.Store()) {
		return fmt.Errorf("tablet %d: %w", t.ID(), errStarting)
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
		return fmt.Errorf("tablet %d has version %d, %d was committed before it was opened", t.ID(), have, b.Version)
	}
	delete(s.behind, t.ID())
	s.some.Store(len(s.behind) > 0)
	return nil
}
