package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/collation"
	"stele/sql/errno"
	"stele/sql/plan"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// uniqueKey is a unique key of a table with the hidden table that enforces it.
type uniqueKey struct {
	name  string
	index *catalog.Table
	from  []int // for each column of the hidden table, where the owner has it
	key   []int // where the owner has the key's columns, in the key's order
	// by are the collations of the key's columns: entries have keys of texts that do not compare by their bytes. Nil when all do, and
	// entries have the values as they are.
	by []types.Collation
	// prefix is how many characters of each of them count, 0 = all; by is not nil when some are cut.
	prefix []int32
}

// keysOf returns the unique keys that a write to a table has to keep. While the table is being altered by what its rows are nobody
// writes: the statement is tried again, and one whose transaction cannot see the end of it fails. A change that is abandoned is taken
// back by whoever meets it.
func (s *Session) keysOf(ctx context.Context, cat *catalog.Catalog, t *catalog.Table) ([]*uniqueKey, error) {
	if !t.HasUniqueKeys() {
		return nil, nil
	}
	if t.Altering() != 0 {
		if err := s.takeBackAbandoned(ctx, t); err != nil {
			return nil, err
		}
		return nil, &txn.RetryError{Err: fmt.Errorf("table %s is being altered", t.Name), Gone: s.inTx}
	}
	var out []*uniqueKey
	for _, k := range t.Unique {
		if !k.Enforced() {
			continue
		}
		index, ok := cat.TableByID(k.Index)
		if !ok {
			return nil, fmt.Errorf("BUG: unique key %s of table %d has no hidden table", k.Name, t.ID)
		}
		out = append(out, newUniqueKey(t, k.Name, index))
	}
	return out, nil
}

func newUniqueKey(t *catalog.Table, name string, index *catalog.Table) *uniqueKey {
	u := &uniqueKey{name: name, index: index}
	for _, c := range index.Schema.Columns {
		u.from = append(u.from, t.Schema.ColumnIndex(c.ID))
	}
	for _, id := range index.Schema.Key {
		u.key = append(u.key, t.Schema.ColumnIndex(id))
	}
	for i, at := range u.key {
		if c := t.Schema.Columns[at].Type.Collation; c != types.CollationBinary {
			if u.by == nil {
				u.by = make([]types.Collation, len(u.key))
			}
			u.by[i] = c
		}
	}
	if at := slices.IndexFunc(t.Unique, func(k catalog.UniqueKey) bool { return k.Name == name }); at >= 0 && t.Unique[at].Prefixes != nil {
		u.prefix = t.Unique[at].Prefixes
		if u.by == nil {
			u.by = make([]types.Collation, len(u.key))
		}
	}
	return u
}

// cut is how many characters of a column of the key count, 0 = all.
func (u *uniqueKey) cut(part int) int32 {
	if part < len(u.prefix) {
		return u.prefix[part]
	}
	return 0
}

// keyed are the keys of texts, or of as many of their first characters as count.
func keyed(texts *vec.Vector, by types.Collation, chars int32) *vec.Vector {
	out := vec.NewColumnBuilder(texts.Type, texts.N)
	var key []byte
	for i := range texts.N {
		text := texts.Bytes(i)
		if chars > 0 {
			text = firstChars(text, chars, texts.Type)
		}
		if by != types.CollationBinary {
			key = collation.AppendKey(key[:0], by, text)
			text = key
		}
		out.AppendValue(vec.Value{B: text})
	}
	return out.Finish()
}

// firstChars cuts a text, or bytes.
func firstChars(text []byte, chars int32, t types.ColumnType) []byte {
	if len(text) <= int(chars) {
		return text
	}
	if t.Kind == types.KindBlob || t.Kind == types.KindBinary || t.Kind == types.KindVarBinary {
		return text[:chars]
	}
	at := 0
	for ; chars > 0 && at < len(text); chars-- {
		_, n := utf8.DecodeRune(text[at:])
		at += n
	}
	return text[:at]
}

// hasEntry reports whether a row of the owner has an entry: NULL is no duplicate of anything.
func (u *uniqueKey) hasEntry(rows *vec.Batch, row int) bool {
	for _, at := range u.key {
		if rows.Cols[at].IsNull(row) {
			return false
		}
	}
	return true
}

// entry is the key of the entry of a row.
func (u *uniqueKey) entry(rows *vec.Batch, row int) string {
	if u.by != nil {
		return string(vec.AppendRowKey(nil, u.entries(rows, []int32{int32(row)}), u.index.Schema.KeyIndexes(), 0))
	}
	return string(vec.AppendRowKey(nil, rows, u.key, row))
}

// entries makes the entries of some rows of the owner; pick says which, nil = all that have one.
func (u *uniqueKey) entries(rows *vec.Batch, pick []int32) *vec.Batch {
	if pick == nil {
		pick = []int32{}
		for i := range rows.N {
			if u.hasEntry(rows, i) {
				pick = append(pick, int32(i))
			}
		}
	}
	picked := &vec.Batch{N: rows.N, Sel: pick} // only the columns of an entry need be there
	for _, at := range u.from {
		picked.Cols = append(picked.Cols, rows.Cols[at])
	}
	out := picked.Compact()
	for i := range u.key { // the key's columns come first
		v := *out.Cols[i]
		v.Type.NotNull, v.Valid = true, nil
		out.Cols[i] = &v
		if u.by != nil && (u.by[i] != types.CollationBinary || u.cut(i) > 0) {
			out.Cols[i] = keyed(&v, u.by[i], u.cut(i))
		}
	}
	return out
}

// write routes entries to the tablets of the hidden table.
func (u *uniqueKey) write(entries *vec.Batch, op types.RowOp) ([]txn.TabletWrite, error) {
	if entries.N == 0 {
		return nil, nil
	}
	writes, err := routed(u.index, entries, op)
	for i := range writes {
		writes[i].Index = true
	}
	return writes, err
}

// routed sends all rows to their tablets with one op.
func routed(t *catalog.Table, rows *vec.Batch, op types.RowOp) ([]txn.TabletWrite, error) {
	routes, err := plan.Route(t, rows)
	if err != nil {
		return nil, err
	}
	var writes []txn.TabletWrite
	if len(routes) == 1 { // most statements: one piece of memory
		one := &struct {
			write [1]txn.TabletWrite
			op    [1]byte
		}{op: [1]byte{byte(op)}}
		writes = one.write[:]
		writes[0].Ops = one.op[:]
	} else {
		writes = make([]txn.TabletWrite, len(routes))
	}
	for i, r := range routes {
		part := rows
		if len(r.Rows) != rows.N {
			part = gather(rows, r.Rows)
		}
		if writes[i].Ops == nil {
			writes[i].Ops = []byte{byte(op)}
		}
		writes[i].Tablet, writes[i].Rows, writes[i].Schema = r.Tablet, part, t.Schema.Version
	}
	return writes, nil
}

// lockFor prepares a transaction for a write to a table and its hidden tables, which lie on several BEs. fresh = hardly anybody else has
// the keys of its rows, and it may wait for locks of all BEs at once.
func lockFor(t *txn.Txn, fresh, inTx, contended bool) {
	switch {
	case fresh:
		t.SetLocking(txn.LockTogether)
	case inTx || contended:
		t.SetLocking(txn.LockInOrder)
	default:
		t.SetLocking(txn.LockTry)
	}
}

// isDuplicate reports whether a leader has refused a row because of another one with its key.
func isDuplicate(err error) bool {
	var r *txn.Refusal
	return errors.As(err, &r) && r.Code == bepb.WriteResponse_DUPLICATE_KEY
}

// nameEntry turns the refusal of a duplicate entry into MySQL's error, which names the key; other errors stay. The texts of an entry are
// those of a row of the owner, which is among the writes or given beside them.
func nameEntry(err error, t *catalog.Table, keys []*uniqueKey, writes []txn.TabletWrite, rows ...*vec.Batch) error {
	var r *txn.Refusal
	if !errors.As(err, &r) || r.Code != bepb.WriteResponse_DUPLICATE_KEY {
		return err
	}
	for _, w := range writes {
		if w.Tablet != r.Tablet || w.Rows == nil || r.Row >= w.Rows.N {
			continue
		}
		for _, u := range keys {
			if w.Index && hasTablet(u.index, w.Tablet) {
				if from, row := u.source(w.Rows, r.Row, writes, rows); from != nil {
					return errors.Join(duplicate(t, u.name, from, row, t, u.key, u.prefix), r)
				}
				return errors.Join(duplicate(t, u.name, w.Rows, r.Row, u.index, u.index.Schema.KeyIndexes(), nil), r)
			}
		}
		if !w.Index {
			return errors.Join(duplicate(t, "PRIMARY", w.Rows, r.Row, t, t.Schema.KeyIndexes(), nil), r)
		}
	}
	return err
}

// source finds the row of the owner that an entry is of; nil = the entry has its values, or the row is not there.
func (u *uniqueKey) source(entries *vec.Batch, row int, writes []txn.TabletWrite, rows []*vec.Batch) (*vec.Batch, int) {
	if u.by == nil {
		return nil, 0
	}
	for _, w := range writes {
		if !w.Index && w.Rows != nil {
			rows = append(rows, w.Rows)
		}
	}
	want := string(vec.AppendRowKey(nil, entries, u.index.Schema.KeyIndexes(), row))
	for _, b := range rows {
		if slices.Max(u.from) >= len(b.Cols) || slices.ContainsFunc(u.from, func(c int) bool { return b.Cols[c] == nil }) {
			continue
		}
		for i := range b.N {
			if u.hasEntry(b, i) && u.entry(b, i) == want {
				return b, i
			}
		}
	}
	return nil, 0
}

func hasTablet(t *catalog.Table, id types.TabletID) bool {
	for i := range t.Parts {
		for _, x := range t.Parts[i].Tablets {
			if x == id {
				return true
			}
		}
	}
	return false
}

// duplicate is MySQL's error 1062 about the values that a row has in some columns of its table: t, or the hidden one of a unique key. Of
// some columns only so many characters count.
func duplicate(t *catalog.Table, key string, rows *vec.Batch, row int, of *catalog.Table, columns []int, prefixes []int32) error {
	var parts []string
	for i, at := range columns {
		text := sqltypes.AppendColumnText(nil, &of.Schema.Columns[at], rows.Cols[at], row, sqltypes.Env{Loc: time.UTC})
		if i < len(prefixes) && prefixes[i] > 0 {
			text = firstChars(text, prefixes[i], of.Schema.Columns[at].Type)
		}
		parts = append(parts, string(text))
	}
	const limit = 64 // MySQL cuts the entry
	entry := strings.Join(parts, "-")
	if len(entry) > limit {
		entry = strings.ToValidUTF8(entry[:limit], "") + "..."
	}
	return sqlErr(errno.DuplicateEntry, "Duplicate entry '%s' for key '%s.%s'", entry, t.Name, key)
}
