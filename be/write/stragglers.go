package write

import (
	"sync"
	"sync/atomic"
	"time"
)

// stragglerGrace is how long a write that enough replicas have waits for the others: long against a healthy fsync,
// short against a user's patience with a hung disk.
const stragglerGrace = 300 * time.Millisecond

// A BE that did not answer within the grace is a straggler: it hangs, or the link to it is cut, which the FE, whose own link
// is well, may never notice. Writes do not wait for one any longer, but for a moment in which a healthy BE answers; one write
// a second waits for the whole grace again, so that a BE that is only slow is no straggler for ever.
const (
	stragglerMoment = 20 * time.Millisecond
	stragglerTry    = time.Second
)

// stragglers are the BEs that owe answers. It is safe for concurrent use.
type stragglers struct {
	some atomic.Bool // there are any
	mu   sync.Mutex
	try  map[string]time.Time // by address: when a write waits for the whole grace again
}

// grace is how long a write waits for the BEs that have not answered.
func (s *stragglers) grace(requests []*peerRequest, now time.Time) time.Duration {
	if !s.some.Load() {
		return stragglerGrace
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range requests {
		if r.noted {
			continue
		}
		if try, ok := s.try[r.address]; !ok || !now.Before(try) {
			return stragglerGrace
		}
	}
	return stragglerMoment
}

// late notes the BEs that have not answered within the grace.
func (s *stragglers) late(requests []*peerRequest, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range requests {
		if r.noted {
			continue
		}
		if try, ok := s.try[r.address]; !ok || !now.Before(try) {
			if s.try == nil {
				s.try = map[string]time.Time{}
			}
			s.try[r.address] = now.Add(stragglerTry)
			s.some.Store(true)
		}
	}
}

// heard notes that a BE has answered.
func (s *stragglers) heard(address string) {
	if !s.some.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.try, address)
	s.some.Store(len(s.try) > 0)
}
