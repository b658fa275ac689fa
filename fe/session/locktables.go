package session

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"stele/fe/account"
	"stele/fe/stmt"
	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/parse"
	"stele/sql/physical"
	"stele/sql/plan"
)

// tableLocks is what a session has by LOCK TABLES or FLUSH TABLES WITH READ LOCK.
type tableLocks struct {
	id     uint64 // of the catalog; 0 = no table of others is among them
	claim  uint64
	all    bool                   // FLUSH TABLES WITH READ LOCK
	names  map[account.Use]bool   // what statements may name, and whether to write
	tables map[types.TableID]bool // by id, with those that only come along; whether for writing
	named  map[types.TableID]bool // those that were called by their own names: another one may be given to them
}

// lockTables runs LOCK TABLES, and FLUSH TABLES t WITH READ LOCK.
func (s *Session) lockTables(ctx context.Context, tables []parse.LockedTable, out *output) error {
	if s.locked != nil && s.locked.all {
		return lockedAlready()
	}
	if err := s.commit(ctx); err != nil { // as in MySQL
		return err
	}
	s.unlockTables(ctx)
	for {
		if _, err := s.sh.Log.ReadIndex(ctx); err != nil {
			return err
		}
		l, err := s.toLock(tables)
		if err != nil {
			return err
		}
		if err := s.takeLocks(ctx, l); err != nil {
			return err
		}
		again, err := s.toLock(tables)
		if err == nil && same(l, again) {
			return out.warned(s.warningCount())
		}
		s.unlockTables(ctx) // a table was dropped, or another one has its name, before the locks were there
		if err != nil {
			return err
		}
	}
}

func same(a, b *tableLocks) bool {
	for id := range b.tables {
		if _, ok := a.tables[id]; !ok {
			return false
		}
	}
	return len(a.tables) == len(b.tables)
}

// lockAll runs FLUSH TABLES WITH READ LOCK: nobody writes or changes what there is.
func (s *Session) lockAll(ctx context.Context, out *output) error {
	if s.locked != nil && !s.locked.all {
		return lockedAlready()
	}
	if err := s.commit(ctx); err != nil {
		return err
	}
	if s.locked == nil {
		if err := s.takeLocks(ctx, &tableLocks{all: true}); err != nil {
			return err
		}
	}
	return out.ok()
}

// flushAndLock runs FLUSH TABLES … WITH READ LOCK: of all tables, or of some.
func (s *Session) flushAndLock(ctx context.Context, n *parse.FlushStmt, out *output) error {
	if len(n.Tables) == 0 {
		return s.lockAll(ctx, out)
	}
	if s.locked != nil {
		return lockedAlready()
	}
	var tables []parse.LockedTable
	for _, t := range n.Tables {
		tables = append(tables, parse.LockedTable{Table: t, Alias: t.Name.O})
	}
	return s.lockTables(ctx, tables, out)
}

func lockedAlready() error {
	return sqlErr(errno.LockedAlready, "Can't execute the given command because you have active locked tables or an active transaction")
}

// toLock works out what a LOCK TABLES means: tables by the names that statements will have for them, and those that come along. What a view reads
// is locked as the view is; parents of a table that is written are locked for reading, and children that would be changed with it for writing.
func (s *Session) toLock(tables []parse.LockedTable) (*tableLocks, error) {
	l := &tableLocks{names: map[account.Use]bool{}, tables: map[types.TableID]bool{}, named: map[types.TableID]bool{}}
	cat, seen := s.sh.Log.Current(), map[string]bool{}
	for _, t := range tables {
		use := account.Use{Database: cmp.Or(t.Table.Schema.O, s.db), Table: t.Table.Name.O, Alias: t.Alias}
		if seen[use.Database+"\x00"+use.Alias] {
			return nil, sqlErr(errno.NotUniqueTable, "Not unique table/alias: '%s'", use.Alias)
		}
		seen[use.Database+"\x00"+use.Alias] = true
		l.names[use] = t.Write
		if stmt.IsSystemDatabase(use.Database) { // a dump that was told to take such a one
			continue
		}
		d, table, err := s.findTable(cat, use.Database, use.Table)
		switch {
		case err == nil:
			l.add(cat, table, t.Write)
			if use.Alias == use.Table {
				l.named[table.ID] = t.Write
			}
		case d != nil && cat.Named(d.ID, use.Table):
			if err := s.lockView(cat, l, use, t.Write); err != nil {
				return nil, err
			}
		default:
			return nil, err
		}
	}
	return l, nil
}

// lockView adds the tables that a view reads.
func (s *Session) lockView(cat *catalog.Catalog, l *tableLocks, use account.Use, write bool) error {
	quoted := func(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
	st, err := s.sh.Parser.Parse("SELECT * FROM "+quoted(use.Database)+"."+quoted(use.Table), s.mode())
	if err != nil {
		return err
	}
	p, err := plan.Select(s.planContext(cat, s.clock(), nil), st.Node)
	if err != nil {
		return err
	}
	for id := range scanned(p) {
		if t, ok := cat.TableByID(id); ok {
			l.add(cat, t, write)
			l.named[t.ID] = write || l.named[t.ID] // as in MySQL it may be named
		}
	}
	return nil
}

// add locks a table, and those that a write to it looks at or changes.
func (l *tableLocks) add(cat *catalog.Catalog, t *catalog.Table, write bool) {
	had, known := l.tables[t.ID]
	if t.Owner != nil || known && (had || !write) {
		return
	}
	l.tables[t.ID] = write
	if !write {
		return
	}
	for i := range t.ForeignKeys {
		if parent, ok := cat.TableByID(t.ForeignKeys[i].RefTable); ok {
			l.add(cat, parent, false)
		}
	}
	for _, id := range t.ReferencedBy {
		if child, ok := cat.TableByID(id); ok {
			l.add(cat, child, falls(child, t.ID))
		}
	}
}

// falls reports whether rows of a child change with those of a parent.
func falls(child *catalog.Table, parent types.TableID) bool {
	changes := func(a catalog.ReferenceAction) bool {
		return a == catalog.ReferenceCascade || a == catalog.ReferenceSetNull
	}
	return slices.ContainsFunc(child.ForeignKeys, func(f catalog.ForeignKey) bool {
		return f.RefTable == parent && (changes(f.OnDelete) || changes(f.OnUpdate))
	})
}

// takeLocks asks for locks and waits until the session holds them.
func (s *Session) takeLocks(ctx context.Context, l *tableLocks) error {
	if len(l.tables) == 0 && !l.all {
		s.locked = l
		return nil
	}
	owner := s.sh.newOwner(s.info.ID)
	cmd := &command.LockTables{Owner: *owner, All: l.all}
	for id, write := range l.tables {
		cmd.Tables = append(cmd.Tables, catalog.TableLock{Table: id, Write: write})
	}
	slices.SortFunc(cmd.Tables, func(a, b catalog.TableLock) int { return cmp.Compare(a.Table, b.Table) })
	results, err := s.sh.Log.Propose(ctx, cmd)
	if err == nil {
		err = results[0].Err
	}
	if err != nil {
		s.sh.claims.end(owner.Claim) // should they be there all the same they are swept
		return interrupted(ctx, err)
	}
	id, _ := results[0].Value.(catalog.IDResult)
	l.id, l.claim = id.ID, owner.Claim
	s.locked = l
	s.noteLocks(0)
	if err := s.awaitLocks(ctx, l); err != nil {
		s.unlockTables(ctx)
		return interrupted(ctx, err)
	}
	return nil
}

// interrupted is the failure of a LOCK TABLES of which nothing is in effect, whatever became of its last question to the log.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// askPause is how long who wants locks waits before he looks again whether others are through with the tables.
const (
	askPause    = 2 * time.Millisecond
	askPauseMax = 200 * time.Millisecond
)

// awaitLocks waits until those who came before are through with the tables: other locks, transactions that have come to one of them, and definitions.
// A transaction is not waited for by FLUSH TABLES WITH READ LOCK, after which it cannot commit.
func (s *Session) awaitLocks(ctx context.Context, l *tableLocks) error {
	until := time.Now().Add(s.tableLockWait())
	tables := slices.Sorted(maps.Keys(l.tables))
	var silent time.Time // since when another FE does not answer
	for pause := askPause; ; pause = min(2*pause, askPauseMax) {
		var err error
		if !s.inUse(ctx, tables, l.all, &silent) {
			if err = s.apply(ctx, &command.HoldLocks{ID: l.id}); err == nil {
				return nil
			}
		}
		before, waits := txn.IsLocked(err)
		switch {
		case waits && !s.sh.awaitUnlock(ctx, before, until), time.Now().After(until):
			return cmp.Or(context.Cause(ctx), error(lockTimeout()))
		case err != nil && !waits:
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// inUse reports whether something is under way on any FE that locks have to wait for. An FE that does not answer for as long as its own locks would be
// kept is taken for dead: the transactions that it has cannot commit when the locks are held.
func (s *Session) inUse(ctx context.Context, tables []types.TableID, all bool, silent *time.Time) bool {
	if s.sh.Uses(tables, all) {
		return true
	}
	if s.sh.OthersUse == nil {
		return false
	}
	busy, unanswered := s.sh.OthersUse(ctx, tables, all)
	switch {
	case busy || !unanswered:
		*silent = time.Time{}
		return busy
	case silent.IsZero():
		*silent = time.Now()
	}
	return time.Since(*silent) < locksKept
}

func lockTimeout() error {
	return sqlErr(errno.LockWaitTimeout, "Lock wait timeout exceeded; try restarting transaction")
}

// tableLockWait is for how long a statement waits for locks of whole tables.
func (s *Session) tableLockWait() time.Duration {
	return time.Duration(s.vars.Int("lock_wait_timeout")) * time.Second
}

// unlockTables gives back what the session has locked. What cannot be told to anybody now is swept.
func (s *Session) unlockTables(ctx context.Context) {
	l := s.locked
	s.locked = nil
	if l == nil || l.id == 0 {
		return
	}
	defer s.sh.claims.end(l.claim)
	defer s.noteLocks(0)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropPatience)
	defer cancel()
	if err := s.apply(ctx, &command.UnlockTables{ID: l.id}); err != nil {
		s.sh.Logger.Warn("give back the tables that a session has locked", "conn", s.info.ID, "err", err)
	}
}

// lockID is under which locks the session writes, 0 = it has none.
func (s *Session) lockID() uint64 {
	if s.locked == nil {
		return 0
	}
	return s.locked.id
}

// underLocks refuses what a session that has locked tables may not do: to use others, to write to what it has locked for reading, and anything
// when its locks are gone.
func (s *Session) underLocks(ctx context.Context, st *parse.Statement) error {
	l := s.locked
	switch n := st.Node.(type) {
	case nil, *parse.SelectStmt, *parse.SetOprStmt, *parse.IntoStmt, *parse.InsertStmt, *parse.LoadDataStmt, *parse.UpdateStmt, *parse.DeleteStmt:
	case *parse.ExplainStmt:
		if _, show := n.Stmt.(*parse.ShowStmt); show {
			return nil
		}
	case *parse.CreateDatabaseStmt, *parse.AlterDatabaseStmt, *parse.DropDatabaseStmt:
		if l.all {
			return conflictingLock()
		}
		return lockedAlready()
	default:
		if !defines(st.Node) {
			return nil
		}
	}
	if st.Admin != nil {
		return nil
	}
	uses := s.usesOf(st)
	if len(uses) == 0 {
		return nil
	}
	if err := s.stillLocked(ctx); err != nil {
		return err
	}
	changes := st.Alter != nil || defines(st.Node) && !makesOwn(st.Node)
	for _, u := range uses {
		if err := s.mayUse(u, changes); err != nil {
			return err
		}
	}
	return nil
}

// stillLocked refuses a statement of a session whose locks were given to others.
func (s *Session) stillLocked(ctx context.Context) error {
	if s.locked.id == 0 {
		return nil
	}
	if _, err := s.sh.Log.ReadIndex(ctx); err != nil {
		return err
	}
	if _, ok := s.sh.Log.Current().LocksByID(s.locked.id); !ok {
		return locksLost()
	}
	return nil
}

func locksLost() error {
	return sqlErr(errno.UnknownError, "This frontend was cut off from the cluster and the tables are not locked any more: say UNLOCK TABLES and begin again")
}

func conflictingLock() error {
	return sqlErr(errno.LockedForReading, "Can't execute the query because you have a conflicting read lock")
}

// mayUse judges one place of a statement that names a table.
func (s *Session) mayUse(u account.Use, changes bool) error {
	if _, own := s.temps.named(s.sh.Log.Current(), u.Database, u.Table); own || stmt.IsSystemDatabase(u.Database) {
		return nil
	}
	if s.locked.all {
		if changes {
			return conflictingLock()
		}
		return nil
	}
	write, ok := s.locked.names[u]
	if t, there := s.names(s.sh.Log.Current()).Table(u.Database, u.Table); !ok && there && u.Alias == u.Table {
		write, ok = s.locked.named[t.ID]
	}
	switch {
	case !ok:
		return sqlErr(errno.NotLocked, "Table '%s' was not locked with LOCK TABLES", u.Alias)
	case changes && !write:
		return lockedForReading(u.Alias)
	}
	return nil
}

func lockedForReading(table string) error {
	return sqlErr(errno.NotLockedForWriting, "Table '%s' was locked with a READ lock and can't be updated", table)
}

// mayWriteLocked refuses a write to a table that the session itself has locked for reading.
func (s *Session) mayWriteLocked(t *catalog.Table) error {
	switch {
	case s.locked == nil || t.Owner != nil:
		return nil
	case s.locked.all:
		return conflictingLock()
	case !s.locked.tables[t.ID]:
		return lockedForReading(t.Name)
	}
	return nil
}

// scanned yields the tables that a plan reads.
func scanned(p *physical.Node) iter.Seq[types.TableID] {
	return func(yield func(types.TableID) bool) { scannedBelow(p, yield) }
}

func scannedBelow(p *physical.Node, yield func(types.TableID) bool) bool {
	if p == nil {
		return true
	}
	if p.Scan != nil && !yield(p.Scan.TableID) {
		return false
	}
	if p.Recursive != nil && !(scannedBelow(p.Recursive.Seed, yield) && scannedBelow(p.Recursive.Step, yield)) {
		return false
	}
	for _, c := range p.Children {
		if !scannedBelow(c, yield) {
			return false
		}
	}
	return true
}
