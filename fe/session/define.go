package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"stele/fe/server"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/raftlog"
	"stele/meta/types"
	"stele/sql/define"
	"stele/sql/errno"
	"stele/sql/parse"
	"stele/sql/plan"
	"stele/sql/syntax"
)

// define runs statements that change what there is. As in MySQL, they commit the open transaction first; a statement
// that Stele lacks leaves it alone.
func (s *Session) define(ctx context.Context, st *parse.Statement, params []plan.Param, out *output) error {
	var do func() error
	node, unkept := parse.Node(st.Node), []string(nil)
	why := s.vars.ForeignKeys().LeftOut
	if why != "" {
		node, unkept = define.WithoutForeignKeys(st.Node)
	}
	switch n := node.(type) {
	case *parse.CreateDatabaseStmt:
		do = func() error { return s.createDatabase(ctx, n, st.Database, out) }
	case *parse.AlterDatabaseStmt:
		do = func() error { return s.alterDatabase(ctx, n, out) }
	case *parse.DropDatabaseStmt:
		do = func() error { return s.dropDatabase(ctx, n, out) }
	case *parse.CreateTableStmt:
		do = func() error { return s.createTable(ctx, n, st.Tail, params, out) }
	case *parse.CreateViewStmt:
		do = func() error { return s.createView(ctx, n, st.View, out) }
	case *parse.DropTableStmt:
		switch {
		case n.IsView:
			do = func() error { return s.dropViews(ctx, n, out) }
		case n.TemporaryKeyword != parse.TemporaryNone:
			do = func() error { return s.dropTemporary(ctx, n, out) }
		default:
			do = func() error { return s.dropTables(ctx, n, out) }
		}
	case *parse.TruncateTableStmt:
		do = func() error { return s.truncate(ctx, n, out) }
	case *parse.AlterTableStmt:
		if err := define.RefusedAlter(n); err != nil {
			return err
		}
		do = func() error { return s.alter(ctx, n, out) }
	case *parse.RenameTableStmt:
		do = func() error { return s.renameTables(ctx, n.TableToTables, out) }
	case *parse.CreateIndexStmt:
		do = func() error { return s.createIndex(ctx, n, out) }
	case *parse.DropIndexStmt:
		do = func() error { return s.dropIndex(ctx, n, out) }
	default:
		return unsupported(leadingWords(st.Text))
	}
	if err := s.commit(ctx); err != nil {
		return err
	}
	if _, err := s.sh.Log.ReadIndex(ctx); err != nil {
		return err
	}
	end, err := s.mayDefine(ctx, st)
	if err != nil {
		return err
	}
	defer end()
	for _, name := range unkept {
		s.warn("Warning", errno.NotSupported, "foreign key '"+name+"' is left out: "+why+", and nothing would check it")
	}
	return do()
}

// leadingWords names a statement by its first words.
func leadingWords(sql string) string {
	var words []string
	for _, t := range syntax.Tokenize(sql, 0) {
		if t.Kind != syntax.Word || len(words) == 3 {
			break
		}
		words = append(words, strings.ToUpper(t.Text(sql)))
	}
	if len(words) == 0 {
		return abbreviate(sql)
	}
	return strings.Join(words, " ")
}

// apply proposes commands that go in one log entry.
func (s *Session) apply(ctx context.Context, cmds ...command.Command) error {
	out, err := s.sh.Log.Propose(ctx, cmds...)
	if err != nil {
		return err
	}
	return catalog.BatchResult(out).Err()
}

func (s *Session) createDatabase(ctx context.Context, n *parse.CreateDatabaseStmt, tail *syntax.DatabaseTail, out *output) error {
	name := n.Name.O
	if _, ok := s.sh.Log.Current().Database(name); (ok || stmt.IsSystemDatabase(name)) && n.IfNotExists {
		s.warn("Note", errno.DatabaseExists, "Can't create database '"+name+"'; database exists")
		return out.done(server.Result{AffectedRows: 1, Warnings: 1})
	}
	if stmt.IsSystemDatabase(name) {
		return sqlErr(errno.DatabaseExists, "Can't create database '%s'; database exists", name)
	}
	collation, err := s.databaseCollation(n.Options)
	if err != nil {
		return err
	}
	replicas, unkept, err := define.DatabaseReplicas(tail)
	if err != nil {
		return err
	}
	for _, note := range unkept {
		s.warn("Note", noteNotDone, note)
	}
	cmds := []command.Command{&command.CreateDatabase{Name: name, Collation: collation}}
	if replicas != 0 {
		cmds = append(cmds, &command.SetDatabaseReplicas{Name: name, Replicas: replicas})
	}
	if err := s.apply(ctx, cmds...); err != nil {
		return err
	}
	return out.done(server.Result{AffectedRows: 1, Warnings: s.warningCount()})
}

// databaseCollation reads the options of a database, and warns of those that are not kept.
func (s *Session) databaseCollation(options []*parse.DatabaseOption) (types.Collation, error) {
	collation, notes, err := define.DatabaseCollation(options)
	for _, note := range notes {
		s.warn("Note", noteNotDone, note)
	}
	return collation, err
}

// alterDatabase changes the collation of the tables that are made later.
func (s *Session) alterDatabase(ctx context.Context, n *parse.AlterDatabaseStmt, out *output) error {
	name := n.Name.O
	if n.AlterDefaultDatabase {
		name = s.db
	}
	if name == "" {
		return sqlErr(errno.NoDatabase, "No database selected")
	}
	db, ok := s.sh.Log.Current().Database(name)
	if !ok {
		return sqlErr(errno.UnknownDatabase, "Unknown database '%s'", name)
	}
	collation, err := s.databaseCollation(n.Options)
	if err != nil {
		return err
	}
	if err := s.apply(ctx, &command.AlterDatabase{ID: db.ID, Collation: collation}); err != nil {
		return err
	}
	if name == s.db {
		if err := s.followDatabase(name); err != nil {
			return err
		}
	}
	return out.done(server.Result{AffectedRows: 1, Warnings: s.warningCount()})
}

func (s *Session) dropDatabase(ctx context.Context, n *parse.DropDatabaseStmt, out *output) error {
	name := n.Name.O
	cat := s.sh.Log.Current()
	db, ok := cat.Database(name)
	if !ok {
		if n.IfExists {
			s.warn("Note", errno.DatabaseMissing, "Can't drop database '"+name+"'; database doesn't exist")
			return out.done(server.Result{Warnings: 1})
		}
		return sqlErr(errno.DatabaseMissing, "Can't drop database '%s'; database doesn't exist", name)
	}
	tables := 0
	for t := range cat.Tables(db.ID) {
		tables++
		if err := s.droppable(cat, t, func(child *catalog.Table) bool { return child.DatabaseID == db.ID }); err != nil {
			return err
		}
	}
	for range cat.Views(db.ID) {
		tables++
	}
	if err := s.apply(ctx, &command.DropDatabase{ID: db.ID, Unreferenced: s.checksForeignKeys()}); err != nil {
		return err
	}
	if s.db == name {
		s.db = ""
		if err := s.followDatabase(""); err != nil {
			return err
		}
	}
	return out.done(server.Result{AffectedRows: uint64(tables)})
}

// createTable checks the definition and has the replicas made.
func (s *Session) createTable(ctx context.Context, n *parse.CreateTableStmt, tail *syntax.TableTail, params []plan.Param, out *output) error {
	cat := s.sh.Log.Current()
	spec, err := define.CreateTable(s.defineContext(s.planContext(cat, s.clock(), params)), n, tail, s.sh.Settings().Defaults)
	if err != nil {
		return err
	}
	db, ok := cat.Database(spec.Database)
	if !ok {
		return sqlErr(errno.UnknownDatabase, "Unknown database '%s'", spec.Database)
	}
	spec.Table.DatabaseID = db.ID
	temporary := n.TemporaryKeyword != parse.TemporaryNone
	if temporary {
		_, ok = s.temps.find(cat, db.ID, spec.Table.Name)
	} else {
		ok = cat.Named(db.ID, spec.Table.Name)
	}
	if ok {
		return s.alreadyThere(spec, out)
	}
	if temporary {
		keepOnce(&spec.Table)
	}
	s.sh.Tables.AwaitFirstBackend(ctx)
	if err := cmp.Or(s.holdable(mostReplicas(&spec.Table)), s.strictMedium(&spec.Table)); err != nil {
		return err
	}
	if !temporary {
		if err := s.related(ctx, cat, db.Name, &spec.Table); err != nil {
			return err
		}
	}
	if temporary || n.Select != nil {
		spec.Table.Owner = s.sh.newOwner(s.info.ID)
		defer func() { s.sh.endUnless(s.temps, spec.Table.Owner.Claim) }()
	}
	err = s.makeTable(ctx, spec, n, params, out)
	var exists *catalog.ErrExists
	if errors.As(err, &exists) && exists.Kind == "table" { // another session was faster
		return s.alreadyThere(spec, out)
	}
	return err
}

// keepOnce gives a table one replica: what is lost with its BE only one session had.
func keepOnce(t *catalog.Table) {
	t.Replicas, t.Colocate = 1, ""
	for i := range t.Parts {
		t.Parts[i].Replicas = 1
	}
}

// alreadyThere answers a CREATE TABLE of a name that is taken.
func (s *Session) alreadyThere(spec *define.Spec, out *output) error {
	text := "Table '" + spec.Table.Name + "' already exists"
	if !spec.IfNotExists {
		return sqlErr(errno.TableExists, "%s", text)
	}
	s.warn("Note", errno.TableExists, text)
	return out.warned(s.warningCount())
}

// makeTable makes a table, and fills it if there is a query.
func (s *Session) makeTable(ctx context.Context, spec *define.Spec, n *parse.CreateTableStmt, params []plan.Param, out *output) error {
	id, short, err := s.sh.Tables.Create(ctx, spec.Table)
	if err != nil {
		return err
	}
	s.warnShort(short)
	for _, note := range spec.Notes {
		s.warn("Note", errno.UnknownError, note)
	}
	if t, ok := s.sh.Log.Current().TableByID(id); ok {
		return s.finishTable(ctx, t, spec, n, params, out)
	}
	if spec.AutoIncrement > 1 || spec.Table.Owner != nil { // it was dropped already, or this FE is cut off from who could tell it
		return fmt.Errorf("%w: this frontend does not find the table that it has made", raftlog.ErrOutcomeUnknown)
	}
	return out.done(server.Result{Warnings: s.warningCount()})
}

// finishTable does what a new table needs that its record does not say.
func (s *Session) finishTable(ctx context.Context, t *catalog.Table, spec *define.Spec, n *parse.CreateTableStmt, params []plan.Param, out *output) error {
	if spec.AutoIncrement > 1 {
		if err := s.sh.sequences.Raise(ctx, t, spec.AutoIncrement-1); err != nil {
			return err
		}
	}
	if n.Select != nil {
		return s.fillCreated(ctx, t, n, params, out)
	}
	if t.Owner != nil {
		s.ownTable(t.Name, t)
	}
	return out.done(server.Result{Warnings: s.warningCount()})
}

// findTable finds a table, in the default database unless one is named.
func (s *Session) findTable(cat *catalog.Catalog, db, table string) (*catalog.Database, *catalog.Table, error) {
	if db == "" {
		db = s.db
	}
	if db == "" {
		return nil, nil, sqlErr(errno.NoDatabase, "No database selected")
	}
	d, ok := cat.Database(db)
	if !ok {
		return nil, nil, sqlErr(errno.UnknownDatabase, "Unknown database '%s'", db)
	}
	if t, ok := s.temps.find(cat, d.ID, table); ok {
		return d, t, nil
	}
	t, ok := cat.Table(d.ID, table)
	if _, isView := cat.View(d.ID, table); isView {
		return d, nil, sqlErr(errno.WrongObject, "'%s.%s' is not BASE TABLE", db, table)
	}
	if !ok {
		return d, nil, sqlErr(errno.NoSuchTable, "Table '%s.%s' doesn't exist", db, table)
	}
	return d, t, nil
}

// dropTables drops all tables of the statement or, when one is missing, none.
func (s *Session) dropTables(ctx context.Context, n *parse.DropTableStmt, out *output) error {
	d := dropping{unreferenced: s.checksForeignKeys()}
	for _, name := range n.Tables {
		db, t, err := s.findTable(s.sh.Log.Current(), name.Schema.O, name.Name.O)
		switch {
		case err == nil:
			d.add(t, s.fullName(name))
		case db == nil && !n.IfExists:
			return err
		default:
			d.missing = append(d.missing, s.fullName(name))
		}
	}
	return s.drop(ctx, d, n.IfExists, out)
}

// fullName names a table as errors about unknown ones do.
func (s *Session) fullName(name *parse.TableName) string {
	db := name.Schema.O
	if db == "" {
		db = s.db
	}
	return strings.TrimPrefix(db+"."+name.Name.O, ".")
}

// dropping is what a DROP TABLE is about.
type dropping struct {
	tables       []*catalog.Table
	names        []string // of tables
	missing      []string
	unreferenced bool // a parent is not dropped while its children stay
}

func (d *dropping) add(t *catalog.Table, name string) {
	d.tables, d.names = append(d.tables, t), append(d.names, name)
}

// has reports whether a table is among those that are dropped.
func (d *dropping) has(t *catalog.Table) bool {
	return slices.ContainsFunc(d.tables, func(other *catalog.Table) bool { return other.ID == t.ID })
}

// commands are those that drop the tables.
func (d *dropping) commands() []command.Command {
	var with []types.TableID
	if d.unreferenced && slices.ContainsFunc(d.tables, (*catalog.Table).ReferencedByOthers) {
		for _, t := range d.tables {
			with = append(with, t.ID)
		}
	}
	var out []command.Command
	for _, t := range d.tables {
		out = append(out, &command.DropTable{ID: t.ID, Unreferenced: d.unreferenced, With: with})
	}
	return out
}

// drop drops tables.
func (s *Session) drop(ctx context.Context, d dropping, ifExists bool, out *output) error {
	if len(d.missing) > 0 && !ifExists {
		return d.unknown()
	}
	for _, t := range d.tables {
		if err := s.droppable(s.sh.Log.Current(), t, d.has); err != nil {
			return err
		}
	}
	if err := s.dropFound(ctx, &d); err != nil {
		return err
	}
	if len(d.missing) > 0 && !ifExists {
		return d.unknown()
	}
	for _, m := range d.missing {
		s.warn("Note", errno.BadTable, "Unknown table '"+m+"'")
	}
	return out.warned(s.warningCount())
}

// unknown is the error of a statement whose tables are not all there.
func (d *dropping) unknown() error {
	return sqlErr(errno.BadTable, "Unknown table '%s'", strings.Join(d.missing, ","))
}

// dropFound drops the tables that were found. One that somebody else has dropped meanwhile is missing.
func (s *Session) dropFound(ctx context.Context, d *dropping) error {
	if len(d.tables) == 0 {
		return nil
	}
	results, err := s.sh.Log.Propose(ctx, d.commands()...) // one entry: all or, if the FE dies, none
	if err != nil {
		return err
	}
	for i, r := range results {
		s.forgetTable(d.tables[i].ID)
		if errors.As(r.Err, new(*catalog.ErrNotFound)) {
			d.missing = append(d.missing, d.names[i])
			continue
		}
		err = errors.Join(err, r.Err)
	}
	return err
}

func (s *Session) truncate(ctx context.Context, n *parse.TruncateTableStmt, out *output) error {
	_, t, err := s.findTable(s.sh.Log.Current(), n.Table.Schema.O, n.Table.Name.O)
	if err != nil {
		return err
	}
	if t, err = s.unaltered(ctx, t); err != nil {
		return err
	}
	if err := s.emptiable(s.sh.Log.Current(), t); err != nil {
		return err
	}
	var parts []types.PartitionID
	for i := range t.Parts {
		parts = append(parts, t.Parts[i].ID)
	}
	short, err := s.sh.Tables.Truncate(ctx, t, parts, s.checksForeignKeys())
	if err != nil {
		return err
	}
	s.warnShort(short)
	s.sh.sequences.Forget(t.ID)
	return out.warned(s.warningCount())
}
