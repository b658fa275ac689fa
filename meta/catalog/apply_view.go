package catalog

import (
	"iter"

	"stele/meta/command"
	"stele/meta/model"
	"stele/meta/types"
)

// View returns the view of that name in a database.
func (c *Catalog) View(db types.DatabaseID, name string) (*View, bool) {
	id, ok := c.tableNames.get(tableName{db, name})
	if !ok {
		return nil, false
	}
	return c.views.get(id)
}

// Named reports whether a name in a database is taken, by a table or a view.
func (c *Catalog) Named(db types.DatabaseID, name string) bool {
	_, ok := c.tableNames.get(tableName{db, name})
	return ok
}

// Views yields the views of a database by name.
func (c *Catalog) Views(db types.DatabaseID) iter.Seq[*View] {
	return func(yield func(*View) bool) {
		for k, id := range c.tableNames.from(tableName{db: db}) {
			if k.db != db {
				return
			}
			if v, ok := c.views.get(id); ok && !yield(v) {
				return
			}
		}
	}
}

func (d *draft) changeViews(c *command.ChangeViews) error {
	for _, id := range c.Drop {
		v, ok := d.views.get(id)
		if !ok {
			return notFound("view", id)
		}
		d.dropView(v)
	}
	if c.Put == nil {
		return nil
	}
	v := *c.Put
	if err := d.checkView(&v); err != nil {
		return err
	}
	if v.ID == 0 {
		return d.createView(&v, c.TimeMs)
	}
	old, ok := d.views.get(v.ID)
	if !ok || old.DatabaseID != v.DatabaseID || old.Name != v.Name {
		return notFound("view", v.Name)
	}
	v.CreatedMs = old.CreatedMs
	d.views = d.views.set(d.o, v.ID, &v)
	return nil
}

// checkView checks what a view says of itself.
func (d *draft) checkView(v *View) error {
	if _, ok := d.dbs.get(v.DatabaseID); !ok {
		return notFound("database", v.DatabaseID)
	}
	switch {
	case v.Name == "":
		return refused("a view needs a name")
	case v.Query == "" || len(v.Columns) == 0:
		return refused("view %s: it needs a query and columns", v.Name)
	case v.Algorithm > model.ViewTempTable || v.Check > model.CheckCascaded:
		return refused("view %s: algorithm %d or check option %d is unknown", v.Name, uint8(v.Algorithm), uint8(v.Check))
	}
	return nil
}

func (d *draft) createView(v *View, timeMs int64) error {
	name := tableName{v.DatabaseID, v.Name}
	if _, taken := d.tableNames.get(name); taken {
		return exists("table", v.Name)
	}
	v.ID, v.CreatedMs = types.TableID(d.drawID()), timeMs
	d.views = d.views.set(d.o, v.ID, v)
	d.tableNames = d.tableNames.set(d.o, name, v.ID)
	return nil
}

func (d *draft) dropView(v *View) {
	d.views = d.views.del(d.o, v.ID)
	d.tableNames = d.tableNames.del(d.o, tableName{v.DatabaseID, v.Name})
}

// renameView gives a view its new name. It stays in its database.
func (d *draft) renameView(old *View, r *command.TableRename) error {
	from, to := tableName{old.DatabaseID, old.Name}, tableName{r.To, r.ToName}
	switch {
	case from != (tableName{r.From, r.FromName}):
		return notFound("view", r.FromName)
	case r.To != r.From:
		return refused("view %s: a view stays in its database", old.Name)
	}
	if _, taken := d.tableNames.get(to); taken {
		return exists("table", r.ToName)
	}
	v := *old
	v.Name = r.ToName
	if err := d.checkView(&v); err != nil {
		return err
	}
	d.views = d.views.set(d.o, v.ID, &v)
	d.tableNames = d.tableNames.del(d.o, from)
	d.tableNames = d.tableNames.set(d.o, to, v.ID)
	return nil
}
