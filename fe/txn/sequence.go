package txn

import (
	"context"
	"fmt"
	"sync"
	"time"

	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
)

// Sequence hands out numbers of one catalog counter from ranges that it draws. What is left of a range when the FE
// stops, or when the range is older than its age, is lost: numbers are unique, not gapless.
type Sequence struct {
	log     Log
	counter command.Counter
	table   types.TableID
	size    uint64
	age     time.Duration // 0 = ranges do not go stale, and do not grow

	mu     sync.Mutex
	first  uint64 // of the range
	next   uint64
	end    uint64
	drawn  time.Time
	passed uint64 // how often the catalog had passed over numbers before the range was drawn
	times  uint64 // as many times the size is drawn, less 1
	ahead  uint64 // by how much the next fence is set further than asked for
}

// NewSequence returns a sequence over a counter; table is 0 for the cluster's own counters.
func NewSequence(log Log, counter command.Counter, table types.TableID, size uint64, age time.Duration) *Sequence {
	return &Sequence{log: log, counter: counter, table: table, size: size, age: age}
}

// RaiseTo takes over the fence of the catalog: what the range holds up to that number was used by somebody else.
func (s *Sequence) RaiseTo(fence uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next <= fence {
		s.next = min(fence+1, s.end)
	}
}

// Next returns the next number.
func (s *Sequence) Next(ctx context.Context) (uint64, error) { return s.Take(ctx, 1) }

// Take returns the first of n consecutive numbers.
func (s *Sequence) Take(ctx context.Context, n uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restoredLocked()
	stale := s.age > 0 && time.Since(s.drawn) > s.age
	if s.end-s.next < n || stale {
		if err := s.drawLocked(ctx, max(n, s.growLocked()), 0, 0); err != nil {
			return 0, err
		}
	}
	first := s.next
	s.next += n
	s.ahead /= 2
	return first, nil
}

// restoredLocked drops a range that an older catalog may have given a second time.
func (s *Sequence) restoredLocked() {
	if s.passed != s.log.Current().PassedOver() {
		s.first, s.next, s.end, s.ahead = 0, 0, 0, 0
	}
}

// Everybody who wants a number waits while a range is drawn, so ranges that go stale are to last for rangeLasts, but have at most
// rangeGrowth times their size.
const (
	rangeLasts  = time.Second
	rangeGrowth = 64
)

// growLocked returns how many numbers are drawn next: more when those of the last range are used up too soon.
func (s *Sequence) growLocked() uint64 {
	switch lasted := time.Since(s.drawn); {
	case lasted > s.age:
		s.times = 0
	case lasted < rangeLasts:
		s.times = min(2*s.times+1, rangeGrowth-1)
	}
	return s.size * (s.times + 1)
}

// Raise makes sure that no number at or below v is handed out any more, by whichever FE: another one may hold a range
// in which v lies, unless v is at or below the fence that the catalog has already.
func (s *Sequence) Raise(ctx context.Context, v, fence uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restoredLocked()
	switch {
	case v >= s.first && v < s.end: // nobody else's
		s.next = max(s.next, v+1)
		return nil
	case v <= fence:
		return nil
	case v < s.next:
		return s.fenceLocked(ctx, v)
	}
	return s.drawLocked(ctx, s.size, v+1, v)
}

// fenceLocked keeps what is left of the range: all of it is above v. Rows that are given their numbers one after the
// other, as a copy of a table does, do not cost a command each: the fence is set further and further ahead of them. It
// stays below the range, so that it costs nothing but numbers that other FEs hold.
func (s *Sequence) fenceLocked(ctx context.Context, v uint64) error {
	fence := max(v, min(v+s.ahead, s.first-1))
	s.ahead = min(max(1, 2*s.ahead), s.size)
	out, err := s.log.Propose(ctx, &command.AllocIDs{Counter: s.counter, Table: s.table, AtLeast: fence + 1, TimeMs: time.Now().UnixMilli(), Fence: fence})
	if err == nil {
		err = out[0].Err
	}
	if err != nil {
		return fmt.Errorf("keep number %d from being drawn: %w", v, err)
	}
	return nil
}

func (s *Sequence) drawLocked(ctx context.Context, n, atLeast, fence uint64) error {
	now, passed := time.Now(), s.log.Current().PassedOver()
	out, err := s.log.Propose(ctx, &command.AllocIDs{Counter: s.counter, N: n, Table: s.table, AtLeast: atLeast, TimeMs: now.UnixMilli(), Fence: fence})
	if err == nil {
		err = out[0].Err
	}
	if err != nil {
		return fmt.Errorf("draw numbers: %w", err)
	}
	r, ok := out[0].Value.(catalog.AllocResult)
	if !ok {
		return fmt.Errorf("BUG: AllocIDs answered %T", out[0].Value)
	}
	s.first, s.next, s.end, s.drawn, s.passed = r.First, r.First, r.First+r.N, now, passed
	return nil
}
