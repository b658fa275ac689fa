// Package sequences hands out the numbers that an FE gives to new rows of tables: hidden row ids and AUTO_INCREMENT values, a range a table at
// a time, which it draws from the catalog by package txn. It knows no statement: what a row gets, and what a given value keeps others
// from, the session decides.
//
// Invariants
//
//   - No number of a table is handed out twice, by whichever FE, until TRUNCATE makes it begin anew.
//   - A range belongs to the tablets that the table had when it was drawn: what is left of an older one is never drawn from.
package sequences

import (
	"context"
	"maps"
	"sync"

	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
)

// Set are the ranges that one FE has in hand. Its methods may be called at once.
type Set struct {
	log txn.Log

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

// New has no range yet.
func New(log txn.Log) *Set {
	return &Set{log: log, rows: map[types.TableID]*txn.Sequence{}, auto: map[types.TableID]*autoRange{}}
}

// RowIDs draws n consecutive hidden row ids of a table.
func (s *Set) RowIDs(ctx context.Context, t types.TableID, n int) (uint64, error) {
	return s.rowsOf(t).Take(ctx, uint64(n))
}

func (s *Set) rowsOf(t types.TableID) *txn.Sequence {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.rows[t]
	if q == nil {
		q = txn.NewSequence(s.log, command.CounterRowIDs, t, rowIDRange, 0)
		s.rows[t] = q
	}
	return q
}

// AutoIncrement returns the AUTO_INCREMENT sequence of a table.
func (s *Set) AutoIncrement(t *catalog.Table) *txn.Sequence {
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

// Raise keeps a value that a row was given, and smaller ones, from being handed out by any FE.
func (s *Set) Raise(ctx context.Context, t *catalog.Table, v uint64) error {
	return s.AutoIncrement(t).Raise(ctx, v, s.log.Current().AutoIncrementFence(t.ID))
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

// Carry keeps what is left of the range of a table whose rows have moved to other tablets, as its numbers go on.
func (s *Set) Carry(from, to *catalog.Table) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.auto[from.ID]; a != nil && a.tablet == firstTablet(from) {
		a.tablet = firstTablet(to)
	}
}

// Forget drops what is left of the ranges of a table, after TRUNCATE.
func (s *Set) Forget(t types.TableID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.auto, t)
}

// Prune drops the ranges of tables that are no more, whoever has dropped them or their databases.
func (s *Set) Prune() {
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
