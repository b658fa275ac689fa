package catalog

import (
	"slices"
	"strings"

	"stele/meta/command"
)

// renameTables gives tables their new names in order, so that names can be exchanged.
func (d *draft) renameTables(c *command.RenameTables) error {
	for i := range c.Renames {
		if err := d.renameTable(&c.Renames[i]); err != nil {
			return err
		}
	}
	return nil
}

// renameTable gives one table, or view, its new name; its hidden tables go with it.
func (d *draft) renameTable(r *command.TableRename) error {
	if v, ok := d.views.get(r.Table); ok {
		return d.renameView(v, r)
	}
	t, err := d.editTable(r.Table)
	if err != nil {
		return err
	}
	from, to := tableName{t.DatabaseID, t.Name}, tableName{r.To, r.ToName}
	if !t.Named() || from != (tableName{r.From, r.FromName}) {
		return notFound("table", r.FromName)
	}
	if _, taken := d.tableNames.get(to); taken {
		return exists("table", r.ToName)
	}
	if t.Colocate != "" && r.To != r.From {
		return refused("table %s: its colocate group %s belongs to its database", t.Name, t.Colocate)
	}
	if t.Partition == nil && len(t.Parts) == 1 && t.Parts[0].Name == t.Name {
		t.Parts[0].Name = r.ToName
	}
	t.Checks = renameChecks(t.Checks, t.Name, r.ToName)
	d.forgetForeignKeys(t)
	t.ForeignKeys = renameForeignKeys(t.ForeignKeys, t.Name, r.ToName)
	t.DatabaseID, t.Name = r.To, r.ToName
	if err := d.noteForeignKeys(t); err != nil {
		return err
	}
	if err := d.checkTable(t); err != nil {
		return err
	}
	d.tableNames = d.tableNames.del(d.o, from)
	d.tableNames = d.tableNames.set(d.o, to, t.ID)
	d.tables = d.tables.set(d.o, t.ID, t)
	before := len(t.ReferencedBy)
	if err := d.bindAwaiting(t); err != nil {
		return err
	}
	if len(t.ReferencedBy) > before { // there are writers to it who do not know of that
		d.fence(t)
	}
	return d.alterIndexes(t, nil)
}

// renameChecks has the names that constraints were given by that of their table follow it.
func renameChecks(checks []Check, from, to string) []Check {
	out := slices.Clone(checks)
	for i := range out {
		out[i].Name = followName(out[i].Name, from, to, "_chk_")
	}
	return out
}

// renameForeignKeys does the same for foreign keys.
func renameForeignKeys(keys []ForeignKey, from, to string) []ForeignKey {
	out := slices.Clone(keys)
	for i := range out {
		out[i].Name = followName(out[i].Name, from, to, "_ibfk_")
	}
	return out
}

func followName(name, from, to, kind string) string {
	if n, ok := strings.CutPrefix(name, from+kind); ok && n != "" && strings.Trim(n, "0123456789") == "" {
		return to + kind + n
	}
	return name
}
