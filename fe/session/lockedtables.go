package session

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"stele/fe/account"
	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/sql/parse"
	"stele/sql/physical"
	"stele/sql/plan"
)

// definitions are the statements under way on this FE that change what there is: who locks tables waits for them.
type definitions struct {
	mu sync.Mutex
	m  map[*definition]struct{}
}

// definition is one, with the tables that it changes.
type definition struct{ tables []types.TableID }

func (d *definitions) begin(tables []types.TableID) (end func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	one := &definition{tables}
	if d.m == nil {
		d.m = map[*definition]struct{}{}
	}
	d.m[one] = struct{}{}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.m, one)
	}
}

// use reports whether one is under way that changes some tables, or any.
func (d *definitions) use(tables []types.TableID, all bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for one := range d.m {
		if all || slices.ContainsFunc(one.tables, func(t types.TableID) bool { return slices.Contains(tables, t) }) {
			return true
		}
	}
	return false
}

// Uses reports whether something is under way on this FE that locks of some tables, or of all, have to wait for: definitions, and transactions that
// have come to one of the tables. Locks of all wait for no transaction.
func (sh *Shared) Uses(tables []types.TableID, all bool) bool {
	return sh.defining.use(tables, all) || !all && sh.Txns.Uses(tables)
}

// defines reports whether a statement changes what there is.
func defines(n parse.StmtNode) bool {
	switch n.(type) {
	case *parse.CreateTableStmt, *parse.DropTableStmt, *parse.TruncateTableStmt, *parse.AlterTableStmt, *parse.RenameTableStmt,
		*parse.CreateIndexStmt, *parse.DropIndexStmt, *parse.CreateViewStmt:
		return true
	}
	return false
}

// makesOwn reports whether a statement makes or drops tables of the session alone.
func makesOwn(n parse.StmtNode) bool {
	switch n := n.(type) {
	case *parse.CreateTableStmt:
		return n.TemporaryKeyword != parse.TemporaryNone
	case *parse.DropTableStmt:
		return n.TemporaryKeyword != parse.TemporaryNone
	}
	return false
}

// usesOf returns the places where a statement names tables that there are.
func (s *Session) usesOf(st *parse.Statement) []account.Use {
	name := func(n *parse.TableName) account.Use {
		db := n.Schema.O
		if db == "" {
			db = s.db
		}
		return account.Use{Database: db, Table: n.Name.O, Alias: n.Name.O}
	}
	if st.Alter != nil {
		return []account.Use{name(&parse.TableName{Schema: parse.NewCIStr(st.Alter.Table.DB), Name: parse.NewCIStr(st.Alter.Table.Table)})}
	}
	switch n := st.Node.(type) {
	case *parse.RenameTableStmt:
		var out []account.Use
		for _, r := range n.TableToTables {
			out = append(out, name(r.OldTable))
		}
		return out
	case *parse.AlterTableStmt:
		return []account.Use{name(n.Table)}
	case *parse.CreateTableStmt:
		if makesOwn(n) && n.Select != nil {
			return account.Uses(n.Select, s.db)
		}
	case *parse.IntoStmt:
		return account.Uses(n.StmtNode, s.db)
	case *parse.ExplainStmt:
		return account.Uses(n.Stmt, s.db)
	}
	if makesOwn(st.Node) {
		return nil
	}
	return account.Uses(st.Node, s.db)
}

// changes returns the tables that a definition changes, as far as they are there.
func (s *Session) changes(cat *catalog.Catalog, st *parse.Statement) (out []types.TableID) {
	if n, ok := st.Node.(*parse.DropDatabaseStmt); ok {
		if db, there := cat.Database(n.Name.O); there {
			for t := range cat.Tables(db.ID) {
				out = append(out, t.ID)
			}
		}
		return out
	}
	for _, u := range s.usesOf(st) {
		if t, ok := (snapshot{Catalog: cat}).Table(u.Database, u.Table); ok {
			out = append(out, t.ID)
		}
	}
	return out
}

// mayDefine waits until no other session has locked what a definition changes, and has others that want to lock it wait for its end.
func (s *Session) mayDefine(ctx context.Context, st *parse.Statement) (end func(), err error) {
	if makesOwn(st.Node) {
		return func() {}, nil
	}
	for r := s.retrier(); ; {
		tables := s.changes(s.sh.Log.Current(), st)
		end = s.sh.defining.begin(tables) // before the look: who asks for locks meanwhile finds it
		by := s.definesAgainst(s.sh.Log.Current(), tables)
		if by == nil {
			return end, nil
		}
		end()
		if err = lockedBy(by); !r.again(ctx, s.sh.Txns, err) {
			return nil, err
		}
	}
}

// definesAgainst returns the locks of another session that are in the way of a definition. One that holds locks itself does not wait for who only asks:
// that one may wait for it.
func (s *Session) definesAgainst(cat *catalog.Catalog, tables []types.TableID) *catalog.TableLocks {
	for _, l := range cat.Locks() {
		bars := l.All || slices.ContainsFunc(tables, func(t types.TableID) bool { return l.Bars(t, true) })
		if bars && l.ID != s.lockID() && (l.Held || s.lockID() == 0) {
			return l
		}
	}
	return nil
}

// lockedBy is the failure of what has to wait for locks of another session.
func lockedBy(l *catalog.TableLocks) error {
	return &txn.RetryError{Err: &catalog.ErrLocked{Locks: l.ID}}
}

// readable refuses to read what another session has locked for writing.
func (s *Session) readable(p *physical.Node) error {
	cat := s.sh.Log.Current()
	if len(cat.Locks()) == 0 {
		return nil
	}
	for id := range scanned(p) {
		if err := s.readableTable(cat, id); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) readableTable(cat *catalog.Catalog, id types.TableID) error {
	for _, l := range cat.Locks() {
		if l.Held && l.ID != s.lockID() && l.Bars(id, false) {
			return lockedBy(l)
		}
	}
	return nil
}

// barred reports whether one of some tables is locked in whatever way: a short way leaves it to the general one.
func (s *Session) barred(tables []plan.Named) bool {
	cat := s.sh.Log.Current()
	return len(cat.Locks()) > 0 && slices.ContainsFunc(tables, func(n plan.Named) bool { return s.readableTable(cat, n.Table.ID) != nil })
}

// awaitUnlock waits until locks are no more. It is false when the time is over before, or the statement is to end.
func (sh *Shared) awaitUnlock(ctx context.Context, locks uint64, until time.Time) bool {
	tick := time.NewTicker(unlockTick)
	defer tick.Stop()
	for {
		if _, there := sh.Log.Current().LocksByID(locks); !there {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
			if time.Now().After(until) {
				return false
			}
		}
	}
}

// unlockTick is how often who waits for locks looks for their end.
const unlockTick = 10 * time.Millisecond

// commitUnlocked commits a transaction, and waits when another session has locked a table of it.
func (s *Session) commitUnlocked(ctx context.Context, t *txn.Txn) error {
	err := t.Commit(ctx)
	for r := s.retrier(); ; {
		if _, waits := txn.IsLocked(err); !waits {
			return err
		}
		if !r.again(ctx, s.sh.Txns, err) { // as in MySQL the transaction is over
			return errors.Join(err, t.Rollback(ctx))
		}
		err = t.Commit(ctx)
	}
}

// locksKept is for how long the leading FE has heard nothing of another one before it gives the tables that its sessions have locked to others. What
// they write then is refused at the commit.
const locksKept = 6 * time.Second

// sweepLocks ends the locks of sessions that have ended.
func (sh *Shared) sweepLocks(ctx context.Context) error {
	var cmds []command.Command
	cat := sh.Log.Current()
	for _, l := range cat.Locks() {
		if sh.abandoned(cat, &l.Owner, locksKept) {
			cmds = append(cmds, &command.UnlockTables{ID: l.ID})
		}
	}
	if len(cmds) == 0 {
		return nil
	}
	_, err := sh.Log.Propose(ctx, cmds...)
	return err
}
