package define

import (
	"slices"
	"strconv"
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	ast "stele/sql/parse"
)

// Bounds of keys, as MySQL's.
const (
	maxKeys       = 64
	maxKeyColumns = 16
	maxKeyPrefix  = 768 // characters of up to four bytes
)

// constraints reads keys; what cannot be enforced is refused rather than forgotten.
func (c *creator) constraints() error {
	for _, def := range c.stmt.Cols {
		for _, o := range def.Options {
			if o.Tp == ast.ColumnOptionUniqKey {
				if err := addKey(c.table, "", []string{def.Name.Name.O}, uniqueForm, nil); err != nil {
					return err
				}
			}
		}
	}
	for _, k := range c.stmt.Constraints {
		if k.Tp == ast.ConstraintCheck || k.Tp == ast.ConstraintForeignKey {
			continue // they come when all keys are known
		}
		if k.Tp == ast.ConstraintPrimaryKey {
			if c.primary != nil {
				return errorf(errno.MultiplePrimaryKey, "Multiple primary key defined")
			}
			names, err := keyNames(c.table, k.Keys, primaryForm)
			if err != nil {
				return err
			}
			c.primary = names
			continue
		}
		form, err := keyKind(k)
		if err != nil {
			return err
		}
		names, err := keyNames(c.table, k.Keys, form)
		if err != nil {
			return err
		}
		if err := addKey(c.table, k.Name, names, form, k.Keys); err != nil {
			return err
		}
		c.noteInvisible(k.Name, k.Option)
	}
	slices.SortStableFunc(c.table.Unique, uniqueFirst)
	c.table.Schema.Indexed = catalog.IndexedColumns(c.table.Unique)
	for _, k := range c.table.Unique {
		if !k.Unique && !k.FullText && !c.collates(&k) {
			c.note("index '" + k.Name + "' lets scans skip: parts of a tablet that do not hold a value are not read")
		}
	}
	return nil
}

// collates reports whether a key has a column that does not compare by its bytes: scans do not skip by such a one.
func (c *creator) collates(k *catalog.UniqueKey) bool {
	return slices.ContainsFunc(k.Columns, func(id types.ColumnID) bool {
		return c.table.Schema.Columns[c.table.Schema.ColumnIndex(id)].Type.Collation != types.CollationBinary
	})
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

// keyForm says what a secondary key is.
type keyForm uint8

const (
	plainForm keyForm = iota
	uniqueForm
	primaryForm
	fullTextForm
)

// keyKind tells what a secondary key is, and refuses other kinds of constraints by name.
func keyKind(k *ast.Constraint) (keyForm, error) {
	switch k.Tp {
	case ast.ConstraintKey, ast.ConstraintIndex:
		return plainForm, nil
	case ast.ConstraintUniq, ast.ConstraintUniqKey, ast.ConstraintUniqIndex:
		return uniqueForm, nil
	case ast.ConstraintFulltext:
		return fullTextForm, fullTextOptions(k.Option)
	}
	return plainForm, refuse("this kind of key")
}

// fullTextOptions refuses words that are found otherwise than by the parser that there is.
func fullTextOptions(o *ast.IndexOption) error {
	if o != nil && o.ParserName.O != "" {
		return refuse("FULLTEXT ... WITH PARSER " + o.ParserName.O)
	}
	return nil
}

// noteInvisible says of a key that is to be passed over that it is not.
func (d *definer) noteInvisible(name string, o *ast.IndexOption) {
	if o != nil && o.Visibility == ast.IndexVisibilityInvisible {
		d.notes = append(d.notes, "INVISIBLE of key '"+name+"' is not kept: queries use it")
	}
}

// searchable refuses columns that MATCH cannot search: their texts compare alike.
func searchable(t *catalog.Table, ids []types.ColumnID) error {
	first := t.Schema.Columns[t.Schema.ColumnIndex(ids[0])].Type.Collation
	for _, id := range ids {
		c := &t.Schema.Columns[t.Schema.ColumnIndex(id)]
		if !prefixable(c) || c.Type.Kind != types.KindChar && c.Type.Kind != types.KindVarChar && c.Type.Kind != types.KindText ||
			c.Type.Collation != first {
			return errorf(errno.BadFulltextColumn, "Column '%s' cannot be part of FULLTEXT index", c.Name)
		}
	}
	return nil
}

// keyNames lists the columns of a key. A prefix as long as its column is the column.
func keyNames(t *catalog.Table, parts []*ast.IndexPartSpecification, form keyForm) ([]string, error) {
	if len(parts) > maxKeyColumns {
		return nil, errorf(errno.TooManyKeyParts, "Too many key parts specified; max %d parts allowed", maxKeyColumns)
	}
	var names []string
	for _, p := range parts {
		if p.Column == nil {
			return nil, refuse("a key over an expression; a key over a generated column may stand for it")
		}
		if i := t.Schema.ColumnNamed(p.Column.Name.O); i >= 0 && p.Length > 0 && form != fullTextForm {
			switch c := &t.Schema.Columns[i]; {
			case !prefixable(c) || int64(p.Length) > int64(c.Type.Length):
				return nil, errorf(errno.WrongKeyPrefix, "Incorrect prefix key; the used key part isn't a string, the used length is longer than the key part, "+
					"or the storage engine doesn't support unique prefix keys")
			case form == primaryForm && int32(p.Length) < c.Type.Length:
				return nil, refuse("a primary key over a prefix of a column")
			case form == uniqueForm && p.Length > maxKeyPrefix && int32(p.Length) < c.Type.Length:
				return nil, errorf(errno.KeyTooLong, "Specified key was too long; max key length is 3072 bytes")
			}
		}
		names = append(names, p.Column.Name.O)
	}
	return names, nil
}

// prefixable reports whether there are prefixes of a column's values.
func prefixable(c *types.Column) bool {
	return c.Type.IsString() && !c.Special() && c.Type.Kind != types.KindJSON
}

// declarePrefixes notes the prefixes of a key.
func declarePrefixes(t *catalog.Table, k *catalog.UniqueKey, parts []*ast.IndexPartSpecification) {
	if parts == nil {
		return
	}
	k.Prefixes = make([]int32, len(parts))
	for i, p := range parts {
		k.Prefixes[i] = int32(max(p.Length, 0))
	}
	keepPrefixes(t, k)
}

// keepPrefixes leaves of the prefixes of a key those that are shorter than their columns or, where MySQL wants a length, as long. A column
// may have another type than when the key was declared.
func keepPrefixes(t *catalog.Table, k *catalog.UniqueKey) {
	if k.FullText {
		k.Prefixes = nil // the whole text is searched whatever length is said
	}
	if k.Prefixes == nil {
		return
	}
	some := false
	out := make([]int32, len(k.Columns))
	for i, id := range k.Columns {
		c := &t.Schema.Columns[t.Schema.ColumnIndex(id)]
		long := c.Type.Kind == types.KindText || c.Type.Kind == types.KindBlob
		if n := k.Prefix(i); prefixable(c) && (n < c.Type.Length || long && n == c.Type.Length) {
			out[i], some = n, some || n > 0
		}
	}
	if k.Prefixes = out; !some {
		k.Prefixes = nil
	}
}

// keyIDs maps the names of key columns to ids.
func keyIDs(t *catalog.Table, names []string) ([]types.ColumnID, error) {
	var out []types.ColumnID
	for _, n := range names {
		i := t.Schema.ColumnNamed(n)
		if i < 0 {
			return nil, errorf(errno.KeyColumnMissing, "Key column '%s' doesn't exist in table", n)
		}
		id := t.Schema.Columns[i].ID
		if slices.Contains(out, id) {
			return nil, errorf(errno.DuplicateColumn, "Duplicate column name '%s'", n)
		}
		out = append(out, id)
	}
	return out, nil
}

// addKey adds a secondary key to a table; one without a name is called as MySQL would call it. The parts say which prefixes it is over.
func addKey(t *catalog.Table, name string, names []string, form keyForm, parts []*ast.IndexPartSpecification) error {
	ids, err := keyIDs(t, names)
	if err != nil {
		return err
	}
	if len(t.Unique) >= maxKeys {
		return errorf(errno.TooManyKeys, "Too many keys specified; max %d keys allowed", maxKeys)
	}
	k := catalog.UniqueKey{Columns: ids, Unique: form == uniqueForm, FullText: form == fullTextForm}
	declarePrefixes(t, &k, parts)
	if err := keyable(t, &k); err != nil {
		return err
	}
	if name == "" {
		name = names[0]
		for i := 2; hasKey(t, name); i++ {
			name = names[0] + "_" + strconv.Itoa(i)
		}
	}
	switch {
	case strings.EqualFold(name, "PRIMARY"):
		return errorf(errno.WrongKeyName, "Incorrect index name '%s'", name)
	case hasKey(t, name):
		return errorf(errno.DuplicateKeyName, "Duplicate key name '%s'", name)
	}
	k.Name = name
	t.Unique = append(t.Unique, k)
	return nil
}

// keyable refuses columns that a key cannot be over.
func keyable(t *catalog.Table, k *catalog.UniqueKey) error {
	if k.FullText {
		return searchable(t, k.Columns)
	}
	for i, id := range k.Columns {
		if !k.Unique || k.Prefix(i) > 0 {
			continue
		}
		if err := indexable(&t.Schema.Columns[t.Schema.ColumnIndex(id)]); err != nil {
			return err
		}
	}
	return nil
}

func hasKey(t *catalog.Table, name string) bool {
	return strings.EqualFold(name, "PRIMARY") && !t.Schema.HasRowID() && len(t.Schema.Key) > 0 ||
		slices.ContainsFunc(t.Unique, func(u catalog.UniqueKey) bool { return strings.EqualFold(u.Name, name) })
}

// indexable refuses columns whose values cannot be a key. TINYTEXT and TINYBLOB hold as little as a VARCHAR(255), so they can: MediaWiki has a
// unique key over the first 255 bytes of one.
func indexable(col *types.Column) error {
	switch col.Type.Kind {
	case types.KindText, types.KindBlob:
		if col.Shown == "" && col.Type.Length > ast.TinyText {
			return errorf(errno.BlobKeyWithoutLength, "BLOB/TEXT column '%s' used in key specification without a key length", col.Name)
		}
	case types.KindJSON:
		return errorf(errno.JSONAsKey, "JSON column '%s' supports indexing only via generated columns on a specified JSON path.", col.Name)
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
		if err := findsWhole(c.table, &c.table.Unique[i]); err != nil {
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
			return errorf(errno.UniqueNeedsAllColumns, "A UNIQUE INDEX must include all columns in the table's partitioning function (prefixed columns are not considered).")
		}
	}
	return nil
}

// findsWhole refuses a unique key over a prefix of a column by which rows are found: an entry has each column once, and must find its row.
func findsWhole(t *catalog.Table, k *catalog.UniqueKey) error {
	found := t.Locator()
	for i, id := range k.Columns {
		if k.Unique && k.Prefix(i) > 0 && slices.Contains(found, id) {
			return refuse("a unique key over a prefix of a column of the primary key, the distribution or the partitioning")
		}
	}
	return nil
}

// addedKey adds a key that a statement declares for a table that is there.
func addedKey(t *catalog.Table, name string, parts []*ast.IndexPartSpecification, form keyForm) error {
	names, err := keyNames(t, parts, form)
	if err != nil {
		return err
	}
	if err := addKey(t, name, names, form, parts); err != nil {
		return err
	}
	return fitsPartitions(t, &t.Unique[len(t.Unique)-1])
}

// keyNamed returns the position of a secondary key, or -1.
func keyNamed(t *catalog.Table, name string) int {
	return slices.IndexFunc(t.Unique, func(u catalog.UniqueKey) bool { return strings.EqualFold(u.Name, name) })
}

// dropKey takes a secondary key away.
func dropKey(t *catalog.Table, name string) error {
	i := keyNamed(t, name)
	if i < 0 {
		return errorf(errno.CannotDropColumnOrKey, "Can't DROP '%s'; check that column/key exists", name)
	}
	t.Unique = slices.Delete(t.Unique, i, i+1)
	return nil
}

// renameKey gives a secondary key another name.
func renameKey(t *catalog.Table, from, to string) error {
	i := keyNamed(t, from)
	switch {
	case strings.EqualFold(from, "PRIMARY") || strings.EqualFold(to, "PRIMARY"):
		return errorf(errno.WrongKeyName, "Incorrect index name '%s'", "PRIMARY")
	case i < 0:
		return errorf(errno.NoSuchKey, "Key '%s' doesn't exist in table '%s'", from, t.Name)
	case hasKey(t, to) && !strings.EqualFold(from, to):
		return errorf(errno.DuplicateKeyName, "Duplicate key name '%s'", to)
	}
	t.Unique[i].Name = to
	return nil
}
