package session

import (
	"context"
	"sync"

	"stele/fe/txn"
	"stele/meta/command"
	"stele/meta/types"
)

// sequences hands out hidden row ids and AUTO_INCREMENT values, a range a table at a time.
type sequences struct {
	log Log

	mu   sync.Mutex
	rows map[types.TableID]*txn.Sequence
	auto map[types.TableID]*txn.Sequence
}

// Sizes of the ranges that an FE draws: row ids nobody sees, AUTO_INCREMENT values leave gaps when an FE stops.
const (
	rowIDRange   = 1 << 20
	autoIncRange = 1000
)

func newSequences(log Log) *sequences {
	return &sequences{log: log, rows: map[types.TableID]*txn.Sequence{}, auto: map[types.TableID]*txn.Sequence{}}
}

func (s *sequences) get(m map[types.TableID]*txn.Sequence, c command.Counter, size uint64, t types.TableID) *txn.Sequence {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := m[t]
	if q == nil {
		q = txn.NewSequence(s.log, c, t, size, 0)
		m[t] = q
	}
	return q
}

// rowIDs draws n consecutive hidden row ids of a table.
func (s *sequences) rowIDs(ctx context.Context, t types.TableID, n int) (uint64, error) {
	return s.get(s.rows, command.CounterRowIDs, rowIDRange, t).Take(ctx, uint64(n))
}

// autoInc returns the AUTO_INCREMENT sequence of a table.
func (s *sequences) autoInc(t types.TableID) *txn.Sequence {
	return s.get(s.auto, command.CounterAutoInc, autoIncRange, t)
}

// forget drops what is left of the ranges of a table, after TRUNCATE.
func (s *sequences) forget(t types.TableID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.auto, t)
}

// drop drops the ranges of a table that is no more.
func (s *sequences) drop(t types.TableID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.auto, t)
	delete(s.rows, t)
}
