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
	age     time.Duration // 0 = ranges do not go stale

	mu    sync.Mutex
	next  uint64
	end   uint64
	drawn time.Time
}

// NewSequence returns a sequence over a counter; table is 0 for the cluster's own counters.
func NewSequence(log Log, counter command.Counter, table types.TableID, size uint64, age time.Duration) *Sequence {
	return &Sequence{log: log, counter: counter, table: table, size: size, age: age}
}

// Next returns the next number.
func (s *Sequence) Next(ctx context.Context) (uint64, error) { return s.Take(ctx, 1) }

// Take returns the first of n consecutive numbers.
func (s *Sequence) Take(ctx context.Context, n uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stale := s.age > 0 && time.Since(s.drawn) > s.age
	if s.end-s.next < n || stale {
		if err := s.drawLocked(ctx, max(n, s.size), 0); err != nil {
			return 0, err
		}
	}
	first := s.next
	s.next += n
	return first, nil
}

// Raise makes sure that no number at or below v is handed out any more.
func (s *Sequence) Raise(ctx context.Context, v uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v < s.next {
		return nil
	}
	if v < s.end {
		s.next = v + 1
		return nil
	}
	return s.drawLocked(ctx, s.size, v+1)
}

func (s *Sequence) drawLocked(ctx context.Context, n, atLeast uint64) error {
	now := time.Now()
	out, err := s.log.Propose(ctx, &command.AllocIDs{Counter: s.counter, N: n, Table: s.table, AtLeast: atLeast, TimeMs: now.UnixMilli()})
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
	s.next, s.end, s.drawn = r.First, r.First+r.N, now
	return nil
}
