package session

import (
	"context"
	"time"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/define"
	"stele/sql/parse"
	"stele/sql/plan"
)

// clock is the time of a statement that begins now: that of SET timestamp, where there is one.
func (s *Session) clock() time.Time {
	if t := s.vars.Now().Timestamp; !t.IsZero() {
		return t
	}
	return time.Now()
}

// planContext is what a plan of this session depends on.
func (s *Session) planContext(cat *catalog.Catalog, now time.Time, params []plan.Param) *plan.Context {
	f := s.vars.Now()
	return &plan.Context{Catalog: guarded{s.names(cat), s.rights(), s.sh.Log.Current()}, CurrentDB: s.db, Vars: s.vars.Read, NowMicros: now.UnixMicro(), TimeZone: f.Zone,
		SafeUpdates: f.SafeUpdates, FoundRows: s.foundRows, RowCount: s.affected,
		SQLMode: f.SQLMode, User: s.who(), Account: s.account, Role: s.currentRole(), Version: f.Version, ConnectionID: s.info.ID, LastInsertID: s.lastInsertID,
		TellID: func(id uint64) { s.lastInsertID = id },
		Params: params, Stats: stats{cat}, System: systemTable}
}

// defineContext is what a definition depends on.
func (s *Session) defineContext(pctx *plan.Context) *define.Context {
	return &define.Context{Context: pctx, ForeignKeys: s.vars.ForeignKeys()}
}

// snapshot gives the planner the catalog by names, those of the session's own tables first.
type snapshot struct {
	*catalog.Catalog
	temps temporaries
}

// names is a catalog by the names that things have in the session.
func (s *Session) names(cat *catalog.Catalog) snapshot { return snapshot{cat, s.temps} }

// stats estimates table sizes from what commits have counted.
type stats struct{ cat *catalog.Catalog }

// Rows returns about how many rows a table has.
func (s stats) Rows(id types.TableID) int64 {
	t, ok := s.cat.TableByID(id)
	if !ok {
		return 0
	}
	var n int64
	for tab := range s.cat.TabletsOfTable(t) {
		n += tab.Rows
	}
	return n
}

// Table finds a table by database and name.
func (c snapshot) Table(db, name string) (*catalog.Table, bool) {
	d, ok := c.Database(db)
	if !ok {
		return nil, false
	}
	if t, ok := c.temps.find(c.Catalog, d.ID, name); ok {
		return t, true
	}
	return c.Catalog.Table(d.ID, name)
}

// Public finds a table that is everybody's by database and name.
func (c snapshot) Public(db, name string) (*catalog.Table, bool) {
	d, ok := c.Database(db)
	if !ok {
		return nil, false
	}
	return c.Catalog.Table(d.ID, name)
}

// readFor is read for a query: one that names no table is answered by what is here, leader or not.
func (s *Session) readFor(ctx context.Context, n parse.StmtNode) (*catalog.Catalog, error) {
	waited := s.inVain
	s.inVain = nil
	switch {
	case !parse.ReadsTables(n):
		return s.sh.Log.Current(), nil
	case waited != nil: // the point path waited for a leader already
		return nil, waited
	}
	return s.read(ctx)
}

// readLocked is read for a query that has locked its rows: it reads the state in which it found them. With READ COMMITTED a newer one may have rows
// that it has not locked.
func (s *Session) readLocked(context.Context, parse.StmtNode) (*catalog.Catalog, error) {
	return s.snapshot, nil
}

// read returns the catalog state that a statement reads: the transaction's, or the newest. As in MySQL it is a transaction's first
// statement that reads which decides what all of it see, unless each sees what is committed by then.
func (s *Session) read(ctx context.Context) (*catalog.Catalog, error) {
	if s.inTx && s.snapshot != nil && !s.movesOn() {
		return s.snapshot, nil
	}
	if _, err := s.sh.Log.ReadIndex(ctx); err != nil {
		return nil, err
	}
	cat := s.latest()
	if s.inTx {
		s.snapshot, s.unread = cat, false
	}
	return cat, nil
}

// readLatest is read for a statement that sees no rows but those that it locks: nobody changes them before the transaction ends, so it
// may still be bound to a later state, and the statement need not lose against who has changed them since the transaction began.
func (s *Session) readLatest(ctx context.Context) (*catalog.Catalog, error) {
	if s.snapshot == nil || !s.movesOn() {
		fresh := s.snapshot == nil
		cat, err := s.read(ctx)
		s.unread = s.inTx && fresh && err == nil
		return cat, err
	}
	s.snapshot = s.latest()
	return s.snapshot, nil
}

// bind ends what readLatest leaves open, at a state that has all rows which the transaction has met so far: a leader may know of newer ones
// than the catalog that a statement began with, above all when the statement has waited for a lock.
func (s *Session) bind(ctx context.Context) {
	if _, err := s.read(ctx); err != nil {
		s.unread = false // it has to do with what is there
	}
}

// latest is the newest catalog, unless a table that the open transaction has written is another one there: then it goes on as it began.
func (s *Session) latest() *catalog.Catalog {
	cat := s.sh.Log.Current()
	if s.snapshot != nil && s.tx != nil && !s.tx.Alike(s.snapshot, cat) {
		return s.snapshot
	}
	return cat
}
