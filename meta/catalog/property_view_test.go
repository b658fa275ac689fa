package catalog

import (
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"stele/meta/command"
	"stele/meta/types"
)

// viewsOf lists the views of all databases.
func viewsOf(c *Catalog) []*View { return slices.Collect(values(c.views)) }

// view draws a change of views: names are those of tables too, and an old record may be put back.
func (w *world) view(c *Catalog) command.Command {
	out := &command.ChangeViews{TimeMs: w.now}
	if v, ok := pick(w, viewsOf(c)); ok && w.chance(30) {
		out.Drop = []types.TableID{v.ID}
	}
	if len(out.Drop) > 0 && w.chance(50) {
		return out
	}
	v := View{DatabaseID: 10003, Name: fmt.Sprint("t", w.n("name", 0, 9)), Columns: []string{"a"}, Query: fmt.Sprint("select ", w.now)}
	if db, ok := pick(w, slices.Collect(c.Databases())); ok {
		v.DatabaseID = db.ID
	}
	if old, ok := pick(w, viewsOf(c)); ok && w.chance(40) {
		v.ID, v.DatabaseID, v.Name = old.ID, old.DatabaseID, old.Name
	}
	out.Put = &v
	return out
}

// checkViews: a name means a table or a view, and each view is found by its name.
func checkViews(t *rapid.T, c *Catalog) {
	named := 0
	for _, v := range viewsOf(c) {
		if byName, ok := c.View(v.DatabaseID, v.Name); !ok || byName != v {
			t.Fatalf("C9: view %d is not found by its name %s", v.ID, v.Name)
		}
		if _, ok := c.Table(v.DatabaseID, v.Name); ok {
			t.Fatalf("C9: %s is a table and view %d", v.Name, v.ID)
		}
		if _, ok := c.DatabaseByID(v.DatabaseID); !ok {
			t.Fatalf("C9: view %d is of database %d, which is gone", v.ID, v.DatabaseID)
		}
	}
	for db := range c.Databases() {
		named += len(slices.Collect(c.Views(db.ID)))
	}
	if named != c.views.len() {
		t.Fatalf("C9: %d views are named, %d stored", named, c.views.len())
	}
}
