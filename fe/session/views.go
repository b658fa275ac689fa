package session

import (
	"context"
	"errors"
	"strings"
	"time"

	"stele/fe/account"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/model"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/parse"
	"stele/sql/plan"
)

// viewTries is how often a CREATE OR REPLACE VIEW is proposed when others make and drop the view meanwhile.
const viewTries = 5

// createView runs CREATE VIEW and ALTER VIEW.
func (s *Session) createView(ctx context.Context, n *parse.CreateViewStmt, form *parse.ViewForm, out *output) error {
	cat := s.sh.Log.Current()
	db, old, err := s.viewPlace(cat, n, form)
	if err != nil {
		return err
	}
	var replaced types.TableID
	if old != nil {
		replaced = old.ID
	}
	pctx := s.planContext(cat, s.clock(), nil)
	pctx.Catalog = guarded{snapshot{Catalog: cat}, s.rights(), cat} // the session's own tables are no part of a view
	v, err := plan.DefineView(pctx, n, replaced)
	if err != nil {
		return err
	}
	v.DatabaseID, v.Name = db.ID, n.ViewName.Name.O
	v.Check = map[string]model.ViewCheck{"LOCAL": model.CheckLocal, "CASCADED": model.CheckCascaded}[form.Check]
	if v.Definer, err = s.definer(cat, n.Definer); err != nil {
		return err
	}
	for try := 1; ; try++ {
		if v.ID = 0; old != nil {
			v.ID = old.ID
		}
		err := s.apply(ctx, &command.ChangeViews{Put: v, TimeMs: time.Now().UnixMilli()})
		var exists *catalog.ErrExists
		var gone *catalog.ErrNotFound
		switch {
		case err == nil:
			return out.warned(s.warningCount())
		case !n.OrReplace, try == viewTries, !errors.As(err, &exists) && !errors.As(err, &gone):
			return err
		}
		if _, old, err = s.viewPlace(s.sh.Log.Current(), n, form); err != nil {
			return err
		}
	}
}

// viewPlace finds where a view is to be, and the view that is there and is to be replaced.
func (s *Session) viewPlace(cat *catalog.Catalog, n *parse.CreateViewStmt, form *parse.ViewForm) (*catalog.Database, *catalog.View, error) {
	db, err := s.namedDatabase(cat, n.ViewName, model.PrivCreateView)
	if err != nil {
		return nil, nil, err
	}
	name := n.ViewName.Name.O
	old, isView := cat.View(db.ID, name)
	_, isTable := cat.Table(db.ID, name)
	switch {
	case isTable && (n.OrReplace || form.Alter):
		return nil, nil, sqlErr(errno.WrongObject, "'%s.%s' is not VIEW", db.Name, name)
	case isTable, isView && !n.OrReplace && !form.Alter:
		return nil, nil, sqlErr(errno.TableExists, "Table '%s' already exists", name)
	case form.Alter && !isView:
		return nil, nil, sqlErr(errno.NoSuchTable, "Table '%s.%s' doesn't exist", db.Name, name)
	}
	return db, old, nil
}

// namedDatabase finds the database of a name; want is what would be done there.
func (s *Session) namedDatabase(cat *catalog.Catalog, name *parse.TableName, want model.Privilege) (*catalog.Database, error) {
	db := name.Schema.O
	if db == "" {
		db = s.db
	}
	switch d, ok := cat.Database(db); {
	case db == "":
		return nil, sqlErr(errno.NoDatabase, "No database selected")
	case stmt.IsSystemDatabase(db):
		return nil, account.Denied(s.who(), account.Need{Privileges: want, Database: db})
	case !ok:
		return nil, sqlErr(errno.UnknownDatabase, "Unknown database '%s'", db)
	default:
		return d, nil
	}
}

// definer is the account whose rights a view reads by. Only SUPER may name another one, which need not be there yet.
func (s *Session) definer(cat *catalog.Catalog, u *parse.UserIdentity) (model.AccountName, error) {
	name := s.nameOf(u)
	if name.Host == "" {
		name.Host = "%"
	}
	if name != s.accountName() {
		if err := s.checkGlobal(model.PrivSuper); err != nil {
			return name, err
		}
	}
	if _, ok := cat.Account(name); !ok {
		s.warn("Note", errno.NoDefiner, noDefiner(name))
	}
	return name, nil
}

func noDefiner(name model.AccountName) string {
	return "The user specified as a definer ('" + name.Name + "'@'" + name.Host + "') does not exist"
}

// dropViews drops all views of the statement or, when one is missing, none.
func (s *Session) dropViews(ctx context.Context, n *parse.DropTableStmt, out *output) error {
	cat := s.sh.Log.Current()
	cmd := &command.ChangeViews{}
	var missing []string
	seen := map[types.TableID]bool{}
	for _, name := range n.Tables {
		db, err := s.namedDatabase(cat, name, model.PrivDrop)
		if err != nil {
			return err
		}
		v, ok := cat.View(db.ID, name.Name.O)
		switch _, isTable := cat.Table(db.ID, name.Name.O); {
		case isTable:
			return sqlErr(errno.WrongObject, "'%s.%s' is not VIEW", db.Name, name.Name.O)
		case !ok:
			missing = append(missing, db.Name+"."+name.Name.O)
		case seen[v.ID]:
			return sqlErr(errno.NotUniqueTable, "Not unique table/alias: '%s'", v.Name)
		default:
			seen[v.ID] = true
			cmd.Drop = append(cmd.Drop, v.ID)
		}
	}
	if len(missing) > 0 && !n.IfExists {
		return sqlErr(errno.BadTable, "Unknown table '%s'", strings.Join(missing, ","))
	}
	for _, m := range missing {
		s.warn("Note", errno.BadTable, "Unknown table '"+m+"'")
	}
	if len(cmd.Drop) > 0 {
		if err := s.apply(ctx, cmd); err != nil {
			return err
		}
	}
	return out.warned(s.warningCount())
}

// View finds a view by database and name.
func (c snapshot) View(db, name string) (*catalog.View, bool) {
	d, ok := c.Database(db)
	if !ok {
		return nil, false
	}
	if _, hidden := c.temps.find(c.Catalog, d.ID, name); hidden {
		return nil, false
	}
	return c.Catalog.View(d.ID, name)
}

// ReadBy lets every view read everything: this snapshot has no guard.
func (c snapshot) ReadBy(*catalog.View, parse.Node) (plan.Snapshot, error) { return c, nil }

// View finds a view by database and name.
func (g guarded) View(db, name string) (*catalog.View, bool) {
	if g.may.On(db, name)&rowPrivileges == 0 {
		return nil, false
	}
	return g.snapshot.View(db, name)
}

// ReadBy is what the definer of a view may know, or, of one with SQL SECURITY INVOKER, whoever reads it.
func (g guarded) ReadBy(v *catalog.View, query parse.Node) (plan.Snapshot, error) {
	may, err := g.behind(v)
	if err != nil {
		return nil, err
	}
	if err := account.Check(may, v.Definer.Name+"@"+v.Definer.Host, account.ReadNeeds(query, "")); err != nil {
		return nil, err
	}
	g.may, g.temps = may, nil // a view knows no tables of a session
	return g, nil
}

// behind are the rights that count below a view.
func (g guarded) behind(v *catalog.View) (*account.Rights, error) {
	if v.Invoker {
		return g.may, nil
	}
	u, ok := g.accounts.Account(v.Definer)
	if !ok {
		return nil, sqlErr(errno.NoDefiner, "%s", noDefiner(v.Definer))
	}
	return account.RightsOf(u, account.Behind(g.accounts, u, account.AtLogin(u, activatesAll(g.accounts)))...), nil
}

// mayWriteVia is mayWrite of a table that a statement names by views: each asks for the privileges of those who come to it.
func (s *Session) mayWriteVia(want model.Privilege, via []plan.ViewUse, database string, t *catalog.Table) error {
	g := guarded{may: s.rights(), accounts: s.sh.Log.Current()}
	for i, use := range via {
		if err := g.mayAll(s.who(), want, use.Database, use.View.Name); err != nil {
			if i > 0 {
				return closedView(via[0])
			}
			return err
		}
		may, err := g.behind(use.View)
		if err != nil {
			return err
		}
		g.may = may
	}
	if g.mayAll(s.who(), want, database, t.Name) != nil {
		return closedView(via[0])
	}
	return nil
}

// closedView is the error of a view whose definer lacks a right on what it shows.
func closedView(use plan.ViewUse) error {
	return sqlErr(errno.ViewInvalid, "View '%s.%s' references invalid table(s) or column(s) or function(s) or definer/invoker of view lack rights to use them",
		use.Database, use.View.Name)
}

// mayExplain refuses to show the plan of a view to whoever may not see its query.
func (s *Session) mayExplain(cat *catalog.Catalog, n parse.Node) error {
	for _, need := range account.ReadNeeds(n, s.db) {
		if _, ok := (snapshot{Catalog: cat}).View(need.Database, need.Table); ok && s.rights().On(need.Database, need.Table)&model.PrivShowView == 0 {
			return sqlErr(errno.ViewNoExplain, "EXPLAIN/SHOW can not be issued; lacking privileges for underlying table")
		}
	}
	return nil
}

// viewFacts works out what a view is over one catalog.
func viewFacts(cat *catalog.Catalog) func(db string, v *catalog.View) (stmt.ViewFacts, error) {
	pctx := &plan.Context{Catalog: snapshot{Catalog: cat}, System: systemTable, NowMicros: time.Now().UnixMicro()}
	return func(db string, v *catalog.View) (stmt.ViewFacts, error) {
		use := plan.ViewUse{Database: db, View: v}
		columns, err := plan.ViewColumns(pctx, use)
		return stmt.ViewFacts{Columns: columns, Updatable: err == nil && plan.Updatable(pctx, use)}, err
	}
}
