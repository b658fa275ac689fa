package plan

import (
	"slices"
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
	ast "stele/sql/parse"
)

// Bounds of keys, as MySQL's.
const (
	maxKeys       = 64
	maxKeyColumns = 16
)

// constraints reads keys; what cannot be enforced is refused rather than forgotten.
func (c *creator) constraints() error {
	for _, def := range c.stmt.Cols {
		for _, o := range def.Options {
			if o.Tp == ast.ColumnOptionUniqKey {
				if err := addKey(c.table, "", []string{def.Name.Name.O}, true); err != nil {
					return err
				}
			}
		}
	}
	for _, k := range c.stmt.Constraints {
		if k.Tp == ast.ConstraintPrimaryKey {
			if c.primary != nil {
				return errorf(CodeMultiplePrimary, "Multiple primary key defined")
			}
			names, err := keyNames(c.table, k.Keys, true)
			if err != nil {
				return err
			}
			c.primary = names
			continue
		}
		unique, err := keyKind(k.Tp)
		if err != nil {
			return err
		}
		names, err := keyNames(c.table, k.Keys, unique)
		if err != nil {
			return err
		}
		if err := addKey(c.table, k.Name, names, unique); err != nil {
			return err
		}
	}
	slices.SortStableFunc(c.table.Unique, uniqueFirst)
	c.table.Schema.Indexed = catalog.IndexedColumns(c.table.Unique)
	for _, k := range c.table.Unique {
		if !k.Unique {
			c.note("index '" + k.Name + "' lets scans skip: parts of a tablet that do not hold a value are not read")
		}
	}
	return nil
}

// uniqueFirst orders keys as MySQL lists them.
func uniqueFirst(a, b catalog.UniqueKey) int {
	switch {
	case a.Unique == b.Unique:
		return 0
	case a.Unique:
		return -1
	}
	return 1
}

// keyKind tells whether a secondary key is unique, and refuses other kinds of constraints by name.
func keyKind(tp ast.ConstraintType) (unique bool, err error) {
	switch tp {
	case ast.ConstraintKey, ast.ConstraintIndex:
		return false, nil
	case ast.ConstraintUniq, ast.ConstraintUniqKey, ast.ConstraintUniqIndex:
		return true, nil
	case ast.ConstraintPrimaryKey:
		return false, refuse("ADD PRIMARY KEY to a table that is there")
	case ast.ConstraintForeignKey:
		return false, refuse("FOREIGN KEY")
	case ast.ConstraintCheck:
		return false, refuse("CHECK")
	case ast.ConstraintFulltext:
		return false, refuse("FULLTEXT")
	}
	return false, refuse("this kind of key")
}

// keyNames lists the columns of a key. A prefix as long as its column is the column.
func keyNames(t *catalog.Table, parts []*ast.IndexPartSpecification, unique bool) ([]string, error) {
	if len(parts) > maxKeyColumns {
		return nil, errorf(1070, "Too many key parts specified; max %d parts allowed", maxKeyColumns)
	}
	var names []string
	for _, p := range parts {
		if p.Column == nil {
			return nil, refuse("a key over an expression")
		}
		if unique && p.Length > 0 {
			if i := columnNamed(t, p.Column.Name.O); i >= 0 && int32(p.Length) < t.Schema.Columns[i].Type.Length {
				return nil, refuse("a unique key over a prefix of a column")
			}
		}
		names = append(names, p.Column.Name.O)
	}
	return names, nil
}

// keyIDs maps the names of key columns to ids.
func keyIDs(t *catalog.Table, names []string) ([]types.ColumnID, error) {
	var out []types.ColumnID
	for _, n := range names {
		i := columnNamed(t, n)
		if i < 0 {
			return nil, errorf(CodeKeyColumnMissing, "Key column '%s' doesn't exist in table", n)
		}
		id := t.Schema.Columns[i].ID
		if slices.Contains(out, id) {
			return nil, errorf(CodeDuplicateColumn, "Duplicate column name '%s'", n)
		}
		out = append(out, id)
	}
	return out, nil
}

// addKey adds a secondary key to a table; one without a name is called as MySQL would call it.
func addKey(t *catalog.Table, name string, names []string, unique bool) error {
	ids, err := keyIDs(t, names)
	if err != nil {
		return err
	}
	if len(t.Unique) >= maxKeys {
		return errorf(1069, "Too many keys specified; max %d keys allowed", maxKeys)
	}
	if unique {
		for _, id := range ids {
			if err := indexable(&t.Schema.Columns[t.Schema.ColumnIndex(id)]); err != nil {
				return err
			}
		}
	}
	if name == "" {
		name = names[0]
		for i := 2; hasKey(t, name); i++ {
			name = names[0] + "_" + itoa(i)
		}
	}
	switch {
	case strings.EqualFold(name, "PRIMARY"):
		return errorf(1280, "Incorrect index name '%s'", name)
	case hasKey(t, name):
		return errorf(CodeDuplicateKeyName, "Duplicate key name '%s'", name)
	}
	t.Unique = append(t.Unique, catalog.UniqueKey{Name: name, Columns: ids, Unique: unique})
	return nil
}

func hasKey(t *catalog.Table, name string) bool {
	return strings.EqualFold(name, "PRIMARY") && !t.Schema.HasRowID() && len(t.Schema.Key) > 0 ||
		slices.ContainsFunc(t.Unique, func(u catalog.UniqueKey) bool { return strings.EqualFold(u.Name, name) })
}

// indexable refuses columns whose values cannot be a key.
func indexable(col *types.Column) error {
	switch col.Type.Kind {
	case types.KindText, types.KindBlob:
		if col.Shown == "" {
			return errorf(1170, "BLOB/TEXT column '%s' used in key specification without a key length", col.Name)
		}
	case types.KindJSON:
		return errorf(3152, "JSON column '%s' supports indexing only via generated columns on a specified JSON path.", col.Name)
	}
	return nil
}

// autoIsKey reports whether the AUTO_INCREMENT column begins a secondary key.
func (c *creator) autoIsKey() bool {
	return slices.ContainsFunc(c.table.Unique, func(k catalog.UniqueKey) bool {
		return c.table.Schema.Columns[c.table.Schema.ColumnIndex(k.Columns[0])].AutoIncrement
	})
}

// checkUnique checks the unique keys of a new table against its partitioning.
func (c *creator) checkUnique() error {
	for i := range c.table.Unique {
		if err := fitsPartitions(c.table, &c.table.Unique[i]); err != nil {
			return err
		}
	}
	return nil
}

// fitsPartitions checks, as MySQL does, that rows with equal unique keys meet in one partition: the key then comes and goes
// with its partition.
func fitsPartitions(t *catalog.Table, k *catalog.UniqueKey) error {
	if !k.Unique || t.Partition == nil {
		return nil
	}
	for _, id := range t.Partition.Columns {
		if !slices.Contains(k.Columns, id) {
			return errorf(CodeUniqueNeedsAll, "A UNIQUE INDEX must include all columns in the table's partitioning function (prefixed columns are not considered).")
		}
	}
	return nil
}

// KeyChange adds a secondary key to a table or drops one.
type KeyChange struct {
	Add  *catalog.UniqueKey
	Drop string
}

// AlterKeys reads an ALTER TABLE whose parts all add or drop secondary keys; false says that it is anything else.
func AlterKeys(t *catalog.Table, stmt *ast.AlterTableStmt) ([]KeyChange, bool, error) {
	if !ChangesKeys(stmt) {
		return nil, false, nil
	}
	work := *t
	work.Unique = slices.Clone(t.Unique)
	var out []KeyChange
	for _, spec := range stmt.Specs {
		switch spec.Tp {
		case ast.AlterTableAddConstraint:
			k := spec.Constraint
			unique, err := keyKind(k.Tp)
			if err != nil {
				return nil, true, err
			}
			if k.IfNotExists && hasKey(&work, k.Name) {
				continue
			}
			change, err := addedKey(&work, k.Name, k.Keys, unique)
			if err != nil {
				return nil, true, err
			}
			out = append(out, change)
		case ast.AlterTableDropIndex:
			change, err := droppedKey(&work, spec.Name, spec.IfExists)
			if err != nil {
				return nil, true, err
			}
			out = append(out, change...)
		}
	}
	return out, true, nil
}

// ChangesKeys reports whether an ALTER TABLE adds or drops secondary keys and does nothing else.
func ChangesKeys(stmt *ast.AlterTableStmt) bool {
	changes := false
	for _, spec := range stmt.Specs {
		switch spec.Tp {
		case ast.AlterTableAddConstraint, ast.AlterTableDropIndex:
			changes = true
		case ast.AlterTableAlgorithm, ast.AlterTableLock:
		default:
			return false
		}
	}
	return changes
}

// CreateIndex reads CREATE [UNIQUE] INDEX.
func CreateIndex(t *catalog.Table, stmt *ast.CreateIndexStmt) ([]KeyChange, error) {
	switch stmt.KeyType {
	case ast.IndexKeyTypeNone, ast.IndexKeyTypeUnique:
	case ast.IndexKeyTypeFulltext:
		return nil, refuse("CREATE FULLTEXT INDEX")
	case ast.IndexKeyTypeSpatial:
		return nil, refuse("CREATE SPATIAL INDEX")
	default:
		return nil, refuse("this kind of index")
	}
	work := *t
	work.Unique = slices.Clone(t.Unique)
	if stmt.IfNotExists && hasKey(&work, stmt.IndexName) {
		return nil, nil
	}
	change, err := addedKey(&work, stmt.IndexName, stmt.IndexPartSpecifications, stmt.KeyType == ast.IndexKeyTypeUnique)
	return []KeyChange{change}, err
}

// DropIndex reads DROP INDEX.
func DropIndex(t *catalog.Table, stmt *ast.DropIndexStmt) ([]KeyChange, error) {
	work := *t
	work.Unique = slices.Clone(t.Unique)
	return droppedKey(&work, stmt.IndexName, stmt.IfExists)
}

func addedKey(t *catalog.Table, name string, parts []*ast.IndexPartSpecification, unique bool) (KeyChange, error) {
	names, err := keyNames(t, parts, unique)
	if err != nil {
		return KeyChange{}, err
	}
	if err := addKey(t, name, names, unique); err != nil {
		return KeyChange{}, err
	}
	k := &t.Unique[len(t.Unique)-1]
	return KeyChange{Add: k}, fitsPartitions(t, k)
}

func droppedKey(t *catalog.Table, name string, ifExists bool) ([]KeyChange, error) {
	i := slices.IndexFunc(t.Unique, func(u catalog.UniqueKey) bool { return strings.EqualFold(u.Name, name) })
	if i >= 0 {
		k := t.Unique[i]
		t.Unique = slices.Delete(t.Unique, i, i+1)
		return []KeyChange{{Drop: k.Name}}, nil
	}
	if ifExists {
		return nil, nil
	}
	if strings.EqualFold(name, "PRIMARY") && !t.Schema.HasRowID() {
		return nil, refuse("DROP PRIMARY KEY")
	}
	return nil, errorf(1091, "Can't DROP '%s'; check that column/key exists", name)
}
