package session

import (
	"context"
	"errors"
	"time"

	"stele/fe/account"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/sql/parse"
)

// temporaries are the tables that only the session knows, by the names that they have in it. They hide others of these names.
type temporaries map[placeName]types.TableID

// find returns the session's table of a name, if it is still there: it goes with its database.
func (m temporaries) find(cat *catalog.Catalog, db types.DatabaseID, name string) (*catalog.Table, bool) {
	id, ok := m[placeName{db, name}]
	if !ok {
		return nil, false
	}
	return cat.TableByID(id)
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

// forget takes a table out that was dropped.
func (m temporaries) forget(id types.TableID) {
	for place, has := range m {
		if has == id {
			delete(m, place)
		}
	}
}

// owner marks tables as the session's.
func (s *Session) owner() *catalog.TableOwner {
	return &catalog.TableOwner{FE: s.sh.Name, StartMs: s.sh.Started.UnixMilli(), Session: s.info.ID}
}

// ownTable gives a table that was made for the session its name there.
func (s *Session) ownTable(place placeName, id types.TableID) {
	if s.temps == nil {
		s.temps = temporaries{}
	}
	s.temps[place] = id
}

// dropTemporaries drops the tables of the session at its end. What cannot be dropped now is swept later.
func (s *Session) dropTemporaries(ctx context.Context) {
	var cmds []command.Command
	for _, id := range s.temps {
		cmds = append(cmds, &command.DropTable{ID: id})
	}
	s.temps = nil
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

// ownedNeeds leaves out what a statement needs of tables that are the session's own: whoever made one may do everything with it.
func (s *Session) ownedNeeds(needs []account.Need) []account.Need {
	if len(s.temps) == 0 {
		return needs
	}
	cat := s.sh.Log.Current()
	var out []account.Need
	for _, n := range needs {
		if _, own := s.temps.named(cat, n.Database, n.Table); !own {
			out = append(out, n)
		}
	}
	return out
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
			d.add(t)
		} else {
			d.missing = append(d.missing, s.fullName(name))
		}
	}
	return s.drop(ctx, d, n.IfExists, out)
}

// Sweep drops tables of sessions that have ended, for as long as ctx says: those of this FE whose session is no more, of its process or of
// one before, and those of FEs that are out of the cluster. An FE that is down for a while sweeps for itself when it is back.
func (sh *Shared) Sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := sh.sweep(ctx); err != nil && ctx.Err() == nil {
			sh.Logger.Debug("drop tables of ended sessions", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sweepEvery is how often abandoned tables are looked for. The end of a session drops its own.
const sweepEvery = 5 * time.Second

func (sh *Shared) sweep(ctx context.Context) error {
	var cmds []command.Command
	cat := sh.Log.Current()
	for t := range cat.AllTables() {
		if t.Owner != nil && sh.abandoned(cat, t.Owner) && len(cmds) < command.MaxBatchCommands {
			cmds = append(cmds, &command.DropTable{ID: t.ID})
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
		if !errors.As(r.Err, &gone) {
			err = errors.Join(err, r.Err)
		}
	}
	return err
}

// abandoned reports whether nobody uses the tables of a session any more. The catalog may be older than a session of this FE, never
// younger than one that it names.
func (sh *Shared) abandoned(cat *catalog.Catalog, o *catalog.TableOwner) bool {
	if o.FE != sh.Name {
		_, there := cat.FEByName(o.FE)
		return !there
	}
	if o.StartMs != sh.Started.UnixMilli() {
		return true
	}
	_, live := sh.live.Load(o.Session)
	return !live
}
