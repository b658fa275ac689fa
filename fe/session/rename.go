package session

import (
	"context"

	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/model"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/parse"
)

// renameTables runs RENAME TABLE: its renames count in order, so that a later one sees what an earlier one did.
func (s *Session) renameTables(ctx context.Context, pairs []*parse.TableToTable, out *output) error {
	r := &renamer{s: s, cat: s.sh.Log.Current(), moved: map[placeName]types.TableID{}}
	for _, p := range pairs {
		if err := r.add(p.OldTable, p.NewTable); err != nil {
			return err
		}
	}
	if err := s.apply(ctx, &r.cmd); err != nil {
		return err
	}
	return out.ok()
}

// placeName is a name of a table in a database.
type placeName struct {
	db   types.DatabaseID
	name string
}

// renamer works out a RENAME TABLE.
type renamer struct {
	s     *Session
	cat   *catalog.Catalog
	moved map[placeName]types.TableID // what names mean behind the renames before; 0 = nothing
	cmd   command.RenameTables
}

// at returns the table or view of a name as the renames before leave it, 0 if there is none.
func (r *renamer) at(p placeName) types.TableID {
	if id, ok := r.moved[p]; ok {
		return id
	}
	if t, ok := r.cat.Table(p.db, p.name); ok {
		return t.ID
	}
	if v, ok := r.cat.View(p.db, p.name); ok {
		return v.ID
	}
	return 0
}

// add takes up one rename.
func (r *renamer) add(from, to *parse.TableName) error {
	oldDB, err := r.s.namedDatabase(r.cat, from, model.PrivAlter)
	if err != nil {
		return err
	}
	newDB, err := r.s.namedDatabase(r.cat, to, model.PrivAlter)
	if err != nil {
		return err
	}
	old, next := placeName{oldDB.ID, from.Name.O}, placeName{newDB.ID, to.Name.O}
	if _, own := r.s.temps.find(r.cat, old.db, old.name); own {
		return unsupported("RENAME of a temporary table")
	}
	id := r.at(old)
	if id == 0 {
		return sqlErr(errno.NoSuchTable, "Table '%s.%s' doesn't exist", oldDB.Name, old.name)
	}
	if r.at(next) != 0 {
		return sqlErr(errno.TableExists, "Table '%s' already exists", next.name)
	}
	if t, ok := r.cat.TableByID(id); !ok && old.db != next.db {
		return sqlErr(errno.ForbidSchemaChange, "Changing schema from '%s' to '%s' is not allowed.", oldDB.Name, newDB.Name)
	} else if ok && t.Colocate != "" && old.db != next.db {
		return sqlErr(errno.UnknownError, "Table '%s' is in the colocate group '%s' of its database: take it out first "+
			"(ALTER TABLE … SET ('colocate_with' = ''))", old.name, t.Colocate)
	}
	if err := r.fits(id, newDB.Name, next.name); err != nil {
		return err
	}
	r.moved[old], r.moved[next] = 0, id
	r.cmd.Renames = append(r.cmd.Renames, command.TableRename{Table: id, From: old.db, FromName: old.name, To: next.db, ToName: next.name})
	return nil
}

// fits checks the foreign keys that await a table of the new name against the one that gets it.
func (r *renamer) fits(id types.TableID, db, name string) error {
	t, ok := r.cat.TableByID(id)
	if !ok {
		return nil
	}
	renamed := *t
	renamed.Name = name
	return r.s.awaited(r.cat, db, &renamed)
}
