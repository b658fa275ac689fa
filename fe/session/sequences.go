package session

import (
	"context"
	"maps"
	"sync"

	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
)

// sequences hands out hidden row ids and AUTO_INCREMENT values, a range a table at a time.
type sequences struct {
	log Log

	mu   sync.Mutex
	rows map[types.TableID]*txn.Sequence
	auto map[types.TableID]*autoRange
}

// autoRange is the AUTO_INCREMENT sequence of a table for as long as the table keeps its tablets: TRUNCATE, on whichever
// FE, starts the counter anew, and what is left of an older range would be drawn a second time.
type autoRange struct {
	*txn.Sequence
	tablet types.TabletID // the first one of the table
}

// Sizes of the ranges that an FE draws: row ids nobody sees, AUTO_INCREMENT values leave gaps when an FE stops.
const (
	rowIDRange   = 1 << 20
	autoIncRange = 1000
)

func newSequences(log Log) *sequences {
	return &sequences{log: log, rows: map[types.TableID]*txn.Sequence{}, auto: map[types.TableID]*autoRange{}}
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
func (s *sequences) autoInc(t *catalog.Table) *txn.Sequence {
	first := firstTablet(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.auto[t.ID]
	if a == nil || a.tablet < first { // ids grow: a statement with an older catalog must not bring an old range back
		a = &autoRange{txn.NewSequence(s.log, command.CounterAutoInc, t.ID, autoIncRange, 0), first}
		s.auto[t.ID] = a
	}
	a.RaiseTo(s.log.Current().AutoIncrementFence(t.ID))
	return a.Sequence
}

// raise keeps a value that a row was given, and smaller ones, from being handed out by any FE.
func (s *sequences) raise(ctx context.Context, t *catalog.Table, v uint64) error {
	return s.autoInc(t).Raise(ctx, v, s.log.Current().AutoIncrementFence(t.ID))
}

// firstTablet returns the lowest tablet id of a table, which grows with each TRUNCATE.
func firstTablet(t *catalog.Table) types.TabletID {
	var first types.TabletID
	for i := range t.Parts {
		for _, id := range t.Parts[i].Tablets {
			if first == 0 || id < first {
				first = id
			}
		}
	}
	return first
}

// carry keeps what is left of the range of a table whose rows have moved to other tablets, as its numbers go on.
func (s *sequences) carry(from, to *catalog.Table) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.auto[from.ID]; a != nil && a.tablet == firstTablet(from) {
		a.tablet = firstTablet(to)
	}
}

// forget drops what is left of the ranges of a table, after TRUNCATE.
func (s *sequences) forget(t types.TableID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.auto, t)
}

// prune drops the ranges of tables that are no more, whoever has dropped them or their databases.
func (s *sequences) prune() {
	s.mu.Lock()
	defer s.mu.Unlock()
	cat := s.log.Current() // no older than the tables of the ranges
	gone := func(t types.TableID) bool {
		_, there := cat.TableByID(t)
		return !there
	}
	maps.DeleteFunc(s.auto, func(t types.TableID, _ *autoRange) bool { return gone(t) })
	maps.DeleteFunc(s.rows, func(t types.TableID, _ *txn.Sequence) bool { return gone(t) })
}
