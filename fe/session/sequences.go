package session

import (
	"context"
	"maps"
	"slices"
	"sync"

	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/sql/plan"
	"stele/sql/vec"
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

// keepNumbers keeps AUTO_INCREMENT values that assignments give to rows from being handed out.
func (s *Session) keepNumbers(ctx context.Context, t *catalog.Table, list []plan.Assign, next *vec.Batch) error {
	for _, a := range list {
		if a.Keeps || !t.Schema.Columns[a.Column].AutoIncrement || next.N == 0 {
			continue
		}
		if err := s.keepNumber(ctx, t, slices.Max(next.Cols[a.Column].I64)); err != nil {
			return err
		}
	}
	return nil
}

// keepNumber is that for the highest of some values.
func (s *Session) keepNumber(ctx context.Context, t *catalog.Table, highest int64) error {
	if highest <= 0 {
		return nil
	}
	return s.sh.sequences.raise(ctx, t, min(uint64(highest), 1<<63-2)) // the very last value leaves no next one: the draw after it says so
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
