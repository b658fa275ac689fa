package define

import (
	"cmp"
	"slices"
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	ast "stele/sql/parse"
	"stele/sql/syntax"
)

// maxBuckets is the most buckets that a partition may have.
const maxBuckets = 1024

// maxPartitions is the most partitions that a table may be created with.
const maxPartitions = 8192

// Defaults are what a CREATE TABLE leaves open.
type Defaults struct {
	Replicas int // replication_num
	Buckets  int // of each partition
}

// Spec is a checked CREATE TABLE: the table as the catalog will hold it, but for the ids of table, partitions and
// tablets and the time. Column ids count from 1. Each of Table.Parts gets Table.Buckets tablets.
type Spec struct {
	Database    string
	IfNotExists bool
	Table       catalog.Table
	// AutoIncrement is where the numbers of an AUTO_INCREMENT column start (the table option of dumps); 0 = at 1.
	AutoIncrement uint64
	// Notes are what was accepted but has no effect.
	Notes []string
}

// CreateTable checks a CREATE TABLE and completes it. A collation that is not known is accepted with a note that says so, on the table as
// on a column: dumps name the default of their server on either. Columns by which rows are found compare by their bytes whatever is named.
func CreateTable(ctx *Context, stmt *ast.CreateTableStmt, tail *syntax.TableTail, defaults Defaults) (*Spec, error) {
	if tail == nil {
		tail = &syntax.TableTail{}
	}
	c := &creator{definer: &definer{ctx: ctx}, stmt: stmt, tail: tail, defaults: defaults, spec: &Spec{IfNotExists: stmt.IfNotExists}}
	c.table = &c.spec.Table
	if stmt.ReferTable != nil {
		return c.spec, c.like()
	}
	for _, step := range []func() error{c.name, c.collation, c.columns, c.generated, c.constraints, c.checks, c.options, c.key, c.distribution, c.partition, c.layout, c.properties, c.checkKey, c.checkUnique, c.foreign} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	c.spec.Notes = c.notes
	return c.spec, nil
}

// creator builds one table.
type creator struct {
	*definer
	stmt     *ast.CreateTableStmt
	tail     *syntax.TableTail
	defaults Defaults
	spec     *Spec
	table    *catalog.Table
	primary  []string // the declared primary key
	auto     int      // AUTO_INCREMENT columns
}

// name settles database and table, and refuses kinds of tables that there are not.
func (c *creator) name() error {
	switch {
	case c.stmt.TemporaryKeyword == ast.TemporaryGlobal:
		return refuse("CREATE GLOBAL TEMPORARY TABLE")
	case len(c.stmt.SplitIndex) > 0:
		return refuse("SPLIT INDEX")
	}
	c.spec.Database = c.stmt.Table.Schema.O
	if c.spec.Database == "" {
		c.spec.Database = c.ctx.CurrentDB
	}
	if c.spec.Database == "" {
		return errorf(errno.NoDatabase, "No database selected")
	}
	db, ok := c.ctx.Catalog.Database(c.spec.Database)
	if !ok {
		return errorf(errno.UnknownDatabase, "Unknown database '%s'", c.spec.Database)
	}
	c.defaults.Replicas = cmp.Or(db.Replicas, c.defaults.Replicas)
	c.table.Name = c.stmt.Table.Name.O
	c.table.Schema.Version = 1
	return nil
}

// like copies the definition of another table, without what belongs to it alone.
func (c *creator) like() error {
	if err := c.name(); err != nil {
		return err
	}
	from, err := c.ctx.BaseTable(c.stmt.ReferTable.Schema.O, c.stmt.ReferTable.Name.O)
	if err != nil {
		return err
	}
	t := *from
	t.ID, t.DatabaseID, t.CreatedMs, t.Name = 0, 0, 0, c.table.Name
	t.Schema.TableID, t.Schema.Version = 0, 1
	t.Schema.Columns = slices.Clone(from.Schema.Columns)
	for i := range t.Schema.Columns {
		t.Schema.Columns[i].Initial = nil
	}
	if from.Owner != nil { // it has one replica because its session alone has it
		t.Owner, t.Replicas = nil, max(c.defaults.Replicas, 1)
	}
	t.AlterUntilMs, t.Checks, t.ForeignKeys, t.ReferencedBy = 0, nil, nil, nil
	for _, check := range from.Checks {
		check.Name = nextCheckName(&t)
		t.Checks = append(t.Checks, check)
	}
	t.Unique = t.VisibleKeys()
	for i := range t.Unique {
		t.Unique[i].Index = 0
	}
	t.Parts = slices.Clone(from.Parts)
	for i := range t.Parts {
		p := &t.Parts[i]
		p.ID, p.Tablets, p.CreatedMs = 0, nil, 0
		if from.Owner != nil {
			p.Replicas = t.Replicas
		}
		if t.Partition == nil {
			p.Name = t.Name
		}
	}
	*c.table = t
	return nil
}

// columns makes the columns in order.
func (c *creator) columns() error {
	for _, def := range c.stmt.Cols {
		col, err := c.column(def)
		if err != nil {
			return err
		}
		if c.find(col.Name) >= 0 {
			return errorf(errno.DuplicateColumn, "Duplicate column name '%s'", col.Name)
		}
		if strings.EqualFold(col.Name, types.RowIDColumn) {
			return errorf(errno.WrongColumnName, "Incorrect column name '%s'", col.Name)
		}
		col.ID = types.ColumnID(len(c.table.Schema.Columns) + 1)
		c.table.Schema.Columns = append(c.table.Schema.Columns, col)
	}
	if c.stmt.Select != nil {
		return c.selected()
	}
	if len(c.table.Schema.Columns) == 0 {
		return errorf(errno.NoColumns, "A table must have at least 1 column")
	}
	return nil
}

// generated reads the expressions of generated columns and of defaults.
func (c *creator) generated() error {
	for _, def := range c.stmt.Cols {
		if err := c.settleDefault(c.table, def.Name.Name.O, defaultOption(def)); err != nil {
			return err
		}
		if d, ok := generatedOption(def); ok {
			if err := c.generate(c.table, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// checks reads the CHECK constraints, those of columns first.
func (c *creator) checks() error {
	var defs []checkDef
	for _, def := range c.stmt.Cols {
		defs = append(defs, columnChecks(def)...)
	}
	for _, k := range c.stmt.Constraints {
		if k.Tp == ast.ConstraintCheck {
			defs = append(defs, tableCheck(k))
		}
	}
	for _, d := range defs {
		if err := c.addCheck(c.table, d); err != nil {
			return err
		}
	}
	return nil
}

// find returns the position of a column, or -1.
func (c *creator) find(name string) int {
	return slices.IndexFunc(c.table.Schema.Columns, func(x types.Column) bool { return strings.EqualFold(x.Name, name) })
}

// ids maps column names to ids.
func (c *creator) ids(names []string) ([]types.ColumnID, error) { return keyIDs(c.table, names) }

// column checks one column definition.
func (c *creator) column(def *ast.ColumnDef) (types.Column, error) {
	col, err := c.definer.column(c.inCharset(def), c.table.Collation)
	if err != nil {
		return col, err
	}
	if word := c.tail.TypeOf(col.Name); word != "" {
		if err := foreignType(&col, word); err != nil {
			return col, err
		}
	}
	if agg := c.tail.AggregateOf(col.Name); agg != "" {
		return col, refuse("the aggregate " + agg + " of a column")
	}
	for _, o := range def.Options {
		if o.Tp == ast.ColumnOptionPrimaryKey {
			if c.primary != nil {
				return col, errorf(errno.MultiplePrimaryKey, "Multiple primary key defined")
			}
			c.primary = []string{col.Name}
		}
	}
	if col.AutoIncrement {
		if c.auto++; c.auto > 1 {
			return col, errorf(errno.WrongAutoKey, "Incorrect table definition; there can be only one auto column and it must be defined as a key")
		}
	}
	return col, nil
}

// foreignType gives a column a type that only StarRocks spells.
func foreignType(col *types.Column, word string) error {
	switch base, _, _ := strings.Cut(word, "("); strings.ToUpper(strings.TrimSpace(base)) {
	case "STRING":
		col.Type.Kind, col.Type.Length = types.KindText, ast.LongText
		col.Shown = "string"
	case "LARGEINT":
		return refuse("LARGEINT")
	default:
		return refuse("the type " + word)
	}
	return nil
}

func (c *creator) note(text string) { c.notes = append(c.notes, text) }

// collation reads the collation of columns that name none: that of the database, unless the table names one or a character set.
func (c *creator) collation() error {
	if db, ok := c.ctx.Catalog.Database(c.spec.Database); ok && !slices.ContainsFunc(c.stmt.Options, func(o *ast.TableOption) bool {
		return o.Tp == ast.TableOptionCharset
	}) {
		c.table.Collation = db.Collation
	}
	for _, o := range c.stmt.Options {
		if o.Tp != ast.TableOptionCollate {
			continue
		}
		known := false
		if c.table.Collation, known = types.ParseCollation(o.StrValue); !known && !types.BinaryCollation(o.StrValue) {
			c.note(collationNote(o.StrValue))
		}
	}
	return nil
}

// inCharset is a column of a table: with CHARACTER SET binary, of text that names none the column of bytes.
func (c *creator) inCharset(def *ast.ColumnDef) *ast.ColumnDef {
	binary := slices.ContainsFunc(c.stmt.Options, func(o *ast.TableOption) bool {
		return o.Tp == ast.TableOptionCharset && strings.EqualFold(o.StrValue, "binary")
	})
	if !binary || def.Tp.GetCharset() != "" || def.Tp.GetCollate() != "" {
		return def
	}
	out := *def
	out.Tp = def.Tp.Clone()
	out.Tp.SetCharset("binary")
	return &out
}

// layout settles how the columns compare by which rows are found.
func (c *creator) layout() error {
	c.notes = append(c.notes, byBytes(c.table.Schema.Columns, c.table.Locator())...)
	return nil
}

// options reads MySQL's table options.
func (c *creator) options() error {
	c.table.Comment = c.tail.Comment
	for _, o := range c.stmt.Options {
		switch o.Tp {
		case ast.TableOptionComment:
			c.table.Comment = o.StrValue
		case ast.TableOptionAutoIncrement:
			c.spec.AutoIncrement = o.UintValue
		case ast.TableOptionCharset:
			if !knownCharset(o.StrValue) {
				return refuse("CHARACTER SET " + o.StrValue)
			}
		}
	}
	return nil
}

// knownCharset reports whether text of a character set is kept as it is sent.
func knownCharset(name string) bool {
	switch strings.ToLower(name) {
	case "", "utf8mb4", "utf8", "utf8mb3", "ascii", "latin1", "binary":
		return true
	}
	return false
}

// key settles the primary key: declared in the list, by the tail, or a hidden row id.
func (c *creator) key() error {
	t := c.table
	switch c.tail.KeyModel {
	case syntax.KeyUnique, syntax.KeyAggregate:
		return refuse(string(c.tail.KeyModel) + " KEY")
	case syntax.KeyPrimary:
		if c.primary != nil {
			return errorf(errno.MultiplePrimaryKey, "Multiple primary key defined")
		}
		c.primary = c.tail.KeyColumns
	case syntax.KeyDuplicate:
		if c.primary != nil {
			return errorf(errno.MultiplePrimaryKey, "Multiple primary key defined")
		}
		ids, err := c.ids(c.tail.KeyColumns)
		if err != nil {
			return err
		}
		t.DupKey = ids
	}
	t.StarRocks = c.tail.KeyModel != "" || c.tail.Distribution != nil || len(c.tail.Properties) > 0 || fixedRanges(c.tail.Partition)
	if t.StarRocks {
		t.KeyModel = string(syntax.KeyDuplicate)
		if c.primary != nil {
			t.KeyModel = string(syntax.KeyPrimary)
		}
	}
	if len(c.tail.OrderBy) > 0 {
		if _, err := c.ids(c.tail.OrderBy); err != nil {
			return err
		}
		c.note("ORDER BY is accepted; rows are kept in key order")
	}
	if c.primary == nil {
		return c.rowID()
	}
	ids, err := c.ids(c.primary)
	if err != nil {
		return err
	}
	t.Schema.Key = ids
	for _, i := range t.Schema.KeyIndexes() {
		if g := t.Schema.Columns[i].Generated; g != nil && g.Virtual {
			return errorf(errno.GeneratedUnsupported, "'Defining a virtual generated column as primary key' is not supported for generated columns.")
		}
		if err := keyColumn(&t.Schema.Columns[i]); err != nil {
			return err
		}
	}
	return nil
}

// fixedRanges reports whether partitions are given in a way that only StarRocks has: [a, b) or batches.
func fixedRanges(p *syntax.PartitionBy) bool {
	return p != nil && (len(p.Batches) > 0 || slices.ContainsFunc(p.Defs, func(d syntax.PartitionDef) bool {
		return d.From != nil || len(d.Properties) > 0
	}))
}

// keyColumn makes a column fit for a primary key.
func keyColumn(col *types.Column) error {
	col.Type.NotNull = true
	return indexable(col)
}

// rowID adds the hidden key of a table without a primary key.
func (c *creator) rowID() error {
	if c.auto > 0 && !c.autoIsKey() {
		return errorf(errno.WrongAutoKey, "Incorrect table definition; there can be only one auto column and it must be defined as a key")
	}
	id := types.ColumnID(len(c.table.Schema.Columns) + 1)
	c.table.Schema.Columns = append(c.table.Schema.Columns, rowIDColumn(id))
	c.table.Schema.Key = []types.ColumnID{id}
	return nil
}

// distribution settles hash columns and buckets.
func (c *creator) distribution() error {
	c.table.Buckets = max(c.defaults.Buckets, 1)
	d := c.tail.Distribution
	c.table.HashBy = slices.Clone(c.table.Schema.Key)
	if d == nil {
		return nil
	}
	if d.Buckets > maxBuckets || d.Buckets < 0 {
		return errorf(errno.WrongArguments, "The number of buckets must be between 1 and %d, got %d", maxBuckets, d.Buckets)
	}
	if d.Buckets > 0 {
		c.table.Buckets = int(d.Buckets)
	}
	if d.Random {
		if c.primary != nil {
			return errorf(errno.WrongArguments, "A table with a primary key must be distributed by HASH")
		}
		return nil
	}
	ids, err := c.ids(d.Columns)
	if err != nil {
		return err
	}
	c.table.HashBy = ids
	return nil
}

// checkKey makes sure that equal keys meet in one tablet, and that no column of the layout is one that cannot be.
func (c *creator) checkKey() error { return checkLayout(c.table) }

// checkLayout is checkKey of any table.
func checkLayout(t *catalog.Table) error {
	if t.Schema.HasRowID() {
		return nil
	}
	layout := slices.Clone(t.HashBy)
	if t.Partition != nil {
		layout = append(layout, t.Partition.Columns...)
	}
	for _, id := range layout {
		if !slices.Contains(t.Schema.Key, id) {
			name := t.Schema.Columns[t.Schema.ColumnIndex(id)].Name
			return errorf(errno.UniqueNeedsAllColumns, "A PRIMARY KEY must include all columns in the table's partitioning and distribution; column '%s' is missing", name)
		}
	}
	return nil
}
