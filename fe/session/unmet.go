package session

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/zeebo/xxh3"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/plan"
	"stele/sql/vec"
)

// Most rows of INSERT IGNORE, REPLACE and ON DUPLICATE KEY UPDATE meet no other row by any key. Which those are is found out for a
// chunk at once, and they are inserted at once; the merger works out the others row by row.

const (
	// fewMet rows are left to the merger, which asks as many questions and makes one write of it.
	fewMet = 16
	// keysAsked bounds how many tablets are asked at once.
	keysAsked = 4
	// mostSeen bounds the memory of the keys that a statement of many chunks has written: some 25 bytes each.
	mostSeen = 16 << 20
)

// errMeetsItself says that a REPLACE meets a row that it has written, or removed, itself in an earlier chunk, of which nothing can be
// read: the statement starts anew, and leaders keep its rows.
var errMeetsItself = errors.New("a key comes again in a later part of the statement")

// rowKeys are the keys of the rows of a chunk: the primary key first, then the unique keys.
type rowKeys struct {
	n    int
	keys []keyColumn
}

// keyColumn is one key of all rows. A row without it, because of NULL or as its row id is a fresh one, meets nothing by it.
type keyColumn struct {
	hash  []xxh3.Uint128
	none  []bool
	there map[xxh3.Uint128]xxh3.Uint128 // those that rows of the table have, with the entry there where entry is asked for
	entry []xxh3.Uint128                // what the entry of a row is, with the row that it leads to; nil = nobody wants to know
}

func (k *keyColumn) has(row int) bool { return k.none == nil || !k.none[row] }

func (k *keyColumn) met(row int) bool {
	_, there := k.there[k.hash[row]]
	return there
}

// owned reports whether the table has the same entry: it leads to the row with the same primary key.
func (k *keyColumn) owned(row int) bool {
	entry, there := k.there[k.hash[row]]
	return there && entry == k.entry[row]
}

// keysSeen are the keys that a statement has written or removed, per key. 128 bits of a hash stand for a key.
type keysSeen struct {
	keys []map[xxh3.Uint128]struct{} // up to the last key of which there is any
	n    int
}

func (s *keysSeen) has(key int, hash xxh3.Uint128) bool {
	if key >= len(s.keys) {
		return false
	}
	_, there := s.keys[key][hash]
	return there
}

func (s *keysSeen) add(key int, hash xxh3.Uint128) {
	for len(s.keys) <= key {
		s.keys = append(s.keys, nil)
	}
	if s.keys[key] == nil {
		s.keys[key] = map[xxh3.Uint128]struct{}{}
	}
	s.keys[key][hash] = struct{}{}
	s.n++
}

// addRow notes all keys of a row.
func (s *keysSeen) addRow(r *rowKeys, row int) {
	for k := range r.keys {
		if r.keys[k].has(row) {
			s.add(k, r.keys[k].hash[row])
		}
	}
}

// touched notes the keys of all rows that a merger has looked at: it may have removed them.
func (s *keysSeen) touched(m *merger) {
	for key := range m.rows {
		s.add(0, xxh3.HashString128(key))
	}
	for k, owners := range m.owners {
		for entry := range owners {
			s.add(1+k, xxh3.HashString128(entry))
		}
	}
}

// meets returns the first key by which a row meets one of the table or one that was seen, -1 = none.
func (r *rowKeys) meets(row int, seen *keysSeen) int {
	for k := range r.keys {
		if c := &r.keys[k]; c.has(row) && (c.met(row) || seen.has(k, c.hash[row])) {
			return k
		}
	}
	return -1
}

// unmet returns the rows that INSERT IGNORE inserts: those that meet no row of the table, none of the chunks before and none of
// their own chunk that is inserted. left hears of each other row, and of the key by which it meets one.
func (r *rowKeys) unmet(seen *keysSeen, left func(row, key int)) []int32 {
	out := make([]int32, 0, r.n)
	for row := range r.n {
		if key := r.meets(row, seen); key >= 0 {
			left(row, key)
			continue
		}
		seen.addRow(r, row)
		out = append(out, int32(row))
	}
	return out
}

// firstMet returns the row at which an INSERT of one row after the other fails, and by which key.
func (r *rowKeys) firstMet(seen *keysSeen) (row, key int, ok bool) {
	for row := range r.n {
		if key := r.meets(row, seen); key >= 0 {
			return row, key, true
		}
		seen.addRow(r, row)
	}
	return 0, 0, false
}

// apart tells the rows that meet no row of the table and no other one of the chunk, and those that meet, by all of their keys, one row
// of the table and nothing else, from all others.
func (r *rowKeys) apart() (alone, own, met []int32) {
	meets, again := make([]bool, r.n), make([]bool, r.n)
	for k := range r.keys {
		c := &r.keys[k]
		first := make(map[xxh3.Uint128]int32, r.n)
		for row := range r.n {
			if !c.has(row) {
				continue
			}
			if before, twice := first[c.hash[row]]; twice {
				again[before], again[row] = true, true
			} else {
				first[c.hash[row]] = int32(row)
			}
			meets[row] = meets[row] || c.met(row)
		}
	}
	for row := range r.n {
		switch {
		case !again[row] && !meets[row]:
			alone = append(alone, int32(row))
		case !again[row] && r.takesPlace(row):
			own = append(own, int32(row))
		default:
			met = append(met, int32(row))
		}
	}
	return alone, own, met
}

// takesPlace reports whether a row has all keys of the row of the table with its primary key: it takes its place, and no entry changes.
func (r *rowKeys) takesPlace(row int) bool {
	if primary := &r.keys[0]; !primary.has(row) || !primary.met(row) {
		return false
	}
	for k := range r.keys[1:] {
		if c := &r.keys[1+k]; c.entry == nil || !c.has(row) || !c.owned(row) {
			return false
		}
	}
	return true
}

// meetsSeen reports whether a row has a key that was written or removed before.
func (r *rowKeys) meetsSeen(seen *keysSeen) bool {
	for k := range r.keys {
		c := &r.keys[k]
		for row := range r.n {
			if c.has(row) && seen.has(k, c.hash[row]) {
				return true
			}
		}
	}
	return false
}

// meet inserts the rows that meet no others at once, and has the merger work out what becomes of the rest.
func (i *inserter) meet(ctx context.Context, rows *vec.Batch) error {
	if rows.N < fewMet && !i.ahead {
		return i.merge(ctx, rows)
	}
	if i.plan.OnDuplicate != nil && i.updatesApart() {
		if done, err := i.upsertMany(ctx, rows); err != nil || done {
			return err
		}
		return i.merge(ctx, rows)
	}
	replaces := i.plan.OnDuplicate == nil && i.plan.Mode == plan.ModeReplace
	keys, err := i.askKeys(ctx, rows, replaces)
	if err != nil {
		return err
	}
	if i.seen.n > mostSeen {
		return sqlErr(errno.LockTableFull, "The total number of locks exceeds the lock table size")
	}
	if i.plan.OnDuplicate == nil && i.plan.Mode == plan.ModeIgnore {
		unmet := keys.unmet(&i.seen, func(row, key int) { i.leave(rows, row, key) })
		i.counts.Ignored += int64(rows.N - len(unmet))
		return i.sendUnmet(ctx, rows, unmet)
	}
	if !i.readsOwn() && keys.meetsSeen(&i.seen) {
		return errMeetsItself
	}
	alone, own, met := keys.apart()
	if !replaces && len(alone) < rows.N { // an update may give a row the key of any other one
		return i.merge(ctx, rows)
	}
	return i.writeApart(ctx, rows, keys, alone, own, met)
}

// writeApart inserts rows that meet no others, puts rows in the place of their own, and has the merger replace what the rest meets.
func (i *inserter) writeApart(ctx context.Context, rows *vec.Batch, keys *rowKeys, alone, own, met []int32) error {
	// A few rows are one write, and so are those of who waits for locks.
	single := i.s.contended || rows.N < chunkRows/64 && !i.ahead
	if len(met) > 0 {
		if single {
			return i.merge(ctx, rows)
		}
		if err := i.merge(ctx, gather(rows, met)); err != nil {
			return err
		}
	}
	for _, row := range slices.Concat(alone, own) {
		i.seen.addRow(keys, int(row))
	}
	if single && len(own) > 0 {
		return i.sendBoth(ctx, rows, own, alone)
	}
	if err := i.sendOwn(ctx, rows, own); err != nil {
		return err
	}
	return i.sendUnmet(ctx, rows, alone)
}

// sendBoth puts rows in the place of those that have all of their keys, and inserts others, by one write.
func (i *inserter) sendBoth(ctx context.Context, rows *vec.Batch, own, alone []int32) error {
	puts := gather(rows, own)
	writes, err := i.upserted([]*vec.Batch{puts}, rows, alone)
	if err == nil {
		writes, err = i.refs.refer(writes, puts, nil)
	}
	if err != nil {
		return err
	}
	return i.launch(ctx, writes, i.s.overtaken)
}

// sendOwn puts rows in the place of those that have all of their keys.
func (i *inserter) sendOwn(ctx context.Context, rows *vec.Batch, pick []int32) error {
	if len(pick) == 0 {
		return nil
	}
	if len(pick) < rows.N {
		rows = gather(rows, pick)
	}
	writes, err := routed(i.plan.Table, rows, types.OpPut)
	if err == nil {
		err = asOf(i.cat, writes)
	}
	if err == nil {
		writes, err = i.refs.refer(writes, rows, nil)
	}
	if err != nil {
		return err
	}
	return i.launch(ctx, writes, i.s.overtaken)
}

// nameFirst is the error of an INSERT whose rows have been refused with err. Each leader knows what is in the way at its own tablets;
// which of several rows is the first one, and by which key, is asked for. Where an own part is in the way of the question, or nothing
// is found any more, err names the key that some leader has met.
func (i *inserter) nameFirst(ctx context.Context, rows *vec.Batch, err error) error {
	if i.s.inTx || i.ahead || rows.N == 1 || len(i.keys) == 0 {
		return err
	}
	keys, asked := i.askKeys(ctx, rows, false)
	if asked != nil {
		return err
	}
	if row, key, ok := keys.firstMet(&keysSeen{}); ok {
		return i.duplicate(rows, row, key)
	}
	return err
}

// duplicate is the error of a row that meets another by a key, by its place among rowKeys.
func (i *inserter) duplicate(rows *vec.Batch, row, key int) error {
	t := i.plan.Table
	if key == 0 {
		return duplicate(t, "PRIMARY", rows, row, t, t.Schema.KeyIndexes(), nil)
	}
	u := i.keys[key-1]
	return duplicate(t, u.name, rows, row, t, u.key, u.prefix)
}

// sendUnmet inserts rows of which nothing is in the way.
func (i *inserter) sendUnmet(ctx context.Context, rows *vec.Batch, pick []int32) error {
	if len(pick) == 0 {
		return nil
	}
	if len(pick) < rows.N {
		rows = gather(rows, pick)
	}
	writes, err := i.routed(rows, types.OpInsert)
	if err != nil {
		return err
	}
	return i.launch(ctx, writes, i.s.overtaken)
}

// askKeys finds out which keys of some rows the table has and, if that is wanted, where its entries lead.
func (i *inserter) askKeys(ctx context.Context, rows *vec.Batch, entries bool) (*rowKeys, error) {
	if i.readsOwn() {
		if err := i.land(); err != nil {
			return nil, err
		}
	}
	t := i.plan.Table
	out := &rowKeys{n: rows.N, keys: make([]keyColumn, 1+len(i.keys))}
	primary := &out.keys[0]
	if t.Schema.HasRowID() { // a fresh row id meets nothing
		primary.none = slices.Repeat([]bool{true}, rows.N)
	} else if err := i.askTable(ctx, t, rows, nil, primary); err != nil {
		return nil, err
	}
	for k, u := range i.keys {
		c := &out.keys[1+k]
		c.none = make([]bool, rows.N)
		pick := make([]int32, 0, rows.N)
		for row := range rows.N {
			if c.none[row] = !u.hasEntry(rows, row); !c.none[row] {
				pick = append(pick, int32(row))
			}
		}
		if entries {
			c.entry = make([]xxh3.Uint128, rows.N)
		}
		if err := i.askTable(ctx, u.index, u.entries(rows, pick), pick, c); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// askTable asks the tablets of a table which rows with the keys of some it has. at says which rows of the chunk those are, nil = all.
func (i *inserter) askTable(ctx context.Context, t *catalog.Table, rows *vec.Batch, at []int32, out *keyColumn) error {
	n := rows.N
	if at != nil {
		n = len(out.none)
	}
	out.hash, out.there = make([]xxh3.Uint128, n), map[xxh3.Uint128]xxh3.Uint128{}
	if rows.N == 0 {
		return nil
	}
	keys := vec.EncodeKeys(rows, t.Schema.KeyIndexes())
	for k, key := range keys {
		row := k
		if at != nil {
			row = int(at[k])
		}
		out.hash[row] = xxh3.Hash128(key)
	}
	if out.entry != nil {
		for k, entry := range vec.EncodeKeys(rows, positions(len(rows.Cols))) {
			out.entry[at[k]] = xxh3.Hash128(entry)
		}
	}
	routes, err := plan.Route(t, rows)
	if err != nil {
		return err
	}
	there := make([]map[xxh3.Uint128]xxh3.Uint128, len(routes))
	err = eachRoute(routes, func(k int) error {
		var err error
		there[k], err = i.askTablet(ctx, t, routes[k].Tablet, sortedKeys(keys, routes[k].Rows), out.entry != nil)
		return err
	})
	for _, some := range there {
		maps.Copy(out.there, some)
	}
	return err
}

// sortedKeys returns the keys of some rows in their order, each once.
func sortedKeys(keys [][]byte, rows []int32) [][]byte {
	out := make([][]byte, len(rows))
	for k, row := range rows {
		out[k] = keys[row]
	}
	slices.SortFunc(out, bytes.Compare)
	return slices.CompactFunc(out, bytes.Equal)
}

// askTablet returns those of some keys that a tablet has, with what the whole row there is if that is wanted.
func (i *inserter) askTablet(ctx context.Context, t *catalog.Table, tablet types.TabletID, wanted [][]byte, whole bool) (map[xxh3.Uint128]xxh3.Uint128, error) {
	columns, key := t.Schema.Key, positions(len(t.Schema.Key))
	if whole {
		columns, key = columnIDs(&t.Schema), t.Schema.KeyIndexes()
	}
	found, err := i.readColumns(ctx, t, tablet, wanted, columns)
	if err != nil {
		return nil, err
	}
	out := map[xxh3.Uint128]xxh3.Uint128{}
	for _, b := range found {
		keys := vec.EncodeKeys(b, key)
		for row := range keys {
			out[xxh3.Hash128(keys[row])] = xxh3.Uint128{}
		}
		if !whole {
			continue
		}
		for row, entry := range vec.EncodeKeys(b, positions(len(b.Cols))) {
			out[xxh3.Hash128(keys[row])] = xxh3.Hash128(entry)
		}
	}
	return out, nil
}

// positions lists 0 to n - 1.
func positions(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}
