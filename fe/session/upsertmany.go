package session

import (
	"context"
	"slices"

	"github.com/zeebo/xxh3"

	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/contain"
	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/plan"
	"stele/sql/vec"
)

// upsertMany does INSERT ... ON DUPLICATE KEY UPDATE for many rows at once: the rows that they meet are read by one question a tablet,
// and updated together; updatesApart has said that they can be. done is
// false, and nothing has happened, where one row has to be worked out after the other: two of them have a key in common or meet the same
// row, or an update
// fails or warns, which names its row.
func (i *inserter) upsertMany(ctx context.Context, rows *vec.Batch) (done bool, err error) {
	if err := i.land(); err != nil { // it reads what was written
		return false, err
	}
	m := &manyMet{i: i, rows: rows, met: slices.Repeat([]int32{-1}, rows.N)}
	if ok, err := m.load(ctx); err != nil || !ok {
		return false, err
	}
	pick, alone := m.split()
	var puts []*vec.Batch
	changed := 0
	if len(pick) > 0 {
		next, differs, ok := i.updateAll(m.oldRows(pick), gather(rows, pick))
		if !ok {
			return false, nil
		}
		i.passOver(rows, pick...)
		if changed = len(differs); changed > 0 {
			puts = append(puts, gather(next, differs))
			i.tell(gather(next, differs[changed-1:]))
		}
	}
	i.updated += int64(changed)
	i.same += int64(len(pick) - changed)
	if changed == 0 {
		return true, i.sendUnmet(ctx, rows, alone)
	}
	writes, err := i.upserted(puts, rows, alone)
	if err == nil && i.updatesReference() {
		writes, err = i.refs.refer(writes, vec.ConcatBatches(puts...), nil)
	}
	if err != nil {
		return true, err
	}
	return true, i.launch(ctx, writes, i.s.overtaken)
}

// updatesApart reports whether the update of a row by ON DUPLICATE KEY UPDATE has nothing to do with that of any other one: it changes
// nothing by which rows are found.
func (i *inserter) updatesApart() bool {
	if i.plan.Checked() || i.movesRows() {
		return false
	}
	if slices.ContainsFunc(i.plan.OnDuplicate, func(a plan.Assign) bool { return a.Tells || expr.IsVolatile(a.Expr) }) {
		return false
	}
	return !slices.ContainsFunc(i.plan.Updated(), func(column int) bool {
		return slices.ContainsFunc(i.keys, func(u *uniqueKey) bool { return slices.Contains(u.from, column) })
	})
}

// updateAll updates rows by new ones, row by row, and returns which differ afterwards. It is not ok when there is anything to say of it.
func (i *inserter) updateAll(old, fresh *vec.Batch) (next *vec.Batch, differs []int32, ok bool) {
	warned := i.pctx.Warnings
	next, err := i.assigned(old, fresh, 1)
	if err != nil || i.pctx.Warnings.Count != warned.Count {
		i.pctx.Warnings = warned
		return nil, nil, false
	}
	for row := range next.N {
		if i.differs(old, next, row) {
			differs = append(differs, int32(row))
		}
	}
	return next, differs, true
}

// upserted are the writes of rows that are updated, and of new ones with their entries.
func (i *inserter) upserted(puts []*vec.Batch, rows *vec.Batch, alone []int32) ([]txn.TabletWrite, error) {
	base := byOp{puts: puts}
	if len(alone) > 0 {
		rows = gather(rows, alone)
		base.inserts = append(base.inserts, rows)
	}
	writes, err := base.writes(i.plan.Table)
	if err == nil {
		err = asOf(i.cat, writes)
	}
	if err != nil || len(alone) == 0 {
		return writes, err
	}
	for _, u := range i.keys {
		more, err := u.write(u.entries(rows, nil), types.OpInsert)
		if err != nil {
			return nil, err
		}
		writes = append(writes, more...)
	}
	return i.refs.refer(writes, rows, nil)
}

// manyMet finds the rows of the table that new ones meet: each by its primary key or, where there is none, by the first unique key.
type manyMet struct {
	i    *inserter
	rows *vec.Batch
	met  []int32 // for each new row, which of old it meets, -1 = none
	old  []*vec.Batch
	n    int32 // rows of old
}

// load is not ok when what becomes of a row depends on another one.
func (m *manyMet) load(ctx context.Context) (ok bool, err error) {
	t := m.i.plan.Table
	keys := map[xxh3.Uint128]struct{}{}
	if !t.Schema.HasRowID() { // a fresh row id meets nothing
		if !distinct(keys, vec.EncodeKeys(m.rows, t.Schema.KeyIndexes())) {
			return false, nil
		}
		if err := m.read(ctx, m.rows, positions(m.rows.N)); err != nil {
			return false, err
		}
	}
	for _, u := range m.i.keys {
		clear(keys)
		all := u.entries(m.rows, nil)
		if !distinct(keys, vec.EncodeKeys(all, u.index.Schema.KeyIndexes())) {
			return false, nil
		}
		if err := m.readByEntry(ctx, u); err != nil {
			return false, err
		}
	}
	clear(keys)
	for _, b := range m.old {
		if !distinct(keys, vec.EncodeKeys(b, t.Schema.KeyIndexes())) {
			return false, nil
		}
	}
	return true, nil
}

// distinct adds keys to those that are known; false when one is known already.
func distinct(known map[xxh3.Uint128]struct{}, keys [][]byte) bool {
	for _, key := range keys {
		hash := xxh3.Hash128(key)
		if _, again := known[hash]; again {
			return false
		}
		known[hash] = struct{}{}
	}
	return true
}

// read reads the rows with the primary keys of some; of says to which new rows those belong.
func (m *manyMet) read(ctx context.Context, like *vec.Batch, of []int) error {
	t := m.i.plan.Table
	old, at, err := m.i.fetch(ctx, t, like)
	if err != nil || old == nil {
		return err
	}
	for k, key := range vec.EncodeKeys(like, t.Schema.KeyIndexes()) {
		if row, there := at[xxh3.Hash128(key)]; there {
			m.met[of[k]] = m.n + row
		}
	}
	m.old = append(m.old, old)
	m.n += int32(old.N)
	return nil
}

// readByEntry reads the rows that new ones, which have met none so far, meet by a unique key.
func (m *manyMet) readByEntry(ctx context.Context, u *uniqueKey) error {
	rest := []int32{}
	for row, met := range m.met {
		if met < 0 && u.hasEntry(m.rows, row) {
			rest = append(rest, int32(row))
		}
	}
	if len(rest) == 0 {
		return nil
	}
	entries := u.entries(m.rows, rest)
	found, at, err := m.i.fetch(ctx, u.index, entries)
	if err != nil || found == nil {
		return err
	}
	var owners []int32
	var of []int
	for k, key := range vec.EncodeKeys(entries, u.index.Schema.KeyIndexes()) {
		if row, there := at[xxh3.Hash128(key)]; there {
			owners, of = append(owners, row), append(of, int(rest[k]))
		}
	}
	return m.read(ctx, u.like(&m.i.plan.Table.Schema, gather(found, owners)), of)
}

// split tells the new rows that meet one from the others.
func (m *manyMet) split() (pick, alone []int32) {
	for row, met := range m.met {
		if met >= 0 {
			pick = append(pick, int32(row))
		} else {
			alone = append(alone, int32(row))
		}
	}
	return pick, alone
}

// oldRows are the rows that some new ones meet, in their order.
func (m *manyMet) oldRows(pick []int32) *vec.Batch {
	at := make([]int32, len(pick))
	for k, row := range pick {
		at[k] = m.met[row]
	}
	return gather(vec.ConcatBatches(m.old...), at)
}

// fetch reads all columns of the rows of a table with the primary keys of some, and tells where each key is; nil when there are none.
func (i *inserter) fetch(ctx context.Context, t *catalog.Table, like *vec.Batch) (*vec.Batch, map[xxh3.Uint128]int32, error) {
	keys := vec.EncodeKeys(like, t.Schema.KeyIndexes())
	routes, err := plan.Route(t, like)
	if err != nil {
		return nil, nil, err
	}
	found := make([][]*vec.Batch, len(routes))
	err = eachRoute(routes, func(k int) error {
		wanted := sortedKeys(keys, routes[k].Rows)
		var err error
		found[k], err = i.readKeys(ctx, t, routes[k].Tablet, wanted)
		return err
	})
	all := slices.Concat(found...)
	if err != nil || len(all) == 0 {
		return nil, nil, err
	}
	rows := vec.ConcatBatches(all...)
	at := make(map[xxh3.Uint128]int32, rows.N)
	for row, key := range vec.EncodeKeys(rows, t.Schema.KeyIndexes()) {
		at[xxh3.Hash128(key)] = int32(row)
	}
	return rows, at, nil
}

// eachRoute does something for each tablet, for some of them at once.
func eachRoute(routes []plan.TabletRows, do func(k int) error) error {
	var all contain.Group
	slots := make(chan struct{}, keysAsked)
	for k := range routes {
		slots <- struct{}{}
		all.Go(func() error {
			defer func() { <-slots }()
			return do(k)
		})
	}
	return all.Wait()
}
