package clone

import (
	"context"
	"sync"

	"stele/meta/types"
)

// Slots counts the clones on each disk, incoming and outgoing together; repair and balance are counted apart, so that
// neither can starve the other. The BE enforces what the FE plans with.
type Slots struct {
	mu      sync.Mutex
	size    map[bool]int // by balance
	ceiling map[bool]int // by balance
	used    map[slotKey]int
	changed chan struct{} // closed and replaced whenever a slot may have come free
}

type slotKey struct {
	disk    types.DiskID
	balance bool
}

// NewSlots returns slots with the given sizes a disk, which are also the ceilings for Resize: what this BE is configured
// to bear, whatever the FE plans.
func NewSlots(repair, balance int) *Slots {
	return &Slots{size: map[bool]int{false: repair, true: balance}, ceiling: map[bool]int{false: repair, true: balance},
		used: map[slotKey]int{}, changed: make(chan struct{})}
}

// Resize changes the sizes, up to the ceilings; clones that run keep their slots.
func (s *Slots) Resize(repair, balance int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	repair, balance = min(repair, s.ceiling[false]), min(balance, s.ceiling[true])
	if s.size[false] == repair && s.size[true] == balance {
		return
	}
	s.size[false], s.size[true] = repair, balance
	s.wakeLocked()
}

func (s *Slots) wakeLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Try takes a slot if one is free; the returned func gives it back and may be called once.
func (s *Slots) Try(disk types.DiskID, balance bool) (release func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := slotKey{disk, balance}
	if s.used[k] >= s.size[balance] {
		return nil, false
	}
	s.used[k]++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.used[k]--
		s.wakeLocked()
	}), true
}

// Acquire waits for a slot.
func (s *Slots) Acquire(ctx context.Context, disk types.DiskID, balance bool) (func(), error) {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if release, ok := s.Try(disk, balance); ok {
			return release, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Used returns how many slots of a disk are taken, of both kinds.
func (s *Slots) Used(disk types.DiskID) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used[slotKey{disk, false}] + s.used[slotKey{disk, true}]
}
