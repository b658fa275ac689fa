package session

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"stele/fe/account"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/model"
	"stele/meta/types"
	"stele/sql/parse"
)

// temporaries are the tables that only the session knows, by the names that they have in it. They hide others of these names.
type temporaries map[placeName]claimed

// claimed is a table that is the session's for as long as its claim has not ended.
type claimed struct {
	id    types.TableID
	claim uint64
}

// claims are those that this process keeps up, by numbers of which it gives none twice, with the connections of their sessions.
type claims struct {
	last atomic.Uint64
	open sync.Map
}

func (c *claims) begin(conn uint64) uint64 {
	n := c.last.Add(1)
	c.open.Store(n, conn)
	return n
}

func (c *claims) end(n uint64) { c.open.Delete(n) }

func (c *claims) has(n uint64) bool {
	_, ok := c.open.Load(n)
	return ok
}

// find returns the session's table of a name, if it is still there: it goes with its database.
func (m temporaries) find(cat *catalog.Catalog, db types.DatabaseID, name string) (*catalog.Table, bool) {
	own, ok := m[placeName{db, name}]
	if !ok {
		return nil, false
	}
	return cat.TableByID(own.id)
}

// named is find by the name of the database.
func (m temporaries) named(cat *catalog.Catalog, db, name string) (*catalog.Table, bool) {
	if len(m) == 0 {
		return nil, false
	}
	d, ok := cat.Database(db)
	if !ok {
		return nil, false
	}
	return m.find(cat, d.ID, name)
}

// forgetTable takes a table out that was dropped.
func (s *Session) forgetTable(id types.TableID) {
	for place, own := range s.temps {
		if own.id == id {
			delete(s.temps, place)
			s.sh.claims.end(own.claim)
		}
	}
}

// newOwner claims a table that is about to be made for a session.
func (sh *Shared) newOwner(conn uint64) *catalog.TableOwner {
	return &catalog.TableOwner{FE: sh.Name, StartMs: sh.Started.UnixMilli(), Claim: sh.claims.begin(conn)}
}

// endUnless ends a claim unless it is to one of the tables that a session has: whatever became of making the table, it is swept.
func (sh *Shared) endUnless(has temporaries, claim uint64) {
	for _, own := range has {
		if own.claim == claim {
			return
		}
	}
	sh.claims.end(claim)
}

// ownTable gives a table that was made for the session a name there.
func (s *Session) ownTable(name string, t *catalog.Table) {
	if s.temps == nil {
		s.temps = temporaries{}
	}
	s.temps[placeName{t.DatabaseID, name}] = claimed{t.ID, t.Owner.Claim}
}

// dropTemporaries drops the tables of the session at its end. What cannot be dropped now is swept later.
func (s *Session) dropTemporaries(ctx context.Context) {
	var cmds []command.Command
	for _, own := range s.temps {
		cmds = append(cmds, &command.DropTable{ID: own.id})
		s.sh.claims.end(own.claim)
	}
	s.temps = nil
	s.sh.lease.Ended(s.info.ID)
	if len(cmds) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropPatience)
	defer cancel()
	if _, err := s.sh.Log.Propose(ctx, cmds...); err != nil {
		s.sh.Logger.Warn("drop the temporary tables of a session", "conn", s.info.ID, "tables", len(cmds), "err", err)
	}
}

// dropPatience is how long the end of a session waits for its tables to be dropped.
const dropPatience = 2 * time.Second

// ownedNeeds leaves out what a statement needs of tables that are the session's own: whoever made one may do everything with it, and no
// more than before with what else has its name.
func (s *Session) ownedNeeds(st *parse.Statement, needs []account.Need) []account.Need {
	shared := sharedNames(st.Node)
	if len(s.temps) == 0 || shared == model.PrivAll {
		return needs
	}
	cat := s.sh.Log.Current()
	var out []account.Need
	for _, n := range needs {
		if _, own := s.temps.named(cat, n.Database, n.Table); !own || n.Privileges&shared != 0 {
			out = append(out, n)
		}
	}
	return out
}

// sharedNames returns the privileges that a statement needs for names as everybody has them.
func sharedNames(n parse.Node) model.Privilege {
	switch n := n.(type) {
	case *parse.CreateTableStmt, *parse.AlterTableStmt: // the table that it makes, or the new name of one
		return model.PrivCreate | model.PrivInsert
	case *parse.CreateViewStmt, *parse.RenameTableStmt:
		return model.PrivAll
	case *parse.DropTableStmt:
		if n.IsView {
			return model.PrivAll
		}
	}
	return 0
}

// dropTemporary runs DROP TEMPORARY TABLE, which knows no other tables.
func (s *Session) dropTemporary(ctx context.Context, n *parse.DropTableStmt, out *output) error {
	d := dropping{}
	for _, name := range n.Tables {
		db := name.Schema.O
		if db == "" {
			db = s.db
		}
		if t, ok := s.temps.named(s.sh.Log.Current(), db, name.Name.O); ok {
			d.add(t, s.fullName(name))
		} else {
			d.missing = append(d.missing, s.fullName(name))
		}
	}
	return s.drop(ctx, d, n.IfExists, out)
}

// Sweep forgets the sequences of tables that are no more and drops tables of sessions that have ended, for as long as ctx says: those of this FE whose session is no more, of its process or of
// one before, and those of FEs that are out of the cluster or silent for long. An FE that is down for a while sweeps for itself when it is back.
func (sh *Shared) Sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	locks := time.NewTicker(sweepLocksEvery)
	defer locks.Stop()
	for {
		sh.sequences.Prune()
		if err := errors.Join(sh.renewLease(ctx), sh.sweep(ctx)); err != nil && ctx.Err() == nil {
			sh.Logger.Debug("drop tables of ended sessions", "err", err)
		}
		for waits := true; waits; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				waits = false
			case <-locks.C:
				if err := sh.sweepLocks(ctx); err != nil && ctx.Err() == nil {
					sh.Logger.Debug("end the table locks of ended sessions", "err", err)
				}
			}
		}
	}
}

// sweepEvery is how often abandoned tables are looked for, and sweepLocksEvery abandoned locks, for which others wait. The end of a session drops its own.
const (
	sweepEvery      = 5 * time.Second
	sweepLocksEvery = time.Second
)

func (sh *Shared) sweep(ctx context.Context) error {
	var cmds []command.Command
	cat := sh.Log.Current()
	for t := range cat.AllTables() {
		if t.Owner != nil && sh.abandoned(cat, t.Owner, sh.Settings().TemporaryKeep) && len(cmds) < command.MaxBatchCommands {
			cmds = append(cmds, &command.DropTable{ID: t.ID, Owner: t.Owner})
		}
	}
	if len(cmds) == 0 {
		return nil
	}
	results, err := sh.Log.Propose(ctx, cmds...)
	if err != nil {
		return err
	}
	for _, r := range results {
		var gone *catalog.ErrNotFound // another FE was faster
		var kept *catalog.ErrRefused  // it was published
		if !errors.As(r.Err, &gone) && !errors.As(r.Err, &kept) {
			err = errors.Join(err, r.Err)
		}
	}
	return err
}

// abandoned reports whether nobody uses any more what a session has, where that is kept for an FE which is silent for so long. The catalog may be older than a claim of this FE, never
// younger than one that it names.
func (sh *Shared) abandoned(cat *catalog.Catalog, o *catalog.TableOwner, kept time.Duration) bool {
	if o.FE != sh.Name {
		_, there := cat.FEByName(o.FE)
		return !there || sh.Silent != nil && sh.Silent(o.FE) >= kept
	}
	return o.StartMs != sh.Started.UnixMilli() || !sh.claims.has(o.Claim)
}
