package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/zeebo/xxh3"

	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/model"
	"stele/meta/types"
	"stele/sql/define"
	"stele/sql/plan"
	"stele/sql/vec"
)

// Errors of foreign keys.
const (
	deepestFall   = 15      // as InnoDB
	mostReferred  = 1 << 20 // keys of parents that a statement remembers to have locked
	mostLookedFor = 4096    // keys by which children are looked for in one question; more of them, and all rows are read
)

// keepsForeignKeys reports whether the session keeps the foreign keys of a table, on whichever side it is.
func (s *Session) keepsForeignKeys(t *catalog.Table) bool {
	return t.HasForeignKeys() && s.vars.Bool("foreign_key_checks")
}

// referrer has the rows that a statement writes to a table refer to rows that are there: those are locked shared, by the writes that bring
// the rows, until the transaction ends.
type referrer struct {
	cat     *catalog.Catalog
	t       *catalog.Table
	refs    []*reference
	anew    bool // what a row referred to may have gone since it was read
	pending referral
}

// reference is one foreign key of the table.
type reference struct {
	f      *model.ForeignKey
	from   []int          // the columns of the child, in the order of the parent's key
	target *catalog.Table // whose primary key is asked for: the parent, or the hidden table of its unique key; nil = the parent is not there
	to     []int          // the columns of the parent's key, in the parent
	by     []types.Collation
	self   bool
	known  map[xxh3.Uint128]struct{} // keys that were locked for rows before
}

// referral is what writes that refer to rows have at their end, and after them.
type referral struct {
	of      []*reference
	after   []txn.TabletWrite // rows of the same table: those of the statement may be among them
	afterOf []*reference
}

// referrer returns nil for a table without foreign keys.
func (s *Session) referrer(cat *catalog.Catalog, t *catalog.Table) (*referrer, error) {
	if len(t.ForeignKeys) == 0 || !s.keepsForeignKeys(t) {
		return nil, nil
	}
	r := &referrer{cat: cat, t: t}
	for i := range t.ForeignKeys {
		k, err := newReference(cat, t, &t.ForeignKeys[i])
		if err != nil {
			return nil, err
		}
		r.refs = append(r.refs, k)
	}
	return r, nil
}

func newReference(cat *catalog.Catalog, t *catalog.Table, f *model.ForeignKey) (*reference, error) {
	k := &reference{f: f, from: places(t, f.Columns), self: f.RefTable == t.ID}
	parent, ok := cat.TableByID(f.RefTable)
	if !ok {
		return k, nil
	}
	k.to = places(parent, f.RefColumns)
	unique, ok := parent.ReferableKey(f.RefColumns)
	if !ok {
		return nil, fmt.Errorf("BUG: foreign key %s refers to no key of table %d", f.Name, parent.ID)
	}
	if k.target = parent; unique == nil {
		return k, nil
	}
	if k.target, ok = cat.TableByID(unique.Index); !ok {
		return nil, fmt.Errorf("BUG: unique key %s of table %d has no hidden table", unique.Name, parent.ID)
	}
	k.by = newUniqueKey(parent, unique.Name, k.target).by
	return k, nil
}

func places(t *catalog.Table, ids []types.ColumnID) []int {
	out := make([]int, len(ids))
	for i, id := range ids {
		out[i] = t.Schema.ColumnIndex(id)
	}
	return out
}

// keys makes the keys of the parent for some rows, nil = all, of which the columns are given; those with a NULL refer to nothing. of says
// which row each is of.
func (k *reference) keys(rows *vec.Batch, columns []int, pick []int32) (keys *vec.Batch, of []int32) {
	of = make([]int32, 0, rows.N)
	each := func(row int32) {
		if !slices.ContainsFunc(columns, func(c int) bool { return rows.Cols[c].IsNull(int(row)) }) {
			of = append(of, row)
		}
	}
	for row := range rows.N {
		if pick == nil {
			each(int32(row))
		}
	}
	for _, row := range pick {
		each(row)
	}
	keys = &vec.Batch{N: rows.N, Sel: of}
	for _, c := range columns {
		keys.Cols = append(keys.Cols, rows.Cols[c])
	}
	keys = keys.Compact()
	for i := range keys.Cols {
		v := *keys.Cols[i]
		v.Type.NotNull, v.Valid = true, nil
		keys.Cols[i] = &v
		if k.by != nil && k.by[i] != types.CollationBinary {
			keys.Cols[i] = keyed(&v, k.by[i], 0)
		}
	}
	return keys, of
}

// share routes keys of the parent to the tablets where they are to be locked.
func (k *reference) share(keys *vec.Batch) ([]txn.TabletWrite, error) {
	like := &vec.Batch{Cols: make([]*vec.Vector, len(k.target.Schema.Columns)), N: keys.N}
	for i, at := range k.target.Schema.KeyIndexes() {
		like.Cols[at] = keys.Cols[i]
	}
	routes, err := plan.Route(k.target, like)
	if err != nil {
		return nil, err
	}
	out := make([]txn.TabletWrite, len(routes))
	for i, r := range routes {
		part := keys
		if len(r.Rows) != keys.N {
			part = gather(keys, r.Rows)
		}
		out[i] = txn.ShareRows(r.Tablet, part)
	}
	return out, nil
}

// unknown leaves the keys that were not locked before, each once.
func (k *reference) unknown(keys *vec.Batch) *vec.Batch {
	if keys.N == 1 && k.known == nil { // most statements
		return keys
	}
	if k.known == nil || len(k.known) > mostReferred {
		k.known = map[xxh3.Uint128]struct{}{}
	}
	fresh := make([]int32, 0, keys.N)
	for i, key := range vec.EncodeKeys(keys, positions(len(keys.Cols))) {
		hash := xxh3.Hash128(key)
		if _, again := k.known[hash]; !again {
			k.known[hash] = struct{}{}
			fresh = append(fresh, int32(i))
		}
	}
	if len(fresh) == keys.N {
		return keys
	}
	return gather(keys, fresh)
}

// refer adds to writes, which bring some rows (nil = all) of a batch, the locks of what these refer to.
func (r *referrer) refer(writes []txn.TabletWrite, rows *vec.Batch, pick []int32) ([]txn.TabletWrite, error) {
	if r == nil {
		return writes, nil
	}
	for _, k := range r.refs {
		var err error
		if writes, err = r.referBy(k, writes, rows, pick); err != nil {
			return nil, err
		}
	}
	return writes, nil
}

func (r *referrer) referBy(k *reference, writes []txn.TabletWrite, rows *vec.Batch, pick []int32) ([]txn.TabletWrite, error) {
	keys, _ := k.keys(rows, k.from, pick)
	if keys.N == 0 {
		return writes, nil
	}
	if k.target == nil {
		return nil, r.noParent(k)
	}
	if keys = k.unknown(keys); keys.N == 0 {
		return writes, nil
	}
	shares, err := k.share(keys)
	if err != nil {
		return nil, err
	}
	for range shares {
		if k.self {
			r.pending.afterOf = append(r.pending.afterOf, k)
		} else {
			r.pending.of = append(r.pending.of, k)
		}
	}
	if k.self {
		r.pending.after = append(r.pending.after, shares...)
		return writes, nil
	}
	return append(writes, shares...), nil
}

// referChanged is refer for rows that are updated: only a key that changes has to be there.
func (r *referrer) referChanged(writes []txn.TabletWrite, old, next *vec.Batch, changed []int32) ([]txn.TabletWrite, error) {
	if r == nil {
		return writes, nil
	}
	for _, k := range r.refs {
		pick := r.changed(k, old, next, changed)
		if len(pick) == 0 {
			continue
		}
		var err error
		if writes, err = r.referBy(k, writes, next, pick); err != nil {
			return nil, err
		}
	}
	return writes, nil
}

// changed picks the rows that come to refer to another row by a key.
func (r *referrer) changed(k *reference, old, next *vec.Batch, rows []int32) []int32 {
	pick := []int32{}
	for _, row := range rows {
		if r.anew || slices.ContainsFunc(k.from, func(c int) bool { return !sameValue(old.Cols[c], next.Cols[c], int(row)) }) {
			pick = append(pick, row)
		}
	}
	return pick
}

// take hands over what belongs to the writes that refer has added to.
func (r *referrer) take() referral {
	if r == nil {
		return referral{}
	}
	p := r.pending
	r.pending = referral{}
	return p
}

// forget is called when writes were undone, and with them their locks.
func (r *referrer) forget() {
	if r == nil {
		return
	}
	r.pending = referral{}
	for _, k := range r.refs {
		k.known = nil
	}
}

// write writes what refers to rows, and looks for those that may be its own.
func (r *referrer) write(writes []txn.TabletWrite, p referral, write func([]txn.TabletWrite) (txn.Counts, error)) (counts txn.Counts, err error) {
	if len(writes) > 0 {
		if counts, err = write(writes); err != nil {
			return counts, r.explain(err, writes, p.of)
		}
	}
	if len(p.after) == 0 {
		return counts, nil
	}
	if _, err = write(p.after); err != nil {
		err = r.explain(err, p.after, p.afterOf)
	}
	return counts, err
}

// explain says of which foreign key a row is missed; of are those of the last of the writes.
func (r *referrer) explain(err error, writes []txn.TabletWrite, of []*reference) error {
	var missing *txn.MissingError
	if r == nil || !errors.As(err, &missing) {
		return err
	}
	at := missing.Write - (len(writes) - len(of))
	if at < 0 {
		return err
	}
	return errors.Join(r.noParent(of[at]), err)
}

func (r *referrer) noParent(k *reference) error {
	return noParentRow(r.cat, r.t, k.f)
}

// describeForeignKey is how MySQL's errors name a foreign key. They leave out RESTRICT, as InnoDB does: to it that is what NO ACTION is.
func describeForeignKey(cat *catalog.Catalog, t *catalog.Table, f *catalog.ForeignKey) string {
	shown := *f
	for _, action := range []*catalog.ReferenceAction{&shown.OnDelete, &shown.OnUpdate} {
		if *action == catalog.ReferenceRestrict {
			*action = catalog.ReferenceNoAction
		}
	}
	return quotedTable(cat, t) + ", " + define.ForeignKeyText(cat, t, &shown)
}

// referring leaves out the rows of INSERT IGNORE that refer to nothing, with what each would have been told; the others' parents are locked.
func (i *inserter) referring(ctx context.Context, rows *vec.Batch) (*vec.Batch, error) {
	r := i.refs
	if err := i.land(); err != nil {
		return nil, err
	}
	lacks := make([]*reference, rows.N) // the first key by which a row refers to nothing
	for _, k := range r.refs {
		if err := i.lacking(ctx, k, rows, lacks); err != nil {
			return nil, err
		}
	}
	keep := make([]int32, 0, rows.N)
	for row, k := range lacks {
		if k == nil {
			keep = append(keep, int32(row))
			continue
		}
		i.counts.Ignored++
		i.passOver(rows, int32(row))
		i.leftOut.add(r.noParent(k))
	}
	if len(keep) == rows.N {
		return rows, nil
	}
	return gather(rows, keep), nil
}

// lacking locks what some rows refer to by a key, and notes those of which it is not there. A row of the table itself may come before it in
// the statement; whether it does come is looked at behind the write.
func (i *inserter) lacking(ctx context.Context, k *reference, rows *vec.Batch, lacks []*reference) error {
	keys, of := k.keys(rows, k.from, nil)
	if keys.N == 0 {
		return nil
	}
	missing := map[string]bool{}
	if k.target != nil {
		shares, err := k.share(keys)
		if err == nil {
			missing, err = missed(ctx, i.t, shares, i.s.lockWait())
		}
		if err != nil {
			return err
		}
	}
	before := map[string]bool{}
	var own []string
	if k.self {
		mine, at := k.keys(rows, k.to, nil)
		own = make([]string, rows.N)
		for n, key := range vec.EncodeKeys(mine, positions(len(mine.Cols))) {
			own[at[n]] = string(key)
		}
	}
	next := 0
	var trusted []int32
	for n, key := range vec.EncodeKeys(keys, positions(len(keys.Cols))) {
		for ; k.self && next <= int(of[n]); next++ { // a row may refer to itself
			before[own[next]] = lacks[next] == nil || before[own[next]]
		}
		switch {
		case k.target != nil && !missing[string(key)]:
		case k.self && before[string(key)]:
			trusted = append(trusted, of[n])
		case lacks[of[n]] == nil:
			lacks[of[n]] = k
			if k.self {
				before[own[of[n]]] = false
			}
		}
	}
	if len(trusted) == 0 {
		return nil
	}
	_, err := i.refs.referBy(k, nil, rows, trusted)
	return err
}

// missed locks rows that are referred to, and returns the keys of those that are not there.
func missed(ctx context.Context, t *txn.Txn, shares []txn.TabletWrite, lockWait time.Duration) (map[string]bool, error) {
	found, err := t.Share(ctx, shares, lockWait)
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, w := range shares {
		enc := vec.EncodeKeys(w.Rows, positions(len(w.Rows.Cols)))
		for _, row := range found[w.Tablet] {
			out[string(enc[row])] = true
		}
	}
	return out, nil
}

func columnNames(t *catalog.Table, ids []types.ColumnID) []string {
	out := make([]string, len(ids))
	for i, at := range places(t, ids) {
		out[i] = t.Schema.Columns[at].Name
	}
	return out
}
